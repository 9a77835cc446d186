//! The journal of flows that ended, on a thread of its own: the engine hands flows over and waits for nothing, people have something of it removed.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::alert::{Person, Privacy};
use crate::engine::{Ended, Engine};
use crate::journal::{Entry, Journal};

/// Where flows that ended go; nowhere, where none are kept.
#[derive(Clone, Default)]
pub(super) struct History(Option<Kept>);

#[derive(Clone)]
struct Kept {
    work: SyncSender<Work>,
    /// How flows may be told from here on.
    privacy: Arc<Mutex<Privacy>>,
    left_out: Arc<AtomicU64>,
    /// Flows that wait for the disk.
    waiting: Arc<AtomicU64>,
}

/// What the thread is asked for.
enum Work {
    /// These ended.
    Keep(Vec<Ended>),
    /// What tells of a person is to go.
    Forget(Box<Person>, SyncSender<io::Result<u64>>),
    /// Everything before this is to be with the system.
    Finish(SyncSender<()>),
}

impl History {
    /// Starts the thread, where there is a journal.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub(super) fn new(journal: Option<Journal>, privacy: Privacy) -> io::Result<Self> {
        let Some(journal) = journal else { return Ok(Self::default()) };
        let (work, received) = sync_channel(QUEUED);
        let privacy = Arc::new(Mutex::new(privacy));
        let kept = Kept { work, privacy, left_out: Arc::default(), waiting: Arc::default() };
        let (privacy, left_out) = (Arc::clone(&kept.privacy), Arc::clone(&kept.left_out));
        let waiting = Arc::clone(&kept.waiting);
        thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || write(journal, &received, &privacy, &left_out, &waiting))?;
        Ok(Self(Some(kept)))
    }

    pub(super) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Other modes from here on.
    pub(super) fn set_privacy(&self, privacy: Privacy) {
        if let Some(kept) = &self.0 {
            *kept.privacy.lock().unwrap_or_else(PoisonError::into_inner) = privacy;
        }
    }

    /// Hands over the flows that ended. Where the disk is too slow for them they are left out and counted.
    pub(super) fn take(&self, engine: &mut Engine) {
        let ended = engine.take_ended();
        let Some(kept) = self.0.as_ref().filter(|_| !ended.is_empty()) else { return };
        let flows = ended.len() as u64;
        let waiting = kept.waiting.fetch_add(flows, Ordering::Relaxed);
        if waiting > MOST_WAITING || kept.work.try_send(Work::Keep(ended)).is_err() {
            kept.waiting.fetch_sub(flows, Ordering::Relaxed);
            kept.left_out.fetch_add(flows, Ordering::Relaxed);
        }
    }

    /// Waits until what was handed over is with the system.
    pub(super) fn finish(&self) {
        let Some(kept) = &self.0 else { return };
        let (done, is_done) = sync_channel(1);
        if kept.work.send(Work::Finish(done)).is_ok() {
            // A thread that failed has nothing more to write.
            let _ = is_done.recv();
        }
    }

    /// Flows that were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| kept.left_out.load(Ordering::Relaxed))
    }

    /// Removes what tells of a user; how many flows.
    pub(super) fn forget(&self, person: &Person) -> io::Result<u64> {
        let Some(kept) = &self.0 else { return Ok(0) };
        let gone = || io::Error::other("the history's thread has ended");
        let (answer, answered) = sync_channel(1);
        kept.work.send(Work::Forget(Box::new(person.clone()), answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

/// Writes what comes; what waits is written before the thread waits.
fn write(
    mut journal: Journal,
    work: &Receiver<Work>,
    privacy: &Mutex<Privacy>,
    left_out: &AtomicU64,
    waiting: &AtomicU64,
) {
    let mut counted = 0;
    loop {
        let next = match work.try_recv() {
            Err(TryRecvError::Empty) => {
                journal.write();
                work.recv().ok()
            }
            next => next.ok(),
        };
        match next {
            Some(Work::Keep(flows)) => {
                let privacy = privacy.lock().unwrap_or_else(PoisonError::into_inner);
                for ended in &flows {
                    journal.take(&Entry::new(ended, &privacy));
                }
                drop(privacy);
                waiting.fetch_sub(flows.len() as u64, Ordering::Relaxed);
            }
            // Whoever asked may have gone, here and below.
            Some(Work::Forget(person, answer)) => {
                let _ = answer.send(journal.forget(&person));
            }
            Some(Work::Finish(done)) => {
                journal.write();
                let _ = done.send(());
            }
            None => return,
        }
        let now = journal.left_out();
        left_out.fetch_add(now.saturating_sub(counted), Ordering::Relaxed);
        counted = now;
    }
}

/// Groups of flows that may wait for the disk.
const QUEUED: usize = 1_024;
/// Flows that wait for the disk when no more are taken: some megabytes at most, with the group that came last.
const MOST_WAITING: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{PrivacyMode, PrivacySettings, samples};
    use crate::journal::{Entries, Settings};

    #[test]
    fn modes_that_change_hold_for_what_ends_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), &Settings::default()).unwrap();
        let history = History::new(Some(journal), Privacy::default()).unwrap();
        let keep = |second| {
            let kept = history.0.as_ref().unwrap();
            kept.waiting.fetch_add(1, Ordering::Relaxed);
            kept.work.send(Work::Keep(vec![samples::ended(second)])).unwrap();
            history.finish();
        };
        keep(1);
        let off = PrivacySettings { server_names: PrivacyMode::Off, ..PrivacySettings::default() };
        history.set_privacy(Privacy::new(off, b""));
        keep(2);
        let named: Vec<bool> =
            Entries::of(folder.path()).unwrap().map(|entry| entry.server_name.is_some()).collect();
        assert_eq!((named, history.left_out()), (vec![true, false], 0));
        assert_eq!(history.forget(&Person::new("nobody", None, &Privacy::default())).unwrap(), 0);
    }

    #[test]
    fn without_a_journal_nothing_is_kept_and_nothing_waited_for() {
        let history = History::new(None, Privacy::default()).unwrap();
        history.finish();
        assert!(!history.is_kept() && history.left_out() == 0);
    }
}
