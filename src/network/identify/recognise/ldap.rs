//! LDAP over TCP and, connectionless, over UDP (RFC 4511, section 4.1.1; MS-ADTS, section 6.3.3).
//!
//! An `LDAPMessage` is a SEQUENCE of a message number and an operation, whose tag names what its first field must be: a version, a
//! distinguished name, a result code, an object identifier.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict, ber};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::of(&[ber::SEQUENCE]), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::of(&[ber::SEQUENCE]), recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::proven(message(stream.bytes), Protocol::Ldap)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::proven(message(datagram.bytes), Protocol::Ldap)
}

fn message(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let length = ber::tagged(&mut cursor, ber::SEQUENCE)?;
    let outside = cursor.remaining();
    ber::integer(&mut cursor)?;
    let operation = ber::header(&mut cursor)?;
    if operation.length + (outside - cursor.remaining()) > length {
        return Some(false);
    }
    Some(match operation.tag {
        BIND_REQUEST => matches!(ber::integer(&mut cursor)?, 2 | 3),
        SEARCH_REQUEST | ENTRY | MODIFY_REQUEST | ADD_REQUEST | RENAME_REQUEST | REFERENCE
        | COMPARE_REQUEST => cursor.peek()? == ber::OCTET_STRING,
        BIND_RESPONSE | SEARCH_DONE | MODIFY_RESPONSE | ADD_RESPONSE | DELETE_RESPONSE | RENAME_RESPONSE
        | COMPARE_RESPONSE | EXTENDED_RESPONSE => matches!(cursor.rest(), [ENUMERATED, 1, ..]),
        EXTENDED_REQUEST => cursor.peek()? == REQUEST_NAME,
        UNBIND_REQUEST => operation.length == 0,
        ABANDON_REQUEST => (1..=4).contains(&operation.length),
        DELETE_REQUEST => operation.length > 0,
        _ => false,
    })
}

const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
const ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const MODIFY_REQUEST: u8 = 0x66;
const MODIFY_RESPONSE: u8 = 0x67;
const ADD_REQUEST: u8 = 0x68;
const ADD_RESPONSE: u8 = 0x69;
const DELETE_REQUEST: u8 = 0x4a;
const DELETE_RESPONSE: u8 = 0x6b;
const RENAME_REQUEST: u8 = 0x6c;
const RENAME_RESPONSE: u8 = 0x6d;
const COMPARE_REQUEST: u8 = 0x6e;
const COMPARE_RESPONSE: u8 = 0x6f;
const ABANDON_REQUEST: u8 = 0x50;
const REFERENCE: u8 = 0x73;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
/// `requestName [0]` of an extended request.
const REQUEST_NAME: u8 = 0x80;
const ENUMERATED: u8 = 0x0a;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_bind_and_a_search_are_known() {
        assert_eq!(opening(&hex("300c 020101 6007 020103 0400 8000")), Some(Protocol::Ldap));
        assert_eq!(datagram(&hex("3084000000 20 020101 6384000000 10 0400")), Some(Protocol::Ldap));
    }

    #[test]
    fn an_operation_longer_than_its_message_is_none() {
        assert_eq!(opening(&hex("300c 020101 6017 020103 0400 8000")), None);
        assert_eq!(opening(&hex("300c 020101 0407 7075626c6963")), None);
    }
}
