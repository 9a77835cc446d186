//! A flow, and what the table tells about it.

use std::fmt;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::identify::Identified;
use crate::observation::{Direction, Origin, ProcessKey, Timestamp, Transport};

/// Bytes and packets both ways, seen from the process that owns the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Transport payload sent, in bytes (for ICMP the IP payload).
    pub bytes_out: u64,
    /// Transport payload received, in bytes.
    pub bytes_in: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// Packets received.
    pub packets_in: u64,
    /// Whole frames sent, in bytes; zero where no packets were seen.
    pub wire_bytes_out: u64,
    /// Whole frames received, in bytes.
    pub wire_bytes_in: u64,
}

impl Counters {
    /// Adds what passed one way.
    #[inline]
    pub(super) fn add(&mut self, outward: bool, packets: u64, payload: u64, wire: u64) {
        let (own_packets, own_bytes, own_wire) = if outward {
            (&mut self.packets_out, &mut self.bytes_out, &mut self.wire_bytes_out)
        } else {
            (&mut self.packets_in, &mut self.bytes_in, &mut self.wire_bytes_in)
        };
        *own_packets = own_packets.saturating_add(packets);
        *own_bytes = own_bytes.saturating_add(payload);
        *own_wire = own_wire.saturating_add(wire);
    }

    /// Each counter of both, by itself.
    fn each(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            bytes_out: combine(self.bytes_out, other.bytes_out),
            bytes_in: combine(self.bytes_in, other.bytes_in),
            packets_out: combine(self.packets_out, other.packets_out),
            packets_in: combine(self.packets_in, other.packets_in),
            wire_bytes_out: combine(self.wire_bytes_out, other.wire_bytes_out),
            wire_bytes_in: combine(self.wire_bytes_in, other.wire_bytes_in),
        }
    }

    /// What each counter has above the other's; zero where it has less.
    #[must_use]
    pub fn beyond(self, other: Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    /// The greater of each.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        self.each(other, u64::max)
    }

    /// Whether nothing was counted.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        *self = self.each(other, u64::saturating_add);
    }
}

/// The process that a source names for a flow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FlowOwner {
    /// Owner of the socket.
    pub process: Option<ProcessKey>,
    /// The process on whose behalf the owner acts.
    pub effective_pid: Option<i32>,
    /// A name, display only.
    pub name: Option<Arc<str>>,
}

/// Names a flow.
///
/// Most flows of a capture are never printed, so a name is text only where a report brought it; a short one stands in place, since a table of a
/// hundred thousand flows compares one with each report.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FlowId {
    /// The `flow_id` of the reports, unique in their recording.
    Reported(CompactString),
    /// A flow of packets: its place among all flows that the table saw begin, from 1.
    Numbered(u64),
}

impl fmt::Display for FlowId {
    /// The reported name, else the number behind a `p` for packets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported(id) => f.pad(id),
            Self::Numbered(serial) => write!(f, "p{serial}"),
        }
    }
}

/// One flow: a 5-tuple and its process, from first to last packet or report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flow {
    /// Names the flow: unique in the run together with `origin`. A flow of packets that a report joins takes the report's name.
    pub id: FlowId,
    /// Its place among all flows that the table saw begin, from 1.
    pub serial: u64,
    /// The capture that it belongs to.
    pub origin: Origin,
    /// Whose it is.
    pub owner: FlowOwner,
    /// IP protocol.
    pub transport: Transport,
    /// The Mac's end; where no process is known, the end that sent first.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Who began it, where known.
    pub direction: Option<Direction>,
    /// The interface that saw it first.
    pub interface: Option<Arc<str>>,
    /// Everything since it was first seen.
    pub counters: Counters,
    /// What had passed already when it was first seen: in no window, in no baseline. Nothing for nearly every flow.
    pub unwindowed: Option<Box<Counters>>,
    /// First packet or report.
    pub start: Timestamp,
    /// Latest packet or report.
    pub last: Timestamp,
    /// It was joined in its middle.
    pub midstream: bool,
    /// No payload passed: refused, reset, unanswered.
    pub attempted: bool,
    /// What it speaks, as far as is known.
    pub identified: Identified,
}

impl Flow {
    /// What had passed already when it was first seen; zero where it was seen whole.
    pub fn unwindowed(&self) -> Counters {
        self.unwindowed.as_deref().copied().unwrap_or_default()
    }
}

/// What the table tells about one flow. `tag` is the caller's own word on the flow, kept with it.
///
/// Every byte is told in the growth of exactly one update, or stands in [`Flow::unwindowed`]: over a flow's life the two add up to
/// [`Flow::counters`]. An owner may become known after the flow began; each update shows what is known by then.
#[derive(Debug)]
pub struct FlowUpdate<'a, T> {
    /// The flow as it stands.
    pub flow: &'a Flow,
    /// The caller's own.
    pub tag: &'a mut T,
    /// When it grew last; for [`Phase::Ended`], and what is only identified then, when it ended. All growth of an update lies in one [`SPAN`](super::SPAN), together with
    /// this time, and spans are told in their order: whoever keeps windows of calendar hours may close one when an update lies after it.
    pub time: Timestamp,
    /// How much it grew since the last update; what is `unwindowed` never appears here.
    pub growth: Counters,
    /// Why it is told.
    pub phase: Phase,
}

/// Why an update is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// First seen. What its first packet gave away stands in [`Flow::identified`] already; it is told as identified all the same.
    Began,
    /// Its protocol or details of it were found, or changed (an upgrade).
    Identified,
    /// It grew. Told at most once in a [`SPAN`](super::SPAN).
    Grew,
    /// It ended, was idle for too long, or had to make room; nothing more will be told.
    Ended,
}
