//! The table's sense of time, which comes with what it is given.

use std::time::Duration;

use crate::observation::Timestamp;

/// Two clocks in one.
///
/// The **wall** says when something happened: the latest time given, so that observations which arrive a little late are taken to
/// happen now. The **steady** clock says how long something lasted, for the idle limits: it adds up how far the wall moved forward and
/// stands still where somebody sets the wall back, so that no wrong timestamp can stop the limits for years.
#[derive(Debug, Default)]
pub(super) struct Clock {
    wall: Option<Timestamp>,
    steady: u64,
    span_end: Timestamp,
}

impl Clock {
    /// Moves on to `time`. `true` where a [`SPAN`] ended with it, or the wall was set back: growth until then must be told first.
    #[inline]
    pub(super) fn advance(&mut self, time: Timestamp) -> bool {
        let Some(wall) = self.wall else {
            self.set(time);
            return false;
        };
        if time > wall {
            let step = time.as_nanos().saturating_sub(wall.as_nanos()).unsigned_abs();
            self.steady = self.steady.saturating_add(step.min(nanos(LONGEST_STEP)));
            if time < self.span_end {
                self.wall = Some(time);
                return false;
            }
        } else if time >= wall.before(LATENESS) {
            return false;
        }
        self.set(time);
        true
    }

    fn set(&mut self, time: Timestamp) {
        self.wall = Some(time);
        let span = i64::try_from(SPAN.as_nanos()).unwrap_or(i64::MAX);
        let start = time.as_nanos().div_euclid(span).saturating_mul(span);
        self.span_end = Timestamp::from_nanos(start.saturating_add(span));
    }

    /// The wall.
    pub(super) fn now(&self) -> Timestamp {
        self.wall.unwrap_or_default()
    }

    /// Nanoseconds for which the wall moved forward.
    pub(super) fn steady(&self) -> u64 {
        self.steady
    }
}

/// A duration in nanoseconds, as far as they can be counted (585 years).
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Growth is told at the end of each span of this length, counted from the epoch. It divides a quarter of an hour, and with it the
/// calendar hours and days of every time zone: no told growth straddles the window of a baseline.
pub const SPAN: Duration = Duration::from_secs(10);

/// How late an observation may come: more means that the clock was set back. Interfaces reorder within milliseconds and the time
/// daemon slews by less than a second; somebody who sets a clock sets it by minutes.
const LATENESS: Duration = Duration::from_secs(60);

/// The most that one step moves the steady clock: longer than every idle limit, so that nothing is missed, and short enough that
/// wild timestamps cannot use the clock up.
const LONGEST_STEP: Duration = Duration::from_secs(8 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds, 0)
    }

    #[test]
    fn a_span_ends_on_the_calendar_and_not_ten_seconds_after_the_first_packet() {
        let mut clock = Clock::default();
        assert!(!clock.advance(at(1_009)));
        assert!(clock.advance(at(1_010)));
        assert!(!clock.advance(at(1_019)));
        assert!(clock.advance(at(7_200)));
    }

    #[test]
    fn what_comes_late_happens_now() {
        let mut clock = Clock::default();
        clock.advance(at(100));
        assert!(!clock.advance(at(41)));
        assert_eq!(clock.now(), at(100));
        assert_eq!(clock.steady(), 0);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_time() {
        let mut clock = Clock::default();
        clock.advance(at(100_000));
        assert!(clock.advance(at(1_000)));
        assert_eq!(clock.now(), at(1_000));
        clock.advance(at(1_005));
        assert_eq!(clock.steady(), nanos(Duration::from_secs(5)));
    }
}
