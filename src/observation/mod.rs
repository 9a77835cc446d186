//! The shared vocabulary: what was seen.
//!
//! Every source, live or recorded, yields the same [`Observation`]s, and nothing after the source knows whether it is live. A value
//! in this room is already bounded and valid (the source that made it saw to that), carries its own time, and owns its data: an
//! observation can be queued, reordered within a small window and sent between threads. Packet bytes are [`bytes::Bytes`]: a slice
//! of the reader's buffer, shared and not copied.
//!
//! This room imports no other.

mod flow;
mod packet;
mod process;
mod seconds;
mod time;

pub use flow::{FlowReport, FlowState, Transport};
pub use packet::{LinkType, Origin, Packet, PacketOwner};
pub use process::{
    CodeSigning, Credentials, Exec, Executable, Exit, Fork, Message, ProcessInfo, ProcessKey, Running,
};
pub use time::{InvalidTimestamp, Timestamp, ZoneOffset};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One thing that was seen.
#[derive(Debug, Clone)]
pub enum Observation {
    /// A recording says where it comes from, or that the zone changed (travel).
    Recording(Box<RecordingHeader>),
    /// A process image was replaced, or the attempt was denied.
    Exec(Box<Exec>),
    /// A process was forked.
    Fork(Box<Fork>),
    /// A process ended.
    Exit(Box<Exit>),
    /// A process that ran already when observation began.
    Running(Box<Running>),
    /// A packet on an interface.
    Packet(Packet),
    /// Counters of one flow, cumulative since it began.
    Flow(Box<FlowReport>),
    /// Something was lost.
    Gap(Box<Gap>),
    /// Time passed.
    Clock(Clock),
}

impl Observation {
    /// When it was seen. `None` only for a recording's header, which holds from its place in the stream on.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Recording(_) => None,
            Self::Exec(exec) => Some(exec.message.time),
            Self::Fork(fork) => Some(fork.message.time),
            Self::Exit(exit) => Some(exit.message.time),
            Self::Running(running) => Some(running.time),
            Self::Packet(packet) => Some(packet.time),
            Self::Flow(flow) => Some(flow.time),
            Self::Gap(gap) => Some(gap.time),
            Self::Clock(clock) => Some(clock.time),
        }
    }
}

/// The first line of a recording, and any later line that changes the zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingHeader {
    /// `tidemark.recording/1`.
    pub schema: String,
    /// The name of the Mac; `unknown` where no header names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Arc<str>>,
    /// The system's version, `15.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<Arc<str>>,
    /// The system's build, `24F74`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_build: Option<Arc<str>>,
    /// The Mac's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<Arc<str>>,
    /// The Mac's hardware UUID (`IOPlatformUUID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_uuid: Option<Arc<str>>,
    /// Login names by user id, of those who may use the Mac.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<u32, Arc<str>>,
    /// Seconds east of UTC that hours, days and weekdays follow from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_offset_seconds: Option<ZoneOffset>,
    /// The program that wrote the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<Arc<str>>,
}

/// A loss: observations that existed and did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When the loss was noticed.
    pub time: Timestamp,
    /// The source that lost them.
    pub source: Arc<str>,
    /// How many observations; `None` where it cannot be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

/// Time passed, as a live source says it when nothing else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The wall clock.
    pub time: Timestamp,
    /// Time since boot during which the Mac was awake; written as a number of seconds, exact to the
    /// microsecond for thirty years.
    #[serde(default, rename = "awake_seconds", with = "seconds", skip_serializing_if = "Option::is_none")]
    pub awake: Option<Duration>,
}

/// The way of a packet or a flow, seen from the process that owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Away from the Mac, or a flow that the Mac began.
    Outbound,
    /// Towards the Mac, or a flow that the peer began.
    Inbound,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Outbound => Self::Inbound,
            Self::Inbound => Self::Outbound,
        }
    }
}
