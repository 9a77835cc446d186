//! What one `read` of `/dev/bpf` gives: records, each with its header.

use thiserror::Error;

use crate::cursor::Cursor;
use crate::observation::Timestamp;

/// One record: `struct bpf_hdr` and what follows it.
#[doc(alias = "bpf_hdr")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When the packet passed, by the wall clock; microseconds.
    pub time: Timestamp,
    /// Length before it was cut, in bytes, PKTAP header included.
    pub original_length: u32,
    /// As much as was captured, PKTAP header included.
    pub data: &'a [u8],
}

/// Nothing says where the next record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a BPF record at byte {at} states a header of {header} and {captured} captured bytes, of {have}")]
pub struct InvalidRecord {
    /// Where it begins in the buffer.
    pub at: usize,
    /// Its header's length, as it states it.
    pub header: u16,
    /// How many bytes follow, as it states it.
    pub captured: u32,
    /// How many bytes there are from its beginning on.
    pub have: usize,
}

/// The records of one buffer. After one that is invalid there are no more.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: Cursor<'a>,
    length: usize,
}

impl<'a> Records<'a> {
    /// Of what one `read` gave.
    pub fn new(buffer: &'a [u8]) -> Self {
        Self { rest: Cursor::new(buffer), length: buffer.len() }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, InvalidRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let have = self.rest.remaining();
        let at = self.length.saturating_sub(have);
        let Some(header) = Header::read(self.rest) else {
            self.rest.take_rest();
            return Some(Err(InvalidRecord { at, header: 0, captured: 0, have }));
        };
        let record = header.record(&mut self.rest);
        if record.is_none() {
            self.rest.take_rest();
        }
        let Header { length, captured, .. } = header;
        Some(record.ok_or(InvalidRecord { at, header: length, captured, have }))
    }
}

/// The fields of `struct bpf_hdr` on 64-bit systems, whose time has 32 bits each for seconds and microseconds.
#[derive(Debug, Clone, Copy)]
struct Header {
    seconds: i32,
    microseconds: u32,
    captured: u32,
    original: u32,
    /// Length of the header as the kernel padded it: with PKTAP 20 bytes, so that what follows the PKTAP header is aligned.
    length: u16,
}

impl Header {
    fn read(mut bytes: Cursor<'_>) -> Option<Self> {
        Some(Self {
            seconds: bytes.u32_le()?.cast_signed(),
            microseconds: bytes.u32_le()?,
            captured: bytes.u32_le()?,
            original: bytes.u32_le()?,
            length: bytes.u16_le()?,
        })
    }

    /// The record whose header this is, which `bytes` begins with; moves to the next one.
    fn record<'a>(self, bytes: &mut Cursor<'a>) -> Option<Record<'a>> {
        let length = usize::from(self.length);
        if length < HEADER_LENGTH {
            return None;
        }
        let captured = usize::try_from(self.captured).ok()?;
        let mut rest = *bytes;
        rest.skip(length)?;
        let data = rest.take(captured)?;
        // `BPF_WORDALIGN`; behind the last record there may be no padding.
        let unpadded = length.checked_add(captured)?;
        let padding = unpadded.next_multiple_of(ALIGNMENT) - unpadded;
        rest.skip(padding.min(rest.remaining()))?;
        *bytes = rest;
        let nanos = self.microseconds.min(LAST_MICROSECOND) * NANOS_PER_MICROSECOND;
        Some(Record {
            time: Timestamp::from_seconds(self.seconds.into(), nanos),
            original_length: self.original,
            data,
        })
    }
}

/// `SIZEOF_BPF_HDR`: up to the end of the last field.
const HEADER_LENGTH: usize = 18;
/// `BPF_ALIGNMENT`: `sizeof(int32_t)`.
const ALIGNMENT: usize = 4;
const LAST_MICROSECOND: u32 = 999_999;
const NANOS_PER_MICROSECOND: u32 = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Header as Tap, Next};
    use super::*;
    use crate::observation::{Direction, LinkType};

    /// A record as the kernel pads it, with a header of `header` bytes.
    pub(crate) fn record(seconds: u32, header: u16, original: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let captured = u32::try_from(data.len()).unwrap();
        for word in [seconds, 250_000, captured, original] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&header.to_le_bytes());
        bytes.resize(usize::from(header), 0xee);
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0xee);
        bytes
    }

    #[test]
    fn the_vector_holds_four_packets_with_their_processes() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/reference/vectors/pktap_bpf_read.hex");
        let Ok(digits) = std::fs::read_to_string(path) else {
            println!("skipped: the vector is not at hand");
            return;
        };
        let buffer = hex::decode(digits.split_whitespace().collect::<String>()).unwrap();
        let read: Vec<_> = Records::new(&buffer)
            .map(|record| {
                let tap = Tap::parse(record.unwrap().data).unwrap();
                assert_eq!((tap.length, tap.next), (156, Next::Packet));
                (tap.interface, tap.link_type, tap.direction, tap.pid, tap.effective_pid)
            })
            .collect();
        let (ethernet, null) = (LinkType::ETHERNET, LinkType::NULL);
        assert_eq!(read[0], (&b"en0"[..], ethernet, Some(Direction::Outbound), Some(4_242), None));
        assert_eq!(read[1].0, b"en0");
        assert_eq!((read[2].0, read[2].1, read[2].3), (&b"lo0"[..], null, None));
        assert_eq!((read[3].0, read[3].1), (&b"utun3"[..], null));
        assert!(read[3].4.is_some());
        assert_eq!(read.len(), 4);
    }

    #[test]
    fn the_headers_own_length_counts_and_padding_is_skipped() {
        let buffer =
            [record(7, 20, 1_514, b"abcde"), record(8, 28, 3, b"xyz"), record(9, 18, 4, b"last")].concat();
        let read: Vec<_> = Records::new(&buffer).map(Result::unwrap).collect();
        let data: Vec<_> = read.iter().map(|record| record.data).collect();
        assert_eq!(data, [&b"abcde"[..], b"xyz", b"last"]);
        assert_eq!(read[0].time, Timestamp::from_seconds(7, 250_000_000));
        assert_eq!(read[0].original_length, 1_514);
    }

    #[test]
    fn a_last_record_without_padding_is_read() {
        let mut buffer = record(7, 20, 5, b"abcde");
        buffer.truncate(25);
        assert_eq!(Records::new(&buffer).next().unwrap().unwrap().data, b"abcde");
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_buffer() {
        for (header, captured) in [(17, 4), (0, 0), (20, 2_000), (20, u32::MAX), (u16::MAX, 4)] {
            let mut buffer =
                [record(7, 20, 1, b"a"), record(8, 20, 4, b"data"), record(9, 20, 1, b"b")].concat();
            buffer[24 + 8..24 + 12].copy_from_slice(&captured.to_le_bytes());
            buffer[24 + 16..24 + 18].copy_from_slice(&header.to_le_bytes());
            let mut records = Records::new(&buffer);
            assert!(records.next().unwrap().is_ok());
            assert_eq!(records.next(), Some(Err(InvalidRecord { at: 24, header, captured, have: 48 })));
            assert_eq!(records.next(), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_and_nothing_else(
            records in prop::collection::vec((any::<u32>(), 18_u16..40, prop::collection::vec(any::<u8>(), 0..80)), 0..8),
            cut: prop::sample::Index,
        ) {
            let packed: Vec<_> = records.iter().map(|(time, header, data)| record(*time, *header, 9, data)).collect();
            let buffer = packed.concat();
            let read: Vec<_> = Records::new(&buffer).map(|record| record.unwrap().data.to_vec()).collect();
            prop_assert_eq!(&read, &records.iter().map(|(_, _, data)| data.clone()).collect::<Vec<_>>());
            let cut = &buffer[..cut.index(buffer.len() + 1)];
            let whole: Vec<_> = Records::new(cut).filter_map(Result::ok).map(|record| record.data.to_vec()).collect();
            prop_assert_eq!(&read[..whole.len()], &whole[..]);
        }

        #[test]
        fn foreign_bytes_end(bytes: Vec<u8>) {
            prop_assert!(Records::new(&bytes).count() <= bytes.len() / HEADER_LENGTH + 1);
        }
    }
}
