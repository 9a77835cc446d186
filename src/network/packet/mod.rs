//! The walk through a packet's headers: from the link header to the first byte of transport payload, without copying.
//!
//! [`walk`] answers with a [`Datagram`] (addresses, ports, payload) or a [`LaterFragment`] (no ports: they stood in the first one), or
//! says with [`Undecoded`] why there is neither. Lengths are those on the wire: a capture that cut the packet changes what can be seen
//! of the payload, never how long it is said to be, and the padding of a short Ethernet frame is not payload.
//!
//! A tunnel (IP in IP, IPv6 in IPv4, GRE) is walked into; where its inside cannot be read, the tunnel itself is the datagram. AH and ESP are
//! not: what uses them is known as `ipsec`. Everything that can nest draws on one budget. Whether a tunnel over UDP is opened
//! ([`Datagram::inside_udp_tunnel`]) is the caller's choice.

mod capwap;
mod end;
mod gtp;
mod ip;
mod link;
mod over_udp;
mod transport;
mod wlan;

use std::net::IpAddr;

use thiserror::Error;

use crate::cursor::Cursor;
use crate::observation::{LinkType, Transport};

pub use self::end::End;

/// One IP packet, or the first fragment of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// IP protocol.
    pub transport: Transport,
    /// The sender; port 0 where the transport has none.
    pub source: End,
    /// The receiver; port 0 where the transport has none.
    pub destination: End,
    /// The transport payload that was captured; for all but TCP and UDP the IP payload.
    pub payload: &'a [u8],
    /// Length of the transport payload in this packet on the wire, in bytes.
    pub wire_payload: u32,
    /// The TCP header.
    pub tcp: Option<TcpHeader>,
    /// The identification of the fragments that follow, where some do.
    pub first_of: Option<u32>,
    /// Whether it came inside another IP packet.
    pub tunnelled: bool,
}

impl Datagram<'_> {
    /// What the fragments that follow have in common, where some do.
    pub fn fragments(&self) -> Option<FragmentKey> {
        let Self { transport, source, destination, first_of, .. } = *self;
        first_of.map(|identification| FragmentKey {
            source: source.ip(),
            destination: destination.ip(),
            transport,
            identification,
        })
    }
}

/// A fragment without its transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaterFragment {
    /// Names the packet that it is a part of.
    pub key: FragmentKey,
    /// Length of the payload in this fragment on the wire, in bytes.
    pub wire_payload: u32,
}

/// What all fragments of one packet have in common (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentKey {
    /// The sender.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// IP protocol.
    pub transport: Transport,
    /// The identification field.
    pub identification: u32,
}

/// What a flow needs of a TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpHeader {
    /// Sequence number of the first payload byte; of the SYN where there is one.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Flags.
    pub flags: TcpFlags,
}

/// The flag bits of a TCP header (RFC 9293 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// The first segment of a direction.
    pub const SYN: Self = Self(0x02);
    /// The connection is refused or broken off.
    pub const RST: Self = Self(0x04);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);

    /// Whether any of these bits is set.
    pub const fn any(self, bits: Self) -> bool {
        self.0 & bits.0 != 0
    }

    /// These bits too.
    #[must_use]
    pub const fn and(self, bits: Self) -> Self {
        Self(self.0 | bits.0)
    }

    /// Whether this segment opens a connection: SYN without ACK.
    pub const fn opens(self) -> bool {
        self.any(Self::SYN) && !self.any(Self::ACK)
    }
}

/// What the walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk<'a> {
    /// A packet, or its first fragment.
    Datagram(Datagram<'a>),
    /// Another fragment.
    LaterFragment(LaterFragment),
}

/// Why a frame belongs to no flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Undecoded {
    /// The link type is none that tidemark reads.
    #[error("a link type that tidemark does not read")]
    LinkType,
    /// ARP, LLDP, spanning tree and the like.
    #[error("not an IP packet")]
    NotIp,
    /// The capture holds too little of it.
    #[error("captured too short to hold its headers")]
    Truncated,
    /// A version, length or offset that cannot be.
    #[error("headers contradict themselves")]
    Malformed,
    /// More tags, labels or extension headers than the walk follows.
    #[error("nested too deeply")]
    TooDeep,
}

/// Walks through the headers of a frame of `wire_length` bytes, of which `frame` was captured.
///
/// # Errors
/// Says why the frame belongs to no flow.
#[inline]
pub fn walk(link_type: LinkType, frame: &[u8], wire_length: u32) -> Result<Walk<'_>, Undecoded> {
    link::walk(link_type, Layer::new(frame, wire_length), Depth::FULL)
}

/// What is left of a frame at some point of the walk.
#[derive(Debug, Clone, Copy)]
struct Layer<'a> {
    /// What was captured.
    captured: Cursor<'a>,
    /// How much there was on the wire from the same point on.
    wire: u32,
}

impl<'a> Layer<'a> {
    #[inline]
    fn new(captured: &'a [u8], wire: u32) -> Self {
        Self { captured: Cursor::new(captured), wire }
    }

    /// The next `N` bytes.
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Undecoded> {
        let bytes = self.captured.array().ok_or(Undecoded::Truncated)?;
        self.wire = self.wire.saturating_sub(u32::try_from(N).unwrap_or(u32::MAX));
        Ok(bytes)
    }

    /// Moves past `count` bytes.
    #[inline]
    fn skip(&mut self, count: u32) -> Result<(), Undecoded> {
        usize::try_from(count)
            .ok()
            .and_then(|count| self.captured.skip(count))
            .ok_or(Undecoded::Truncated)?;
        self.wire = self.wire.saturating_sub(count);
        Ok(())
    }

    /// What a length field says is left: what lies behind it is padding or a trailer. The field is believed over the length of the
    /// frame, which tools that cut packets do not always keep.
    #[inline]
    fn bounded(self, length: u32) -> Self {
        let captured = self.captured.rest();
        let kept = usize::try_from(length).ok().and_then(|length| captured.get(..length)).unwrap_or(captured);
        Self::new(kept, length)
    }

    /// What was captured.
    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.captured.rest()
    }
}

/// How many more headers the walk opens that can nest: tags, labels, extension headers, tunnels.
#[derive(Debug, Clone, Copy)]
struct Depth(u8);

impl Depth {
    /// Real stacks are not half as deep: two VLAN tags, a `PPPoE` session, three MPLS labels, a GRE tunnel and four IPv6 extension
    /// headers make eleven.
    const FULL: Self = Self(16);

    fn deeper(self) -> Result<Self, Undecoded> {
        self.0.checked_sub(1).map(Self).ok_or(Undecoded::TooDeep)
    }
}

#[cfg(test)]
pub(super) mod frames;
#[cfg(test)]
mod tests;
