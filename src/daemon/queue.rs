//! From the source to the engine: a bounded queue that the engine empties at once.
//!
//! The engine takes all that waits in one go, and gives back what it has walked since it did so last. The source's thread made those observations, and
//! it frees them: memory that is freed by another thread than the one that asked for it costs both a lock, and at 20,000 observations a second that
//! was seven percent of the engine's time.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::observation::Observation;

/// The queue, as those who put something into it see it. Anybody may ask and close; one thread pushes.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

/// The engine's end. When it goes, whoever waits for room hears of it.
pub(super) struct Outlet(Arc<Shared>);

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Observations.
    Observed,
    /// Nothing, but somebody has a question.
    Asked,
    /// Nothing in the time that the engine would wait.
    Nothing,
    /// Nothing, and nothing will come.
    Stop,
}

/// The engine takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

struct Shared {
    state: Mutex<State>,
    /// Something came for the engine.
    came: Condvar,
    /// The engine made room.
    room: Condvar,
    /// Observations that may wait.
    most: usize,
}

#[derive(Default)]
struct State {
    waiting: Vec<Observation>,
    /// Walked, and to be freed by the source.
    spent: Vec<Observation>,
    asked: bool,
    /// Nothing more is let in.
    closed: bool,
    /// Who sleeps here: the engine where nothing waits, the source where there is no room, and never both.
    asleep: Option<Side>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Engine,
    Source,
}

/// A queue in which so many observations may wait.
pub(super) fn queue(most: usize) -> (Queue, Outlet) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        came: Condvar::new(),
        room: Condvar::new(),
        most: most.max(1),
    });
    (Queue(Arc::clone(&shared)), Outlet(shared))
}

impl Queue {
    /// Puts an observation in, and waits while there is no room.
    ///
    /// # Errors
    /// Where the engine is to stop or has stopped.
    pub(super) fn push(&self, observation: Observation) -> Result<(), Closed> {
        let mut state = self.0.lock();
        while state.waiting.len() >= self.0.most && !state.closed {
            state.asleep = Some(Side::Source);
            state = self.0.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Closed);
        }
        state.waiting.push(observation);
        let spent = mem::take(&mut state.spent);
        self.0.rouse(state);
        drop(spent);
        Ok(())
    }

    /// Has the engine look at its questions.
    pub(super) fn ask(&self) {
        let mut state = self.0.lock();
        state.asked = true;
        self.0.rouse(state);
    }

    /// Lets nothing more in: the engine takes what waits, and stops.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl Outlet {
    /// Takes all that waits, in the order in which it came, into `batch`, whose former content it gives back. `None` where nothing waits.
    pub(super) fn take(&self, batch: &mut Vec<Observation>) -> Option<Taken> {
        self.0.take(&mut self.0.lock(), batch)
    }

    /// As [`Outlet::take`], and waits for something, at most so long; with no limit, for ever.
    pub(super) fn wait(&self, batch: &mut Vec<Observation>, patience: Option<Duration>) -> Taken {
        // A time beyond the clock's end is no limit either.
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut state = self.0.lock();
        loop {
            if let Some(taken) = self.0.take(&mut state, batch) {
                return taken;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Taken::Nothing;
            }
            state.asleep = Some(Side::Engine);
            state = match left {
                Some(left) => self.0.came.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.0.came.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.is_awake(Side::Engine);
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl State {
    /// This side is awake, or is about to be; `true` where it slept until now.
    fn is_awake(&mut self, side: Side) -> bool {
        self.asleep.take_if(|asleep| *asleep == side).is_some()
    }
}

impl Shared {
    /// A thread that panicked while it held the lock left lists, each of which is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, state: &mut State, batch: &mut Vec<Observation>) -> Option<Taken> {
        if !state.waiting.is_empty() {
            // Whoever pushed what waits has fetched what was given back before.
            mem::swap(&mut state.spent, batch);
            batch.clear();
            mem::swap(&mut state.waiting, batch);
            if state.is_awake(Side::Source) {
                self.room.notify_one();
            }
            return Some(Taken::Observed);
        }
        if state.closed {
            return Some(Taken::Stop);
        }
        mem::take(&mut state.asked).then_some(Taken::Asked)
    }

    fn rouse(&self, mut state: MutexGuard<'_, State>) {
        let slept = state.is_awake(Side::Engine);
        drop(state);
        if slept {
            self.came.notify_one();
        }
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.room.notify_all();
        self.rouse(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Clock, Timestamp};
    use std::thread;

    fn observation(number: i64) -> Observation {
        Observation::Clock(Clock { time: Timestamp::from_nanos(number), awake: None })
    }

    fn numbers(batch: &[Observation]) -> Vec<i64> {
        batch.iter().map(|observation| observation.time().unwrap().as_nanos()).collect()
    }

    #[test]
    fn what_waits_comes_out_in_order_and_before_the_stop() {
        let (queue, outlet) = queue(8);
        let mut batch = Vec::new();
        assert_eq!(outlet.take(&mut batch), None);
        for number in 0..3 {
            queue.push(observation(number)).unwrap();
        }
        queue.close();
        assert_eq!(queue.push(observation(3)), Err(Closed));
        assert_eq!(outlet.take(&mut batch), Some(Taken::Observed));
        assert_eq!(numbers(&batch), [0, 1, 2]);
        assert_eq!(outlet.wait(&mut batch, None), Taken::Stop);
    }

    #[test]
    fn a_question_ends_a_wait_once_and_a_wait_ends_by_itself() {
        let (queue, outlet) = queue(8);
        let mut batch = Vec::new();
        queue.ask();
        assert_eq!(outlet.wait(&mut batch, None), Taken::Asked);
        assert_eq!(outlet.wait(&mut batch, Some(Duration::from_millis(1))), Taken::Nothing);
        let asking = thread::spawn(move || queue.ask());
        assert_eq!(outlet.wait(&mut batch, None), Taken::Asked);
        asking.join().unwrap();
    }

    #[test]
    fn a_source_waits_for_room_and_loses_nothing() {
        let (queue, outlet) = queue(4);
        let source = thread::spawn(move || {
            for number in 0..10_000 {
                queue.push(observation(number)).unwrap();
            }
            queue.close();
        });
        let (mut batch, mut seen) = (Vec::new(), Vec::new());
        while outlet.wait(&mut batch, None) == Taken::Observed {
            assert!(batch.len() <= 4, "{}", batch.len());
            seen.extend(numbers(&batch));
        }
        source.join().unwrap();
        assert_eq!(seen, (0..10_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_source_that_waits_hears_that_the_engine_is_gone() {
        let (queue, outlet) = queue(1);
        queue.push(observation(0)).unwrap();
        let source = thread::spawn(move || queue.push(observation(1)));
        drop(outlet);
        assert_eq!(source.join().unwrap(), Err(Closed));
    }

    #[test]
    fn what_was_walked_is_freed_by_the_source() {
        let (queue, outlet) = queue(4);
        let gap = |source: &Arc<str>| {
            let (time, source) = (Timestamp::EPOCH, Arc::clone(source));
            Observation::Gap(Box::new(crate::observation::Gap { time, source, lost: None }))
        };
        let name: Arc<str> = Arc::from("tap");
        queue.push(gap(&name)).unwrap();
        let mut batch = Vec::new();
        outlet.take(&mut batch);
        queue.push(observation(1)).unwrap();
        outlet.take(&mut batch);
        assert_eq!(Arc::strong_count(&name), 2, "the engine is done with it, and frees nothing");
        queue.push(observation(2)).unwrap();
        assert_eq!(Arc::strong_count(&name), 1);
    }
}
