//! The time that counts: hours and days in which the Mac was awake and observed.
//!
//! A baseline must not age because a clock was set wrong, nor because a Mac lay in a drawer. So nothing here subtracts calendar dates. The
//! clock counts the hours and the days in which observations arrived; a boot in 1970 before the first NTP answer, a jump of 400 days and
//! back, and 90 days switched off each count as what was observed of them: next to nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observation::{Timestamp, ZoneOffset};

/// Observed time since observation began, in seconds: whole observed days plus the time of the current day. 136 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Age(pub u32);

impl Age {
    /// Days from `earlier` to `self`; zero where `earlier` is later.
    pub fn days_since(self, earlier: Self) -> f64 {
        f64::from(self.0.saturating_sub(earlier.0)) / f64::from(SECONDS_PER_DAY)
    }

    /// Seconds from `earlier` to `self`; zero where `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// This age and a span more.
    #[must_use]
    pub fn after_seconds(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

/// Counts observed hours and days.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObservedClock {
    /// The latest time taken, in nanoseconds since the epoch.
    latest: Option<i64>,
    /// Monotonic awake time at the latest observation that had it.
    awake: Option<Duration>,
    /// Calendar hour of the zone, since the epoch.
    calendar_hour: i64,
    /// Calendar day of the zone, since the epoch.
    calendar_day: i64,
    /// Observed hours closed so far: the number of the open one.
    hour: u32,
    /// Observed days closed so far: the number of the open one.
    day: u32,
    /// Observed days counted for age: as `day`, but a day too short to count adds nothing.
    aged_days: u32,
    /// Seconds of observed time in the open aged day.
    observed_in_day: u32,
    /// The age, which never falls.
    age: Age,
}

/// What a tick closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Closed {
    /// The clock hour ended.
    pub hour: bool,
    /// The day ended.
    pub day: bool,
}

impl ObservedClock {
    /// Takes the time of an observation. `awake` is the monotonic time since boot without sleep, where the source has it.
    pub fn tick(&mut self, time: Timestamp, zone: ZoneOffset, awake: Option<Duration>) -> Closed {
        let Some(latest) = self.latest.map(Timestamp::from_nanos) else {
            (self.calendar_hour, self.calendar_day) = (time.hour_in(zone), time.day_in(zone));
            self.latest = Some(time.as_nanos());
            self.awake = awake;
            self.age = self.aged(time, zone);
            return Closed::default();
        };
        // Reports arrive a little out of order: a late one belongs to the open hour. What is later than that is a clock that was set.
        let time =
            if latest.since(time) > Duration::ZERO && latest.since(time) <= LATENESS { latest } else { time };
        self.observe(latest, time, awake);
        self.latest = Some(time.as_nanos());
        let (hour, day) = (time.hour_in(zone), time.day_in(zone));
        let closed = Closed { hour: hour != self.calendar_hour, day: day != self.calendar_day };
        (self.calendar_hour, self.calendar_day) = (hour, day);
        if closed.hour || closed.day {
            self.hour = self.hour.saturating_add(1);
        }
        if closed.day {
            self.day = self.day.saturating_add(1);
            if self.observed_in_day >= LEAST_DAY_SECONDS {
                self.aged_days = self.aged_days.saturating_add(1);
                self.observed_in_day = 0;
            }
        }
        self.age = self.age.max(self.aged(time, zone));
        Closed { hour: closed.hour || closed.day, day: closed.day }
    }

    /// Takes over the age of another Mac's observation where that is older.
    pub fn inherit(&mut self, age: Age, day: u32, aged_days: u32) {
        self.age = self.age.max(age);
        self.day = self.day.max(day);
        self.aged_days = self.aged_days.max(aged_days);
    }

    /// The number of the open hour.
    pub fn hour(&self) -> u32 {
        self.hour
    }

    /// The number of the open day.
    pub fn day(&self) -> u32 {
        self.day
    }

    /// Observed days that count for ageing, decay and learning.
    pub fn aged_days(&self) -> u32 {
        self.aged_days
    }

    /// Observed time since observation began.
    pub fn age(&self) -> Age {
        self.age
    }

    /// The latest time taken.
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest.map(Timestamp::from_nanos)
    }

    /// Adds the awake time between two observations: by the monotonic clock where both have it, else what passed, at most an hour of
    /// it.
    fn observe(&mut self, latest: Timestamp, time: Timestamp, awake: Option<Duration>) {
        let passed = match (self.awake, awake) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            // A source with a monotonic clock says it on its ticks; what comes in between adds nothing of its own.
            (Some(_), None) => return,
            _ if time.since(latest) > LONGEST_ABSENCE => Duration::ZERO,
            _ => time.since(latest).min(LONGEST_SILENCE),
        };
        self.awake = awake.or(self.awake);
        let seconds = u32::try_from(passed.as_secs()).unwrap_or(u32::MAX);
        self.observed_in_day = self.observed_in_day.saturating_add(seconds);
    }

    fn aged(&self, time: Timestamp, zone: ZoneOffset) -> Age {
        let of_day =
            time.as_seconds().saturating_add(i64::from(zone.0)).rem_euclid(i64::from(SECONDS_PER_DAY));
        let whole = self.aged_days.saturating_mul(SECONDS_PER_DAY);
        Age(whole.saturating_add(u32::try_from(of_day).unwrap_or(0)))
    }
}

/// Seconds of a day.
pub const SECONDS_PER_DAY: u32 = 86_400;
/// How late a report may be without meaning that the clock was set back.
const LATENESS: Duration = Duration::from_secs(3_600);
/// Without a monotonic clock, a silence counts as observed up to here: an awake Mac is never silent for an hour.
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);
/// A longer silence was a Mac that lay in a drawer, or a clock that was set: nothing of it was observed.
const LONGEST_ABSENCE: Duration = Duration::from_secs(14 * 86_400);
/// A day counts for ageing once this much of it, or of days before it that did not count, was observed: a clock that is set to and fro
/// makes no days.
const LEAST_DAY_SECONDS: u32 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    const UTC: ZoneOffset = ZoneOffset(0);

    fn at(clock: &mut ObservedClock, day: i64, hour: i64) -> Closed {
        clock.tick(Timestamp::from_seconds(day * 86_400 + hour * 3_600, 0), UTC, None)
    }

    #[test]
    fn days_in_use_count_one_each() {
        let mut clock = ObservedClock::default();
        for day in 0..30 {
            for hour in 8..20 {
                at(&mut clock, 20_000 + day, hour);
            }
        }
        assert_eq!((clock.aged_days(), clock.day()), (29, 29));
    }

    #[test]
    fn ninety_days_off_count_as_one() {
        let mut clock = ObservedClock::default();
        for hour in 8..20 {
            at(&mut clock, 20_000, hour);
        }
        assert!(at(&mut clock, 20_090, 8).day);
        assert_eq!(clock.aged_days(), 1);
    }

    #[test]
    fn a_jump_of_400_days_and_back_ages_nothing() {
        let mut clock = ObservedClock::default();
        for hour in 8..20 {
            at(&mut clock, 20_000, hour);
        }
        let before = clock.aged_days();
        for minute in 0..5 {
            let there = Timestamp::from_seconds(20_400 * 86_400 + minute, 0);
            clock.tick(there, UTC, None);
            clock.tick(Timestamp::from_seconds(20_000 * 86_400 + 70_000 + minute, 0), UTC, None);
        }
        assert!(clock.aged_days() <= before + 2, "{}", clock.aged_days());
    }

    #[test]
    fn the_monotonic_clock_decides_where_there_is_one() {
        let mut clock = ObservedClock::default();
        let day = |n: i64| Timestamp::from_seconds(n * 86_400, 0);
        clock.tick(day(0), UTC, Some(Duration::from_secs(10)));
        clock.tick(day(1), UTC, Some(Duration::from_secs(20)));
        assert_eq!(clock.aged_days(), 0, "ten awake seconds are no day");
        clock.tick(day(2), UTC, Some(Duration::from_secs(30_000)));
        assert_eq!(clock.aged_days(), 1);
    }

    #[test]
    fn a_late_report_closes_nothing() {
        let mut clock = ObservedClock::default();
        at(&mut clock, 20_000, 9);
        let late = Timestamp::from_seconds(20_000 * 86_400 + 9 * 3_600 - 5, 0);
        assert_eq!(clock.tick(late, UTC, None), Closed::default());
    }

    #[test]
    fn hours_follow_the_zone() {
        let mut clock = ObservedClock::default();
        let evening = Timestamp::from_seconds(20_000 * 86_400 + 22 * 3_600, 0);
        clock.tick(evening, ZoneOffset(3_600), None);
        assert!(clock.tick(evening.after(Duration::from_secs(3_600)), ZoneOffset(3_600), None).day);
    }
}
