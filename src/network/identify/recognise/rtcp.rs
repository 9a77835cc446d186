//! RTCP (RFC 3550, section 6; RFC 4585; RFC 5761, section 4): version 2, a packet type from 200 to 207, and lengths in words that read to
//! the end of the datagram. Where SRTCP has encrypted what follows the first header, that header's own length must fit.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::range(0x80, 0xbf), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    if datagram.is_whole() && compound(datagram.bytes) == Some(true) {
        return Verdict::Match(Protocol::Rtcp);
    }
    match first(datagram) {
        Some(source) if datagram.token(Protocol::Rtcp) == Some(source) => Verdict::Match(Protocol::Rtcp),
        Some(source) => Verdict::Weak(Protocol::Rtcp, source),
        None => Verdict::No,
    }
}

fn compound(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let (_, words) = header(&mut cursor)?;
        cursor.skip(words * 4)?;
    }
    Some(bytes.len() >= SHORTEST)
}

/// The source of a first report whose length fits.
fn first(datagram: &Datagram<'_>) -> Option<u64> {
    let mut cursor = Cursor::new(datagram.bytes);
    let (kind, words) = header(&mut cursor)?;
    let source = cursor.u32_be()?;
    (matches!(kind, SENDER_REPORT | RECEIVER_REPORT | 205 | 206) && (words + 1) * 4 <= datagram.wire_length)
        .then_some(u64::from(source))
}

fn header(cursor: &mut Cursor<'_>) -> Option<(u8, usize)> {
    let flags = cursor.u8()?;
    let kind = cursor.u8()?;
    let words = usize::from(cursor.u16_be()?);
    (flags >> 6 == 2 && (SENDER_REPORT..=EXTENDED_REPORT).contains(&kind) && words >= 1)
        .then_some((kind, words))
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const EXTENDED_REPORT: u8 = 207;
/// A receiver report without blocks, in bytes.
const SHORTEST: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn reports_that_read_to_the_end_are_known() {
        assert_eq!(
            datagram(&hex("80 c9 0001 11223344 81 ca 0002 11223344 01 01 61 00")),
            Some(Protocol::Rtcp)
        );
        assert_eq!(datagram(&hex("80 c9 0001 11223344 81 ca 0003 11223344 01 01 61 00")), None);
    }
}
