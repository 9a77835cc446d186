//! What was learnt, on the disk while the daemon runs: a crash takes the time since the last checkpoint, and no alert.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::DaemonError;
use super::forget::Renewal;
use crate::baseline::{Checkpoint, Spill, Store, StoreError};
use crate::engine::Engine;

/// Makes a checkpoint now and then. Whoever asks it to has spooled what the engine said: a checkpoint never remembers an alert that the
/// spool does not have.
#[derive(Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
    /// `None` since the disk refused a checkpoint: sled takes nothing more after that, so that the store is opened anew.
    store: Option<Store>,
    every: Duration,
    /// When the next is due; none while nothing was observed since the last.
    due: Option<Instant>,
    /// When what was written so far has been spread over time at [`BYTES_A_SECOND`]: a large state is written more seldom.
    spread_until: Instant,
    /// Whether the store is to be written anew.
    renewal: Renewal,
    /// A checkpoint that the disk did not take. It counts as written for the engine, so the next one has it in itself.
    unwritten: Option<Checkpoint>,
    /// Delivered words that were taken since the last checkpoint, by their keys.
    words: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Keeper {
    pub(super) fn new(store: Store, every: Duration, renewal: Renewal) -> Self {
        Self {
            folder: store.path().to_owned(),
            store: Some(store),
            every,
            due: None,
            spread_until: Instant::now(),
            renewal,
            unwritten: None,
            words: Vec::new(),
        }
    }

    /// There is something to keep.
    pub(super) fn observed(&mut self) {
        if self.due.is_none() {
            let now = Instant::now();
            let ahead = self.spread_until.saturating_duration_since(now).saturating_sub(MOST_AHEAD);
            self.due = Some(now + self.every.max(ahead));
        }
    }

    /// Something must not wait.
    pub(super) fn make_due(&mut self) {
        self.due = Some(Instant::now());
    }

    /// Whether the delivered word with this key was taken.
    pub(super) fn has_word(&self, key: &[u8]) -> Result<bool, StoreError> {
        let unwritten = self.unwritten.iter().flat_map(|checkpoint| &checkpoint.feedback);
        if self.words.iter().chain(unwritten).any(|(taken, _)| taken == key) {
            return Ok(true);
        }
        match &self.store {
            Some(store) => store.has_feedback(key),
            None => Store::open_as_it_is(&self.folder)?.has_feedback(key),
        }
    }

    /// The delivered word with this key was taken; the next checkpoint says so, with what came of it.
    pub(super) fn word_taken(&mut self, key: Vec<u8>, known: bool) {
        self.words.push((key, vec![u8::from(known)]));
    }

    /// How long until a checkpoint is due.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Makes one. A disk that does not take it is no reason to stop: alerts go on, and the next checkpoint has everything that this one had.
    pub(super) fn keep(&mut self, engine: &mut Engine) -> Result<(), DaemonError> {
        let began = Instant::now();
        if let Err(error) = self.reopen() {
            tracing::error!(%error, "what was learnt cannot be kept; it is tried again");
            self.due = Some(began + self.every.max(DISK_AGAIN));
            return Ok(());
        }
        let mut road = Spill::new(&self.folder);
        let checkpoint = engine.checkpoint_to(&mut road)?;
        let took = began.elapsed();
        let mut checkpoint = self.with_unwritten(checkpoint);
        let written = road.finish(&mut checkpoint).and_then(|()| self.write(&checkpoint));
        let bytes = checkpoint.bytes();
        if let Err(error) = written {
            tracing::error!(%error, "what was learnt cannot be kept; it is tried again");
            self.unwritten = Some(checkpoint);
            self.due = Some(Instant::now() + self.every.max(DISK_AGAIN));
            return Ok(());
        }
        let (making_ms, whole_ms) = (took.as_millis(), began.elapsed().as_millis());
        tracing::debug!(bytes, making_ms, whole_ms, "kept what was learnt");
        self.due = None;
        let spread = Duration::from_secs_f64(bytes as f64 / BYTES_A_SECOND);
        self.spread_until = self.spread_until.max(Instant::now()) + spread;
        Ok(())
    }

    /// Where the last one is made: what the engine keeps beside the baselines goes here.
    pub(super) fn spill(&mut self) -> Spill {
        // Where it does not open, it is said when it is written to.
        let _ = self.reopen();
        Spill::new(&self.folder)
    }

    /// Opens a store anew that the disk had refused: sled takes nothing more after that, and what was left unfinished is removed with it.
    fn reopen(&mut self) -> Result<(), StoreError> {
        if self.store.is_none() {
            self.store = Some(Store::open_as_it_is(&self.folder)?);
        }
        Ok(())
    }

    /// Keeps the last one.
    pub(super) fn finish(mut self, road: Spill, checkpoint: Checkpoint) -> Result<(), DaemonError> {
        let mut checkpoint = self.with_unwritten(checkpoint);
        road.finish(&mut checkpoint)?;
        Ok(self.write(&checkpoint)?)
    }

    fn write(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.reopen()?;
        let Some(store) = self.store.take() else { return Ok(()) };
        store.write(checkpoint)?;
        if self.renewal.is_asked() {
            self.store = Some(store.rewritten()?);
            self.renewal.done();
        } else {
            self.store = Some(store);
        }
        Ok(())
    }

    fn with_unwritten(&mut self, mut checkpoint: Checkpoint) -> Checkpoint {
        checkpoint.feedback.append(&mut self.words);
        match self.unwritten.take() {
            Some(earlier) => earlier.followed_by(checkpoint),
            None => checkpoint,
        }
    }
}

/// How soon a disk that did not take a checkpoint is tried again, at the earliest.
const DISK_AGAIN: Duration = Duration::from_secs(1);
/// Checkpoints of 100 kB are, in the long run, a hundred seconds apart: at most 86 MB are written a day.
const BYTES_A_SECOND: f64 = 1_000.0;
/// How far writing may be ahead of that: 3.6 MB, for the first minutes and for busy ones.
const MOST_AHEAD: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Settings;

    #[test]
    fn one_is_due_only_after_something_was_observed_and_large_ones_are_further_apart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap().store;
        let mut keeper = Keeper::new(store, Duration::ZERO, Renewal::default());
        assert!(!keeper.is_due());
        keeper.observed();
        assert!(keeper.is_due());
        let mut engine = Engine::new(Settings::default());
        keeper.keep(&mut engine).unwrap();
        assert!(!keeper.is_due() && keeper.due_in().is_none());
        assert!(keeper.spread_until > Instant::now(), "even an empty engine has some bytes");
        assert!(keeper.store.as_ref().unwrap().load().unwrap().road.is_some());
        keeper.spread_until = Instant::now() + MOST_AHEAD + Duration::from_mins(5);
        keeper.observed();
        assert!(keeper.due_in().is_some_and(|left| left > Duration::from_mins(4)));
    }

    fn holds(folder: &std::path::Path, text: &[u8]) -> bool {
        std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
            let path = entry.path();
            if path.is_dir() {
                holds(&path, text)
            } else {
                std::fs::read(path).unwrap().windows(text.len()).any(|part| part == text)
            }
        })
    }

    #[test]
    fn a_store_that_is_written_anew_holds_what_counts_and_nothing_that_was_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("baselines");
        let renewal = Renewal::default();
        let store = Store::open(&place).unwrap().store;
        let mut keeper = Keeper::new(store, Duration::ZERO, renewal.clone());
        let host = |text: &[u8]| Checkpoint {
            host: text.to_vec(),
            subjects: vec![(b"subject".to_vec(), Some(b"kept".to_vec()))],
            feedback: vec![(b"word".to_vec(), b"given".to_vec())],
            ..Checkpoint::default()
        };
        keeper.write(&host(b"a canary of 24 characters")).unwrap();
        keeper.write(&host(b"nothing")).unwrap();
        assert!(holds(folder.path(), b"a canary of 24 characters"), "sled keeps old pages");
        renewal.ask();
        keeper.write(&host(b"nothing")).unwrap();
        assert!(!renewal.is_asked() && !holds(folder.path(), b"a canary of 24 characters"));
        let store = keeper.store.as_ref().unwrap();
        let saved = store.load().unwrap();
        assert_eq!(saved.host.unwrap(), b"nothing");
        assert_eq!(saved.subjects, [(b"subject".to_vec(), b"kept".to_vec())]);
        assert!(store.has_feedback(b"word").unwrap());

        // A crash between the two renames.
        drop(keeper);
        std::fs::rename(&place, folder.path().join("baselines.before")).unwrap();
        assert!(!Store::open(&place).unwrap().fresh, "what was there is found");
    }

    #[test]
    fn what_the_disk_did_not_take_is_in_the_next() {
        let key = |n: u8| vec![n];
        let earlier = Checkpoint {
            subjects: vec![(key(1), Some(key(1))), (key(2), Some(key(1)))],
            feedback: vec![(key(9), key(1))],
            ..Checkpoint::default()
        };
        let later =
            Checkpoint { subjects: vec![(key(2), None), (key(3), Some(key(2)))], ..Checkpoint::default() };
        let both = earlier.followed_by(later);
        assert_eq!(both.subjects, [(key(1), Some(key(1))), (key(2), None), (key(3), Some(key(2)))]);
        assert_eq!(both.feedback, [(key(9), key(1))]);
    }
}
