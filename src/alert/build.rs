//! From a detection to the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attack::Attack;
use super::document::{
    Alert, BaselineSection, Context, Coverage, ExceptionSection, FirstSeen, FlowSection, HostSection,
    ProcessSection, ReturnPeriod, Schema, Sensor, SigningSection, TopDestination, UserSection,
};
use super::id::{FindingKey, event_id};
use super::lifecycle::{Activity, Stage};
use super::risk::Risk;
use super::runbook::runbook;
use super::words::{bytes_in_words, return_period_in_words};
use crate::detect::{BaselineState, Channel, ChannelScore, Finding};
use crate::network::{Flow, Protocol};
use crate::observation::Timestamp;
use crate::process::{Method, ProcessFacts, Who};

/// A finding with everything around it at the moment it was made.
#[derive(Debug, Clone)]
pub struct Detection {
    /// The finding.
    pub finding: Finding,
    /// Whose.
    pub who: Arc<Who>,
    /// How the process was found.
    pub attribution: Method,
    /// The flow whose update made it.
    pub flow: Flow,
    /// The destination as the baseline knows it.
    pub destination: Option<Arc<str>>,
    /// The Mac.
    pub host: Host,
    /// What was lost until then.
    pub losses: Losses,
    /// What else held at the time.
    pub surroundings: Surroundings,
}

/// What the engine knows of the time around a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// When the Mac last woke, where that was a short time ago.
    pub woke: Option<Timestamp>,
    /// When the system's version changed, where that was days ago.
    pub system_updated: Option<Timestamp>,
    /// When the image's code changed, where that was days ago.
    pub image_changed: Option<Timestamp>,
    /// When the image was first seen.
    pub image_seen: Option<Timestamp>,
    /// When the script was first seen.
    pub script_seen: Option<Timestamp>,
    /// When the subject first used the destination.
    pub destination_seen: Option<Timestamp>,
    /// Where the subject sends most.
    pub top_destinations: Vec<TopDestination>,
}

/// The Mac, as the observations name it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: Arc<str>,
    /// Version of the system.
    pub os_version: Option<Arc<str>>,
    /// Build of the system.
    pub os_build: Option<Arc<str>>,
    /// Serial number.
    pub serial_number: Option<Arc<str>>,
    /// Hardware UUID.
    pub hardware_uuid: Option<Arc<str>>,
    /// Login names by user id.
    pub users: BTreeMap<u32, Arc<str>>,
}

/// What could not be seen, as running totals.
pub type Losses = Coverage;

/// Displayed scores end here (METHOD.md, section 2): beyond once in a million days a figure only pretends to be known.
const MOST_SCORE: f64 = 6.0;

impl Alert {
    /// The document of a detection, not yet [numbered](Self::number).
    pub fn new(detection: &Detection, exception: Option<ExceptionSection>) -> Self {
        let Detection { finding, who, flow, host, surroundings, .. } = detection;
        let protocol = flow.identified.protocol;
        let keyed = if counts(finding, Channel::Protocol) || counts(finding, Channel::Initiator) {
            protocol
        } else {
            None
        };
        let key = FindingKey::new(Some(&host.name), &finding.subject, keyed);
        let score = finding.score.min(MOST_SCORE);
        Self {
            schema: Schema,
            id: event_id(&host.name, &key, finding.time, 0),
            time: finding.time,
            severity: finding.severity,
            score: rounded(score),
            summary: summary(detection),
            fleet_finding: FindingKey::new(None, &finding.subject, keyed),
            finding: key,
            subject: finding.subject.clone(),
            channels: finding.channels.iter().map(channel).collect(),
            unless: finding.unless.clone(),
            return_period: ReturnPeriod {
                days: rounded(10_f64.powf(score)),
                words: return_period_in_words(10_f64.powf(score)),
            },
            baseline: BaselineSection {
                state: finding.baseline.state,
                age_days: rounded(finding.baseline.age_days),
                active_hours: finding.baseline.active_hours,
                active_days: finding.baseline.active_days,
                destinations: finding.baseline.destinations,
            },
            process: process(&who.process),
            initiator: who.initiator.as_deref().map(process),
            application: who.application.as_deref().map(process),
            ancestors: who.ancestors.iter().map(|ancestor| process(ancestor)).collect(),
            user: user(&who.process, host),
            flow: flow_section(flow, detection.destination.clone()),
            attribution: detection.attribution,
            occurrences: finding.occurrence.saturating_add(1),
            stage: Stage {
                activity: Activity::Create,
                first_time: finding.time,
                last_time: finding.time,
                count: 1,
                closed: None,
            },
            first_seen: FirstSeen {
                subject: finding.baseline.first_seen,
                image: surroundings.image_seen,
                script: surroundings.script_seen,
                destination: surroundings.destination_seen,
            },
            top_destinations: surroundings.top_destinations.clone(),
            risk: Risk::of(finding, who, flow),
            context: Context {
                mac_state: finding.mac_state,
                threshold: rounded(finding.threshold),
                trim: rounded(finding.trim),
                active_subjects: finding.active_subjects,
                woke: surroundings.woke,
                system_updated: surroundings.system_updated,
                image_changed: surroundings.image_changed,
                tunnel: flow.interface.as_deref().is_some_and(is_tunnel),
                imbalance: finding.imbalance.map(rounded),
                held_back: finding.held_back,
                held: finding.held.clone(),
            },
            coverage: detection.losses.clone(),
            exception,
            attack: Attack::of(protocol),
            host: HostSection {
                name: host.name.clone(),
                os_version: host.os_version.clone(),
                os_build: host.os_build.clone(),
                serial_number: host.serial_number.clone(),
                hardware_uuid: host.hardware_uuid.clone(),
                sequence: 0,
            },
            sensor: Sensor {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            runbook: runbook(finding),
            test: false,
        }
    }

    /// Gives the event its number among those that leave the host, and with it its id.
    pub fn number(&mut self, sequence: u64) {
        self.host.sequence = sequence;
        self.id = event_id(&self.host.name, &self.finding, self.time, sequence);
    }

    /// The document as one line of JSON, without the line's end.
    pub fn to_json(&self) -> String {
        // Serialisation fails only for maps with keys that are no strings, and the document has none.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Six decimals: more than any reader needs, and the same on machines whose last bit of a logarithm differs.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// As it is written: a full double is read back with another last bit by some readers.
fn channel(score: &ChannelScore) -> ChannelScore {
    ChannelScore { z: rounded(score.z), ..score.clone() }
}

/// Names that macOS gives to interfaces of tunnels.
fn is_tunnel(interface: &str) -> bool {
    ["utun", "ipsec", "ppp"].iter().any(|kind| interface.starts_with(kind))
}

fn counts(finding: &Finding, channel: Channel) -> bool {
    finding.channels.iter().any(|c| c.counted && c.name == channel)
}

/// One sentence: who, run by whom, did what to where, why that is unusual, and how rare.
fn summary(detection: &Detection) -> String {
    let Detection { finding, who, flow, .. } = detection;
    let name = display_name(&who.process);
    let script = who.process.script.as_ref().map(|script| format!(" ({})", script.name)).unwrap_or_default();
    let run_by = match (&who.initiator, &finding.subject.initiator) {
        (Some(initiator), _) => format!(", run by {},", display_name(initiator)),
        (None, Some(identity)) => format!(", run by {identity},"),
        (None, None) => String::new(),
    };
    let protocol = flow.identified.protocol.unwrap_or(Protocol::Unknown);
    let server = flow
        .identified
        .metadata
        .as_ref()
        .and_then(|m| m.proxied_to.as_ref().or(m.server_name.as_ref()))
        .or(detection.destination.as_ref());
    let whereto = server.map_or_else(|| flow.remote.to_string(), |name| format!("{name} ({})", flow.remote));
    let mut reasons = Vec::new();
    for channel in finding.channels.iter().filter(|c| c.counted) {
        reasons.push(match channel.name {
            Channel::Volume => "it never sent this much in an hour or a day".to_owned(),
            Channel::Destination => "so much never went to a destination that was new to it".to_owned(),
            Channel::Protocol => format!("it never spoke {protocol} here before"),
            Channel::Received => "it never received this much in an hour or a day".to_owned(),
            Channel::FanOut => "it never made this many connections in an hour or a day".to_owned(),
            Channel::Initiator => match &who.initiator {
                Some(initiator) => format!("{} is not known to run {name}", display_name(initiator)),
                None => format!("what ran it is not known to run {name}"),
            },
        });
    }
    let learning =
        if finding.mac_state == BaselineState::Learning { ", while this Mac still learns" } else { "" };
    format!(
        "{name}{script}{run_by} sent {} and received {} over {protocol} to {whereto}: {}; {} on this Mac{learning}.",
        bytes_in_words(flow.counters.bytes_out),
        bytes_in_words(flow.counters.bytes_in),
        joined(&reasons),
        return_period_in_words(10_f64.powf(finding.score)),
    )
}

fn joined(reasons: &[String]) -> String {
    match reasons {
        [] => "together this is unusual".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The app's name where the path lies in one, else the file's.
fn display_name(process: &ProcessFacts) -> String {
    let file = process.path.rsplit('/').next().unwrap_or_default();
    let bundle = process.path.split('/').find_map(|part| part.strip_suffix(".app"));
    bundle.filter(|_| !process.path.contains(".framework/")).unwrap_or(file).to_owned()
}

fn process(facts: &ProcessFacts) -> ProcessSection {
    ProcessSection {
        identity: facts.identity.clone(),
        name: display_name(facts),
        path: facts.path.clone(),
        pid: facts.key.pid,
        pidversion: facts.key.pidversion,
        arguments: facts.arguments.clone(),
        signing: SigningSection {
            platform_binary: facts.signing.is_platform_binary,
            signing_id: facts.signing.signing_id.clone(),
            team_id: facts.signing.team_id.clone(),
            cdhash: facts.signing.cdhash.map(hex::encode),
            flags: facts.signing.flags,
        },
        script: facts.script.clone(),
        cwd: facts.cwd.clone(),
        start: facts.start,
    }
}

fn user(facts: &ProcessFacts, host: &Host) -> UserSection {
    UserSection {
        name: facts.credentials.euid.and_then(|uid| host.users.get(&uid)).cloned(),
        uid: facts.credentials.euid,
        auid: facts.credentials.auid,
        audit_session: facts.credentials.asid,
        session: facts.session_id,
        tty: facts.tty.clone(),
    }
}

fn flow_section(flow: &Flow, destination: Option<Arc<str>>) -> FlowSection {
    let counters = flow.counters;
    FlowSection {
        id: flow.id.to_string().into(),
        protocol: flow.identified.protocol,
        protocol_evidence: flow.identified.evidence,
        port_protocol: flow.identified.port_protocol,
        upgraded: flow.identified.upgraded,
        transport: flow.transport,
        local: flow.local.to_string(),
        remote: flow.remote.to_string(),
        resolved_name: flow.identified.resolved_name.clone(),
        destination,
        direction: flow.direction,
        interface: flow.interface.clone(),
        start: flow.start,
        counters,
        imbalance: (counters.bytes_in > 0)
            .then(|| rounded(counters.bytes_out as f64 / counters.bytes_in as f64)),
        midstream: flow.midstream,
        metadata: flow.identified.metadata.as_deref().cloned().unwrap_or_default(),
    }
}
