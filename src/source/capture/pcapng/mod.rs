//! pcapng: blocks in sections, each section with its byte order, its interfaces and, from Apple, its processes.

mod blocks;
mod clock;
pub(super) mod layout;
mod options;

use self::blocks::{Captured, Content, Interface, Process, Statistics};
use self::layout::{BYTE_ORDER_MARK, MOST_INTERFACES, MOST_PROCESSES, kind};
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
    /// The packet behind the gap that was just yielded.
    pending: Option<Observation>,
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
        Ok(Self { window, account, section: Section::new(order), pending: None })
    }

    /// The next block; `Ok(None)` where it yields nothing.
    fn block(&mut self) -> Result<Option<Observation>, Stop> {
        let block = self.block_header()?;
        if block.kind == kind::SECTION_HEADER {
            self.check_version(block)?;
            return self.pass_over(block);
        }
        if !Content::is_of(block.kind) {
            return self.pass_over(block);
        }
        if block.length > LONGEST_BLOCK {
            let length = block.length;
            self.reject(block, format!("block length {length} is over the limit of {LONGEST_BLOCK} bytes"));
            return self.pass_over(block);
        }
        let bytes = match self.window.peek(block.length as usize) {
            Ok(bytes) => bytes,
            Err(shortage) => {
                return Err(self.account.stop(block.at, &self.window, block.length.into(), shortage));
            }
        };
        match Content::parse(bytes, self.section.order) {
            Ok(Content::Packet(captured)) => return Ok(self.packet(block, &captured)),
            Ok(Content::Statistics(statistics)) => {
                self.window.advance(block.length as usize);
                return Ok(self.losses(block, &statistics));
            }
            Ok(Content::Interface(interface)) => self.add_interface(block, Some(interface)),
            Ok(Content::Process(process)) => self.add_process(block, Some(process)),
            Err(error) => self.reject(block, error.to_string()),
        }
        self.window.advance(block.length as usize);
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

    /// Moves past a block without keeping it; its length must stand at its end too.
    fn pass_over(&mut self, block: Block) -> Result<Option<Observation>, Stop> {
        let length = u64::from(block.length);
        let trailer = self
            .window
            .skip(length - size_of::<u32>() as u64)
            .and_then(|()| Ok(self.section.order.whole_u32(self.window.peek(size_of::<u32>())?)));
        match trailer {
            Ok(trailer) if trailer != Some(block.length) => {
                self.account.skip(block.at, blocks::Malformed::Trailer.to_string());
            }
            Ok(_) => {}
            Err(shortage) => return Err(self.account.stop(block.at, &self.window, length, shortage)),
        }
        self.window.advance(size_of::<u32>());
        Ok(None)
    }

    /// Counts a block that is passed over.
    fn reject(&mut self, block: Block, what: String) {
        self.account.skip(block.at, what);
        match block.kind {
            kind::INTERFACE_DESCRIPTION => self.add_interface(block, None),
            kind::PROCESS_INFORMATION => self.add_process(block, None),
            _ => {}
        }
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

    /// The packet of a block that lies whole in the window; leaves the window behind the block.
    fn packet(&mut self, block: Block, captured: &Captured) -> Option<Observation> {
        self.window.advance(captured.offset);
        let mut data = self.window.split(captured.length);
        self.window.advance(block.length as usize - captured.offset - captured.length);

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
        if data.len() > LONGEST_FRAME as usize || wire_length > CREDIBLE_LENGTH {
            self.account.skip(block.at, format!("a frame of {wire_length} bytes is over the limit"));
            return None;
        }
        let packet = Packet {
            time,
            origin: self.account.origin,
            interface: interface.name.clone(),
            link_type: interface.link_type,
            wire_length,
            data,
            direction: captured.notes.direction,
            owner: self.owner(block, captured),
            flow_id: captured.notes.flow_id,
        };
        let packet = self.account.packet(block.at, packet);
        match captured.notes.dropped {
            None => packet,
            Some(dropped) => {
                self.pending = packet;
                Some(self.account.gap(time, dropped))
            }
        }
    }

    /// The processes that a packet names by their numbers in the section. A number that no block has is counted, and the packet is
    /// yielded without that process.
    fn owner(&mut self, block: Block, captured: &Captured) -> PacketOwner {
        let mut owner = PacketOwner::default();
        if let Some(process) = self.process(block, captured.notes.process) {
            owner.pid = process.pid;
            owner.name = process.name.clone();
        }
        if let Some(process) = self.process(block, captured.notes.effective_process) {
            owner.effective_pid = process.pid;
            owner.effective_name = process.name.clone();
        }
        owner
    }

    fn process(&mut self, block: Block, number: Option<u32>) -> Option<&Process> {
        let number = number?;
        let known = self.section.processes.len();
        if number as usize >= known {
            self.account
                .skip(block.at, format!("a packet names process {number}, and {known} are described"));
        }
        self.section.processes.get(number as usize)?.as_ref()
    }

    /// What an interface lost since it last said so. The counters of a statistics block run from the start of the capture.
    fn losses(&mut self, block: Block, statistics: &Statistics) -> Option<Observation> {
        let number = statistics.interface;
        let interface = self.section.interfaces.get_mut(number as usize).and_then(Option::as_mut);
        let Some(interface) = interface else {
            self.account.skip(block.at, format!("statistics of interface {number}, which is not described"));
            return None;
        };
        let lost = statistics.dropped.saturating_sub(interface.dropped);
        interface.dropped = interface.dropped.max(statistics.dropped);
        if lost == 0 {
            return None;
        }
        let time = interface.clock.time(statistics.ticks).max(self.account.latest())?;
        Some(self.account.gap(time, lost))
    }
}

impl Iterator for Reader {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        if let Some(packet) = self.pending.take() {
            return Some(packet);
        }
        while self.account.report.ended_early.is_none() {
            let result = self.block();
            self.account.report.bytes = self.window.position();
            match result {
                Ok(Some(observation)) => return Some(observation),
                Ok(None) => {}
                Err(Stop) => break,
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
/// The longest frame, with 64 KiB for what stands around it.
const LONGEST_BLOCK: u32 = LONGEST_FRAME + (64 << 10);
