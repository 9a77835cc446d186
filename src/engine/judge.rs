//! From an update of a flow to a verdict: who, what, how unusual, accepted or not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::surroundings::Memory;
use super::{Coverage, Ended, Tally, Verdict};
use crate::alert::{Alert, Detection, Host, Lifecycle, Losses, Privacy};
use crate::detect::{Activity, Detector, Disposition, ProtocolUse, Severity};
use crate::exceptions::{Action, Behaviour, Exception, Exceptions, Ledger};
use crate::network::{
    Counters, Destination, Destinations, Evidence, Flow, FlowUpdate, Phase, Protocol, Reach,
};

use crate::observation::{Direction, ZoneOffset};
use crate::process::{Attribution, Method, Processes};

/// What the engine keeps with each flow.
#[derive(Debug, Clone, Default)]
pub(super) struct Tag {
    pub(super) attribution: Attribution,
    /// Bytes that wait until it is known what they are.
    pub(super) waiting: Waiting,
    /// Whether the detectors have heard of this flow.
    pub(super) told: bool,
}

/// Bytes sent and received; a flow's other counters are nobody's question here, and there may be a hundred thousand flows.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Waiting {
    bytes_out: u64,
    bytes_in: u64,
}

impl Tag {
    /// Of a flow whose process is known.
    pub(super) fn of(attribution: Attribution) -> Self {
        Self { attribution, ..Self::default() }
    }
}

/// Everything on the road below the flow table, borrowed for one observation.
pub(super) struct Judge<'a> {
    pub(super) processes: &'a mut Processes,
    pub(super) detector: &'a mut Detector,
    pub(super) destinations: &'a Destinations,
    pub(super) exceptions: &'a Exceptions,
    pub(super) privacy: &'a Privacy,
    pub(super) ledger: &'a mut Ledger,
    pub(super) host: &'a Host,
    pub(super) zone: ZoneOffset,
    pub(super) losses: &'a mut Losses,
    pub(super) tally: &'a mut Tally,
    pub(super) coverage: &'a mut Coverage,
    pub(super) memory: &'a mut Memory,
    pub(super) lifecycle: &'a mut Lifecycle,
    pub(super) ended: Option<&'a mut Vec<Ended>>,
    pub(super) sequence: &'a mut u64,
    pub(super) out: &'a mut Vec<Verdict>,
}

/// How long a flow's first bytes wait for its protocol, its server's name and its process, in event time: the identification itself stops
/// after 3 s, and a process event comes within milliseconds of its flow, on either side of it.
const WAIT: Duration = Duration::from_secs(4);

impl Judge<'_> {
    /// Takes one update of a flow.
    pub(super) fn update(&mut self, update: FlowUpdate<'_, Tag>) {
        let FlowUpdate { flow, tag, time, growth, phase } = update;
        if tag.attribution.method == Method::None {
            tag.attribution =
                self.processes.attribute(flow.owner.process, flow.owner.effective_pid, flow.start);
        }
        self.count(flow, &tag.attribution, growth, phase);
        if phase == Phase::Ended
            && let Some(ended) = self.ended.as_deref_mut()
        {
            let (flow, attribution) = (flow.clone(), tag.attribution.clone());
            ended.push(Ended { time, zone: self.zone, flow, attribution });
        }
        tag.waiting.bytes_out = tag.waiting.bytes_out.saturating_add(growth.bytes_out);
        tag.waiting.bytes_in = tag.waiting.bytes_in.saturating_add(growth.bytes_in);
        let known = flow.identified.protocol.is_some() && tag.attribution.who.is_some();
        if !known && phase != Phase::Ended && time.since(flow.start) < WAIT {
            return;
        }
        let bytes = std::mem::take(&mut tag.waiting);
        let Some(who) = tag.attribution.who.clone() else {
            let bytes = bytes.bytes_out.saturating_add(bytes.bytes_in);
            self.losses.unattributed_bytes = self.losses.unattributed_bytes.saturating_add(bytes);
            return;
        };
        let began = !std::mem::replace(&mut tag.told, true);
        let Some(Destination { key: destination, reach }) = far_end(self.destinations, flow) else { return };
        let at_home = reach == Reach::Private && self.memory.at_home(&destination, time);
        if self.exceptions.counts_traffic() && bytes.bytes_out > 0 {
            let behaviour = Behaviour::new(time, &who, flow, Some(&destination)).of_users(&self.host.users);
            self.exceptions.count(&behaviour, bytes.bytes_out, self.ledger);
        }
        let activity = Activity {
            time,
            zone: self.zone,
            subject: &who.subject,
            role: who.role,
            initiator_seen: who.initiator_known && tag.attribution.method != Method::Snapshot,
            volatile_cdhash: who.process.signing.cdhash.filter(|_| who.volatile),
            protocol: protocol_use(flow),
            destination: Some(&destination).filter(|_| !at_home),
            bytes_out: uploaded(flow, bytes),
            bytes_in: bytes.bytes_in,
            began,
            who: Some(&who),
        };
        let finding = self.detector.observe(&activity);
        if began || bytes.bytes_out > 0 {
            self.memory.sent(&who.subject, &destination, bytes.bytes_out, time);
        }
        let Some(finding) = finding else { return };
        let surroundings = self.memory.around(&who, &destination, time);
        let detection = Detection {
            finding,
            who: who.clone(),
            attribution: tag.attribution.method,
            flow: flow.clone(),
            destination: Some(destination),
            host: self.host.clone(),
            losses: self.memory.losses(self.losses, time),
            surroundings,
        };
        let exception = self.exceptions.covering_detection(&detection, self.ledger);
        let suppressing = exception.filter(|exception| exception.action == Action::Suppress);
        self.tally.found(&detection.finding.subject, suppressing.map(|exception| exception.id.as_str()));
        let disposition = match suppressing {
            Some(exception) => Disposition::Suppressed { learn: exception.learn },
            None => Disposition::Alerted,
        };
        self.detector.dispose(&detection.finding, disposition);
        let told = exception.map(Exception::as_section);
        let mut alert = self.privacy.tell(Alert::new(&detection, told));
        if exception.is_some_and(|exception| exception.action == Action::Lower) {
            alert.severity = Severity::Info;
        }
        let mut events = Vec::new();
        if suppressing.is_some() {
            self.lifecycle.excepted(&alert.finding, time, &mut events);
            self.out.push(Verdict::Suppressed(Box::new(alert)));
        } else {
            self.lifecycle.found(alert, &mut events);
        }
        leave(self.sequence, events, self.out);
    }

    fn count(&mut self, flow: &Flow, attribution: &Attribution, growth: Counters, phase: Phase) {
        let bytes = growth.bytes_out.saturating_add(growth.bytes_in);
        self.losses.bytes = self.losses.bytes.saturating_add(bytes);
        self.coverage.grew(flow, attribution, growth);
        if phase == Phase::Ended {
            self.coverage.ended(flow, attribution);
            self.tally.flow_ended(flow, attribution.method);
        }
    }
}

/// Numbers events and lets them go.
pub(super) fn leave(sequence: &mut u64, events: Vec<Alert>, out: &mut Vec<Verdict>) {
    for mut event in events {
        *sequence = sequence.saturating_add(1);
        event.number(*sequence);
        out.push(Verdict::Alert(Box::new(event)));
    }
}

/// What counts as sent of what a flow just moved. In a call both sides talk, so of real-time media only what goes out beyond what comes in is an
/// upload: a first video call is not a first exfiltration, and media that only leave are one.
fn uploaded(flow: &Flow, moved: Waiting) -> u64 {
    let media = matches!(
        flow.identified.protocol,
        Some(Protocol::Rtp | Protocol::Rtcp | Protocol::Dtls | Protocol::Stun)
    );
    if !media || flow.identified.evidence == Evidence::Port {
        return moved.bytes_out;
    }
    let total = flow.counters;
    let excess = |out: u64, back: u64| out.saturating_sub(back);
    let before = excess(
        total.bytes_out.saturating_sub(moved.bytes_out),
        total.bytes_in.saturating_sub(moved.bytes_in),
    );
    excess(total.bytes_out, total.bytes_in).saturating_sub(before).min(moved.bytes_out)
}

/// What the flow says about the protocols of its subject. A flow that was only attempted says nothing, one that was joined in its middle
/// nothing that could be new.
fn protocol_use(flow: &Flow) -> Option<ProtocolUse> {
    let protocol = flow.identified.protocol?;
    if flow.midstream || protocol == Protocol::Attempted || flow.identified.evidence == Evidence::Port {
        return None;
    }
    let server = if flow.direction == Some(Direction::Inbound) { flow.local } else { flow.remote };
    Some(ProtocolUse::new(protocol, server.port(), flow.identified.port_protocol))
}

/// The destination that a baseline counts; `None` for what stays on the Mac or the link. Through a proxy it is the host that the proxy
/// was asked for, wherever the proxy runs.
fn far_end(destinations: &Destinations, flow: &Flow) -> Option<Destination> {
    let metadata = flow.identified.metadata.as_deref();
    let remote = flow.remote.ip();
    if let Some(asked) = metadata.and_then(|m| m.proxied_to.as_deref()) {
        let asked = destinations.of(remote, Some(host_of(asked)));
        return Some(Destination { reach: Reach::Global, ..asked });
    }
    let name = metadata.filter(|m| !m.ech).and_then(|m| m.server_name.as_deref());
    let destination = destinations.of(remote, name);
    match destination.reach {
        Reach::Loopback | Reach::LinkLocal | Reach::Multicast => None,
        Reach::Private | Reach::Global => Some(destination),
    }
}

/// The host of `host:port` or `[address]:port`.
fn host_of(text: &str) -> &str {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}
