//! Kerberos 5 (RFC 4120, section 5), over TCP behind a length of four bytes (section 7.2.2), and its password service (RFC 3244).
//!
//! An application tag of the message type, a SEQUENCE, and in it the protocol version 5 in field 0 or 1.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict, ber};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(&[0]), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser {
    opens: FirstBytes::range(AS_REQUEST, ERROR).or(FirstBytes::range(0, 5)),
    recognise: datagrams,
};

fn streams(stream: &Stream<'_>) -> Verdict {
    let mut cursor = Cursor::new(stream.bytes);
    let length = cursor.u32_be();
    let sensible = length.is_some_and(|length| (SHORTEST..LONGEST).contains(&length));
    Verdict::when(sensible && is_either(cursor), Protocol::Kerberos)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::when(is_either(Cursor::new(datagram.bytes)), Protocol::Kerberos)
}

fn is_either(cursor: Cursor<'_>) -> bool {
    is_message(cursor) == Some(true) || is_password_message(cursor) == Some(true)
}

fn is_message(mut cursor: Cursor<'_>) -> Option<bool> {
    let outer = ber::header(&mut cursor)?;
    if !(AS_REQUEST..=ERROR).contains(&outer.tag) {
        return Some(false);
    }
    ber::tagged(&mut cursor, ber::SEQUENCE)?;
    let field = ber::header(&mut cursor)?;
    let version = ber::integer(&mut cursor)?;
    Some(matches!(field.tag, 0xa0 | 0xa1) && field.length == 3 && version == 5)
}

/// RFC 3244, section 2: total length, version 1 or `ff80`, length of the AP-REQ or AP-REP that follows.
fn is_password_message(mut cursor: Cursor<'_>) -> Option<bool> {
    let total = cursor.u16_be()?;
    let version = cursor.u16_be()?;
    let ticket = cursor.u16_be()?;
    Some(matches!(version, 1 | 0xff80) && ticket < total && is_message(cursor)?)
}

const AS_REQUEST: u8 = 0x6a;
const ERROR: u8 = 0x7e;
/// Bytes of the shortest and the longest message that is believed.
const SHORTEST: u32 = 16;
const LONGEST: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn an_as_request_is_known_over_either_transport() {
        let message = "6a81d1 3081ce a103 020105 a203 02010a";
        assert_eq!(datagram(&hex(message)), Some(Protocol::Kerberos));
        assert_eq!(opening(&hex(&format!("000000d4 {message}"))), Some(Protocol::Kerberos));
        assert_eq!(datagram(&hex("6a81d1 3081ce a103 020104")), None);
    }
}
