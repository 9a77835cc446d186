//! pcapng: blocks in sections, each section with its byte order, its interfaces and, from Apple, its processes.

mod blocks;
mod clock;
pub(super) mod layout;
mod options;

use bytes::{Buf, Bytes};

use self::blocks::{Captured, Interface, Malformed, Notes, Process, Statistics};
use self::layout::{BYTE_ORDER_MARK, LONGEST_BLOCK, MOST_INTERFACES, MOST_PROCESSES, kind};
use super::account::{Account, Stop};
use super::fields::{ByteOrder, Fields};
use super::window::Window;
use super::{CREDIBLE_LENGTH, CaptureError, LONGEST_FRAME, MAGIC_BYTES};
use crate::cursor::Cursor;
use crate::observation::{Observation, Packet, PacketOwner, Timestamp};
use crate::source::{Source, SourceReport};

/// The first block's type, the same in both byte orders.
pub(super) const MAGIC: [u8; MAGIC_BYTES] = kind::SECTION_HEADER.to_be_bytes();

/// The source.
pub(super) struct Reader {
    window: Window,
    account: Account,
    section: Section,
    /// The packet of a block that told of a loss as well.
    behind_gap: Option<Packet>,
}

/// What holds until the next section header. An interface or process whose block could not be read keeps its number.
struct Section {
    order: ByteOrder,
    interfaces: Vec<Option<Interface>>,
    processes: Vec<Option<Process>>,
}

/// A block's place, type and size.
#[derive(Clone, Copy)]
struct Block {
    at: u64,
    kind: u32,
    /// Total length in bytes, a multiple of four.
    length: u32,
}

impl Reader {
    /// Reads as much of the first block as says that it is a section header.
    pub(super) fn new(mut window: Window, account: Account) -> Result<Self, CaptureError> {
        let order =
            byte_order(window.peek(SHORTEST_BLOCK as usize)?).ok_or(CaptureError::Unrecognised(MAGIC))?;
        Ok(Self { window, account, section: Section::new(order), behind_gap: None })
    }

    /// Reads the next block, which may hold no packet. What it tells of a loss goes before its packet.
    fn block(&mut self) -> Result<Option<Packet>, Stop> {
        let block = self.block_header()?;
        let order = self.section.order;
        match block.kind {
            kind::ENHANCED_PACKET | kind::SIMPLE_PACKET | kind::PACKET => {
                let parsed =
                    self.whole(block)?.and_then(|bytes| Ok((Captured::parse(&bytes, order)?, bytes)));
                if let Some((captured, bytes)) = self.counted(block, parsed) {
                    return Ok(self.packet(block, &captured, bytes));
                }
            }
            kind::INTERFACE_DESCRIPTION => {
                let parsed = self.whole(block)?.and_then(|bytes| Interface::parse(&bytes, order));
                let interface = self.counted(block, parsed);
                self.add_interface(block, interface);
            }
            kind::PROCESS_INFORMATION => {
                let parsed = self.whole(block)?.and_then(|bytes| Process::parse(&bytes, order));
                let process = self.counted(block, parsed);
                self.add_process(block, process);
            }
            kind::INTERFACE_STATISTICS => {
                let parsed = self.whole(block)?.and_then(|bytes| Statistics::parse(&bytes, order));
                if let Some(statistics) = self.counted(block, parsed) {
                    self.losses(block, &statistics);
                }
            }
            kind::SECTION_HEADER => {
                self.check_version(block)?;
                self.pass_over(block)?;
            }
            // Names, secrets, journals, custom blocks and whatever is invented next.
            _ => self.pass_over(block)?,
        }
        Ok(None)
    }

    /// Type and length of the next block. A section header begins the new section here, since its own length is in the order that it states.
    fn block_header(&mut self) -> Result<Block, Stop> {
        let at = self.window.position();
        let header = match self.window.peek(SHORTEST_BLOCK as usize) {
            Ok(header) => header,
            Err(shortage) => {
                return Err(self.account.stop(at, &self.window, SHORTEST_BLOCK.into(), shortage));
            }
        };
        if header.starts_with(&MAGIC) {
            let Some(order) = byte_order(header) else {
                return Err(self.account.refuse(at, "a section header has no byte order mark"));
            };
            self.section = Section::new(order);
        }
        let mut fields = Fields::new(header, self.section.order);
        let (Some(kind), Some(length)) = (fields.u32(), fields.u32()) else { return Err(Stop) };
        if !(SHORTEST_BLOCK..=CREDIBLE_LENGTH).contains(&length) || length % 4 != 0 {
            return Err(self.account.refuse(at, format!("no block has a length of {length} bytes")));
        }
        Ok(Block { at, kind, length })
    }

    /// Refuses a section of another major version than 1, of which nothing is known.
    fn check_version(&mut self, block: Block) -> Result<(), Stop> {
        let bytes = match self.window.peek(SECTION_VERSION_END) {
            Ok(bytes) => bytes,
            Err(shortage) => {
                return Err(self.account.stop(block.at, &self.window, block.length.into(), shortage));
            }
        };
        let mut fields = Fields::new(bytes, self.section.order);
        match fields.skip(SHORTEST_BLOCK as usize).and_then(|()| Some((fields.u16()?, fields.u16()?))) {
            Some((1, _)) | None => Ok(()),
            Some((major, minor)) => {
                Err(self.account.refuse(block.at, format!("version {major}.{minor} of pcapng is not known")))
            }
        }
    }

    /// Takes a whole block, of which the two lengths agree.
    fn whole(&mut self, block: Block) -> Result<Result<Bytes, Malformed>, Stop> {
        let length = block.length as usize;
        if block.length > LONGEST_BLOCK {
            self.pass_over(block)?;
            return Ok(Err(Malformed::Long(block.length)));
        }
        match self.window.peek(length) {
            Ok(_) => {}
            Err(shortage) => return Err(self.account.stop(block.at, &self.window, length as u64, shortage)),
        }
        let bytes = self.window.split(length);
        let trailer = bytes.last_chunk().map(|trailer| self.section.order.u32(*trailer));
        Ok(if trailer == Some(block.length) { Ok(bytes) } else { Err(Malformed::Trailer) })
    }

    /// Moves past a block without keeping it.
    fn pass_over(&mut self, block: Block) -> Result<(), Stop> {
        let length = u64::from(block.length);
        let trailer = self
            .window
            .skip(length - size_of::<u32>() as u64)
            .and_then(|()| Ok(self.section.order.whole_u32(self.window.peek(size_of::<u32>())?)));
        match trailer {
            Ok(trailer) if trailer != Some(block.length) => {
                self.account.skip(block.at, Malformed::Trailer.to_string());
            }
            Ok(_) => {}
            Err(shortage) => return Err(self.account.stop(block.at, &self.window, length, shortage)),
        }
        self.window.advance(size_of::<u32>());
        Ok(())
    }

    /// Counts a block that could not be read.
    #[inline]
    fn counted<T>(&mut self, block: Block, parsed: Result<T, Malformed>) -> Option<T> {
        parsed.map_err(|error| self.account.skip(block.at, error.to_string())).ok()
    }

    fn add_interface(&mut self, block: Block, interface: Option<Interface>) {
        if self.section.interfaces.len() < MOST_INTERFACES {
            self.section.interfaces.push(interface);
        } else {
            self.account
                .skip(block.at, format!("a section describes more than {MOST_INTERFACES} interfaces"));
        }
    }

    fn add_process(&mut self, block: Block, process: Option<Process>) {
        if self.section.processes.len() < MOST_PROCESSES {
            self.section.processes.push(process);
        } else {
            self.account.skip(block.at, format!("a section describes more than {MOST_PROCESSES} processes"));
        }
    }

    /// The packet of a whole block, where it can be told.
    #[inline]
    fn packet(&mut self, block: Block, captured: &Captured, bytes: Bytes) -> Option<Packet> {
        let mut data = bytes;
        data.advance(captured.offset);
        data.truncate(captured.length);
        self.check_processes(block, &captured.notes);
        let Some(interface) = self.section.interface(captured.interface) else {
            let (number, known) = (captured.interface, self.section.interfaces.len());
            self.account
                .skip(block.at, format!("a packet names interface {number}, and {known} are described"));
            return None;
        };
        let time = match captured.ticks {
            Some(ticks) => interface.clock.time(ticks),
            // A simple packet has no time: it came after the one before it.
            None => Some(self.account.latest().unwrap_or(Timestamp::EPOCH)),
        };
        let Some(time) = time else {
            self.account.skip(block.at, "a time lies outside 1677 to 2262");
            return None;
        };
        if captured.ticks.is_none() {
            data.truncate(interface.snapshot_length);
        }
        let wire_length = captured.original.max(u32::try_from(data.len()).unwrap_or(u32::MAX));
        if data.len() > LONGEST_FRAME as usize {
            let length = data.len();
            self.account
                .skip(block.at, format!("record length {length} is over the limit of {LONGEST_FRAME} bytes"));
            return None;
        }
        if wire_length > CREDIBLE_LENGTH {
            self.account.skip(
                block.at,
                format!("a frame of {wire_length} bytes is over the limit of {CREDIBLE_LENGTH}"),
            );
            return None;
        }
        let process = self.section.process(captured.notes.process);
        let effective = self.section.process(captured.notes.effective_process);
        let owner = PacketOwner {
            pid: process.and_then(|process| process.pid),
            name: process.and_then(|process| process.name.clone()),
            effective_pid: effective.and_then(|process| process.pid),
            effective_name: effective.and_then(|process| process.name.clone()),
        };
        let packet = Packet {
            time,
            origin: self.account.origin,
            interface: interface.name.clone(),
            link_type: interface.link_type,
            wire_length,
            data,
            direction: captured.notes.direction,
            owner,
            flow_id: captured.notes.flow_id,
        };
        if let Some(dropped) = captured.notes.dropped {
            self.account.gap(time, dropped);
        }
        self.account.packet(block.at, packet)
    }

    /// Counts the numbers of processes that no block has; the packet is yielded without them.
    fn check_processes(&mut self, block: Block, notes: &Notes) {
        let known = self.section.processes.len();
        for number in [notes.process, notes.effective_process].into_iter().flatten() {
            if number as usize >= known {
                self.account
                    .skip(block.at, format!("a packet names process {number}, and {known} are described"));
            }
        }
    }

    /// What an interface lost since it last said so. The counters of a statistics block run from the start of the capture.
    fn losses(&mut self, block: Block, statistics: &Statistics) {
        let number = statistics.interface;
        let interface = self.section.interfaces.get_mut(number as usize).and_then(Option::as_mut);
        let Some(interface) = interface else {
            self.account.skip(block.at, format!("statistics of interface {number}, which is not described"));
            return;
        };
        let lost = statistics.dropped.saturating_sub(interface.dropped);
        interface.dropped = interface.dropped.max(statistics.dropped);
        let time = interface.clock.time(statistics.ticks).max(self.account.latest());
        if let Some(time) = time
            && lost != 0
        {
            self.account.gap(time, lost);
        }
    }
}

impl Iterator for Reader {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        if let Some(packet) = self.behind_gap.take() {
            return Some(Observation::Packet(packet));
        }
        while self.account.report.ended_early.is_none() {
            let block = self.block();
            self.account.report.bytes = self.window.position();
            let packet = block.ok()?;
            if let Some(gap) = self.account.take_gap() {
                self.behind_gap = packet;
                return Some(Observation::Gap(gap));
            }
            if let Some(packet) = packet {
                return Some(Observation::Packet(packet));
            }
        }
        None
    }
}

impl Source for Reader {
    fn report(&self) -> &SourceReport {
        &self.account.report
    }
}

impl Section {
    fn new(order: ByteOrder) -> Self {
        Self { order, interfaces: Vec::new(), processes: Vec::new() }
    }

    fn interface(&self, number: u32) -> Option<&Interface> {
        self.interfaces.get(number as usize)?.as_ref()
    }

    fn process(&self, number: Option<u32>) -> Option<&Process> {
        self.processes.get(number? as usize)?.as_ref()
    }
}

/// The byte order of the section that a header of at least [`SHORTEST_BLOCK`] bytes opens; `None` where it opens none.
fn byte_order(header: &[u8]) -> Option<ByteOrder> {
    let mut cursor = Cursor::new(header);
    cursor.skip(2 * size_of::<u32>())?;
    let mark = cursor.array()?;
    [ByteOrder::Big, ByteOrder::Little].into_iter().find(|order| order.u32(mark) == BYTE_ORDER_MARK)
}

/// Type, length, and the length again.
const SHORTEST_BLOCK: u32 = 12;
/// Type, length, byte order mark and version of a section header.
const SECTION_VERSION_END: usize = 16;
