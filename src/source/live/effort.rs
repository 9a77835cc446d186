//! How hard live sources try, as whoever looks after the whole says, and sources ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::observation::Timestamp;

/// How hard live sources try. Each step sees less than the one before, and none drops a byte that the kernel counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// As hard as they can.
    #[default]
    Full,
    /// The kernel's counters are asked for every five seconds and not every second: a flow that begins and ends in between is told late.
    SlowPolling,
    /// And packets are looked into in one of four seconds: flows that begin in the other three have the protocol of their port.
    FewerPackets,
    /// The kernel's counters every fifteen seconds, packets in one of sixteen seconds.
    Least,
}

impl Effort {
    const STEPS: [Self; 4] = [Self::Full, Self::SlowPolling, Self::FewerPackets, Self::Least];

    /// One step less; `None` at the last.
    pub fn less(self) -> Option<Self> {
        Self::STEPS.into_iter().find(|step| *step > self)
    }

    /// One step more; `None` at the first.
    pub fn more(self) -> Option<Self> {
        Self::STEPS.into_iter().rev().find(|step| *step < self)
    }

    /// What is not seen by it, in words.
    pub const fn reduced(self) -> &'static str {
        match self {
            Self::Full => "nothing is reduced",
            Self::SlowPolling => "counters are read every 5 s",
            Self::FewerPackets => "counters are read every 5 s, packets in 1 of 4 seconds",
            Self::Least => "counters are read every 15 s, packets in 1 of 16 seconds",
        }
    }

    /// How often the kernel's counters are read.
    pub const fn polling(self) -> Duration {
        match self {
            Self::Full => Duration::from_secs(1),
            Self::SlowPolling | Self::FewerPackets => Duration::from_secs(5),
            Self::Least => Duration::from_secs(15),
        }
    }

    /// Whether a packet of this time is looked into, where packets are there to identify. Whole seconds, so that the beginning of a flow is seen whole
    /// or not at all.
    pub const fn inspects(self, time: Timestamp) -> bool {
        let one_of = match self {
            Self::Full | Self::SlowPolling => return true,
            Self::FewerPackets => 4,
            Self::Least => 16,
        };
        time.as_seconds().rem_euclid(one_of) == 0
    }
}

/// The effort in force, shared by whoever sets it and the sources that keep to it.
#[derive(Debug, Clone, Default)]
pub struct EffortCell(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    step: AtomicU8,
    passed_over: AtomicU64,
}

impl EffortCell {
    /// As it is now.
    pub fn read(&self) -> Effort {
        let step = usize::from(self.0.step.load(Ordering::Relaxed));
        Effort::STEPS.get(step).copied().unwrap_or_default()
    }

    /// From here on.
    pub fn set(&self, effort: Effort) {
        let step = Effort::STEPS.iter().position(|step| *step == effort).unwrap_or(0);
        self.0.step.store(u8::try_from(step).unwrap_or(0), Ordering::Relaxed);
    }

    /// Whether a packet of this time is looked into; counts those that are not.
    pub fn inspects(&self, time: Timestamp) -> bool {
        let inspects = self.read().inspects(time);
        if !inspects {
            self.0.passed_over.fetch_add(1, Ordering::Relaxed);
        }
        inspects
    }

    /// Packets that were not looked into.
    pub fn passed_over(&self) -> u64 {
        self.0.passed_over.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_does_less_than_the_one_before() {
        let steps: Vec<Effort> = std::iter::successors(Some(Effort::Full), |step| step.less()).collect();
        assert_eq!(steps, Effort::STEPS);
        for two in steps.windows(2) {
            assert_eq!(two[1].more(), Some(two[0]));
            let inspected = |effort: Effort| {
                (0..64).filter(|second| effort.inspects(Timestamp::from_seconds(*second, 0))).count()
            };
            assert!(inspected(two[1]) <= inspected(two[0]) && two[1].polling() >= two[0].polling());
            assert!((inspected(two[1]), two[1].polling()) != (inspected(two[0]), two[0].polling()));
        }
    }

    #[test]
    fn what_is_passed_over_is_counted() {
        let cell = EffortCell::default();
        cell.clone().set(Effort::FewerPackets);
        let inspected = (0..8).filter(|second| cell.inspects(Timestamp::from_seconds(*second, 0))).count();
        assert_eq!((cell.read(), inspected, cell.passed_over()), (Effort::FewerPackets, 2, 6));
    }
}
