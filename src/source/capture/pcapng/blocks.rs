//! The bodies of the blocks that are read.

use std::sync::Arc;

use thiserror::Error;

use super::super::fields::{ByteOrder, Fields};
use super::clock::Clock;
use super::layout::{LONGEST_BLOCK, LONGEST_NAME, code, kind};
use super::options::Options;
use crate::observation::{Direction, LinkType};
use crate::source::packet_tap::clean_text;

/// Why a block cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Malformed {
    /// The length does not stand at the end of the block.
    #[error("the lengths at the two ends of a block differ")]
    Trailer,
    /// Nothing that long is kept.
    #[error("block length {0} is over the limit of {LONGEST_BLOCK} bytes")]
    Long(u32),
    /// The block ends before its fields or its frame do.
    #[error("a block is too short for what it should hold")]
    Short,
}

/// An interface description.
pub(super) struct Interface {
    /// What stands at the front of its packets.
    pub(super) link_type: LinkType,
    /// Where its packets are cut, in bytes.
    pub(super) snapshot_length: usize,
    /// What its times mean.
    pub(super) clock: Clock,
    /// Its name.
    pub(super) name: Option<Arc<str>>,
    /// How many packets it is known to have lost.
    pub(super) dropped: u64,
}

/// A process information block of Apple.
pub(super) struct Process {
    /// Its number; `None` for −1.
    pub(super) pid: Option<i32>,
    /// Its name.
    pub(super) name: Option<Arc<str>>,
}

/// An interface statistics block.
pub(super) struct Statistics {
    /// Number of the interface.
    pub(super) interface: u32,
    /// When, in ticks of its clock.
    pub(super) ticks: u64,
    /// Packets lost since the capture began.
    pub(super) dropped: u64,
}

/// A packet, but for its frame.
pub(super) struct Captured {
    /// Number of the interface.
    pub(super) interface: u32,
    /// When, in ticks of the interface's clock; `None` in a simple packet.
    pub(super) ticks: Option<u64>,
    /// Where the frame begins in the block.
    pub(super) offset: usize,
    /// Length of what was captured, in bytes; in a simple packet the interface's snapshot length has yet to be applied.
    pub(super) length: usize,
    /// Length on the wire, in bytes.
    pub(super) original: u32,
    /// What the options say.
    pub(super) notes: Notes,
}

/// The options of a packet.
#[derive(Default)]
pub(super) struct Notes {
    /// Which way.
    pub(super) direction: Option<Direction>,
    /// Number of the process that owns the socket.
    pub(super) process: Option<u32>,
    /// Number of the process on whose behalf it acts.
    pub(super) effective_process: Option<u32>,
    /// Number of the flow.
    pub(super) flow_id: Option<u32>,
    /// How many packets were lost between the one before and this one, where any were.
    pub(super) dropped: Option<u64>,
}

/// What stands between the header of a whole block and its second length, read by `read`.
#[inline]
fn body<'a, T>(
    block: &'a [u8],
    order: ByteOrder,
    read: impl FnOnce(Fields<'a>) -> Option<T>,
) -> Result<T, Malformed> {
    let body = block.get(BLOCK_HEADER_BYTES..block.len().saturating_sub(size_of::<u32>()));
    body.and_then(|body| read(Fields::new(body, order))).ok_or(Malformed::Short)
}

impl Interface {
    /// Reads a whole block.
    pub(super) fn parse(block: &[u8], order: ByteOrder) -> Result<Self, Malformed> {
        body(block, order, Self::read)
    }

    fn read(mut body: Fields<'_>) -> Option<Self> {
        let link_type = LinkType(u32::from(body.u16()?));
        body.skip(size_of::<u16>())?; // reserved
        let snapshot_length = match body.u32()? {
            0 => usize::MAX, // no limit
            length => length as usize,
        };
        let order = body.order();
        let mut interface =
            Self { link_type, snapshot_length, clock: Clock::DEFAULT, name: None, dropped: 0 };
        for (code, value) in Options::new(body) {
            match code {
                code::INTERFACE_NAME => interface.name = clean_text(value, LONGEST_NAME),
                code::CLOCK_RESOLUTION => {
                    if let [resolution] = value {
                        interface.clock = interface.clock.with_resolution(*resolution);
                    }
                }
                code::CLOCK_OFFSET => {
                    if let Some(offset) = order.whole_u64(value) {
                        interface.clock = interface.clock.with_offset(offset.cast_signed());
                    }
                }
                _ => {}
            }
        }
        Some(interface)
    }
}

impl Process {
    /// Reads a whole block.
    pub(super) fn parse(block: &[u8], order: ByteOrder) -> Result<Self, Malformed> {
        body(block, order, Self::read)
    }

    fn read(mut body: Fields<'_>) -> Option<Self> {
        let pid = Some(body.u32()?.cast_signed()).filter(|pid| *pid >= 0);
        let (mut name, mut file_name) = (None, None);
        for (code, value) in Options::new(body) {
            match code {
                code::PROCESS_NAME => name = clean_text(value, LONGEST_NAME),
                code::PROCESS_PATH => {
                    let last = value.rsplit(|byte| *byte == b'/').next().unwrap_or(value);
                    file_name = clean_text(last, LONGEST_NAME);
                }
                _ => {}
            }
        }
        Some(Self { pid, name: name.or(file_name) })
    }
}

impl Statistics {
    /// Reads a whole block.
    pub(super) fn parse(block: &[u8], order: ByteOrder) -> Result<Self, Malformed> {
        body(block, order, Self::read)
    }

    fn read(mut body: Fields<'_>) -> Option<Self> {
        let interface = body.u32()?;
        let ticks = ticks(&mut body)?;
        let order = body.order();
        let dropped = Options::new(body)
            .filter(|(code, _)| matches!(*code, code::DROPPED_BY_INTERFACE | code::DROPPED_BY_SYSTEM))
            .filter_map(|(_, value)| order.whole_u64(value))
            .fold(0_u64, u64::saturating_add);
        Some(Self { interface, ticks, dropped })
    }
}

impl Captured {
    /// Reads a whole packet block of one of the three kinds.
    #[inline]
    pub(super) fn parse(block: &[u8], order: ByteOrder) -> Result<Self, Malformed> {
        match Fields::new(block, order).u32() {
            Some(kind::ENHANCED_PACKET) => body(block, order, Self::enhanced),
            Some(kind::SIMPLE_PACKET) => body(block, order, Self::simple),
            _ => body(block, order, Self::obsolete),
        }
    }

    #[inline]
    fn enhanced(mut body: Fields<'_>) -> Option<Self> {
        let interface = body.u32()?;
        let ticks = ticks(&mut body)?;
        Self::with_frame(body, interface, ticks, ENHANCED_HEADER_BYTES)
    }

    /// The block that the enhanced one replaced; all bits of its count of lost packets stand for an unknown number.
    fn obsolete(mut body: Fields<'_>) -> Option<Self> {
        let interface = u32::from(body.u16()?);
        let dropped = body.u16()?;
        let ticks = ticks(&mut body)?;
        let mut captured = Self::with_frame(body, interface, ticks, OBSOLETE_HEADER_BYTES)?;
        captured.notes.dropped = Some(dropped).filter(|lost| ![0, u16::MAX].contains(lost)).map(u64::from);
        Some(captured)
    }

    /// From the two lengths on, which both blocks have.
    #[inline]
    fn with_frame(mut body: Fields<'_>, interface: u32, ticks: u64, offset: usize) -> Option<Self> {
        let length = body.u32()? as usize;
        let original = body.u32()?;
        body.skip(length)?;
        let padding = length.wrapping_neg() % 4;
        body.skip(padding.min(body.remaining()))?;
        let notes = if body.remaining() == 0 { Notes::default() } else { Notes::parse(body) };
        Some(Self { interface, ticks: Some(ticks), offset, length, original, notes })
    }

    /// Of the first interface, without a time; the block's length alone says how much was captured.
    fn simple(mut body: Fields<'_>) -> Option<Self> {
        let original = body.u32()?;
        let length = body.remaining().min(original as usize);
        let offset = SIMPLE_HEADER_BYTES;
        Some(Self { interface: 0, ticks: None, offset, length, original, notes: Notes::default() })
    }
}

impl Notes {
    fn parse(fields: Fields<'_>) -> Self {
        let order = fields.order();
        let mut notes = Self::default();
        for (code, value) in Options::new(fields) {
            match code {
                code::FLAGS => notes.direction = order.whole_u32(value).and_then(direction),
                code::PROCESS => notes.process = order.whole_u32(value),
                code::EFFECTIVE_PROCESS => notes.effective_process = order.whole_u32(value),
                code::FLOW_ID => notes.flow_id = order.whole_u32(value).filter(|id| *id != 0),
                code::DROP_COUNT => notes.dropped = order.whole_u64(value).filter(|lost| *lost != 0),
                _ => {}
            }
        }
        notes
    }
}

/// The lowest two bits of the flags word.
fn direction(flags: u32) -> Option<Direction> {
    match flags & 0b11 {
        1 => Some(Direction::Inbound),
        2 => Some(Direction::Outbound),
        _ => None,
    }
}

/// A counter in two halves, the higher first in both byte orders.
#[inline]
fn ticks(fields: &mut Fields<'_>) -> Option<u64> {
    let (high, low) = (fields.u32()?, fields.u32()?);
    Some(u64::from(high) << 32 | u64::from(low))
}

/// Type and length.
const BLOCK_HEADER_BYTES: usize = 8;
/// Bytes in front of the frame: type, length, interface, two halves of the time, two lengths of the frame.
const ENHANCED_HEADER_BYTES: usize = 28;
/// The same, with the interface and the count of what was lost in one word.
const OBSOLETE_HEADER_BYTES: usize = 28;
/// Type, length, length on the wire.
const SIMPLE_HEADER_BYTES: usize = 12;
