//! The header, versions 1 and 2 (`bsd/net/pktap.h` of XNU).

use bytes::Buf;
use thiserror::Error;

use super::Names;
use crate::cursor::Cursor;
use crate::observation::{Direction, LinkType, Packet, PacketOwner};

/// `struct pktap_header` and `struct pktap_v2_hdr`: what macOS says about a packet, in front of the packet.
///
/// All fields are little-endian, since every Mac that has PKTAP is. Texts are bytes up to the first NUL; they may be empty.
#[doc(alias = "pktap_header")]
#[doc(alias = "pktap_v2_hdr")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Length of this header in bytes: what follows it begins here. Never more than the bytes it was read from.
    pub length: usize,
    /// What follows it.
    pub next: Next,
    /// What stands at the front of the packet; never PKTAP again.
    pub link_type: LinkType,
    /// Bytes between this header and the IP header, as the kernel counts them (`pth_frame_pre_length`); not checked.
    pub link_header_length: u32,
    /// The interface's name, at most 24 bytes.
    pub interface: &'a [u8],
    /// Which way, where it says so.
    pub direction: Option<Direction>,
    /// Owner of the socket; 0 is the kernel. `None` for −1, which stands for unknown.
    pub pid: Option<i32>,
    /// Its name, at most 17 bytes.
    pub command: &'a [u8],
    /// The process on whose behalf the owner acts. `None` for −1, and for 0, which is what a socket without a delegate has.
    pub effective_pid: Option<i32>,
    /// Its name, at most 17 bytes.
    pub effective_command: &'a [u8],
    /// The kernel's number of the flow; `None` for 0 and in the short header of macOS 10.9.
    pub flow_id: Option<u32>,
}

/// What follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// A packet.
    Packet,
    /// A packet that the kernel dropped (`droptap`): it was never sent, or never delivered.
    Dropped,
}

/// Why bytes are no PKTAP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidHeader {
    /// Fewer bytes than the shortest header has.
    #[error("{have} bytes are too few for a PKTAP header")]
    Short {
        /// How many there are.
        have: usize,
    },
    /// The length that it states is shorter than its fields, or longer than what was captured.
    #[error("a PKTAP header states a length of {length} bytes, of {have}")]
    Length {
        /// What it states.
        length: usize,
        /// How many bytes there are.
        have: usize,
    },
    /// Nothing known follows.
    #[error("a PKTAP header states that a record of type {0} follows")]
    Next(u32),
    /// Another PKTAP header follows, which no kernel writes.
    #[error("a PKTAP header states that another follows")]
    Nested,
    /// A text lies outside the header, or is no name of an interface.
    #[error("a PKTAP header has an interface or process name that cannot be one")]
    Name,
}

impl<'a> Header<'a> {
    /// Reads the header at the front of `bytes`.
    ///
    /// The checks are strict enough to tell a header from the private data that others put behind link type 149.
    ///
    /// # Errors
    /// Where the bytes can be no header.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, InvalidHeader> {
        let short = InvalidHeader::Short { have: bytes.len() };
        let mut at_flags = Cursor::new(bytes);
        at_flags.skip(FLAGS_OFFSET).ok_or(short)?;
        let flags = at_flags.u32_le().ok_or(short)?;
        let header = if flags & V2_HDR == 0 { Self::parse_v1(bytes) } else { Self::parse_v2(bytes) }?;
        match header.link_type {
            LinkType::PKTAP | LinkType::USER2 => Err(InvalidHeader::Nested),
            _ => Ok(header),
        }
    }

    /// Takes this header, which was read from its data, off a packet, and gives the packet what it says.
    pub(crate) fn take_off(&self, packet: &mut Packet, names: &mut Names) {
        packet.link_type = self.link_type;
        packet.interface = names.intern(self.interface).or_else(|| packet.interface.take());
        packet.direction = self.direction.or(packet.direction);
        packet.flow_id = self.flow_id.or(packet.flow_id);
        packet.owner = PacketOwner {
            pid: self.pid,
            name: names.intern(self.command),
            effective_pid: self.effective_pid,
            effective_name: names.intern(self.effective_command),
        };
        packet.wire_length =
            packet.wire_length.saturating_sub(u32::try_from(self.length).unwrap_or(u32::MAX));
        packet.data.advance(self.length.min(packet.data.len()));
    }

    fn parse_v1(bytes: &'a [u8]) -> Result<Self, InvalidHeader> {
        let short = InvalidHeader::Short { have: bytes.len() };
        let mut cursor = Cursor::new(bytes);
        let stated = cursor.u32_le().ok_or(short)?;
        let length = usize::try_from(stated).unwrap_or(usize::MAX);
        if !(V1_SHORTEST..=V1_LONGEST).contains(&length) || length > bytes.len() {
            return Err(InvalidHeader::Length { length, have: bytes.len() });
        }
        let next = match cursor.u32_le().ok_or(short)? {
            0 => Next::Nothing,
            1 => Next::Packet,
            2 => Next::Dropped,
            other => return Err(InvalidHeader::Next(other)),
        };
        let fields = Cursor::new(bytes).part(length).ok_or(short)?;
        let header = Self::v1_fields(fields, next).ok_or(short)?;
        if is_interface_name(header.interface) { Ok(header) } else { Err(InvalidHeader::Name) }
    }

    /// `None` where the fields run past the end, which [`V1_SHORTEST`] rules out.
    fn v1_fields(mut fields: Cursor<'a>, next: Next) -> Option<Self> {
        let length = fields.remaining();
        fields.skip(2 * size_of::<u32>())?; // pth_length, pth_type_next
        let link_type = link_type_of(fields.u32_le()?);
        let interface = until_nul(fields.take(INTERFACE_SIZE)?);
        let direction = direction_of(fields.u32_le()?);
        fields.skip(size_of::<u32>())?; // pth_protocol_family
        let link_header_length = fields.u32_le()?;
        fields.skip(size_of::<u32>())?; // pth_frame_post_length
        let pid = number_of(fields.u32_le()?);
        let command = until_nul(fields.take(COMMAND_SIZE)?);
        fields.skip(V1_EFFECTIVE_OFFSET - V1_COMMAND_OFFSET - COMMAND_SIZE)?; // ipproto, trace tag, service, iftype, unit
        let effective_pid = number_of(fields.u32_le()?).filter(|pid| *pid != 0);
        let effective_command = until_nul(fields.take(COMMAND_SIZE)?);
        fields.skip(V1_SHORTEST - V1_EFFECTIVE_OFFSET - size_of::<u32>() - COMMAND_SIZE)?; // padding
        let flow_id = fields.u32_le().filter(|id| *id != 0);
        Some(Self {
            length,
            next,
            link_type,
            link_header_length,
            interface,
            direction,
            pid,
            command,
            effective_pid,
            effective_command,
            flow_id,
        })
    }

    fn parse_v2(bytes: &'a [u8]) -> Result<Self, InvalidHeader> {
        let short = InvalidHeader::Short { have: bytes.len() };
        let length = usize::from(Cursor::new(bytes).u8().ok_or(short)?);
        if length < V2_SHORTEST || length > bytes.len() {
            return Err(InvalidHeader::Length { length, have: bytes.len() });
        }
        let fields = Cursor::new(bytes).part(length).ok_or(short)?;
        Self::v2_fields(fields).ok_or(InvalidHeader::Name)
    }

    /// `None` where a text lies outside the header or is no interface name; the fields fit, by [`V2_SHORTEST`].
    fn v2_fields(header: Cursor<'a>) -> Option<Self> {
        let mut fields = header;
        fields.skip(3)?; // length, offsets of two UUIDs
        let interface_offset = fields.u8()?;
        let command_offset = fields.u8()?;
        let effective_command_offset = fields.u8()?;
        let link_type = link_type_of(u32::from(fields.u16_le()?));
        let link_header_length = u32::from(fields.u16_le()?);
        fields.skip(3 * size_of::<u16>() + 2 * size_of::<u32>())?; // post length, iftype, ipproto; family, service
        let flow_id = Some(fields.u32_le()?).filter(|id| *id != 0);
        let pid = number_of(fields.u32_le()?);
        let effective_pid = number_of(fields.u32_le()?).filter(|pid| *pid != 0);
        let flags = fields.u32_le()?;
        let text = |offset: u8, size: usize| {
            if offset == 0 {
                return Some(&[][..]);
            }
            let mut text = header;
            text.skip(usize::from(offset))?;
            text.take(size.min(text.remaining())).map(until_nul)
        };
        Some(Self {
            length: header.remaining(),
            next: Next::Packet,
            link_type,
            link_header_length,
            interface: text(interface_offset, INTERFACE_SIZE).filter(|name| is_interface_name(name))?,
            direction: direction_of(flags),
            pid,
            command: text(command_offset, COMMAND_SIZE)?,
            effective_pid,
            effective_command: text(effective_command_offset, COMMAND_SIZE)?,
            flow_id,
        })
    }
}

/// A process number; −1 stands for unknown.
fn number_of(field: u32) -> Option<i32> {
    Some(field.cast_signed()).filter(|pid| *pid >= 0)
}

/// libpcap and tcpdump read bit 0 as inbound and bit 1 as outbound; the comments beside the constants in `pktap.h` say the reverse.
fn direction_of(flags: u32) -> Option<Direction> {
    match flags & (DIR_IN | DIR_OUT) {
        DIR_IN => Some(Direction::Inbound),
        DIR_OUT => Some(Direction::Outbound),
        _ => None,
    }
}

/// The kernel writes `DLT_` numbers and files hold `LINKTYPE_` numbers: on Darwin these differ for the few below (`dlt_to_linktype` of
/// libpcap's `pcap-common.c`).
fn link_type_of(dlt: u32) -> LinkType {
    match dlt {
        11 => LinkType(100), // RFC 1483 ATM
        12 => LinkType::RAW,
        15 => LinkType(102), // BSD/OS SLIP
        16 => LinkType(103), // BSD/OS PPP
        same => LinkType(same),
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// BSD names interfaces with ASCII letters and digits. It may be empty: the second version's may be absent.
fn is_interface_name(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_graphic)
}

/// `PTH_FLAG_DIR_IN`.
const DIR_IN: u32 = 0x1;
/// `PTH_FLAG_DIR_OUT`.
const DIR_OUT: u32 = 0x2;
/// `PTH_FLAG_V2_HDR`: the header is a `pktap_v2_hdr`.
const V2_HDR: u32 = 0x0008_0000;
/// `pth_flags` stands here in both versions.
const FLAGS_OFFSET: usize = 36;
/// `PKTAP_IFXNAMESIZE`.
const INTERFACE_SIZE: usize = 24;
/// `PKTAP_MAX_COMM_SIZE`: `MAXCOMLEN + 1`.
const COMMAND_SIZE: usize = 17;
/// Offset of `pth_comm`.
const V1_COMMAND_OFFSET: usize = 56;
/// Offset of `pth_epid`.
const V1_EFFECTIVE_OFFSET: usize = 84;
/// The header of macOS 10.9, which ends behind `pth_ecomm`; later ones have 156 bytes.
const V1_SHORTEST: usize = 108;
/// Well above the longest known: 156 bytes since macOS 10.10, and behind them, in records of drops, a reason and a function's name.
const V1_LONGEST: usize = 512;
/// The fixed fields of the second version.
const V2_SHORTEST: usize = 40;

#[cfg(test)]
mod tests;
