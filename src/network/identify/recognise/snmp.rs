//! SNMP (RFC 3416 and 1157 with a community, RFC 3412, section 6 with security parameters).
//!
//! A SEQUENCE of a version, a community and a PDU tag, or for version 3 of a header whose last field names the security model.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict, ber};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::of(&[ber::SEQUENCE]), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::proven(message(datagram.bytes), Protocol::Snmp)
}

fn message(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    ber::tagged(&mut cursor, ber::SEQUENCE)?;
    match ber::integer(&mut cursor)? {
        0 | 1 => {
            let community = ber::tagged(&mut cursor, ber::OCTET_STRING)?;
            cursor.skip(community)?;
            Some((GET..=REPORT).contains(&cursor.u8()?))
        }
        3 => {
            ber::tagged(&mut cursor, ber::SEQUENCE)?;
            ber::integer(&mut cursor)?;
            ber::integer(&mut cursor)?;
            Some(ber::tagged(&mut cursor, ber::OCTET_STRING)? == 1)
        }
        _ => Some(false),
    }
}

const GET: u8 = 0xa0;
const REPORT: u8 = 0xa8;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn versions_with_and_without_a_community_are_known() {
        assert_eq!(datagram(&hex("3026 020101 0406 7075626c6963 a019")), Some(Protocol::Snmp));
        assert_eq!(
            datagram(&hex("303e 020103 3011 02046b8b4567 020300ffe3 040104 020103")),
            Some(Protocol::Snmp)
        );
        assert_eq!(datagram(&hex("3026 020101 0406 7075626c6963 3019")), None);
    }
}
