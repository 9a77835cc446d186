//! RADIUS (RFC 2865, section 3; RFC 2866; RFC 5176): a code, a length that ends with the datagram, a sixteen-byte authenticator, and
//! attributes that read to that end.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::range(1, 45), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::proven(message(datagram), Protocol::Radius)
}

fn message(datagram: &Datagram<'_>) -> Option<bool> {
    let mut cursor = Cursor::new(datagram.bytes);
    let code = cursor.u8()?;
    cursor.skip(1)?;
    let length = usize::from(cursor.u16_be()?);
    if !matches!(code, 1..=5 | 11..=13 | 40..=45) || length != datagram.wire_length || length > LONGEST {
        return Some(false);
    }
    cursor.skip(16)?;
    let mut attributes = 0;
    while !cursor.is_empty() {
        let kind = cursor.u8()?;
        let length = usize::from(cursor.u8()?);
        cursor.skip(length.checked_sub(2)?)?;
        if kind == 0 {
            return Some(false);
        }
        attributes += 1;
    }
    // An accept may be bare, but four bytes that fit are no proof.
    Some(attributes > 0)
}

const LONGEST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn attributes_must_read_to_the_end() {
        let header = "01 2a 0019 000102030405060708090a0b0c0d0e0f";
        assert_eq!(datagram(&hex(&format!("{header} 01 05 626f62"))), Some(Protocol::Radius));
        assert_eq!(datagram(&hex(&format!("{header} 01 06 626f62"))), None);
    }
}
