//! IKE (RFC 7296, section 3.1; RFC 2408), and IKE and ESP inside UDP (RFC 3948, section 2). ESP and AH of their own are known by their
//! IP protocol numbers.
//!
//! An IKE header has a version 1 or 2, an exchange of that version and a length that ends with the datagram. On port 4500 four zero
//! bytes stand before it, and ESP goes without.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::ANY, recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    let marked = datagram.bytes.strip_prefix(&NON_ESP_MARKER);
    let proof = header(datagram.bytes, datagram.wire_length)
        .or_else(|| header(marked?, datagram.wire_length.saturating_sub(NON_ESP_MARKER.len())));
    if proof.is_some() {
        return Verdict::Match(Protocol::Ipsec);
    }
    esp(datagram).unwrap_or(Verdict::No)
}

fn header(bytes: &[u8], wire_length: usize) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    let initiator = cursor.u64_be()?;
    cursor.skip(8)?;
    let next = cursor.u8()?;
    let version = cursor.u8()?;
    let exchange = cursor.u8()?;
    let flags = cursor.u8()?;
    cursor.skip(4)?;
    let length = usize::try_from(cursor.u32_be()?).ok()?;
    let known = match version {
        0x10 => (1..=6).contains(&exchange) || (32..=33).contains(&exchange),
        0x20 => (34..=44).contains(&exchange) && flags & 0xc7 == 0,
        _ => false,
    };
    (known
        && initiator != 0
        && (next <= 20 || (33..=55).contains(&next) || next >= 128)
        && length == wire_length)
        .then_some(())
}

/// ESP says nothing but a number of its association and one that counts up: a second packet of the association is the proof, and even
/// that only on the port, since other counters look the same.
fn esp(datagram: &Datagram<'_>) -> Option<Verdict> {
    if !datagram.ports.include(NAT_TRAVERSAL_PORT) {
        return None;
    }
    let mut cursor = Cursor::new(datagram.bytes);
    let association = cursor.u32_be()?;
    let number = cursor.u32_be()?;
    let plausible = association > LAST_RESERVED_SPI && number != 0 && datagram.wire_length >= SHORTEST_ESP;
    Some(if plausible { datagram.on_its_port(Protocol::Ipsec) } else { Verdict::No })
}

const NON_ESP_MARKER: [u8; 4] = [0; 4];
const NAT_TRAVERSAL_PORT: u16 = 4_500;
/// RFC 4303, section 2.1.
const LAST_RESERVED_SPI: u32 = 255;
/// Header, one block and the shortest check value, in bytes.
const SHORTEST_ESP: usize = 28;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn both_versions_are_known_with_and_without_the_marker() {
        let ike2 = "0102030405060708 0000000000000000 21 20 22 08 00000000 0000001c";
        assert_eq!(datagram(&hex(ike2)), Some(Protocol::Ipsec));
        assert_eq!(datagram(&hex(&format!("00000000 {ike2}"))), Some(Protocol::Ipsec));
        assert_eq!(datagram(&hex(&ike2.replace("0000001c", "0000001d"))), None);
    }
}
