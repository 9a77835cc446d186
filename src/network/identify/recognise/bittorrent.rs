//! BitTorrent: the peer handshake (BEP 3), the distributed hash table (BEP 5), UDP trackers (BEP 15) and uTP (BEP 29).
//!
//! The first three have fixed strings. A uTP header has a version and a type in its first byte and a connection number that both
//! ends keep: weak alone, and proven by a second packet of the same connection.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict, text};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(&[19]), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser {
    opens: FirstBytes::of(&[b'd', b'B', 0x00, 0x01, 0x11, 0x21, 0x31, 0x41, 19]),
    recognise: datagrams,
};

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::when(stream.bytes.starts_with(HANDSHAKE), Protocol::Bittorrent)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    let bytes = datagram.bytes;
    match bytes.first() {
        Some(b'd') => Verdict::when(is_dht(bytes), Protocol::Bittorrent),
        Some(b'B') => Verdict::when(bytes.starts_with(b"BT-SEARCH * HTTP/1.1\r\n"), Protocol::Bittorrent),
        Some(0) => Verdict::when(
            bytes.starts_with(TRACKER_CONNECT) && datagram.wire_length >= 16,
            Protocol::Bittorrent,
        ),
        Some(19) => Verdict::when(bytes.starts_with(HANDSHAKE), Protocol::Bittorrent),
        _ => utp(datagram).unwrap_or(Verdict::No),
    }
}

/// A bencoded dictionary with a message of the table: a query, a response or an error.
fn is_dht(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(DHT_HEAD)).unwrap_or_default();
    bytes.starts_with(b"d1:ad2:id20:")
        || bytes.starts_with(b"d1:rd2:id20:")
        || bytes.starts_with(b"d1:eli20")
        || (matches!(bytes, [b'd', b'1' | b'2', b':', ..]) && text::contains(head, b"2:id20:"))
}

fn utp(datagram: &Datagram<'_>) -> Option<Verdict> {
    let mut cursor = Cursor::new(datagram.bytes);
    let first = cursor.u8()?;
    let (kind, version) = (first >> 4, first & 0x0f);
    let extension = cursor.u8()?;
    let connection = u64::from(cursor.u16_be()?);
    let sent = cursor.u32_be()?;
    let difference = cursor.u32_be()?;
    let window = cursor.u32_be()?;
    cursor.skip(4)?;
    let token = u64::from(sent) << 16 | connection;
    let possible = version == 1 && kind <= SYN && extension <= 2 && connection != 0 && sent != 0;
    // The SYN knows no difference of clocks yet.
    if !possible || window > LARGEST_WINDOW || (kind == SYN && difference != 0) {
        return Some(Verdict::No);
    }
    if kind == SYN {
        return Some(Verdict::Weak(Protocol::Bittorrent, token));
    }
    // The answer to a SYN has the SYN's number; the SYN's sender goes on with the next (BEP 29, "connection setup").
    // Each packet has its own time, so what merely repeats its first bytes is something else.
    let known = |token: u64| {
        let before = token & 0xffff;
        connection.abs_diff(before) <= 1 && token >> 16 != u64::from(sent)
    };
    let proven = datagram.token(Protocol::Bittorrent).is_some_and(known)
        || datagram.reply_token(Protocol::Bittorrent).is_some_and(known);
    Some(if proven {
        Verdict::Match(Protocol::Bittorrent)
    } else {
        Verdict::Weak(Protocol::Bittorrent, token)
    })
}

const HANDSHAKE: &[u8] = b"\x13BitTorrent protocol";
/// The magic number of BEP 15 and the action `connect`.
const TRACKER_CONNECT: &[u8] = &[0, 0, 0x04, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0];
/// How far into a message of the table the sender's number is sought, in bytes.
const DHT_HEAD: usize = 64;
/// Far more than implementations offer, in bytes.
const LARGEST_WINDOW: u32 = 64 << 20;
const SYN: u8 = 4;

#[cfg(test)]
mod tests {
    use super::super::testing::{answering_datagram, datagram, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn fixed_strings_are_known() {
        assert_eq!(opening(b"\x13BitTorrent protocol\0\0"), Some(Protocol::Bittorrent));
        assert_eq!(
            datagram(b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"),
            Some(Protocol::Bittorrent)
        );
        assert_eq!(datagram(&hex("0000041727101980 00000000 12345678")), Some(Protocol::Bittorrent));
    }

    #[test]
    fn a_transport_packet_needs_a_second_one_of_its_connection() {
        let syn = hex("41 00 1234 00112233 00000000 00100000 0001 0000");
        assert_eq!(datagram(&syn), None);
        let answer = hex("21 00 1234 00112299 00000066 00100000 8001 0001");
        assert_eq!(answering_datagram(&syn, &answer), Some(Protocol::Bittorrent));
        let stranger = hex("21 00 9999 00112299 00000066 00100000 8001 0001");
        assert_eq!(answering_datagram(&syn, &stranger), None);
    }
}
