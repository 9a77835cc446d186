//! Captures built by hand, the laws that hold for all of them, and real ones.

mod corpus;
mod laws;
mod made;
mod packet_tap;
mod pcap;
mod pcapng;

use super::*;
use crate::observation::{Observation, Packet};
use crate::source::{Position, SourceReport};

/// What a capture yields, and what its source says of it.
struct Outcome {
    packets: Vec<Packet>,
    /// How many packets each gap says were lost.
    lost: Vec<u64>,
    report: SourceReport,
}

impl Outcome {
    /// Where the first record stands that was passed over.
    fn first_fault_at(&self) -> Option<u64> {
        self.report.faults.first().map(|fault| byte(fault.position))
    }

    /// Where reading ended before the end.
    fn ended_at(&self) -> Option<u64> {
        self.report.ended_early.as_ref().map(|fault| byte(fault.position))
    }

    /// The packets' frames.
    fn frames(&self) -> Vec<&[u8]> {
        self.packets.iter().map(|packet| &*packet.data).collect()
    }
}

fn byte(position: Position) -> u64 {
    match position {
        Position::Byte(byte) => byte,
        Position::Line(line) => panic!("a capture has no line {line}"),
    }
}

fn read_from(reader: impl Read + Send + 'static) -> Result<Outcome, CaptureError> {
    let mut source = open(reader, "test", Origin(7))?;
    let (mut packets, mut lost) = (Vec::new(), Vec::new());
    for observation in source.by_ref() {
        match observation {
            Observation::Packet(packet) => packets.push(packet),
            Observation::Gap(gap) => lost.push(gap.lost.unwrap()),
            other => panic!("a capture yields {other:?}"),
        }
    }
    assert!(source.next().is_none(), "the end stays the end");
    let report = source.report().clone();
    assert_eq!(report.observations, (packets.len() + lost.len()) as u64);
    Ok(Outcome { packets, lost, report })
}

fn read(bytes: Vec<u8>) -> Outcome {
    read_from(io::Cursor::new(bytes)).unwrap()
}

/// A reader that gives so many bytes at a time, and is interrupted in between.
struct Trickle {
    bytes: io::Cursor<Vec<u8>>,
    step: usize,
    interrupt: bool,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let step = self.step.min(buffer.len());
        self.bytes.read(&mut buffer[..step])
    }
}

fn trickle(bytes: Vec<u8>, step: usize) -> Outcome {
    read_from(Trickle { bytes: io::Cursor::new(bytes), step, interrupt: false }).unwrap()
}

#[test]
fn an_input_that_is_no_capture_is_refused() {
    assert!(matches!(read_from(io::empty()), Err(CaptureError::Empty)));
    let error = read_from(&b"{\"flow\": {}}"[..]).err().unwrap();
    assert_eq!(error.to_string(), "not a pcap or pcapng capture: it begins with 7b 22 66 6c");
    assert!(matches!(read_from(&[0xd4, 0xc3][..]), Err(CaptureError::Truncated(2))));
    assert!(matches!(read_from(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0][..]), Err(CaptureError::Truncated(6))));
    assert!(matches!(read_from(&[0x0a, 0x0d, 0x0d, 0x0a, 0][..]), Err(CaptureError::Truncated(5))));
    // The type of a section header, and no byte order mark.
    assert!(matches!(
        read_from(&[0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 1, 2, 3, 4][..]),
        Err(CaptureError::Unrecognised(_))
    ));
}

#[test]
fn a_capture_is_known_by_its_first_four_bytes() {
    assert!(is_capture(&[0xa1, 0xb2, 0x3c, 0x4d, 0]));
    assert!(is_capture(&[0x0a, 0x0d, 0x0d, 0x0a]));
    assert!(!is_capture(&[0xa1, 0xb2, 0x3c]));
    assert!(!is_capture(&[0x1f, 0x8b, 8, 0]));
}

#[test]
fn an_input_that_fails_is_used_up_to_there() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let capture = made::pcap(&[&[1, 2, 3], &[4, 5]]);
    let cut = capture.len() - 1;
    let outcome = read_from(io::Cursor::new(capture[..cut].to_vec()).chain(Failing)).unwrap();
    assert_eq!(outcome.frames(), [&[1, 2, 3]]);
    assert_eq!(
        outcome.report.ended_early.unwrap().to_string(),
        "byte 43: the input cannot be read: the disk is gone"
    );
    assert!(matches!(read_from(Failing), Err(CaptureError::Read(_))));
}
