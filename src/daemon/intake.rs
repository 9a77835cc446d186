//! From the engine to the spool: what the engine says is on the disk before anything else knows of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use super::accepted::Accepted;
use super::forget::SharedArchive;
use super::health;
use crate::engine::Verdict;
use crate::exceptions::Due;
use crate::observation::Timestamp;
use crate::sink::spool::{Queue, Spool, SpoolError};

/// Takes verdicts and spools them in groups, each with one flush to the disk.
pub(super) struct Intake {
    spool: Arc<Mutex<Spool>>,
    host: String,
    /// Not on the disk yet; none of it has been counted or told to anybody.
    pending: VecDeque<(Queue, String)>,
    /// What was found and is not in the archive yet, suppressed findings included.
    found: Vec<(Timestamp, String)>,
    archive: Option<SharedArchive>,
    /// The archive could not be written the last time: only the next group tries again.
    archive_failed: bool,
    not_kept: u64,
    accepted: Accepted,
    /// Observations since the first of them came.
    observed: usize,
    lost: Lost,
    /// Whoever follows findings hears of them here, once they are on the disk.
    followers: broadcast::Sender<Arc<str>>,
}

/// What the disk does not take.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost {
    /// Events that found no room in memory.
    lost: Arc<AtomicU64>,
    /// Events that wait in memory after the disk refused them.
    held: Arc<AtomicU64>,
}

impl Lost {
    pub(super) fn count(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    fn add(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    fn hold(&self, events: usize) {
        self.held.store(events as u64, Ordering::Relaxed);
    }
}

impl Intake {
    /// An archive that cannot be opened costs what it would have kept, and no alert.
    pub(super) fn new(
        spool: Arc<Mutex<Spool>>,
        host: String,
        archive: Option<SharedArchive>,
        accepted: Accepted,
        lost: Lost,
        followers: broadcast::Sender<Arc<str>>,
    ) -> Self {
        Self {
            spool,
            host,
            pending: VecDeque::new(),
            found: Vec::new(),
            archive,
            archive_failed: false,
            not_kept: 0,
            accepted,
            observed: 0,
            lost,
            followers,
        }
    }

    /// Exceptions end, and somebody should know.
    pub(super) fn due(&mut self, due: &[Due], time: Timestamp) {
        self.hold(Queue::Health, health::due(due, &self.host, time));
    }

    /// Takes what one observation gave, and spools a group that is full or has waited long enough.
    pub(super) fn take(&mut self, verdicts: &mut Vec<Verdict>) {
        for verdict in verdicts.drain(..) {
            match verdict {
                Verdict::Alert(alert) => {
                    if let Some(exception) = &alert.exception {
                        self.accepted.lowered(&exception.id);
                    }
                    let line = alert.to_json();
                    self.found(alert.time, line.clone());
                    self.hold(Queue::Alerts, line);
                }
                Verdict::Digest(digest) => self.hold(Queue::Telemetry, health::digest(&digest, &self.host)),
                // The organisation has accepted it: kept on this Mac and counted, and no event.
                Verdict::Suppressed(alert) => {
                    if let Some(exception) = &alert.exception {
                        self.accepted.suppressed(&exception.id);
                    }
                    self.found(alert.time, alert.to_json());
                }
            }
        }
        if self.pending.is_empty() && self.found.is_empty() {
            return;
        }
        self.observed += 1;
        if self.pending.len() >= GROUP || self.observed >= WAIT {
            self.commit();
        }
    }

    /// Whether something waits for the disk.
    pub(super) fn is_waiting(&self) -> bool {
        self.has_unspooled() || (!self.found.is_empty() && !self.archive_failed)
    }

    /// Whether there is an event that the spool does not have: a checkpoint must not remember it.
    pub(super) fn has_unspooled(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Spools everything that waits. What can't be written stays for the next time, up to a bound, and is counted beyond it.
    pub(super) fn commit(&mut self) {
        self.observed = 0;
        if let Err(error) = self.write() {
            tracing::error!(%error, waiting = self.pending.len(), "alerts cannot be spooled; they wait in memory");
            self.lost.hold(self.pending.len());
            return;
        }
        self.lost.hold(0);
        self.keep();
    }

    /// The end: what still waits is lost. Gives all that was lost.
    pub(super) fn give_up(self) -> u64 {
        let left = self.pending.len() as u64;
        self.lost.add(left);
        self.lost.count()
    }

    fn write(&mut self) -> Result<(), SpoolError> {
        // Counters in the spool are each right by themselves, also after a panic of another thread.
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in Queue::ALL {
            let lines: Vec<&str> =
                self.pending.iter().filter(|(of, _)| *of == queue).map(|(_, line)| line.as_str()).collect();
            if !lines.is_empty() {
                spool.append(queue, &lines)?;
                if self.followers.receiver_count() > 0 {
                    for line in &lines {
                        // The last of them may have gone just now.
                        let _ = self.followers.send(Arc::from(*line));
                    }
                }
                self.pending.retain(|(of, _)| *of != queue);
            }
        }
        Ok(())
    }

    /// Archives what was found.
    fn keep(&mut self) {
        if self.found.is_empty() {
            return;
        }
        // A panic of another thread left each line right by itself.
        let mut archive =
            self.archive.as_ref().map(|archive| archive.lock().unwrap_or_else(PoisonError::into_inner));
        match archive.as_mut().map(|archive| archive.append(&self.found)) {
            Some(Ok(())) => {
                self.archive_failed = false;
                self.found.clear();
            }
            Some(Err(error)) => {
                if !self.archive_failed {
                    tracing::error!(%error, "findings cannot be kept on this Mac; they wait in memory");
                }
                self.archive_failed = true;
            }
            None => {
                self.not_kept = self.not_kept.saturating_add(self.found.len() as u64);
                self.found.clear();
            }
        }
        let left_out = archive.as_ref().map_or(0, |archive| archive.left_out());
        self.accepted.not_kept(self.not_kept.saturating_add(left_out));
    }

    fn found(&mut self, time: Timestamp, line: String) {
        if self.found.len() < MOST_HELD {
            self.found.push((time, line));
        } else {
            self.not_kept = self.not_kept.saturating_add(1);
        }
    }

    fn hold(&mut self, queue: Queue, line: String) {
        if self.pending.len() < MOST_HELD {
            self.pending.push_back((queue, line));
        } else {
            self.lost.add(1);
        }
    }
}

/// Events in one flush: at 5 ms a flush on a slow disk, 10 µs an event.
const GROUP: usize = 512;
/// Observations after which a group is flushed though it is not full: a tenth of a second on a busy Mac. On a quiet one it is flushed at once.
const WAIT: usize = 1_024;
/// Events that wait while the disk is full: about 16 MB at most.
const MOST_HELD: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Alert, ExceptionSection, samples};
    use crate::exceptions::Action;
    use crate::sink::spool::Caps;
    use crate::sink::{Archive, Archived};

    struct Place {
        folder: tempfile::TempDir,
        spool: Arc<Mutex<Spool>>,
        accepted: Accepted,
        intake: Intake,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("spool"), Caps::default()).unwrap();
        let spool = Arc::new(Mutex::new(spool));
        let archive = Archive::open(&folder.path().join("findings")).ok();
        let archive = archive.map(|archive| Arc::new(Mutex::new(archive)));
        let accepted = Accepted::default();
        let (followers, _) = broadcast::channel(1);
        let intake = Intake::new(
            Arc::clone(&spool),
            "mac".into(),
            archive,
            accepted.clone(),
            Lost::default(),
            followers,
        );
        Place { folder, spool, accepted, intake }
    }

    fn excepted(action: Action) -> Alert {
        let exception = ExceptionSection { id: "X".into(), owner: "it".into(), expires: None, action };
        Alert { exception: Some(exception), ..samples::plain() }
    }

    fn spooled(place: &Place) -> u64 {
        place.spool.lock().unwrap().status().queues["alerts"].appended
    }

    #[test]
    fn a_suppressed_finding_is_kept_and_counted_and_not_spooled() {
        let mut place = place();
        place.intake.take(&mut vec![
            Verdict::Suppressed(Box::new(excepted(Action::Suppress))),
            Verdict::Alert(Box::new(excepted(Action::Lower))),
            Verdict::Alert(Box::new(samples::plain())),
        ]);
        assert!(place.intake.is_waiting());
        place.intake.commit();
        assert!(!place.intake.is_waiting());
        assert_eq!(spooled(&place), 2);
        assert_eq!(Archived::of(&place.folder.path().join("findings")).unwrap().count(), 3);
        let status = place.accepted.status();
        assert_eq!((status.suppressed["X"], status.lowered["X"], status.not_kept), (1, 1, 0));
    }

    #[test]
    fn what_the_disk_does_not_take_waits_within_a_bound_and_goes_when_it_does() {
        let mut place = place();
        let spool = place.folder.path().join("spool");
        std::fs::remove_dir_all(&spool).unwrap();
        let mut verdicts: Vec<_> =
            (0..=MOST_HELD).map(|_| Verdict::Alert(Box::new(samples::plain()))).collect();
        place.intake.take(&mut verdicts);
        assert!(place.intake.has_unspooled(), "a checkpoint would remember what is nowhere");
        assert_eq!((place.intake.lost.count(), place.intake.lost.held()), (1, MOST_HELD as u64));
        assert_eq!(Archived::of(&place.folder.path().join("findings")).unwrap().count(), 0);
        std::fs::create_dir(&spool).unwrap();
        place.intake.commit();
        assert!(!place.intake.is_waiting());
        assert_eq!((spooled(&place), place.intake.lost.held()), (MOST_HELD as u64, 0));
        assert_eq!(place.accepted.status().not_kept, 1);
        assert_eq!(place.intake.give_up(), 1);
    }

    #[test]
    fn an_archive_that_cannot_be_written_holds_up_no_alert() {
        let mut place = place();
        std::fs::remove_dir_all(place.folder.path().join("findings")).unwrap();
        place.intake.take(&mut vec![Verdict::Alert(Box::new(samples::plain()))]);
        place.intake.commit();
        assert_eq!(spooled(&place), 1);
        assert!(!place.intake.is_waiting(), "it is tried again with the next group, and not in a loop");
    }
}
