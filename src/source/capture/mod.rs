//! Packets from capture files: pcap, pcapng, and what Apple adds to both.
//!
//! [`open`] looks at the first bytes of a reader and gives a [`Source`] of packets. A record travels from the `Window` (the part of the
//! file that is in memory) through the reader of its format (`pcap`, `pcapng`), which knows the layout, to the `Account`, which takes a
//! PKTAP header off, counts what was yielded and what was not, and makes the observation. The frame's bytes are a slice of the read
//! buffer, shared and not copied. [`mod@write`] is the way back: pcapng with Apple's process blocks.
//!
//! The blocks are read by hand, with the crate's own cursor. `pcap-parser`, which serves as the second opinion of this room's tests, makes a
//! list of every packet's options on the heap, asks for a larger buffer where a file is cut off, and reports a length beyond its buffer in
//! the same way as a file that goes on; here all three need an answer of their own, and the layouts fit on a page.
//!
//! What is refused, so that a hostile or broken file costs neither memory nor time: a record longer than 256 KiB is passed over where its
//! length is credible (16 MiB at most), else reading ends there, since nothing says where the next record begins; a section has at most
//! 65,536 interfaces and 131,072 processes.
//!
//! Sources of the formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, and for Apple's blocks `pcap-ng.h` of Apple's libpcap.

mod account;
mod fields;
mod pcap;
mod pcapng;
mod window;
pub mod write;

#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::sync::Arc;

use thiserror::Error;

use self::account::Account;
use self::window::{Shortage, Window};
use super::Source;
use crate::observation::Origin;

/// Why an input cannot be read as a capture at all.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// It holds nothing.
    #[error("the input is empty")]
    Empty,
    /// It begins with no magic number of a capture.
    #[error("not a pcap or pcapng capture: it begins with {}", hex(.0))]
    Unrecognised([u8; MAGIC_BYTES]),
    /// It ends inside the header of the file.
    #[error("the capture ends at byte {0}, inside its file header")]
    Truncated(usize),
    /// The reader failed.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// Opens a capture, of whichever format; `name` stands in its report, and `origin` on its packets.
///
/// Reading is streaming: a pipe will do, and packets come as soon as they are there.
///
/// # Errors
/// Where the input is empty, no capture, or cut off or unreadable within its file header. What goes wrong later stands in the report.
pub fn open(
    reader: impl Read + Send + 'static,
    name: impl Into<Arc<str>>,
    origin: Origin,
) -> Result<Box<dyn Source + Send>, CaptureError> {
    let mut window = Window::new(Box::new(reader));
    let magic: [u8; MAGIC_BYTES] = match window.peek(MAGIC_BYTES) {
        Ok(bytes) => bytes.first_chunk().copied().ok_or(CaptureError::Empty)?,
        Err(Shortage::End { left: 0 }) => return Err(CaptureError::Empty),
        Err(shortage) => return Err(shortage.into()),
    };
    let account = Account::new(name.into(), origin);
    if magic == pcapng::MAGIC {
        return Ok(Box::new(pcapng::Reader::new(window, account)?));
    }
    let format = pcap::Format::of(magic).ok_or(CaptureError::Unrecognised(magic))?;
    Ok(Box::new(pcap::Reader::new(window, account, format)?))
}

/// Whether an input that begins with these bytes is a capture.
pub fn is_capture(prefix: &[u8]) -> bool {
    prefix.first_chunk().is_some_and(|magic| *magic == pcapng::MAGIC || pcap::Format::of(*magic).is_some())
}

impl From<Shortage> for CaptureError {
    fn from(shortage: Shortage) -> Self {
        match shortage {
            Shortage::End { left } => Self::Truncated(left),
            Shortage::Failed(error) => Self::Read(error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Length of the magic number of either format.
const MAGIC_BYTES: usize = 4;
/// The longest record, in bytes of captured frame, that is read: libpcap's `MAXIMUM_SNAPLEN`. No network that a Mac is on has longer frames.
const LONGEST_FRAME: u32 = 256 << 10;
/// The longest length that is believed: 16 MiB, as in Wireshark (`MAX_BLOCK_SIZE` of `pcapng.c`).
const CREDIBLE_LENGTH: u32 = 16 << 20;
