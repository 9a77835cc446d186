//! What was seen and what was not, as numbers: the other half of every "no alert".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::{Counters, Evidence, Flow};
use crate::observation::{Clock, Gap, Observation, Timestamp};
use crate::process::{Attribution, Method};

/// What an engine saw since it began, and what it knows that it did not see.
///
/// Written against AN1227: its data components are network traffic flow (DC0078) and command execution (DC0064).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Coverage {
    /// The first and the latest time seen.
    pub since: Option<Timestamp>,
    /// See `since`.
    pub until: Option<Timestamp>,
    /// Observations by kind.
    pub seen: Seen,
    /// Losses by the source that reported them; beyond `SOURCES_KEPT` names under `other`.
    pub gaps: BTreeMap<Arc<str>, Lost>,
    /// Flows that ended.
    pub flows: Shares,
    /// Bytes of all flows, both ways.
    pub bytes: Shares,
    /// Seconds that passed on the wall while the Mac slept, where the source tells its awake time.
    pub asleep_seconds: u64,
    /// Seconds of at least [`A_SILENCE`] in which nothing at all came, sleep not counted: nobody can say what happened in them.
    pub silent_seconds: u64,
    /// Whether command executions were seen (DC0064).
    pub dc0064_command_execution: bool,
    /// Whether flows or packets were seen (DC0078).
    pub dc0078_network_traffic_flow: bool,
    #[serde(skip)]
    clock: Option<Clock>,
    /// Sleep that was seen since the latest observation of another kind.
    #[serde(skip)]
    slept: Duration,
}

/// Observations by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// Execs, forks and exits.
    pub process_events: u64,
    /// Execs alone.
    pub execs: u64,
    /// Packets.
    pub packets: u64,
    /// Reports of flows.
    pub flow_reports: u64,
}

/// What a source lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How often it said so.
    pub gaps: u64,
    /// Observations lost, as far as it knew.
    pub lost: u64,
}

/// Parts of a whole: flows, or bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// The whole.
    pub all: u64,
    /// With a process.
    pub attributed: u64,
    /// With an initiator, or with certainty that there is none.
    pub initiator: u64,
    /// The protocol is told from the payload, or by a producer that saw it.
    pub by_payload: u64,
    /// The protocol is told from the port.
    pub by_port: u64,
}

impl Coverage {
    pub(super) fn saw(&mut self, observation: &Observation, time: Timestamp) {
        if let Some(until) = self.until {
            let passed = time.since(until).saturating_sub(std::mem::take(&mut self.slept));
            if passed >= A_SILENCE {
                self.silent_seconds = self.silent_seconds.saturating_add(passed.as_secs());
            }
        }
        self.since = Some(self.since.map_or(time, |since| since.min(time)));
        self.until = Some(self.until.map_or(time, |until| until.max(time)));
        let count = match observation {
            Observation::Exec(_) => {
                self.seen.execs = self.seen.execs.saturating_add(1);
                self.dc0064_command_execution = true;
                &mut self.seen.process_events
            }
            Observation::Fork(_) | Observation::Exit(_) => &mut self.seen.process_events,
            Observation::Packet(_) => {
                self.dc0078_network_traffic_flow = true;
                &mut self.seen.packets
            }
            Observation::Flow(_) => {
                self.dc0078_network_traffic_flow = true;
                &mut self.seen.flow_reports
            }
            Observation::Recording(_)
            | Observation::Running(_)
            | Observation::Gap(_)
            | Observation::Clock(_) => {
                return;
            }
        };
        *count = count.saturating_add(1);
    }

    pub(super) fn lost(&mut self, gap: &Gap) {
        let known = self.gaps.contains_key(&gap.source) || self.gaps.len() < SOURCES_KEPT;
        let name = if known { Arc::clone(&gap.source) } else { Arc::from("other") };
        let source = self.gaps.entry(name).or_default();
        source.gaps = source.gaps.saturating_add(1);
        source.lost = source.lost.saturating_add(gap.lost.unwrap_or(0));
    }

    /// Called before [`Coverage::saw`] of the same clock, so that sleep is no silence.
    pub(super) fn clock(&mut self, clock: &Clock) {
        if let (Some(before), Some(awake)) = (self.clock, clock.awake)
            && let Some(awake_before) = before.awake
        {
            let asleep = clock.time.since(before.time).saturating_sub(awake.saturating_sub(awake_before));
            if asleep >= A_SLEEP {
                self.asleep_seconds = self.asleep_seconds.saturating_add(asleep.as_secs());
                self.slept = asleep;
            }
        }
        self.clock = Some(*clock);
    }

    pub(super) fn grew(&mut self, flow: &Flow, attribution: &Attribution, growth: Counters) {
        self.bytes.add(flow, attribution, growth.bytes_out.saturating_add(growth.bytes_in));
    }

    pub(super) fn ended(&mut self, flow: &Flow, attribution: &Attribution) {
        self.flows.add(flow, attribution, 1);
    }

    /// The share of bytes that have a process; 1 where there were no bytes.
    pub fn attributed_share(&self) -> f64 {
        self.bytes.share(self.bytes.attributed)
    }
}

impl Shares {
    /// A part of the whole, from 0 to 1; 1 of nothing.
    pub fn share(&self, part: u64) -> f64 {
        if self.all == 0 { 1.0 } else { part as f64 / self.all as f64 }
    }

    fn add(&mut self, flow: &Flow, attribution: &Attribution, count: u64) {
        let grow = |part: &mut u64, holds: bool| {
            if holds {
                *part = part.saturating_add(count);
            }
        };
        grow(&mut self.all, true);
        grow(&mut self.attributed, attribution.who.is_some());
        let initiator_known = attribution.who.as_ref().is_some_and(|who| who.initiator_known);
        grow(&mut self.initiator, initiator_known && attribution.method != Method::Snapshot);
        grow(&mut self.by_payload, flow.identified.evidence == Evidence::Payload);
        grow(&mut self.by_port, flow.identified.evidence == Evidence::Port);
    }
}

/// Names of sources that are told apart. A Mac has five; a recording names what it likes.
const SOURCES_KEPT: usize = 32;
/// A live stream says every second that time passed, so that a minute without a word is a stopped machine or a stopped source.
pub const A_SILENCE: Duration = Duration::from_secs(60);
/// As for what surrounds a finding: clocks are set by seconds, sleeps last longer.
const A_SLEEP: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds, 0)
    }

    fn tick(coverage: &mut Coverage, seconds: i64, awake: u64) {
        let clock = Clock { time: at(seconds), awake: Some(Duration::from_secs(awake)) };
        coverage.clock(&clock);
        coverage.saw(&Observation::Clock(clock), clock.time);
    }

    #[test]
    fn sleep_is_no_silence_and_silence_is_no_sleep() {
        let mut coverage = Coverage::default();
        tick(&mut coverage, 0, 0);
        tick(&mut coverage, 1, 1);
        tick(&mut coverage, 3_601, 2);
        assert_eq!((coverage.asleep_seconds, coverage.silent_seconds), (3_599, 0));
        tick(&mut coverage, 3_801, 202);
        assert_eq!((coverage.asleep_seconds, coverage.silent_seconds), (3_599, 200));
        assert_eq!((coverage.since, coverage.until), (Some(at(0)), Some(at(3_801))));
    }

    #[test]
    fn losses_are_counted_by_source_within_a_bound() {
        let mut coverage = Coverage::default();
        for number in 0..40 {
            for _ in 0..2 {
                let source = Arc::from(format!("source-{number:02}"));
                coverage.lost(&Gap { time: at(0), source, lost: Some(3) });
            }
        }
        assert_eq!(coverage.gaps["source-00"], Lost { gaps: 2, lost: 6 });
        assert_eq!(coverage.gaps["other"], Lost { gaps: 16, lost: 48 });
        assert_eq!(coverage.gaps.len(), SOURCES_KEPT + 1);
    }

    #[test]
    fn nothing_is_wholly_covered() {
        assert!((Coverage::default().attributed_share() - 1.0).abs() < f64::EPSILON);
    }
}
