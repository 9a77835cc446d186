//! What passed: the numbers of a summary.

use std::collections::BTreeMap;

use crate::network::{Flow, Protocol};
use crate::observation::{Observation, Timestamp};
use crate::process::{Method, Subject};

/// Numbers about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Observations of all kinds.
    pub observations: u64,
    /// Execs, denied ones included.
    pub execs: u64,
    /// Packets.
    pub packets: u64,
    /// Flow reports.
    pub reports: u64,
    /// First and last time seen.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Flows that ended, by how their process was found.
    pub flows: BTreeMap<Method, u64>,
    /// Flows that ended, by protocol.
    pub protocols: BTreeMap<Protocol, u64>,
    /// Findings by subject.
    pub subjects: BTreeMap<Subject, SubjectTally>,
    /// Findings that an exception suppressed, by its id.
    pub exceptions: BTreeMap<String, u64>,
}

/// Findings of one subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubjectTally {
    /// Those that stand.
    pub alerts: u64,
    /// Those that an exception covers.
    pub suppressed: u64,
}

impl Tally {
    pub(super) fn saw(&mut self, observation: &Observation, time: Timestamp) {
        self.observations = self.observations.saturating_add(1);
        match observation {
            Observation::Exec(_) => self.execs = self.execs.saturating_add(1),
            Observation::Packet(_) => self.packets = self.packets.saturating_add(1),
            Observation::Flow(_) => self.reports = self.reports.saturating_add(1),
            _ => {}
        }
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
    }

    pub(super) fn flow_ended(&mut self, flow: &Flow, method: Method) {
        *self.flows.entry(method).or_default() += 1;
        *self.protocols.entry(flow.identified.protocol.unwrap_or(Protocol::Unknown)).or_default() += 1;
    }

    /// `exception` is the id of the one that suppressed it.
    pub(super) fn found(&mut self, subject: &Subject, exception: Option<&str>) {
        // Bounded by the detectors: a subject is in here only where one of its findings left.
        let tally = self.subjects.entry(subject.clone()).or_default();
        match exception {
            Some(id) => {
                tally.suppressed += 1;
                *self.exceptions.entry(id.to_owned()).or_default() += 1;
            }
            None => tally.alerts += 1,
        }
    }
}
