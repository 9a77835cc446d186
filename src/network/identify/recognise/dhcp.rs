//! DHCP (RFC 2131, section 2 and 3): a BOOTP message, request or reply, with the magic cookie at byte 236; BOOTP alone (RFC 951)
//! is believed on its ports.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::of(&[1, 2]), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    message(datagram).unwrap_or(Verdict::No)
}

fn message(datagram: &Datagram<'_>) -> Option<Verdict> {
    let mut cursor = Cursor::new(datagram.bytes);
    let operation = cursor.u8()?;
    let hardware = cursor.u8()?;
    let address_length = cursor.u8()?;
    let hops = cursor.u8()?;
    if !matches!(operation, 1 | 2) || hardware > LAST_HARDWARE || address_length > 16 || hops > MOST_HOPS {
        return Some(Verdict::No);
    }
    if datagram.wire_length < COOKIE_AT + 4 {
        return Some(Verdict::No);
    }
    cursor.skip(COOKIE_AT - 4)?;
    Some(match cursor.u32_be() {
        Some(MAGIC_COOKIE) => Verdict::Match(Protocol::Dhcp),
        _ if datagram.wire_length >= BOOTP_LENGTH => datagram.on_its_port(Protocol::Dhcp),
        _ => Verdict::No,
    })
}

const COOKIE_AT: usize = 236;
const MAGIC_COOKIE: u32 = 0x6382_5363;
/// Bytes of a BOOTP message.
const BOOTP_LENGTH: usize = 300;
/// The IANA registry of ARP hardware types ends in the thirties.
const LAST_HARDWARE: u8 = 40;
/// RFC 1542, section 4.1.1.
const MOST_HOPS: u8 = 16;

#[cfg(test)]
mod tests {
    use super::super::testing::datagram;
    use crate::network::protocol::Protocol;

    #[test]
    fn the_cookie_is_known() {
        let mut message = vec![0; 236];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]);
        assert_eq!(datagram(&message), Some(Protocol::Dhcp));
        message[236] = 0;
        assert_eq!(datagram(&message), None);
    }
}
