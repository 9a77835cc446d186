//! WireGuard (WireGuard: Next Generation Kernel Network Tunnel, section 5.4): a type of 1 to 4, three zero bytes, and the length that
//! the type has. Handshakes are 148 and 92 bytes; a cookie reply is 64; data is a multiple of 16 and counts up from zero.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::range(1, 4).or(FirstBytes::range(0xc1, 0xc4)), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    message(datagram).unwrap_or(Verdict::No)
}

fn message(datagram: &Datagram<'_>) -> Option<Verdict> {
    let mut cursor = Cursor::new(datagram.bytes);
    let [kind, reserved @ ..] = cursor.array::<4>()?;
    let index = cursor.u32_le()?;
    if index == 0 {
        return Some(Verdict::No);
    }
    // Cloudflare's WARP sets the upper bits of the type and puts its client's number into the reserved bytes, so that only data, which
    // count up, speak for it.
    let (kind, marked) = (kind & 0x3f, kind & 0xc0 != 0 || reserved != [0; 3]);
    Some(match (kind, datagram.wire_length) {
        (1, 148) | (2, 92) | (3, 64) if !marked => Verdict::Match(Protocol::Wireguard),
        (4, length) if length >= 32 && length % 16 == 0 => {
            let counter = cursor.u64_le()?;
            let token = u64::from(index) << 32 | (counter & 0xffff_ffff);
            let follows = |before: u64| {
                before >> 32 == u64::from(index)
                    && (1..=LARGEST_STEP).contains(&(token.wrapping_sub(before) & 0xffff_ffff))
            };
            if counter > MOST_PACKETS {
                Verdict::No
            } else if datagram.token(Protocol::Wireguard).is_some_and(follows) {
                Verdict::Match(Protocol::Wireguard)
            } else {
                Verdict::Weak(Protocol::Wireguard, token)
            }
        }
        _ => Verdict::No,
    })
}

/// How far the counter may move from one packet to the next that is seen.
const LARGEST_STEP: u64 = 64;
/// A session is renewed after two minutes, long before this many packets.
const MOST_PACKETS: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex, second_datagram};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_handshake_has_one_length() {
        let mut message = hex("01000000 12345678");
        message.resize(148, 0xaa);
        assert_eq!(datagram(&message), Some(Protocol::Wireguard));
        message.push(0);
        assert_eq!(datagram(&message), None);
    }

    #[test]
    fn data_needs_a_counter_that_goes_on() {
        let data = |counter: &str| {
            let mut message = hex(&format!("04000000 12345678 {counter}"));
            message.resize(64, 0xaa);
            message
        };
        assert_eq!(datagram(&data("0500000000000000")), None);
        assert_eq!(
            second_datagram(&data("0500000000000000"), &data("0600000000000000")),
            Some(Protocol::Wireguard)
        );
        assert_eq!(second_datagram(&data("0500000000000000"), &data("0500000000000000")), None);
    }
}
