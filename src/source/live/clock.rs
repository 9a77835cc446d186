//! The clocks that a live source reads.

use std::time::{Duration, Instant, SystemTime};

use crate::observation::Timestamp;

/// A point in time by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, which people set and NTP moves: what observations carry.
    pub wall: Timestamp,
    /// Time since the source began, by a clock that only runs forward: what waiting is measured by.
    pub steady: Duration,
}

/// What tells the time. Live it is [`SystemClock`]; in a test the test.
pub trait Clock {
    /// The present.
    fn now(&mut self) -> Moment;
}

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    began: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { began: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&mut self) -> Moment {
        Moment { wall: wall(), steady: self.began.elapsed() }
    }
}

/// The wall clock.
pub(crate) fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.after(since_epoch)
}
