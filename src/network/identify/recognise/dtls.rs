//! DTLS 1.0 to 1.2 and the first flight of 1.3 (RFC 6347, section 4.1; RFC 9147, section 4).
//!
//! A record is a content type 20–25, a version `fe ff` or `fe fd` (or `01 00` of early OpenSSL), an epoch, a sequence number and a
//! length; the length of each record must end within the datagram.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::range(20, 25), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::proven(record(datagram), Protocol::Dtls)
}

fn record(datagram: &Datagram<'_>) -> Option<bool> {
    let mut cursor = Cursor::new(datagram.bytes);
    let kind = cursor.u8()?;
    let version = cursor.u16_be()?;
    let epoch = cursor.u16_be()?;
    cursor.skip(6)?;
    let length = usize::from(cursor.u16_be()?);
    let fits = (1..=datagram.wire_length.saturating_sub(HEADER)).contains(&length);
    let known = matches!(version, 0xfeff | 0xfefd | 0x0100);
    // In the clear, a handshake message starts with a known type.
    let plausible = kind != HANDSHAKE || epoch > 0 || cursor.peek().is_some_and(|message| message <= 24);
    Some(known && fits && plausible)
}

/// Bytes of a record header.
const HEADER: usize = 13;
const HANDSHAKE: u8 = 22;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_hello_is_known_and_a_length_beyond_the_datagram_is_not() {
        assert_eq!(datagram(&hex("16 feff 0000 000000000000 0003 010000")), Some(Protocol::Dtls));
        assert_eq!(datagram(&hex("16 feff 0000 000000000000 0004 010000")), None);
    }
}
