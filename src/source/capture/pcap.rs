//! pcap: one link type, one clock, a header of 16 bytes in front of each frame (draft-ietf-opsawg-pcap).

use crate::observation::{Direction, LinkType, Observation, Packet, PacketOwner, Timestamp};

use super::account::{Account, Stop, may_be_tapped};
use super::fields::{ByteOrder, Fields};
use super::window::Window;
use super::{CREDIBLE_LENGTH, CaptureError, LONGEST_FRAME, MAGIC_BYTES};
use crate::source::{Source, SourceReport};

/// What the magic number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    order: ByteOrder,
    clock: Clock,
    /// Whether records have the longer header of Alexey Kuznetzov's patched libpcap, which old Linux systems shipped.
    extended: bool,
}

/// The unit of the second word of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    Microseconds,
    Nanoseconds,
}

/// In which order the two lengths of a record stand. They changed places with version 2.3 of the format, and some writers of 2.3 did
/// not follow (`sf-pcap.c` of libpcap).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    LesserIsCaptured,
    OriginalFirst,
}

impl Clock {
    /// A fraction of a second or more is carried, as some writers count on.
    fn time(self, seconds: u32, fraction: u32) -> Timestamp {
        let nanoseconds = match self {
            Self::Microseconds => i64::from(fraction) * 1_000,
            Self::Nanoseconds => i64::from(fraction),
        };
        Timestamp::from_nanos(i64::from(seconds) * 1_000_000_000 + nanoseconds)
    }
}

impl Format {
    /// By the first four bytes of the file.
    pub(super) fn of(magic: [u8; MAGIC_BYTES]) -> Option<Self> {
        [ByteOrder::Big, ByteOrder::Little].into_iter().find_map(|order| {
            let (clock, extended) = match order.u32(magic) {
                MICROSECONDS => (Clock::Microseconds, false),
                NANOSECONDS => (Clock::Nanoseconds, false),
                EXTENDED => (Clock::Microseconds, true),
                _ => return None,
            };
            Some(Self { order, clock, extended })
        })
    }

    #[inline]
    fn time(self, header: &RecordHeader) -> Timestamp {
        self.clock.time(header.seconds, header.fraction)
    }

    fn record_header_bytes(self) -> usize {
        if self.extended { EXTENDED_RECORD_HEADER_BYTES } else { RECORD_HEADER_BYTES }
    }
}

/// The source.
pub(super) struct Reader {
    window: Window,
    account: Account,
    format: Format,
    lengths: Lengths,
    link_type: LinkType,
}

/// The header of a record.
struct RecordHeader {
    seconds: u32,
    fraction: u32,
    captured: u32,
    original: u32,
    direction: Option<Direction>,
}

impl Reader {
    /// Reads the file header.
    pub(super) fn new(mut window: Window, account: Account, format: Format) -> Result<Self, CaptureError> {
        let (lengths, link_type) =
            file_header(window.peek(FILE_HEADER_BYTES)?, format.order).ok_or(CaptureError::Truncated(0))?;
        window.advance(FILE_HEADER_BYTES);
        Ok(Self { window, account, format, lengths, link_type })
    }

    /// Moves to the frame of the next record, all of which is in the window then; `None` where the record is passed over.
    #[inline]
    fn record(&mut self) -> Result<Option<RecordHeader>, Stop> {
        let at = self.window.position();
        let header_bytes = self.format.record_header_bytes();
        let header = match self.window.peek(header_bytes) {
            Ok(bytes) => {
                record_header(Fields::new(bytes, self.format.order), self.lengths, self.format.extended)
            }
            Err(shortage) => return Err(self.account.stop(at, &self.window, header_bytes as u64, shortage)),
        };
        let Some(header) = header else { return Err(Stop) };
        if header.captured > LONGEST_FRAME {
            return self.pass_over(at, header.captured).map(|()| None);
        }
        let record_bytes = header_bytes + header.captured as usize;
        if let Err(shortage) = self.window.peek(record_bytes) {
            return Err(self.account.stop(at, &self.window, record_bytes as u64, shortage));
        }
        let wire_length = header.wire_length();
        if wire_length > CREDIBLE_LENGTH {
            self.window.advance(record_bytes);
            self.account
                .skip(at, format!("a frame of {wire_length} bytes is over the limit of {CREDIBLE_LENGTH}"));
            return Ok(None);
        }
        self.window.advance(header_bytes);
        Ok(Some(header))
    }

    /// The packet of a record whose frame lies ahead.
    #[inline]
    fn packet(&mut self, header: &RecordHeader) -> Packet {
        Packet {
            time: self.format.time(header),
            origin: self.account.origin,
            interface: None,
            link_type: self.link_type,
            wire_length: header.wire_length(),
            data: self.window.split(header.captured as usize),
            direction: header.direction,
            owner: PacketOwner::default(),
            flow_id: None,
        }
    }

    /// A record that is too long: passed over where its length is credible.
    #[cold]
    fn pass_over(&mut self, at: u64, captured: u32) -> Result<(), Stop> {
        let what = format!("record length {captured} is over the limit of {LONGEST_FRAME} bytes");
        if captured > CREDIBLE_LENGTH {
            return Err(self.account.refuse(at, what));
        }
        let record_bytes = self.format.record_header_bytes() as u64 + u64::from(captured);
        match self.window.skip(record_bytes) {
            Ok(()) => {
                self.account.skip(at, what);
                Ok(())
            }
            Err(shortage) => Err(self.account.stop(at, &self.window, record_bytes, shortage)),
        }
    }
}

impl Iterator for Reader {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        while self.account.report.ended_early.is_none() {
            let at = self.window.position();
            let record = self.record();
            self.account.report.bytes = self.window.position();
            let Some(header) = record.ok()? else { continue };
            self.account.report.bytes += u64::from(header.captured);
            if may_be_tapped(self.link_type) {
                let packet = self.packet(&header);
                if let Some(packet) = self.account.packet(at, packet) {
                    return Some(Observation::Packet(packet));
                }
                continue;
            }
            self.account.count(self.format.time(&header));
            // Built where it goes: moving it there would take longer than filling it in.
            return Some(Observation::Packet(self.packet(&header)));
        }
        None
    }
}

impl Source for Reader {
    fn report(&self) -> &SourceReport {
        &self.account.report
    }
}

impl RecordHeader {
    #[inline]
    fn wire_length(&self) -> u32 {
        self.original.max(self.captured)
    }
}

fn file_header(bytes: &[u8], order: ByteOrder) -> Option<(Lengths, LinkType)> {
    let mut fields = Fields::new(bytes, order);
    fields.skip(MAGIC_BYTES)?;
    let version = (fields.u16()?, fields.u16()?);
    fields.skip(3 * size_of::<u32>())?; // zone and accuracy, never used, and the length at which frames were cut
    let link_type = LinkType(fields.u32()? & LINK_TYPE_MASK);
    let lengths = match version {
        (2, 0..=2) => Lengths::OriginalFirst,
        (2, 3) => Lengths::LesserIsCaptured,
        _ => Lengths::CapturedFirst,
    };
    Some((lengths, link_type))
}

fn record_header(mut fields: Fields<'_>, lengths: Lengths, extended: bool) -> Option<RecordHeader> {
    let (seconds, fraction) = (fields.u32()?, fields.u32()?);
    let (first, second) = (fields.u32()?, fields.u32()?);
    let (captured, original) = match lengths {
        Lengths::OriginalFirst => (second, first),
        Lengths::LesserIsCaptured => (first.min(second), first.max(second)),
        Lengths::CapturedFirst => (first, second),
    };
    let mut direction = None;
    if extended {
        fields.skip(size_of::<u32>() + size_of::<u16>())?; // number of the interface, EtherType
        direction = match fields.u8()? {
            PACKET_HOST..=PACKET_MULTICAST => Some(Direction::Inbound),
            PACKET_OUTGOING => Some(Direction::Outbound),
            _ => None,
        };
    }
    Some(RecordHeader { seconds, fraction, captured, original, direction })
}

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// `KUZNETZOV_TCPDUMP_MAGIC` of libpcap.
const EXTENDED: u32 = 0xa1b2_cd34;
const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const EXTENDED_RECORD_HEADER_BYTES: usize = 24;
/// The link type shares its word with the length of the frame check sequence (`LT_LINKTYPE` of libpcap).
const LINK_TYPE_MASK: u32 = 0x03ff_ffff;
/// Packet types of Linux (`linux/if_packet.h`): to this host, to all, to a group; another host's is 3.
const PACKET_HOST: u8 = 0;
const PACKET_MULTICAST: u8 = 2;
const PACKET_OUTGOING: u8 = 4;
