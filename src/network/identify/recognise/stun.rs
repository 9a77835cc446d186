//! STUN and TURN (RFC 8489, section 5; RFC 3489, section 11.1).
//!
//! Two zero bits, a length in words that ends with the message, and the magic cookie; without the cookie (RFC 3489), attributes that
//! read to the end.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::range(0, 0x3f), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::range(0, 0x3f), recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let framed = stream.bytes.get(2..).unwrap_or_default();
    let proof = has_cookie(stream.bytes) == Some(true) || has_cookie(framed) == Some(true);
    Verdict::when(proof, Protocol::Stun)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    let proof = has_cookie(datagram.bytes) == Some(true) || is_classic(datagram) == Some(true);
    Verdict::when(proof, Protocol::Stun)
}

fn has_cookie(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.u16_be()?;
    let length = cursor.u16_be()?;
    Some(kind < 0x4000 && length % 4 == 0 && cursor.u32_be()? == MAGIC_COOKIE)
}

fn is_classic(datagram: &Datagram<'_>) -> Option<bool> {
    let mut cursor = Cursor::new(datagram.bytes);
    let kind = cursor.u16_be()?;
    let length = usize::from(cursor.u16_be()?);
    cursor.skip(16)?;
    // Binding and Shared Secret requests, responses and errors; the methods of early TURN.
    let method = kind & 0x000f;
    if kind & !0x011f != 0 || !(1..=9).contains(&method) || length == 0 || length + 20 != datagram.wire_length
    {
        return Some(false);
    }
    let mut attributes = cursor;
    while !attributes.is_empty() {
        let attribute = attributes.u16_be()?;
        let length = usize::from(attributes.u16_be()?);
        // Registered types and those that applications made up beside them.
        if !matches!(attribute, 0x0001..=0x01ff | 0x8000..=0x81ff | 0xc000..=0xc0ff) {
            return Some(false);
        }
        // The last one may lack its padding.
        attributes.skip(length.next_multiple_of(4).min(length.max(attributes.remaining())))?;
    }
    Some(true)
}

const MAGIC_COOKIE: u32 = 0x2112_a442;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn the_cookie_is_known() {
        assert_eq!(datagram(&hex("0001 0000 2112a442 0102030405060708090a0b0c")), Some(Protocol::Stun));
    }

    #[test]
    fn without_the_cookie_attributes_must_read_to_the_end() {
        let id = "0102030405060708 090a0b0c0d0e0f10";
        assert_eq!(datagram(&hex(&format!("0001 0008 {id} 0003 0004 00000006"))), Some(Protocol::Stun));
        assert_eq!(datagram(&hex(&format!("0001 0008 {id} 0003 0005 00000006"))), None);
    }
}
