//! A live source that ends was not meant to: it is begun anew, later each time, and what it would have told meanwhile is a gap.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{gap, wall};
use crate::observation::{Observation, Timestamp};
use crate::source::Source;

/// A source for a thread of its own.
pub type BoxedSource = Box<dyn Source + Send>;

/// How each live source does, for whoever asks, from any thread.
#[derive(Debug, Clone, Default)]
pub struct SourceWatch(Arc<Mutex<BTreeMap<Arc<str>, SourceState>>>);

/// How a live source does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceState {
    /// Whether it observes.
    pub condition: Condition,
    /// Since when (RFC 3339).
    pub since: Timestamp,
    /// How often it was begun anew since the daemon began.
    pub restarts: u64,
    /// Why it ended the last time; `None` where it never did.
    pub why: Option<String>,
}

/// Whether a source observes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It has told nothing yet: a pipe that nobody writes to, a Mac on which nothing happens.
    Waiting,
    /// It observes.
    Running,
    /// It ended, and is begun anew after a while.
    Away,
}

impl SourceWatch {
    /// As they are now, by name.
    pub fn read(&self) -> BTreeMap<Arc<str>, SourceState> {
        self.lock().clone()
    }

    fn set(&self, name: &Arc<str>, condition: Condition) {
        let mut states = self.lock();
        let state = states.entry(Arc::clone(name)).or_insert_with(|| SourceState {
            condition,
            since: wall(),
            restarts: 0,
            why: None,
        });
        if state.condition != condition {
            state.condition = condition;
            state.since = wall();
        }
    }

    fn ended(&self, name: &Arc<str>, why: String) {
        self.set(name, Condition::Away);
        if let Some(state) = self.lock().get_mut(name) {
            state.restarts = state.restarts.saturating_add(1);
            state.why = Some(why);
        }
    }

    /// Each state is right by itself, also after a panic of another thread.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, SourceState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait before a source is begun anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses {
    first: Duration,
    longest: Duration,
}

impl Pauses {
    /// For a daemon: a crash of a program is over in a second, and what a person has to mend is tried again within the minute.
    pub(super) const SERVICE: Self = Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
}

/// What a thread needs to keep a source going.
pub(super) struct Keeping {
    pub(super) name: Arc<str>,
    pub(super) sender: SyncSender<Observation>,
    pub(super) watch: SourceWatch,
    pub(super) pauses: Pauses,
}

/// How reading ended.
enum End {
    /// Nobody takes observations any more.
    Unread,
    /// The source ended, and why; whether its last word was the gap already.
    Ended { why: String, told: bool },
}

impl Keeping {
    /// Reads `first`, and what `again` opens each time the source has ended, until nobody takes its observations any more.
    pub(super) fn run(
        self,
        first: Option<BoxedSource>,
        mut again: impl FnMut() -> Result<BoxedSource, String>,
    ) {
        self.watch.set(&self.name, Condition::Waiting);
        let mut pause = self.pauses.first;
        let mut source = first;
        // An absence is one gap, however often it is tried to end it.
        let mut is_missed = false;
        loop {
            let opened = source.take().map_or_else(|| guarded(&mut again).unwrap_or_else(Err), Ok);
            let began = Instant::now();
            let (why, told) = match opened {
                Ok(source) => match self.read(source) {
                    End::Unread => return,
                    End::Ended { why, told } => (why, told),
                },
                Err(why) => (why, is_missed),
            };
            if began.elapsed() >= self.pauses.longest {
                pause = self.pauses.first;
            }
            tracing::error!(source = %self.name, %why, ?pause, "a source ended and is begun anew");
            self.watch.ended(&self.name, why);
            if !told && self.sender.send(gap(wall(), Arc::clone(&self.name), None)).is_err() {
                return;
            }
            is_missed = true;
            thread::sleep(pause);
            pause = pause.saturating_mul(2).min(self.pauses.longest);
        }
    }

    fn read(&self, mut source: BoxedSource) -> End {
        let mut told = false;
        let mut observes = false;
        let read = guarded(&mut || {
            source.by_ref().all(|observation| {
                told = matches!(observation, Observation::Gap(_));
                if !observes && !told {
                    observes = true;
                    self.watch.set(&self.name, Condition::Running);
                }
                self.sender.send(observation).is_ok()
            })
        });
        let why = match read {
            Ok(false) => return End::Unread,
            Ok(true) => source
                .report()
                .ended_early
                .as_ref()
                .map_or_else(|| "it ended".to_owned(), ToString::to_string),
            Err(why) => why,
        };
        End::Ended { why, told }
    }
}

/// A source that fails by a mistake in the program has ended like any other.
fn guarded<T>(work: &mut impl FnMut() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "it failed by a mistake in the program".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Clock, Origin};
    use crate::source::{RecordingReader, SourceReport};
    use std::sync::mpsc::{Receiver, sync_channel};

    const AT_ONCE: Pauses = Pauses { first: Duration::ZERO, longest: Duration::ZERO };

    fn keeping() -> (Keeping, Receiver<Observation>, SourceWatch) {
        let (sender, receiver) = sync_channel(1);
        let watch = SourceWatch::default();
        let keeping = Keeping { name: Arc::from("pipe"), sender, watch: watch.clone(), pauses: AT_ONCE };
        (keeping, receiver, watch)
    }

    fn tick() -> BoxedSource {
        let line = r#"{"clock":{"time":"2026-01-01T00:00:00Z"}}"#;
        Box::new(RecordingReader::new(line.as_bytes(), "pipe", Origin(0)))
    }

    /// `c` for a clock, `g` for a gap.
    fn letters(seen: impl Iterator<Item = Observation>) -> String {
        seen.map(|seen| match seen {
            Observation::Clock(_) => 'c',
            Observation::Gap(gap) if &*gap.source == "pipe" && gap.lost.is_none() => 'g',
            _ => '?',
        })
        .collect()
    }

    #[test]
    fn what_ends_is_begun_anew_and_each_absence_is_one_gap() {
        let (keeping, receiver, watch) = keeping();
        let mut tries = 0;
        let thread = thread::spawn(move || {
            keeping.run(Some(tick()), move || {
                tries += 1;
                if tries % 3 == 0 { Ok(tick()) } else { Err("there is nobody".to_owned()) }
            });
        });
        assert_eq!(letters(receiver.iter().take(6)), "cgcgcg");
        let state = watch.read().remove("pipe").unwrap();
        assert!(state.restarts >= 3 && state.why.is_some(), "{state:?}");
        drop(receiver);
        thread.join().unwrap();
    }

    /// Gives these, the last first.
    struct Told(SourceReport, Vec<Observation>);

    impl Iterator for Told {
        type Item = Observation;
        fn next(&mut self) -> Option<Observation> {
            self.1.pop()
        }
    }

    impl Source for Told {
        fn report(&self) -> &SourceReport {
            &self.0
        }
    }

    #[test]
    fn a_source_that_says_itself_that_something_is_missing_is_not_told_twice() {
        let (keeping, receiver, _) = keeping();
        let time = wall();
        let told = move || -> BoxedSource {
            let clock = Observation::Clock(Clock { time, awake: None });
            let last = gap(time, Arc::from("pipe"), None);
            Box::new(Told(SourceReport::new("pipe"), vec![last, clock]))
        };
        thread::spawn(move || keeping.run(None, move || Ok(told())));
        assert_eq!(letters(receiver.iter().take(4)), "cgcg");
    }

    #[test]
    fn a_panic_is_an_end_like_any_other() {
        let (keeping, receiver, watch) = keeping();
        thread::spawn(move || {
            let mut tries = 0;
            keeping.run(None, move || {
                tries += 1;
                assert!(tries > 1, "a mistake");
                Ok(tick())
            });
        });
        assert_eq!(letters(receiver.iter().take(3)), "gcg");
        assert!(watch.read()["pipe"].restarts >= 1);
    }
}
