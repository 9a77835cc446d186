//! DCE/RPC (C706, chapter 12; MS-RPCE, section 2.2): connection-oriented PDUs of version 5 over TCP, connectionless ones of version 4
//! over UDP, and the greeting of RPC over HTTP version 1.
//!
//! The data representation has only two byte orders and two reserved zero bytes, and the fragment's length must hold its own header.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(&[5, b'n']), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::of(&[4]), recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let proof = stream.bytes.starts_with(b"ncacn_http/1.0") || connected(stream.bytes) == Some(true);
    Verdict::when(proof, Protocol::Dcerpc)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::proven(connectionless(datagram), Protocol::Dcerpc)
}

fn connected(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let version = cursor.u16_be()?;
    let kind = cursor.u8()?;
    cursor.skip(1)?;
    let representation = cursor.array::<4>()?;
    let lengths = cursor.part(4)?;
    let (mut big, mut little) = (lengths, lengths);
    let (fragment, authentication) = if representation.first()? & 0x10 == 0 {
        (big.u16_be()?, big.u16_be()?)
    } else {
        (little.u16_le()?, little.u16_le()?)
    };
    Some(
        matches!(version, 0x0500 | 0x0501)
            && kind <= LAST_KIND
            && is_representation(representation)
            && fragment >= SHORTEST_PDU
            && authentication < fragment,
    )
}

fn connectionless(datagram: &Datagram<'_>) -> Option<bool> {
    let mut cursor = Cursor::new(datagram.bytes);
    cursor.skip(1)?;
    let kind = cursor.u8()?;
    cursor.skip(2)?;
    let [order, float, reserved] = cursor.array::<3>()?;
    cursor.skip(67)?;
    let length = cursor.array::<2>()?;
    let length = if order & 0x10 == 0 { u16::from_be_bytes(length) } else { u16::from_le_bytes(length) };
    cursor.skip(4)?;
    Some(
        kind <= LAST_CONNECTIONLESS_KIND
            && is_representation([order, float, reserved, 0])
            && usize::from(length) <= datagram.wire_length.saturating_sub(CONNECTIONLESS_HEADER)
            && usize::from(length) + LONGEST_TRAILER
                >= datagram.wire_length.saturating_sub(CONNECTIONLESS_HEADER),
    )
}

/// Integers big or little endian, characters ASCII or EBCDIC, four float formats, two zeros (C706, section 14.1).
fn is_representation(representation: [u8; 4]) -> bool {
    matches!(representation, [0x00 | 0x01 | 0x10 | 0x11, 0..=3, 0, 0])
}

/// `orphaned`, the last PDU type of connections (C706, section 12.6.1); MS-RPCE adds one.
const LAST_KIND: u8 = 20;
/// `cancel_ack`, the last one without connections.
const LAST_CONNECTIONLESS_KIND: u8 = 10;
/// Bytes of the common header.
const SHORTEST_PDU: u16 = 16;
/// Bytes of the header of a connectionless PDU.
const CONNECTIONLESS_HEADER: usize = 80;
/// What authentication may add behind the body, in bytes.
const LONGEST_TRAILER: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_bind_is_known_in_either_byte_order() {
        assert_eq!(opening(&hex("05000b03 10000000 4800 0000 01000000")), Some(Protocol::Dcerpc));
        assert_eq!(opening(&hex("05000b03 00000000 0048 0000 00000001")), Some(Protocol::Dcerpc));
        assert_eq!(opening(&hex("05000b03 20000000 4800 0000 01000000")), None);
    }
}
