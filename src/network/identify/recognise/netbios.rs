//! NetBIOS over TCP and UDP (RFC 1002): name service (section 4.2), session service (4.3) and datagram service (4.4).
//!
//! What identifies all three is a name in first-level encoding (RFC 1001, section 14.1): a length of 32 and 32 letters from `A` to
//! `P`. The name service has it after a header like that of DNS, the datagram service after its own, a session request at its start.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::range(0x81, 0x83), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::ANY, recognise: datagrams };

/// A session request alone is `netbios`; where SMB follows, its recogniser sees that, so the end is awaited.
fn streams(stream: &Stream<'_>) -> Verdict {
    let mut cursor = Cursor::new(stream.bytes);
    let requested = cursor.peek() == Some(SESSION_REQUEST) && skip_session_setup(&mut cursor).is_some();
    Verdict::when(stream.last && requested, Protocol::Netbios)
}

/// Moves past a session request or the answer to one; stays where neither stands there.
pub(super) fn skip_session_setup(cursor: &mut Cursor<'_>) -> Option<()> {
    match cursor.rest() {
        [SESSION_REQUEST, 0, 0, length, NAME_LENGTH, ..] => cursor.skip(4 + usize::from(*length)),
        [SESSION_REQUEST, ..] => None,
        [POSITIVE_RESPONSE, 0, 0, 0, ..] => cursor.skip(4),
        [NEGATIVE_RESPONSE, 0, 0, 1, ..] => cursor.skip(5),
        _ => Some(()),
    }
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    let bytes = datagram.bytes;
    Verdict::when(
        name_service(bytes) == Some(true) || datagram_service(bytes) == Some(true),
        Protocol::Netbios,
    )
}

fn name_service(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    cursor.skip(4)?;
    let records = cursor.array::<8>()?;
    // One question or one answer, and at most a few more (section 4.2.1.1).
    let plausible = matches!(records, [0, 0..=1, 0, 0..=16, 0, 0..=4, 0, 0..=4]) && records != [0; 8];
    encoded_name(&mut cursor)?;
    // A scope may follow the name, so only what ends it or begins a label is asked.
    Some(plausible && cursor.peek()? <= LONGEST_LABEL)
}

fn datagram_service(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.u8()?;
    let flags = cursor.u8()?;
    cursor.skip(8)?;
    if !(DIRECT_UNIQUE..=POSITIVE_QUERY).contains(&kind) || flags > 0x0f {
        return Some(false);
    }
    if kind <= BROADCAST {
        cursor.skip(4)?;
    } else if kind == DATAGRAM_ERROR {
        return Some(false);
    }
    encoded_name(&mut cursor)?;
    Some(true)
}

fn encoded_name(cursor: &mut Cursor<'_>) -> Option<()> {
    let length = cursor.u8()?;
    let name = cursor.take(usize::from(NAME_LENGTH))?;
    (length == NAME_LENGTH && name.iter().all(|byte| matches!(byte, b'A'..=b'P'))).then_some(())
}

const SESSION_REQUEST: u8 = 0x81;
const POSITIVE_RESPONSE: u8 = 0x82;
const NEGATIVE_RESPONSE: u8 = 0x83;
const DIRECT_UNIQUE: u8 = 0x10;
const BROADCAST: u8 = 0x12;
const DATAGRAM_ERROR: u8 = 0x13;
const POSITIVE_QUERY: u8 = 0x16;
/// Bytes of an encoded name.
const NAME_LENGTH: u8 = 32;
/// Bytes of a label, RFC 1035, section 2.3.4.
const LONGEST_LABEL: u8 = 63;

#[cfg(test)]
mod tests {
    use super::super::testing::{at_the_end, datagram, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_name_query_is_known() {
        let mut bytes = hex("1234 0110 0001 0000 0000 0000 20");
        bytes.extend([b'C'; 32]);
        bytes.extend(hex("00 0020 0001"));
        assert_eq!(datagram(&bytes), Some(Protocol::Netbios));
    }

    #[test]
    fn a_datagram_is_known_by_its_source_name() {
        let mut bytes = hex("11 02 8001 c0a80001 008a 00bb 0000 20");
        bytes.extend([b'E'; 32]);
        bytes.extend(hex("00"));
        assert_eq!(datagram(&bytes), Some(Protocol::Netbios));
        bytes[20] = b'Q';
        assert_eq!(datagram(&bytes), None);
    }

    #[test]
    fn a_session_request_waits_for_what_follows() {
        let mut bytes = hex("81000044 20");
        bytes.extend([b'C'; 67]);
        assert_eq!(opening(&bytes), None);
        assert_eq!(at_the_end(&bytes, b""), Some(Protocol::Netbios));
    }
}
