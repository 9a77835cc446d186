//! A captured packet.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Direction, Timestamp};

/// A packet as an interface saw it.
#[derive(Debug, Clone)]
pub struct Packet {
    /// When the interface saw it.
    pub time: Timestamp,
    /// Which capture it belongs to.
    pub origin: Origin,
    /// The interface's name, where known.
    pub interface: Option<Arc<str>>,
    /// What stands at the front of `data`. Never PKTAP: the source takes that header off.
    pub link_type: LinkType,
    /// Length of the whole frame on the wire in bytes, link header included, capture headers not.
    pub wire_length: u32,
    /// The frame, or as much of it as was captured.
    pub data: Bytes,
    /// Which way, where the capture says so.
    pub direction: Option<Direction>,
    /// Whose it is, where the capture says so.
    pub owner: PacketOwner,
    /// Apple's flow number (`pth_flowid`, option 0x8005).
    pub flow_id: Option<u32>,
}

/// Which capture a packet or flow belongs to. Captures of one Mac's one road share an origin; unrelated captures, in which the same
/// addresses and flow ids may recur, each have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(pub u32);

/// The process that macOS names for a packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PacketOwner {
    /// Owner of the socket.
    pub pid: Option<i32>,
    /// The name as the kernel keeps it, cut at 16 bytes: display only.
    pub name: Option<Arc<str>>,
    /// The process on whose behalf the owner acts.
    pub effective_pid: Option<i32>,
    /// Its name.
    pub effective_name: Option<Arc<str>>,
}

/// A `LINKTYPE_` value, as in capture files (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: 4 bytes of address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP.
    pub const PPP: Self = Self(9);
    /// Raw IP, by the number some systems write.
    pub const RAW_BSD: Self = Self(12);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// PPP over Ethernet, from the session header on.
    pub const PPP_ETHER: Self = Self(51);
    /// Raw IP.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// `DLT_USER2`, which Darwin uses for PKTAP.
    pub const USER2: Self = Self(149);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Apple's PKTAP.
    pub const PKTAP: Self = Self(258);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}
