//! The alert budget: an integral trim that keeps the promise, a cap a day, and digests of what was held back.

use serde::{Deserialize, Serialize};

use super::{Digest, HeldReason, Settings};
use crate::observation::Timestamp;
use crate::process::Subject;

/// What the Mac's alerts have used of their budget.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Budget {
    /// In powers of ten, taken off every score.
    trim: f64,
    /// Subjects that alerted in the open day.
    alerts_today: u32,
    /// Alerts that left in the open day and count for the cap.
    capped_today: u32,
    /// What the cap held back in the open day.
    held: Ledger,
}

/// Findings that were held back, added up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    count: u32,
    strongest: Vec<(Subject, f64)>,
}

impl Budget {
    /// The trim in force.
    pub(super) fn trim(&self) -> f64 {
        self.trim
    }

    /// Whether the cap of the day is reached.
    pub(super) fn is_spent(&self, settings: &Settings) -> bool {
        self.capped_today >= settings.alerts_per_day_cap
    }

    /// An alert left. `first_today` where it is its subject's first of the day; `capped` where it counts for the cap.
    pub(super) fn spend(&mut self, first_today: bool, capped: bool) {
        self.alerts_today = self.alerts_today.saturating_add(u32::from(first_today));
        self.capped_today = self.capped_today.saturating_add(u32::from(capped));
    }

    /// The cap held a finding back.
    pub(super) fn hold(&mut self, subject: &Subject, score: f64) {
        self.held.add(subject, score);
    }

    /// An analyst confirmed an alert: it does not count.
    pub(super) fn refund(&mut self, today: bool) {
        if today {
            self.alerts_today = self.alerts_today.saturating_sub(1);
        } else {
            self.trim = (self.trim - TRIM_STEP).max(LEAST_TRIM);
        }
    }

    /// The day ended: moves the trim (only while alerts may leave) and tells what the cap held back.
    pub(super) fn close_day(
        &mut self,
        time: Timestamp,
        settings: &Settings,
        in_force: bool,
    ) -> Option<Digest> {
        if in_force {
            let alerts = f64::from(self.alerts_today.min(MOST_ALERTS_COUNTED));
            self.trim = (self.trim + TRIM_STEP * (alerts - settings.budget())).clamp(LEAST_TRIM, MOST_TRIM);
        }
        self.alerts_today = 0;
        self.capped_today = 0;
        self.held.tell(time, HeldReason::Capped)
    }
}

impl Ledger {
    /// How many.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Adds one.
    pub(super) fn add(&mut self, subject: &Subject, score: f64) {
        self.count = self.count.saturating_add(1);
        match self.strongest.iter_mut().find(|(known, _)| known == subject) {
            Some((_, highest)) => *highest = highest.max(score),
            None => self.strongest.push((subject.clone(), score)),
        }
        self.strongest.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.strongest.truncate(Digest::KEPT);
    }

    /// Tells what was added, if anything, and begins anew.
    pub(super) fn tell(&mut self, time: Timestamp, reason: HeldReason) -> Option<Digest> {
        let Self { count, strongest } = std::mem::take(self);
        (count > 0).then_some(Digest { time, reason, count, strongest })
    }
}

/// What one alert moves the trim by, in powers of ten (METHOD.md 7: within 1.1 to 1.45 of the budget in four worlds).
const TRIM_STEP: f64 = 0.2;
/// More alerts of a day than these move the trim no further: one bad day must not silence a week.
const MOST_ALERTS_COUNTED: u32 = 2;
/// The trim gives back no more than this.
const LEAST_TRIM: f64 = -0.2;
/// An attacker who provokes alerts buys no more than this.
const MOST_TRIM: f64 = 1.5;
/// A trim above this is a health event and stands in every alert.
pub(super) const NOISY_TRIM: f64 = 0.5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::process::Identity;

    fn settings() -> Settings {
        Settings { alerts_per_mac_per_day: 0.1, ..Settings::default() }
    }

    proptest! {
        #[test]
        fn the_trim_stays_within_its_bounds(days in prop::collection::vec(0u32..50, 0..400)) {
            let mut budget = Budget::default();
            for alerts in days {
                (0..alerts).for_each(|_| budget.spend(true, true));
                budget.close_day(Timestamp::EPOCH, &settings(), true);
                prop_assert!((-0.2..=1.5).contains(&budget.trim()));
            }
        }
    }

    #[test]
    fn alerts_at_the_budgets_rate_move_nothing_in_the_end() {
        let mut budget = Budget::default();
        for day in 0..100 {
            if day % 10 == 0 {
                budget.spend(true, true);
            }
            budget.close_day(Timestamp::EPOCH, &settings(), true);
        }
        assert!(budget.trim().abs() < 0.1, "{}", budget.trim());
    }

    #[test]
    fn a_digest_names_the_strongest_first_and_is_told_once() {
        let subject = |name: &str| Subject { image: Identity::new(name), initiator: None };
        let mut ledger = Ledger::default();
        ledger.add(&subject("b"), 1.5);
        ledger.add(&subject("a"), 2.0);
        ledger.add(&subject("b"), 2.5);
        let digest = ledger.tell(Timestamp::EPOCH, HeldReason::Capped).unwrap();
        assert_eq!((digest.count, digest.strongest[0].0.clone()), (3, subject("b")));
        assert_eq!(ledger.tell(Timestamp::EPOCH, HeldReason::Capped), None);
    }
}
