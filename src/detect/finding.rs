//! What goes into the detectors, and what comes out.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::baseline::ProtocolUse;
use crate::observation::{Timestamp, ZoneOffset};
use crate::process::{Role, Subject, Who};

/// What one update of a flow says about its subject.
#[derive(Debug, Clone)]
pub struct Activity<'a> {
    /// When.
    pub time: Timestamp,
    /// The zone whose hours and days count.
    pub zone: ZoneOffset,
    /// Whose.
    pub subject: &'a Subject,
    /// What kinds of program these are.
    pub role: Role,
    /// Whether the process behind the subject's initiator was really seen: without it the initiator is not scored.
    pub initiator_seen: bool,
    /// The cdhash of an unsigned image in a place where a user can write: another one starts the baseline afresh.
    pub volatile_cdhash: Option<[u8; 20]>,
    /// The protocol, once it is known; never for a flow that was only attempted or was joined in its middle.
    pub protocol: Option<ProtocolUse>,
    /// The destination as a baseline knows it: registrable domain, else network.
    pub destination: Option<&'a Arc<str>>,
    /// Bytes sent since the flow's last update.
    pub bytes_out: u64,
    /// Bytes received since the flow's last update.
    pub bytes_in: u64,
    /// Whether the flow began with this update.
    pub began: bool,
    /// The process, kept beside a finding that is held back, so that the next one that leaves can name it.
    pub who: Option<&'a Arc<Who>>,
}

/// A departure from a baseline, scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The time of the activity that made it.
    pub time: Timestamp,
    /// Whose.
    pub subject: Subject,
    /// What kinds of program these are.
    pub role: Role,
    /// The channels that add up to the score, strongest first; then the others that were not zero.
    pub channels: Vec<ChannelScore>,
    /// S: log10 of the days between findings such as this on this Mac, after all offsets.
    pub score: f64,
    /// From S alone.
    pub severity: Severity,
    /// The least score that alerts: −log10 of the budget.
    pub threshold: f64,
    /// The trim in force, in powers of ten (already taken off the score).
    pub trim: f64,
    /// Subjects active on the Mac in the last 24 hours (the floor of 10 applied).
    pub active_subjects: u32,
    /// Bytes out over bytes in of the subject's day, where it received anything.
    pub imbalance: Option<f64>,
    /// The baseline that it departs from.
    pub baseline: BaselineSummary,
    /// Whether the Mac still learns: then only what must not wait leaves as an alert.
    pub mac_state: BaselineState,
    /// Findings of this subject held back by the daily cap, by deduplication or by learning since the last one that left.
    pub held_back: u32,
    /// The strongest of them, at most [`Finding::KEPT_HELD`], strongest first.
    pub held: Vec<Held>,
    /// How many alerts of this subject were given out before.
    pub occurrence: u32,
    /// What would have to be different for this not to alert: each line alone would do.
    pub unless: Vec<Counterfactual>,
}

impl Finding {
    /// How many findings that were held back are kept in full a subject.
    pub const KEPT_HELD: usize = 4;
}

/// A finding that did not leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// When.
    pub time: Timestamp,
    /// S.
    pub score: f64,
    /// Why it was held.
    pub reason: HeldReason,
    /// Where the bytes went.
    pub destination: Option<Arc<str>>,
    /// The command line of the process: path and arguments, at most [`Held::COMMAND`] bytes.
    pub command: Option<Arc<str>>,
}

impl Held {
    /// The most bytes of a command line that are kept.
    pub const COMMAND: usize = 256;
}

/// Why a finding was held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldReason {
    /// The subject alerted less than 24 hours ago, and nothing was new about it.
    Repeated,
    /// The Mac's alerts of the day were spent.
    Capped,
    /// The Mac still learns.
    Learning,
    /// The Mac settles after a change.
    Settling,
}

/// One difference that would have kept a finding under the threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counterfactual {
    /// The channel that would be different.
    pub channel: Channel,
    /// How.
    #[serde(flatten)]
    pub condition: Condition,
}

/// What a [`Counterfactual`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The channel's bytes of the hour and of the day had both stayed at or under this share (0 to 1) of what was seen: `bytes` in the day.
    BytesAtMost {
        /// Bytes in the day.
        bytes: u64,
        /// Share of what was seen.
        share: f64,
    },
    /// The subject had done it before: the protocol, the pair of tool and initiator, the destinations.
    SeenBefore,
}

/// What was held back, told once: at the end of a day whose cap was reached, or when settling ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// When it was told.
    pub time: Timestamp,
    /// Why the findings were held.
    pub reason: HeldReason,
    /// How many.
    pub count: u32,
    /// Subjects concerned with their highest score, strongest first, at most [`Digest::KEPT`].
    pub strongest: Vec<(Subject, f64)>,
}

impl Digest {
    /// How many subjects a digest names.
    pub const KEPT: usize = 10;
}

/// What became of a finding after the organisation's exceptions were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It left as an alert: it counts for trim, cap and the 24 hours, and what it saw is learnt with weight 0.1.
    Alerted,
    /// An exception covers it: it moves neither trim nor cap nor the 24 hours.
    Suppressed {
        /// The exception says that the behaviour is normal: it is learnt in full.
        learn: bool,
    },
}

/// What an analyst says about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Normal for this subject: what it saw is learnt in full.
    Benign,
    /// An attack: what it saw is forgotten, and it does not count against the budget.
    Malicious,
}

/// One channel's word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelScore {
    /// Which.
    pub name: Channel,
    /// log10 of the expected days between such values for this subject.
    pub z: f64,
    /// Whether it is one of those that add up to the score.
    pub counted: bool,
    /// What was seen, in the channel's unit: bytes, or a name.
    pub observed: serde_json::Value,
    /// What is usual: median and 99 % point, or the names known so far.
    pub expected: serde_json::Value,
    /// The numbers behind the score (probability, rate, windows), for whoever wants to check it.
    pub evidence: serde_json::Value,
}

/// The channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Bytes out.
    Volume,
    /// Bytes out to destinations that the subject never used.
    Destination,
    /// A protocol that the subject never spoke.
    Protocol,
    /// A tool started by what never started it.
    Initiator,
    /// Bytes in; off by default.
    Received,
    /// New flows; off by default.
    FanOut,
}

impl Channel {
    /// Its name, as in a document.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Destination => "destination",
            Self::Protocol => "protocol",
            Self::Initiator => "initiator",
            Self::Received => "received",
            Self::FanOut => "fan_out",
        }
    }
}

/// How rare, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// More often than every 10 days.
    Info,
    /// Every 10 days to once a month.
    Low,
    /// Once a month to once a year.
    Medium,
    /// Once in one to ten years.
    High,
    /// More seldom.
    Critical,
}

impl Severity {
    /// From a score.
    pub fn of(score: f64) -> Self {
        match score {
            s if s > 3.5 => Self::Critical,
            s if s > 2.5 => Self::High,
            s if s > 1.5 => Self::Medium,
            s if s >= 1.0 => Self::Low,
            _ => Self::Info,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// What a baseline is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaselineState {
    /// Too young to judge by itself.
    #[default]
    Learning,
    /// In force.
    Active,
    /// The Mac changed a lot (an update of the system): ordinary findings are held in a digest.
    Settling,
}

/// A baseline's age, as a finding quotes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineSummary {
    /// Its state.
    pub state: BaselineState,
    /// When the subject was first seen.
    pub first_seen: Timestamp,
    /// Age in days of observed time.
    pub age_days: f64,
    /// Hours in which it moved anything.
    pub active_hours: u32,
    /// Days in which it moved anything.
    pub active_days: u32,
    /// Destinations it used, as far as they are counted.
    pub destinations: u32,
}
