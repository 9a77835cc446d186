//! The account that the flow table gives of itself.

use serde::{Deserialize, Serialize};

use super::packet::Undecoded;

/// What the table took in, and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// Packets taken, those that could not be decoded among them.
    pub packets: u64,
    /// Bytes of their whole frames on the wire.
    pub wire_bytes: u64,
    /// Flow reports taken.
    pub reports: u64,
    /// Flows that began.
    pub flows: u64,
    /// Flows that ended early to make room.
    pub evicted: u64,
    /// Flows whose payload had to make room before it said what they speak.
    pub cut_short: u64,
    /// Reports whose counters went backwards: the producer began to count anew.
    pub counter_resets: u64,
    /// Reports older than one already taken for the same flow; ignored.
    pub stale_reports: u64,
    /// Reports with a protocol label that tidemark does not know; the label was ignored.
    pub unknown_labels: u64,
    /// Frames that belong to no flow, by reason.
    pub undecoded: UndecodedCounts,
}

/// Frames that belong to no flow, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndecodedCounts {
    /// The link type is none that tidemark reads.
    pub link_type: Count,
    /// Not IP: ARP, LLDP, spanning tree.
    pub not_ip: Count,
    /// Captured too short to hold the ports.
    pub truncated: Count,
    /// Headers that contradict themselves.
    pub malformed: Count,
    /// More nested tunnels or extension headers than the walk follows.
    pub too_deep: Count,
    /// Later fragments of a packet whose first fragment was not seen.
    pub orphan_fragment: Count,
}

/// Packets and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub packets: u64,
    /// Bytes of their whole frames on the wire.
    pub wire_bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, packets: u64, wire_bytes: u64) {
        self.packets = self.packets.saturating_add(packets);
        self.wire_bytes = self.wire_bytes.saturating_add(wire_bytes);
    }
}

impl UndecodedCounts {
    /// The count of one reason.
    pub(super) fn of(&mut self, reason: Undecoded) -> &mut Count {
        match reason {
            Undecoded::LinkType => &mut self.link_type,
            Undecoded::NotIp => &mut self.not_ip,
            Undecoded::Truncated => &mut self.truncated,
            Undecoded::Malformed => &mut self.malformed,
            Undecoded::TooDeep => &mut self.too_deep,
        }
    }
}
