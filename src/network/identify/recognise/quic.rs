//! QUIC (RFC 9000, section 17.2; RFC 9369; RFC 8999) and Google's QUIC before it.
//!
//! A long header with a version that exists, connection numbers of at most 20 bytes, and the size that an Initial must have; a version
//! negotiation that lists such versions; or a public header of Google's QUIC with its version in text. That an Initial really is one is
//! proven when it is opened (see [`super::super::details`]).

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::ANY, recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    let proof = match datagram.bytes.first() {
        Some(first) if first & 0x80 != 0 => long_header(datagram),
        Some(_) => google(datagram.bytes),
        None => None,
    };
    Verdict::proven(proof, Protocol::Quic)
}

fn long_header(datagram: &Datagram<'_>) -> Option<bool> {
    let mut cursor = Cursor::new(datagram.bytes);
    cursor.skip(1)?;
    let version = cursor.u32_be()?;
    if is_google(version) {
        // Four bits each for the lengths of the connection numbers: of Google's forms, the version alone is certain.
        return Some(true);
    }
    let destination = usize::from(cursor.u8()?);
    cursor.skip(destination)?;
    let source = usize::from(cursor.u8()?);
    cursor.skip(source)?;
    if destination > LONGEST_CONNECTION_ID || source > LONGEST_CONNECTION_ID {
        return Some(false);
    }
    if version == 0 {
        return Some(
            cursor.u32_be().is_some_and(is_known)
                && datagram.wire_length % 4 == (7 + destination + source) % 4,
        );
    }
    Some(is_known(version))
}

/// Versions 1 and 2, drafts, those of Facebook's stack, those reserved for greasing, and Google's.
fn is_known(version: u32) -> bool {
    matches!(version, 1 | VERSION_2 | 0xff00_0001..=0xff00_0022 | 0xff02_0000..=0xff02_00ff | 0xface_b000..=0xface_b0ff | 0x709a_50c4)
        || is_google(version)
        || version & 0x0f0f_0f0f == 0x0a0a_0a0a
}

/// `Q039`, `T051` and the like.
fn is_google(version: u32) -> bool {
    matches!(version.to_be_bytes(), [b'Q' | b'T', b'0', b'0'..=b'9', b'0'..=b'9'])
}

/// The public header before version 46: flags with the version bit, a connection number, the version.
fn google(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let flags = cursor.u8()?;
    if flags & 0x01 == 0 || flags & 0xc0 != 0 {
        return Some(false);
    }
    if flags & 0x0c != 0 {
        cursor.skip(8)?;
    }
    let version = cursor.u32_be()?;
    Some(is_google(version))
}

const VERSION_2: u32 = 0x6b33_43cf;
const LONGEST_CONNECTION_ID: usize = 20;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn versions_that_exist_are_known() {
        assert_eq!(datagram(&hex("c3 00000001 08 0102030405060708 00 00 4496")), Some(Protocol::Quic));
        assert_eq!(datagram(&hex("d3 6b3343cf 08 0102030405060708 00 00 4496")), Some(Protocol::Quic));
        assert_eq!(datagram(&hex("c3 00000007 08 0102030405060708 00 00 4496")), None);
        assert_eq!(datagram(b"\x0d\x01\x02\x03\x04\x05\x06\x07\x08Q039\x01"), Some(Protocol::Quic));
    }
}
