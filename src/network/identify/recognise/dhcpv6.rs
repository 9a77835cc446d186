//! DHCPv6 (RFC 8415, sections 8, 9 and 21): a message type from 1 to 11 and options that read to the end, the first of which is one
//! that such a message begins with; or a relay's message with its two addresses and the relayed message among its options.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::range(1, 13), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::when(datagram.is_whole() && message(datagram.bytes) == Some(true), Protocol::Dhcpv6)
}

fn message(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let relay = cursor.u8()? >= RELAY_FORWARD;
    if relay {
        let hops = cursor.u8()?;
        cursor.skip(32)?;
        if hops > MOST_HOPS {
            return Some(false);
        }
    } else {
        cursor.skip(3)?;
    }
    let mut telling = false;
    let mut count = 0;
    while !cursor.is_empty() {
        let option = cursor.u16_be()?;
        let length = usize::from(cursor.u16_be()?);
        let body = cursor.take(length)?;
        if option == 0 || option > LAST_OPTION {
            return Some(false);
        }
        count += 1;
        telling |= match option {
            // An identifier of a client or a server starts with its type (section 11).
            CLIENT_ID | SERVER_ID => matches!(body, [0, 1..=4, _, _, ..]),
            RELAYED => relay && body.first().is_some_and(|kind| (1..=13).contains(kind)),
            ELAPSED_TIME | OPTION_REQUEST => length >= 2 && length % 2 == 0 && count > 1,
            _ => false,
        };
    }
    Some(telling)
}

const RELAY_FORWARD: u8 = 12;
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const OPTION_REQUEST: u16 = 6;
const ELAPSED_TIME: u16 = 8;
const RELAYED: u16 = 9;
/// The IANA registry of options ends below this.
const LAST_OPTION: u16 = 200;
/// `HOP_COUNT_LIMIT` of RFC 3315; RFC 8415 has 8.
const MOST_HOPS: u8 = 32;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_solicit_is_known() {
        assert_eq!(
            datagram(&hex("01 112233 0001 000a 0003 0001 001122334455 0008 0002 0000")),
            Some(Protocol::Dhcpv6)
        );
        assert_eq!(datagram(&hex("01 112233 0001 000b 0003 0001 001122334455 0008 0002 0000")), None);
    }
}
