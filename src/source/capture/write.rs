//! Packets into pcapng, with Apple's process information blocks.
//!
//! What [`Writer`] writes, tcpdump and Wireshark read, and [`super::open`] gives back as it was: time to the nanosecond, interface, link type,
//! direction, both processes with their names, and the flow number.

use std::io::{self, Write};
use std::sync::Arc;

use hashbrown::HashMap;

use super::LONGEST_FRAME;
use super::pcapng::layout::{BYTE_ORDER_MARK, LONGEST_NAME, MOST_INTERFACES, MOST_PROCESSES, code, kind};
use crate::observation::{Direction, LinkType, Packet};

/// Writes packets to a pcapng file.
///
/// A block for an interface or process stands in front of the first packet that names it. Memory is bounded: when a section has as many
/// interfaces or processes as a reader takes, a new section begins.
pub struct Writer<W: Write> {
    out: W,
    application: String,
    interfaces: HashMap<Interface, u32>,
    processes: HashMap<Process, u32>,
    /// The block in the making; kept for its memory.
    block: Vec<u8>,
}

type Interface = (LinkType, Option<Arc<str>>);
type Process = (Option<i32>, Option<Arc<str>>);

impl<W: Write> Writer<W> {
    /// Begins a file; `application` is the name and version of the program that writes it.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn new(out: W, application: impl Into<String>) -> io::Result<Self> {
        let mut writer = Self {
            out,
            application: application.into(),
            interfaces: HashMap::new(),
            processes: HashMap::new(),
            block: Vec::new(),
        };
        writer.begin_section()?;
        Ok(writer)
    }

    /// Writes one packet.
    ///
    /// # Errors
    /// Where `out` fails; and as [`io::ErrorKind::InvalidInput`], with nothing of the packet written, where pcapng cannot hold it: a time before 1970,
    /// a link type above 65535, or a frame of more than 256 KiB, which no reader takes.
    pub fn packet(&mut self, packet: &Packet) -> io::Result<()> {
        let ticks = u64::try_from(packet.time.as_nanos()).map_err(|_| invalid("a time before 1970"))?;
        let link_type = u16::try_from(packet.link_type.0).map_err(|_| invalid("a link type above 65535"))?;
        let captured = u32::try_from(packet.data.len()).ok().filter(|length| *length <= LONGEST_FRAME);
        let captured = captured.ok_or_else(|| invalid("a frame of more than 256 KiB"))?;
        if self.interfaces.len() == MOST_INTERFACES || self.processes.len() + 2 > MOST_PROCESSES {
            self.begin_section()?;
        }
        let owner = &packet.owner;
        let interface = self.interface(link_type, packet.interface.as_ref())?;
        let process = self.process(owner.pid, owner.name.as_ref())?;
        let effective_process = self.process(owner.effective_pid, owner.effective_name.as_ref())?;

        self.begin(kind::ENHANCED_PACKET);
        self.u32(interface);
        // The halves of the counter, the higher first in both byte orders.
        let [a, b, c, d, low @ ..] = ticks.to_be_bytes();
        for word in [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(low), captured, packet.wire_length]
        {
            self.u32(word);
        }
        self.padded(&packet.data);
        if let Some(direction) = packet.direction {
            let flags: u32 = match direction {
                Direction::Inbound => 1,
                Direction::Outbound => 2,
            };
            self.option(code::FLAGS, &flags.to_le_bytes());
        }
        for (code, value) in [
            (code::PROCESS, process),
            (code::EFFECTIVE_PROCESS, effective_process),
            (code::FLOW_ID, packet.flow_id),
        ] {
            if let Some(value) = value {
                self.option(code, &value.to_le_bytes());
            }
        }
        self.end_with_options()
    }

    /// Flushes, and gives back what it wrote to.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn begin_section(&mut self) -> io::Result<()> {
        self.interfaces.clear();
        self.processes.clear();
        self.begin(kind::SECTION_HEADER);
        self.u32(BYTE_ORDER_MARK);
        self.block.extend_from_slice(&[1, 0, 0, 0]); // version 1.0
        self.block.extend_from_slice(&[0xff; 8]); // the length of the section is not known
        let application = std::mem::take(&mut self.application);
        self.option(code::APPLICATION, cut(&application));
        self.application = application;
        self.end_with_options()
    }

    /// The number of an interface in this section.
    fn interface(&mut self, link_type: u16, name: Option<&Arc<str>>) -> io::Result<u32> {
        let key = (LinkType(link_type.into()), name.cloned());
        if let Some(number) = self.interfaces.get(&key) {
            return Ok(*number);
        }
        self.begin(kind::INTERFACE_DESCRIPTION);
        self.block.extend_from_slice(&link_type.to_le_bytes());
        self.block.extend_from_slice(&[0, 0]);
        self.u32(LONGEST_FRAME);
        if let Some(name) = name {
            self.option(code::INTERFACE_NAME, cut(name));
        }
        self.option(code::CLOCK_RESOLUTION, &[NANOSECONDS]);
        self.end_with_options()?;
        let number = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.interfaces.insert(key, number);
        Ok(number)
    }

    /// The number of a process in this section; `None` where there is nothing to say about it.
    fn process(&mut self, pid: Option<i32>, name: Option<&Arc<str>>) -> io::Result<Option<u32>> {
        if pid.is_none() && name.is_none() {
            return Ok(None);
        }
        let key = (pid, name.cloned());
        if let Some(number) = self.processes.get(&key) {
            return Ok(Some(*number));
        }
        self.begin(kind::PROCESS_INFORMATION);
        self.u32(pid.unwrap_or(-1).cast_unsigned());
        if let Some(name) = name {
            self.option(code::PROCESS_NAME, cut(name));
        }
        self.end_with_options()?;
        let number = u32::try_from(self.processes.len()).unwrap_or(u32::MAX);
        self.processes.insert(key, number);
        Ok(Some(number))
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.u32(kind);
        self.u32(0); // the length, once it is known
    }

    fn u32(&mut self, word: u32) {
        self.block.extend_from_slice(&word.to_le_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
        let whole = self.block.len().next_multiple_of(4);
        self.block.resize(whole, 0);
    }

    /// An option whose value has at most 65535 bytes.
    fn option(&mut self, code: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.block.extend_from_slice(&code.to_le_bytes());
        self.block.extend_from_slice(&length.to_le_bytes());
        self.padded(value);
    }

    fn end_with_options(&mut self) -> io::Result<()> {
        self.u32(code::END.into()); // with a length of zero
        let length =
            u32::try_from(self.block.len() + size_of::<u32>()).map_err(|_| invalid("a block of 4 GiB"))?;
        self.u32(length);
        if let Some(field) = self.block.get_mut(LENGTH_FIELD) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        self.out.write_all(&self.block)
    }
}

/// A name as it is read back.
fn cut(name: &str) -> &[u8] {
    name.as_bytes().get(..LONGEST_NAME).unwrap_or(name.as_bytes())
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// `if_tsresol` of a clock that counts nanoseconds.
const NANOSECONDS: u8 = 9;
/// Where a block's length stands.
const LENGTH_FIELD: std::ops::Range<usize> = 4..8;
