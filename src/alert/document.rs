//! The native document, `tidemark.alert/1`.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de};

use super::attack::Attack;
use super::id::FindingKey;
use super::lifecycle::Stage;
use super::risk::Risk;
use crate::detect::{BaselineState, ChannelScore, Counterfactual, Held, Severity};
use crate::exceptions::Action;
use crate::network::Counters;
use crate::network::identify::Metadata;
use crate::network::{Evidence, Protocol};
use crate::observation::{Direction, Timestamp, Transport};
use crate::process::{Identity, Method, Script, Subject};

/// The value of `schema`. A reader knows every `tidemark.alert/1`: what is added to it may be passed over.
pub const SCHEMA: &str = "tidemark.alert/1";

/// An alert: a finding as a document. Members are in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// [`SCHEMA`].
    pub schema: Schema,
    /// Names this event.
    pub id: String,
    /// When the activity was seen.
    pub time: Timestamp,
    /// Rarity in words.
    pub severity: Severity,
    /// log10 of the return period in days, at most 6.
    pub score: f64,
    /// One sentence for a person.
    pub summary: String,
    /// Names the behaviour on this Mac.
    pub finding: FindingKey,
    /// Names the behaviour on any Mac.
    pub fleet_finding: FindingKey,
    /// What was scored.
    pub subject: Subject,
    /// Each channel with its score, what was seen and what is usual.
    pub channels: Vec<ChannelScore>,
    /// What would have kept it from alerting: each line alone would do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unless: Vec<Counterfactual>,
    /// The score in words.
    pub return_period: ReturnPeriod,
    /// The baseline departed from.
    pub baseline: BaselineSection,
    /// The process.
    pub process: ProcessSection,
    /// What made it run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiator: Option<ProcessSection>,
    /// The app that macOS holds responsible: a hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<ProcessSection>,
    /// Earlier images of the process, latest first, then its ancestors, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<ProcessSection>,
    /// Who ran it.
    pub user: UserSection,
    /// The flow.
    pub flow: FlowSection,
    /// How the process was found.
    pub attribution: Method,
    /// Alerts of this subject so far, this one included.
    pub occurrences: u32,
    /// Where this event stands in its finding's life.
    pub stage: Stage,
    /// Since when what acted is known.
    pub first_seen: FirstSeen,
    /// Where the subject sends most, as far as tidemark remembers, most bytes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_destinations: Vec<TopDestination>,
    /// Points beside rarity.
    pub risk: Risk,
    /// What else held at the time.
    pub context: Context,
    /// What could not be seen.
    pub coverage: Coverage,
    /// The exception that covers the finding: it was suppressed or lowered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<ExceptionSection>,
    /// ATT&CK.
    pub attack: Attack,
    /// The Mac.
    pub host: HostSection,
    /// tidemark.
    pub sensor: Sensor,
    /// The page for triage of this kind of finding.
    pub runbook: String,
    /// It was made by a self-test, and nothing happened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

impl Alert {
    /// The exception that suppresses it; none where one only lowers it.
    pub fn suppressed_by(&self) -> Option<&ExceptionSection> {
        self.exception.as_ref().filter(|exception| exception.action == Action::Suppress)
    }
}

/// The mark of the format: a document that has another one is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schema;

impl Serialize for Schema {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SCHEMA)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text == SCHEMA {
            Ok(Self)
        } else {
            Err(de::Error::custom(format_args!("the schema is not {SCHEMA}")))
        }
    }
}

/// Since when what acted is known. What tidemark does not know is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSeen {
    /// The pair of image and initiator.
    pub subject: Timestamp,
    /// The image, whatever ran it; as far back as tidemark remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Timestamp>,
    /// The script, whatever ran it; as far back as tidemark remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Timestamp>,
    /// The destination, by this subject; as far back as tidemark remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Timestamp>,
}

/// One destination of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopDestination {
    /// Registrable domain or network.
    pub name: Arc<str>,
    /// Bytes sent there since `first_seen`; a destination that was pushed out of the table begins anew.
    pub bytes_out: u64,
    /// When the subject first used it as far back as tidemark remembers.
    pub first_seen: Timestamp,
}

/// The return period behind the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnPeriod {
    /// In days.
    pub days: f64,
    /// For people.
    pub words: String,
}

/// The baseline, and the bar that the score passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineSection {
    /// The subject's state.
    pub state: BaselineState,
    /// In days of observed time.
    pub age_days: f64,
    /// Hours with traffic.
    pub active_hours: u32,
    /// Days with traffic.
    pub active_days: u32,
    /// Destinations known.
    pub destinations: u32,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessSection {
    /// Image identity.
    pub identity: Identity,
    /// For people: the app's or the file's name.
    pub name: String,
    /// Executable.
    pub path: Arc<str>,
    /// Process number.
    pub pid: i32,
    /// Its generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pidversion: Option<i32>,
    /// `argv`.
    pub arguments: Vec<Arc<str>>,
    /// Code signature.
    pub signing: SigningSection,
    /// What an interpreter runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// Working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Arc<str>>,
    /// When it was forked, or else when this image was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
}

/// A code signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSection {
    /// Part of macOS.
    pub platform_binary: bool,
    /// Signing identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_id: Option<Arc<str>>,
    /// Team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team_id: Option<Arc<str>>,
    /// Code directory hash, lower-case hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdhash: Option<String>,
    /// `CS_*` bits.
    pub flags: u32,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSection {
    /// Login name, where the source names the Mac's users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// Effective user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Audit user id: who logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auid: Option<u32>,
    /// Audit session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_session: Option<i32>,
    /// POSIX session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<i32>,
    /// Controlling terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<Arc<str>>,
}

/// The flow whose update made the finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowSection {
    /// Its id.
    pub id: Arc<str>,
    /// Application protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// What the label rests on.
    pub protocol_evidence: Evidence,
    /// What the port would suggest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_protocol: Option<Protocol>,
    /// What it was upgraded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgraded: Option<Protocol>,
    /// IP protocol.
    pub transport: Transport,
    /// The Mac's end.
    pub local: String,
    /// The other end.
    pub remote: String,
    /// The name whose DNS answer gave the address, where the client named no server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_name: Option<Arc<str>>,
    /// The destination as the baseline knows it: registrable domain or network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Arc<str>>,
    /// Who began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<Arc<str>>,
    /// When it was first seen.
    pub start: Timestamp,
    /// Bytes and packets both ways so far.
    #[serde(flatten)]
    pub counters: Counters,
    /// Bytes out over bytes in of this flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imbalance: Option<f64>,
    /// It was joined in its middle.
    pub midstream: bool,
    /// What else the payload said.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// What else held at the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// The Mac's own state.
    pub mac_state: BaselineState,
    /// The least score that alerts.
    pub threshold: f64,
    /// The trim in force, in powers of ten.
    pub trim: f64,
    /// Subjects active in 24 hours.
    pub active_subjects: u32,
    /// When the Mac last woke, where that was in the last quarter of an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub woke: Option<Timestamp>,
    /// When the system's version changed, where that was in the last 7 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_updated: Option<Timestamp>,
    /// When the executable file was first seen with other code than before (another cdhash), where that was in the last 7 days: it was updated, or
    /// another slice of it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_changed: Option<Timestamp>,
    /// The flow left through a tunnel's interface (`utun`, `ipsec`, `ppp`): a VPN, or a relay of the system.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tunnel: bool,
    /// Bytes out over bytes in of the subject's day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imbalance: Option<f64>,
    /// Findings held back since the last alert of this subject.
    pub held_back: u32,
    /// The strongest of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
}

/// What could not be seen since observation began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Losses reported in the last hour.
    #[serde(default)]
    pub gaps_last_hour: u64,
    /// Observations lost in the last hour, as far as that is known.
    #[serde(default)]
    pub lost_last_hour: u64,
    /// Losses reported by sources.
    pub gaps: u64,
    /// Observations lost in them, as far as that is known.
    pub lost: u64,
    /// Bytes of flows without a process.
    pub unattributed_bytes: u64,
    /// Bytes of all flows.
    pub bytes: u64,
}

/// The exception that covers a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionSection {
    /// Its id.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Until when, as a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What became of the finding.
    #[serde(default)]
    pub action: Action,
}

/// The Mac.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSection {
    /// Its name; `unknown` where no source names it.
    pub name: Arc<str>,
    /// Version of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version: Option<Arc<str>>,
    /// Build of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_build: Option<Arc<str>>,
    /// Serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<Arc<str>>,
    /// Hardware UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware_uuid: Option<Arc<str>>,
    /// Counts the events that left this host, from 1, without a hole: a receiver that misses one lost it. 0 on a suppressed finding, which
    /// does not leave.
    pub sequence: u64,
}

/// The program that wrote the alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sensor {
    /// `tidemark`.
    pub name: String,
    /// Its version.
    pub version: String,
}
