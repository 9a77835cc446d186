//! Messages of the control, both ways.

use thiserror::Error;

use super::descriptor::{Descriptor, Generation};
use crate::cursor::Cursor;

/// The kinds of source that the kernel tells of (`nstat_provider_id_t`).
#[doc(alias = "nstat_provider_id_t")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// TCP sockets of the kernel's own stack.
    TcpKernel,
    /// TCP flows of stacks in user space (Network.framework over Skywalk).
    TcpUserland,
    /// UDP sockets of the kernel's own stack.
    UdpKernel,
    /// UDP flows of stacks in user space.
    UdpUserland,
    /// QUIC connections of Network.framework.
    QuicUserland,
    /// Any other; tidemark does not ask for it.
    Other(u32),
}

impl Provider {
    /// Those that tidemark asks for, the one that must be there first.
    pub const FOLLOWED: [Self; 5] =
        [Self::TcpKernel, Self::TcpUserland, Self::UdpKernel, Self::UdpUserland, Self::QuicUserland];

    /// Its number.
    pub const fn number(self) -> u32 {
        match self {
            Self::TcpKernel => 2,
            Self::TcpUserland => 3,
            Self::UdpKernel => 4,
            Self::UdpUserland => 5,
            Self::QuicUserland => 8,
            Self::Other(number) => number,
        }
    }

    /// Whether its sources are described as UDP sockets.
    pub const fn is_datagram(self) -> bool {
        matches!(self, Self::UdpKernel | Self::UdpUserland)
    }
}

impl From<u32> for Provider {
    fn from(number: u32) -> Self {
        Self::FOLLOWED.into_iter().find(|known| known.number() == number).unwrap_or(Self::Other(number))
    }
}

/// What is asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// `NSTAT_MSG_TYPE_ADD_ALL_SRCS`: tells of every source of a provider, those that exist and those to come.
    AddAll {
        /// Names the request in its answer.
        context: u64,
        /// Of which kind.
        provider: Provider,
    },
    /// `NSTAT_MSG_TYPE_GET_UPDATE` of all sources, in parts: as long as the answer says that there is more, the same request with
    /// the same context fetches it.
    Poll {
        /// Names the request in its answer.
        context: u64,
    },
}

impl Request {
    /// The message, in the byte order of every Mac.
    pub fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ADD_ALL_LENGTH);
        match self {
            Self::AddAll { context, provider } => {
                put_header(&mut bytes, context, kind::ADD_ALL, ADD_ALL_LENGTH, 0);
                bytes.extend_from_slice(&FILTER.to_le_bytes());
                bytes.extend_from_slice(&EVENTS.to_le_bytes());
                bytes.extend_from_slice(&provider.number().to_le_bytes());
                // The process and the UUID that a filter may name, and this one does not.
                bytes.resize(ADD_ALL_LENGTH, 0);
            }
            Self::Poll { context } => {
                put_header(&mut bytes, context, kind::GET_UPDATE, GET_UPDATE_LENGTH, flag::CONTINUATION);
                bytes.extend_from_slice(&ALL_SOURCES.to_le_bytes());
            }
        }
        bytes
    }
}

/// What the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A request was carried out.
    Success {
        /// Of which request.
        context: u64,
        /// Whether the same request is to be sent again for the rest.
        is_partial: bool,
    },
    /// A request was refused.
    Error {
        /// Of which request.
        context: u64,
        /// An `errno` of Darwin.
        errno: u32,
    },
    /// A source came; nothing is known of it but its kind.
    Added {
        /// Names the source.
        source: u64,
        /// Its kind.
        provider: Provider,
    },
    /// A source is gone.
    Removed {
        /// Names the source.
        source: u64,
        /// Its last counts could not be delivered (`NSTAT_MSG_HDR_FLAG_CLOSED_AFTER_DROP`).
        after_drop: bool,
    },
    /// Counts alone.
    Counts {
        /// Names the source.
        source: u64,
        /// What it has moved.
        counts: Counts,
    },
    /// A description alone.
    Described {
        /// Names the source.
        source: u64,
        /// Its kind.
        provider: Provider,
        /// What it is.
        descriptor: Descriptor<'a>,
    },
    /// Counts and description.
    Update {
        /// Names the source.
        source: u64,
        /// Whether these are its last counts.
        is_closing: bool,
        /// What happened to it ([`event`]).
        events: u64,
        /// What it has moved.
        counts: Counts,
        /// Its kind.
        provider: Provider,
        /// What it is.
        descriptor: Descriptor<'a>,
        /// The domain name that the process gave its connection, where it did; at most 256 bytes.
        domain: &'a [u8],
    },
    /// A message that tidemark has no use for.
    Other,
}

/// `nstat_counts`, as far as it is used: transport payload in bytes and packets, cumulative since the source came.
#[doc(alias = "nstat_counts")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets received.
    pub packets_in: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// Bytes sent, those that were sent again included.
    pub bytes_out: u64,
}

impl Counts {
    /// What each counter has above an earlier value.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            packets_in: self.packets_in.saturating_sub(earlier.packets_in),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            packets_out: self.packets_out.saturating_sub(earlier.packets_out),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
        }
    }
}

/// Why a message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// The length that a message states is shorter than its header, or longer than what was received: what follows is lost.
    #[error("a message states a length of {length} bytes, of {have}")]
    Length {
        /// What it states.
        length: usize,
        /// How many bytes there are.
        have: usize,
    },
    /// A known message is shorter than its fields.
    #[error("a message of type {0} is too short")]
    Short(u32),
    /// A description has a length that no known version of macOS gives it.
    #[error("the descriptor of provider {provider} has an unknown layout of {length} bytes")]
    Layout {
        /// Number of the provider.
        provider: u32,
        /// Length of the descriptor and what follows it.
        length: usize,
    },
}

/// The messages of one datagram: the kernel packs several into one.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: Cursor<'a>,
}

impl<'a> Messages<'a> {
    /// Of what one call of `recv` gave.
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: Cursor::new(datagram) }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let have = self.rest.remaining();
        let header = Header::read(&mut self.rest.clone());
        let length = header.map_or(have, |header| usize::from(header.length));
        let whole = if length >= HEADER_LENGTH { self.rest.part(length) } else { None };
        match (header, whole) {
            (Some(header), Some(message)) => Some(header.message(message)),
            _ => {
                self.rest.take_rest();
                Some(Err(Fault::Length { length, have }))
            }
        }
    }
}

/// `nstat_msg_hdr`.
#[derive(Debug, Clone, Copy)]
struct Header {
    context: u64,
    kind: u32,
    length: u16,
    flags: u16,
}

impl Header {
    fn read(bytes: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            context: bytes.u64_le()?,
            kind: bytes.u32_le()?,
            length: bytes.u16_le()?,
            flags: bytes.u16_le()?,
        })
    }

    /// Reads the message that this header stands in front of.
    fn message(self, message: Cursor<'_>) -> Result<Message<'_>, Fault> {
        let mut body = message;
        let short = Fault::Short(self.kind);
        body.skip(HEADER_LENGTH).ok_or(short)?;
        match self.kind {
            kind::UPDATE | kind::EXTENDED_UPDATE => return self.update(body),
            kind::DESCRIPTION => return self.description(body),
            _ => {}
        }
        self.fixed(&mut body).ok_or(short)
    }

    /// The messages without a descriptor. `None` where one is shorter than its fields.
    fn fixed<'a>(self, body: &mut Cursor<'_>) -> Option<Message<'a>> {
        Some(match self.kind {
            kind::SUCCESS => {
                Message::Success { context: self.context, is_partial: self.has(flag::CONTINUATION) }
            }
            kind::ERROR => Message::Error { context: self.context, errno: body.u32_le()? },
            kind::ADDED => Message::Added { source: body.u64_le()?, provider: body.u32_le()?.into() },
            kind::REMOVED => {
                Message::Removed { source: body.u64_le()?, after_drop: self.has(flag::CLOSED_AFTER_DROP) }
            }
            kind::COUNTS => {
                let source = body.u64_le()?;
                body.skip(size_of::<u64>())?; // what happened
                Message::Counts { source, counts: counts(body)? }
            }
            _ => Message::Other,
        })
    }

    fn description(self, mut body: Cursor<'_>) -> Result<Message<'_>, Fault> {
        let short = Fault::Short(self.kind);
        let source = body.u64_le().ok_or(short)?;
        body.skip(size_of::<u64>()).ok_or(short)?; // what happened
        let provider = Provider::from(body.u32_le().ok_or(short)?);
        body.skip(size_of::<u32>()).ok_or(short)?; // padding
        let Provider::Other(_) = provider else {
            let descriptor = described(provider, body.take_rest())?;
            return Ok(Message::Described { source, provider, descriptor });
        };
        Ok(Message::Other)
    }

    fn update(self, mut body: Cursor<'_>) -> Result<Message<'_>, Fault> {
        let short = Fault::Short(self.kind);
        let source = body.u64_le().ok_or(short)?;
        let events = body.u64_le().ok_or(short)?;
        let counts = counts(&mut body).ok_or(short)?;
        let provider = Provider::from(body.u32_le().ok_or(short)?);
        body.skip(size_of::<u32>()).ok_or(short)?; // padding
        if let Provider::Other(_) = provider {
            return Ok(Message::Other);
        }
        let rest = body.take_rest();
        let (descriptor, domain) = if self.kind == kind::EXTENDED_UPDATE {
            extended(provider, rest)?
        } else {
            (described(provider, rest)?, &[][..])
        };
        let is_closing = self.has(flag::CLOSING);
        Ok(Message::Update { source, is_closing, events, counts, provider, descriptor, domain })
    }

    fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// A descriptor with nothing behind it: its length says which it is.
fn described(provider: Provider, bytes: &[u8]) -> Result<Descriptor<'_>, Fault> {
    let layout = Fault::Layout { provider: provider.number(), length: bytes.len() };
    let mut generations = Generation::ALL.into_iter();
    let generation =
        generations.find(|generation| generation.length(provider) == bytes.len()).ok_or(layout)?;
    Descriptor::read(provider, generation, bytes).ok_or(layout)
}

/// A descriptor with extensions behind it. Its own length is not told; but only behind the right one a chain of extensions begins that
/// ends where the message ends.
fn extended(provider: Provider, bytes: &[u8]) -> Result<(Descriptor<'_>, &[u8]), Fault> {
    let layout = Fault::Layout { provider: provider.number(), length: bytes.len() };
    Generation::ALL
        .into_iter()
        .find_map(|generation| {
            let (descriptor, extensions) = bytes.split_at_checked(generation.length(provider))?;
            let domain = domain_in(Cursor::new(extensions))?;
            Some((Descriptor::read(provider, generation, descriptor)?, domain))
        })
        .ok_or(layout)
}

/// The domain name in a chain of extensions, empty where it holds none; `None` where these bytes are no such chain.
fn domain_in(mut extensions: Cursor<'_>) -> Option<&[u8]> {
    let mut domain = &[][..];
    let mut count = 0;
    while !extensions.is_empty() {
        let kind = extensions.u32_le()?;
        let length = usize::try_from(extensions.u32_le()?).ok()?;
        if !(1..=LAST_EXTENSION).contains(&kind) {
            return None;
        }
        let body = extensions.take(length)?;
        // The last one may be padded or not.
        let padding = length.next_multiple_of(EXTENSION_ALIGNMENT) - length;
        extensions.skip(padding.min(extensions.remaining()))?;
        if kind == DOMAIN_EXTENSION {
            let name = body.get(..DOMAIN_SIZE)?;
            domain = name.split(|byte| *byte == 0).next().unwrap_or_default();
        }
        count += 1;
    }
    (count > 0).then_some(domain)
}

fn counts(body: &mut Cursor<'_>) -> Option<Counts> {
    let mut bytes = body.part(COUNTS_LENGTH)?;
    Some(Counts {
        packets_in: bytes.u64_le()?,
        bytes_in: bytes.u64_le()?,
        packets_out: bytes.u64_le()?,
        bytes_out: bytes.u64_le()?,
    })
}

pub(super) fn put_header(bytes: &mut Vec<u8>, context: u64, kind: u32, length: usize, flags: u16) {
    bytes.extend_from_slice(&context.to_le_bytes());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(&flags.to_le_bytes());
}

/// `NSTAT_MSG_TYPE_*` of XNU's `ntstat.h`.
pub(super) mod kind {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const ERROR: u32 = 1;
    pub(crate) const ADD_ALL: u32 = 1_002;
    pub(crate) const GET_UPDATE: u32 = 1_007;
    pub(crate) const ADDED: u32 = 10_001;
    pub(crate) const REMOVED: u32 = 10_002;
    pub(crate) const DESCRIPTION: u32 = 10_003;
    pub(crate) const COUNTS: u32 = 10_004;
    pub(crate) const UPDATE: u32 = 10_006;
    pub(crate) const EXTENDED_UPDATE: u32 = 10_007;
}

/// `NSTAT_MSG_HDR_FLAG_*`.
pub(super) mod flag {
    pub(crate) const CONTINUATION: u16 = 2;
    pub(crate) const CLOSING: u16 = 4;
    pub(crate) const CLOSED_AFTER_DROP: u16 = 8;
}

/// `NSTAT_EVENT_SRC_*`: what happened to a source.
pub mod event {
    /// A TCP connection was asked for by this Mac. Since macOS 14.
    pub const FLOW_STATE_OUTBOUND: u64 = 0x2000;
}

/// `NSTAT_FILTER_*` that every request for sources sets: no message for a source that nothing is known of
/// (`SUPPRESS_SRC_ADDED`, which also makes a client of updates of us, so that a source that goes says its last counts with its
/// description); and the domain extension (`1 << (type + 40)`), which the kernel gives to root.
const FILTER: u64 = 0x10_0000 | 0x0200_0000_0000;
/// `NSTAT_EVENT_SRC_*` that every request for sources asks to be told of at once.
const EVENTS: u64 = event::FLOW_STATE_OUTBOUND;
/// `NSTAT_SRC_REF_ALL`.
const ALL_SOURCES: u64 = u64::MAX;
/// `NSTAT_EXTENDED_UPDATE_TYPE_DOMAIN`.
pub(super) const DOMAIN_EXTENSION: u32 = 1;
/// The last `NSTAT_EXTENDED_UPDATE_TYPE_*` of macOS 26 (6), and room for what a later one adds.
const LAST_EXTENSION: u32 = 32;
/// Extensions begin at multiples of this, in bytes.
pub(super) const EXTENSION_ALIGNMENT: usize = 8;
/// `domain_name` of `nstat_domain_info`, in bytes.
const DOMAIN_SIZE: usize = 256;
/// `sizeof(nstat_msg_hdr)`.
pub(super) const HEADER_LENGTH: usize = 16;
/// `sizeof(nstat_counts)`.
pub(super) const COUNTS_LENGTH: usize = 112;
/// `sizeof(nstat_msg_add_all_srcs)`.
const ADD_ALL_LENGTH: usize = 56;
/// `sizeof(nstat_msg_query_src_req)`.
const GET_UPDATE_LENGTH: usize = 24;
