//! What a source is: the descriptors of TCP and UDP, in the layouts that they have had.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::message::Provider;
use crate::cursor::Cursor;

/// A layout of the descriptors. The interface has no version number that says which it is (`__NSTAT_REVISION__` has been 9 since
/// macOS 10.13): the length of a descriptor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// macOS 10.13 to 10.15. Older than what tidemark supports; read because it costs a line of a table.
    A,
    /// macOS 11 to 13.
    B,
    /// macOS 14 to 26.
    C,
}

impl Generation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// Length in bytes of the descriptor of a provider's sources.
    pub const fn length(self, provider: Provider) -> usize {
        self.layout(provider).length
    }

    pub(super) const fn layout(self, provider: Provider) -> Layout {
        match (provider.is_datagram(), self) {
            (false, Self::A) => TCP_A,
            (false, Self::B) => TCP_B,
            (false, Self::C) => TCP_C,
            (true, Self::A) => UDP_A,
            (true, Self::B) => UDP_B,
            (true, Self::C) => UDP_C,
        }
    }
}

/// `nstat_tcp_descriptor` or `nstat_udp_descriptor`, as far as it is used.
#[doc(alias = "nstat_tcp_descriptor")]
#[doc(alias = "nstat_udp_descriptor")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// The layout that it was read by.
    pub generation: Generation,
    /// The kernel's own number of the process that used the socket last: unlike a pid it is never used again.
    pub unique_pid: u64,
    /// When the source came, in ticks of `mach_continuous_time`.
    pub start: u64,
    /// Number of the interface; 0 where none is chosen yet.
    pub interface: u32,
    /// `TCPS_*`; `None` for UDP.
    pub tcp_state: Option<u32>,
    /// The process that used the socket last; 0 is the kernel.
    pub pid: i32,
    /// The process on whose behalf it acts; 0 where macOS knows only the UUID of the responsible one (since 14.4).
    pub effective_pid: i32,
    /// The Mac's end; `None` where the socket has no address yet.
    pub local: Option<SocketAddr>,
    /// The other end; for an unconnected UDP socket the one that was spoken to last.
    pub remote: Option<SocketAddr>,
    /// The process's name, cut; display only.
    pub process: &'a [u8],
    /// `LC_UUID` of the process's executable.
    pub uuid: [u8; 16],
    /// `LC_UUID` of the effective or the responsible process's executable.
    pub effective_uuid: [u8; 16],
    /// `NSTAT_IFNET_*` and, since macOS 14, the role of the source ([`property`]).
    pub properties: u32,
}

impl<'a> Descriptor<'a> {
    /// Reads a descriptor of this layout. `None` where the bytes are fewer than it has.
    pub(super) fn read(provider: Provider, generation: Generation, bytes: &'a [u8]) -> Option<Self> {
        let layout = generation.layout(provider);
        let at = |offset: usize| {
            let mut cursor = Cursor::new(bytes);
            cursor.skip(offset)?;
            Some(cursor)
        };
        let properties = match generation {
            Generation::A => at(layout.properties)?.u16_le()?.into(),
            Generation::B | Generation::C => at(layout.properties)?.u32_le()?,
        };
        let process = at(layout.process)?.take(PROCESS_SIZE)?;
        Some(Self {
            generation,
            unique_pid: at(UNIQUE_PID)?.u64_le()?,
            start: at(START)?.u64_le()?,
            interface: at(layout.interface)?.u32_le()?,
            tcp_state: match layout.tcp_state {
                Some(offset) => Some(at(offset)?.u32_le()?),
                None => None,
            },
            pid: at(layout.pid)?.u32_le()?.cast_signed(),
            effective_pid: at(layout.effective_pid)?.u32_le()?.cast_signed(),
            local: address(at(layout.local)?.part(ADDRESS_SIZE)?),
            remote: address(at(layout.remote)?.part(ADDRESS_SIZE)?),
            process: process.split(|byte| *byte == 0).next().unwrap_or_default(),
            uuid: at(layout.uuid)?.array()?,
            effective_uuid: at(layout.effective_uuid)?.array()?,
            properties,
        })
    }

    /// Whether it is a TCP socket that waits for connections.
    pub fn is_listener(&self) -> bool {
        self.tcp_state == Some(TCPS_LISTEN) || self.properties & property::LISTENER != 0
    }
}

/// `struct sockaddr_in` or `sockaddr_in6` of BSD: length, family, then port and address in network byte order. `None` for any other
/// family: all zero stands for an address that is not set.
fn address(mut bytes: Cursor<'_>) -> Option<SocketAddr> {
    bytes.skip(1)?; // length
    let family = bytes.u8()?;
    let port = bytes.u16_be()?;
    match family {
        AF_INET => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(bytes.u32_be()?)), port)),
        AF_INET6 => {
            bytes.skip(size_of::<u32>())?; // flow information
            let address = Ipv6Addr::from(bytes.array::<16>()?);
            let scope = bytes.u32_le()?;
            Some(SocketAddr::V6(unscoped(address, port, scope)))
        }
        _ => None,
    }
}

/// Inside the kernel a link-local address carries the number of its interface in its third and fourth byte (KAME), and some
/// structures show it so.
fn unscoped(address: Ipv6Addr, port: u16, scope: u32) -> SocketAddrV6 {
    let mut segments = address.segments();
    let [0xfe80, embedded, ..] = &mut segments else { return SocketAddrV6::new(address, port, 0, scope) };
    let scope = if scope == 0 { u32::from(*embedded) } else { scope };
    *embedded = 0;
    SocketAddrV6::new(Ipv6Addr::from(segments), port, 0, scope)
}

/// Bits of [`Descriptor::properties`].
pub mod property {
    /// `NSTAT_IFNET_IS_LOOPBACK`.
    pub const LOOPBACK: u32 = 0x2;
    /// `NSTAT_SOURCE_IS_LISTENER`, since macOS 14.
    pub const LISTENER: u32 = 0x0200_0000;
    /// `NSTAT_SOURCE_IS_INBOUND`, since macOS 14: the connection was accepted.
    pub const INBOUND: u32 = 0x0400_0000;
    /// `NSTAT_SOURCE_IS_OUTBOUND`, since macOS 14: the connection was made.
    pub const OUTBOUND: u32 = 0x0800_0000;
}

/// Where the fields of a descriptor stand, in bytes from its beginning: compiled from Apple's `ntstat.h` of 17 releases of XNU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) length: usize,
    pub(super) interface: usize,
    pub(super) tcp_state: Option<usize>,
    pub(super) pid: usize,
    pub(super) effective_pid: usize,
    pub(super) local: usize,
    pub(super) remote: usize,
    pub(super) process: usize,
    pub(super) uuid: usize,
    pub(super) effective_uuid: usize,
    pub(super) properties: usize,
}

const TCP_A: Layout = Layout {
    length: 304,
    interface: 56,
    tcp_state: Some(60),
    pid: 100,
    effective_pid: 104,
    local: 108,
    remote: 136,
    process: 180,
    uuid: 244,
    effective_uuid: 260,
    properties: 296,
};

/// With `rx_transfer_size` and `tx_transfer_size` in front, and `fuuid` behind `vuuid`.
const TCP_B: Layout = Layout {
    length: 336,
    interface: 72,
    tcp_state: Some(76),
    pid: 116,
    effective_pid: 120,
    local: 124,
    remote: 152,
    process: 196,
    uuid: 260,
    effective_uuid: 276,
    properties: 328,
};

/// With `persona_id` and `uid`.
const TCP_C: Layout = Layout { length: 344, properties: 336, ..TCP_B };

const UDP_A: Layout = Layout {
    length: 256,
    interface: 112,
    tcp_state: None,
    pid: 128,
    effective_pid: 196,
    local: 56,
    remote: 84,
    process: 132,
    uuid: 200,
    effective_uuid: 216,
    properties: 248,
};

/// With `fuuid`.
const UDP_B: Layout = Layout { length: 272, properties: 264, ..UDP_A };

/// With `persona_id` and `uid`.
const UDP_C: Layout = Layout { length: 280, properties: 272, ..UDP_A };

/// Offset of `upid` in every layout.
pub(super) const UNIQUE_PID: usize = 0;
/// Offset of `start_timestamp` in every layout.
pub(super) const START: usize = 16;
/// `pname`.
pub(super) const PROCESS_SIZE: usize = 64;
/// The union of both socket addresses.
const ADDRESS_SIZE: usize = 28;
/// `AF_INET` of Darwin.
pub(super) const AF_INET: u8 = 2;
/// `AF_INET6` of Darwin.
pub(super) const AF_INET6: u8 = 30;
/// `TCPS_LISTEN` of `tcp_fsm.h`.
const TCPS_LISTEN: u32 = 1;
