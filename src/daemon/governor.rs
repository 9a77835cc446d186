//! How hard the daemon tries: a budget for processor and memory, and what is reduced where it is exceeded, before anything is dropped.
//!
//! ```text
//!  usage, every few seconds ──► Governor ──► Effort, which sources look at: polls less often ──► looks into fewer packets
//! ```
//!
//! A pure state machine: samples in, changes of the effort out. It steps down the effort where the mean of half a minute is over the budget, one step a
//! minute, and up again only after five minutes well under it, so that it does not swing.

use std::collections::VecDeque;
use std::time::Duration;

use super::resources::Usage;
use crate::source::live::Effort;

/// What the daemon may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Budget {
    /// Percent of one core; `None` for no bound.
    pub(super) cpu_percent: Option<f64>,
    /// Bytes of resident memory; `None` for no bound.
    pub(super) memory_bytes: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Governor {
    /// When and how much, over [`WINDOW`]; the oldest first.
    samples: VecDeque<(Duration, Usage)>,
    effort: Effort,
    changed: Option<Duration>,
    /// Since when it is well under the budget.
    easy_since: Option<Duration>,
    /// Why the budget is exceeded, as it was found last.
    excess: Option<String>,
}

impl Governor {
    pub(super) fn new() -> Self {
        Self { samples: VecDeque::new(), effort: Effort::Full, changed: None, easy_since: None, excess: None }
    }

    /// How hard it tries.
    pub(super) fn effort(&self) -> Effort {
        self.effort
    }

    /// Why the budget is exceeded; `None` where it is kept.
    pub(super) fn excess(&self) -> Option<&str> {
        self.excess.as_deref()
    }

    /// Takes what is used at a time, counted from any start; gives the new effort where it changes.
    pub(super) fn sample(&mut self, now: Duration, usage: Usage, budget: Budget) -> Option<Effort> {
        while self.samples.front().is_some_and(|(then, _)| now.saturating_sub(*then) > WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back((now, usage));
        let percent = self.cpu_percent(now, usage);
        let over = |share: f64| {
            let cpu = budget.cpu_percent.zip(percent).filter(|(most, used)| *used > most * share);
            let memory = budget
                .memory_bytes
                .zip(usage.resident_bytes)
                .filter(|(most, used)| *used as f64 > *most as f64 * share);
            (cpu, memory)
        };
        self.excess = match over(1.0) {
            (Some((most, used)), _) => {
                Some(format!("uses {used:.1} % of a core, and {most} % is the budget"))
            }
            (None, Some((most, used))) => {
                Some(format!("uses {} MiB of memory, and {} MiB is the budget", used >> 20, most >> 20))
            }
            (None, None) => None,
        };
        let is_easy = matches!(over(WELL_UNDER), (None, None)) && percent.is_some();
        self.easy_since = if is_easy { self.easy_since.or(Some(now)) } else { None };
        let settled = self.changed.is_none_or(|changed| now.saturating_sub(changed) >= SETTLE);
        let rested = self.easy_since.is_some_and(|since| now.saturating_sub(since) >= REST);
        let next = match &self.excess {
            Some(_) if settled => self.effort.less(),
            None if rested && settled => self.effort.more(),
            _ => None,
        }?;
        self.effort = next;
        self.changed = Some(now);
        // The next step up has to be earned anew.
        self.easy_since = None;
        Some(next)
    }

    /// The mean over the window; `None` until there is one of half its length.
    fn cpu_percent(&self, now: Duration, usage: Usage) -> Option<f64> {
        let (then, before) = self.samples.front()?;
        let passed = now.saturating_sub(*then);
        if passed < WINDOW / 2 {
            return None;
        }
        Some((usage.cpu_seconds - before.cpu_seconds) / passed.as_secs_f64() * 100.0)
    }
}

/// A burst of some seconds is what a Mac does: it is the mean of half a minute that counts.
const WINDOW: Duration = Duration::from_secs(30);
/// A step shows its effect within the window; the next waits for it.
const SETTLE: Duration = Duration::from_secs(60);
/// How long it must be easy before more is tried.
const REST: Duration = Duration::from_secs(300);
/// A step up costs less than the two fifths that are left between this and the budget, or it is taken back a minute later.
const WELL_UNDER: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { cpu_percent: Some(5.0), memory_bytes: Some(100 << 20) };

    /// A machine on which the daemon uses so much at each effort, and what the governor did in so many seconds.
    struct Machine {
        governor: Governor,
        now: u64,
        cpu_seconds: f64,
    }

    impl Machine {
        fn new() -> Self {
            Self { governor: Governor::new(), now: 0, cpu_seconds: 0.0 }
        }

        fn run(&mut self, seconds: u64, percent: impl Fn(Effort) -> f64, mib: u64) -> Vec<(u64, Effort)> {
            let mut changes = Vec::new();
            let end = self.now + seconds;
            while self.now < end {
                self.now += 5;
                self.cpu_seconds += percent(self.governor.effort()) / 100.0 * 5.0;
                let usage = Usage { cpu_seconds: self.cpu_seconds, resident_bytes: Some(mib << 20) };
                if let Some(effort) = self.governor.sample(Duration::from_secs(self.now), usage, BUDGET) {
                    changes.push((self.now, effort));
                }
            }
            changes
        }
    }

    #[test]
    fn a_daemon_within_its_budget_tries_as_hard_as_it_can() {
        assert_eq!(Machine::new().run(86_400, |_| 4.9, 99), []);
    }

    #[test]
    fn a_burst_of_seconds_changes_nothing() {
        let mut machine = Machine::new();
        machine.run(300, |_| 1.0, 50);
        assert_eq!(
            machine.run(5, |_| 25.0, 50),
            [],
            "100 % for a quarter of these seconds is 5 % of the window"
        );
        assert_eq!(machine.run(300, |_| 1.0, 50), []);
    }

    #[test]
    fn it_steps_down_one_step_a_minute_to_the_last_and_says_why() {
        let mut machine = Machine::new();
        let changes = machine.run(600, |_| 20.0, 50);
        let efforts: Vec<Effort> = changes.iter().map(|(_, effort)| *effort).collect();
        assert_eq!(efforts, [Effort::SlowPolling, Effort::FewerPackets, Effort::Least]);
        assert!(changes.windows(2).all(|two| two[1].0 - two[0].0 >= SETTLE.as_secs()), "{changes:?}");
        assert!(machine.governor.excess().unwrap().contains("20.0 % of a core"));
    }

    #[test]
    fn memory_counts_as_well() {
        let mut machine = Machine::new();
        assert_eq!(machine.run(10, |_| 0.0, 150), [(5, Effort::SlowPolling)]);
        assert!(machine.governor.excess().unwrap().contains("150 MiB"));
    }

    #[test]
    fn it_steps_up_only_after_a_rest_and_does_not_swing() {
        let mut machine = Machine::new();
        // At full effort over the budget, below it within.
        let load = |effort| if effort == Effort::Full { 6.0 } else { 4.0 };
        assert_eq!(machine.run(3_600, load, 50).len(), 1, "4 % is not well under 5 %: it stays where it is");
        let changes = machine.run(3_600, |_| 1.0, 50);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].1, Effort::Full);
        assert!(changes[0].0 >= 3_600 + REST.as_secs());
    }

    #[test]
    fn without_a_budget_there_is_no_excess() {
        let mut governor = Governor::new();
        let none = Budget { cpu_percent: None, memory_bytes: None };
        for second in 0..600 {
            let usage = Usage { cpu_seconds: second as f64, resident_bytes: Some(u64::MAX) };
            assert_eq!(governor.sample(Duration::from_secs(second), usage, none), None);
        }
        assert_eq!(governor.excess(), None);
    }
}
