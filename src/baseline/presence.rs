//! In how many hours and days something was seen.

use serde::{Deserialize, Serialize};

use super::clock::ObservedClock;

/// In how many hours and days something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Presence {
    /// Days in which it was seen.
    pub days: u32,
    /// Clock hours in which it was seen.
    pub hours: u32,
    pub(super) latest_day: u32,
    latest_hour: u32,
}

impl Presence {
    /// Notes that it was seen in this hour of this day.
    pub fn note(&mut self, clock: &ObservedClock) {
        if self.days == 0 || self.latest_day != clock.day() {
            self.days = self.days.saturating_add(1);
            self.latest_day = clock.day();
        }
        if self.hours == 0 || self.latest_hour != clock.hour() {
            self.hours = self.hours.saturating_add(1);
            self.latest_hour = clock.hour();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.days = self.days.saturating_add(other.days);
        self.hours = self.hours.saturating_add(other.hours);
        self.latest_day = self.latest_day.max(other.latest_day);
        self.latest_hour = self.latest_hour.max(other.latest_hour);
    }

    /// √(days · hours): the effective number of units of activity for novelty. Days alone favour what runs seldom, hours alone what runs
    /// always (METHOD.md 5.1).
    pub fn units(&self) -> f64 {
        (f64::from(self.days) * f64::from(self.hours)).sqrt()
    }
}
