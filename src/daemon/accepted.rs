//! What the organisation has accepted, as the daemon tells of it: how much each exception hides, and which of them end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::exceptions::{Day, Due, Exceptions};
use crate::observation::Timestamp;

/// The state of the exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AcceptedStatus {
    /// Findings that each suppressed since the daemon began, by id.
    pub suppressed: BTreeMap<String, u64>,
    /// Findings that each lowered since the daemon began, by id.
    pub lowered: BTreeMap<String, u64>,
    /// Those that ended or end soon, the most urgent first.
    pub due: Vec<Due>,
    /// Findings that the archive on this Mac had no room for, or that it could not be written.
    pub not_kept: u64,
}

/// Read by the monitor, written by the engine's thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Accepted(Arc<Mutex<AcceptedStatus>>);

impl Accepted {
    pub(super) fn status(&self) -> AcceptedStatus {
        self.lock().clone()
    }

    pub(super) fn suppressed(&self, id: &str) {
        count(&mut self.lock().suppressed, id);
    }

    pub(super) fn lowered(&self, id: &str) {
        count(&mut self.lock().lowered, id);
    }

    pub(super) fn not_kept(&self, findings: u64) {
        self.lock().not_kept = findings;
    }

    fn due(&self, due: Vec<Due>) {
        self.lock().due = due;
    }

    /// A thread that panicked while it held the lock left counters, each of which is right by itself.
    fn lock(&self) -> MutexGuard<'_, AcceptedStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounded: an id in here is that of an exception in force.
fn count(counts: &mut BTreeMap<String, u64>, id: &str) {
    match counts.get_mut(id) {
        Some(count) => *count = count.saturating_add(1),
        None => {
            counts.insert(id.to_owned(), 1);
        }
    }
}

/// Says once a day which exceptions end.
#[derive(Debug)]
pub(super) struct Calendar {
    accepted: Accepted,
    looked: Option<Day>,
}

impl Calendar {
    pub(super) fn new(accepted: Accepted) -> Self {
        Self { accepted, looked: None }
    }

    /// Time is as late as this: on the first look, and on each day after it, gives what is due, if anything is.
    pub(super) fn look(&mut self, time: Timestamp, exceptions: &Exceptions) -> Option<Vec<Due>> {
        if exceptions.is_empty() {
            return None;
        }
        let today = Day::of(time).filter(|today| self.looked.is_none_or(|looked| looked < *today))?;
        self.looked = Some(today);
        let due = exceptions.due(today);
        for one in &due {
            tracing::warn!("{one}");
        }
        self.accepted.due(due.clone());
        (!due.is_empty()).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::exceptions::{Policy, parse};

    #[test]
    fn an_end_is_told_thirty_days_before_at_and_after_and_once_a_day() {
        let text = "[[exception]]\nid='a'\nowner='it'\nreason='r'\ncreated=2026-01-01\nexpires=2026-03-01\nmatch.image='apple:com.apple.curl'\n";
        let exceptions =
            Exceptions::new(parse(Path::new("x.toml"), text, Policy::default()).unwrap()).unwrap();
        let accepted = Accepted::default();
        let mut calendar = Calendar::new(accepted.clone());
        let day = |text: &str| {
            let noon: jiff::Timestamp = format!("{text}T12:00:00Z").parse().unwrap();
            Timestamp::from_seconds(noon.as_second(), 0)
        };
        let mut told = |text: &str| {
            calendar
                .look(day(text), &exceptions)
                .map(|due| due.iter().map(|d| d.days_left).collect::<Vec<_>>())
        };
        assert_eq!(told("2026-01-29"), None);
        assert_eq!(told("2026-01-30"), Some(vec![30]));
        assert_eq!(told("2026-01-30"), None, "once a day");
        assert_eq!(told("2026-01-29"), None, "a clock that goes back says nothing twice");
        assert_eq!(told("2026-03-01"), Some(vec![0]));
        assert_eq!(told("2026-03-04"), Some(vec![-3]));
        assert_eq!(accepted.status().due.len(), 1);
        accepted.suppressed("a");
        accepted.suppressed("a");
        assert_eq!(accepted.status().suppressed, [("a".to_owned(), 2)].into());
    }
}
