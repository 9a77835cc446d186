//! TLS (RFC 8446, section 5.1; RFC 5246, section 6.2.1) and the SSL 2 hello that older clients open with (RFC 5246, appendix E.2).
//!
//! A record is a content type 20–24, a version `03 00`–`03 04` and a length of at most 2^14 + 2048 bytes. A handshake record that
//! opens with a `ClientHello` or `ServerHello` proves itself, as does a chain of records, or one whose length ends with the segment.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser {
    opens: FirstBytes::range(CHANGE_CIPHER_SPEC, HEARTBEAT).or(FirstBytes::range(0x80, 0x83)),
    recognise: streams,
};

fn streams(stream: &Stream<'_>) -> Verdict {
    let proof = if stream.bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        ssl2_hello(stream.bytes)
    } else {
        records(stream.bytes)
    };
    Verdict::proven(proof, Protocol::Tls)
}

fn records(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let (kind, length) = record_header(&mut cursor)?;
    let body = cursor.rest();
    let opening = match kind {
        HANDSHAKE => is_hello(body) || follows(body, length),
        APPLICATION_DATA => length >= 1,
        ALERT => {
            // Level warning or fatal in the clear; an encrypted alert has the length of a cipher block or two.
            (length == 2 && matches!(body, [1 | 2, ..])) || (length >= 16 && follows(body, length))
        }
        CHANGE_CIPHER_SPEC => length == 1 && matches!(body, [1, ..]),
        _ => follows(body, length),
    };
    Some(opening)
}

/// Whether another record begins after the body of one, or the segment ends there.
fn follows(body: &[u8], length: usize) -> bool {
    let mut cursor = Cursor::new(body);
    cursor.skip(length).is_some() && (cursor.is_empty() || record_header(&mut cursor).is_some())
}

/// A content type and a length, where version and length are possible.
fn record_header(cursor: &mut Cursor<'_>) -> Option<(u8, usize)> {
    let kind = cursor.u8()?;
    let major = cursor.u8()?;
    let minor = cursor.u8()?;
    let length = usize::from(cursor.u16_be()?);
    let possible = (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind)
        && major == 3
        && minor <= 4
        && (1..=LONGEST_RECORD).contains(&length);
    possible.then_some((kind, length))
}

/// Whether a handshake message is a `ClientHello` or `ServerHello`: type, length, version.
fn is_hello(body: &[u8]) -> bool {
    matches!(body, [1 | 2, 0, _, _, 3, 0..=4, ..])
}

fn ssl2_hello(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let length = cursor.u16_be()? & 0x7fff;
    let kind = cursor.u8()?;
    let version = cursor.u16_be()?;
    let ciphers = cursor.u16_be()?;
    let session = cursor.u16_be()?;
    let challenge = cursor.u16_be()?;
    Some(
        kind == 1
            && matches!(version, 0x0002 | 0x0300..=0x0304)
            && ciphers > 0
            && ciphers % 3 == 0
            && matches!(session, 0 | 16)
            && (16..=32).contains(&challenge)
            && u32::from(length) == 9 + u32::from(ciphers) + u32::from(session) + u32::from(challenge),
    )
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// 2^14 bytes and the expansion that TLS 1.2 allows (RFC 5246, section 6.2.3).
const LONGEST_RECORD: usize = 16_384 + 2_048;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_client_hello_is_known_by_its_first_eleven_bytes() {
        assert_eq!(opening(&hex("1603010200 010001fc 0303")), Some(Protocol::Tls));
        assert_eq!(opening(&hex("1603010200 0100")), None);
    }

    #[test]
    fn a_flow_joined_between_records_is_known_by_them() {
        assert_eq!(opening(&hex("1703030004 aabbccdd 1703030100 00")), Some(Protocol::Tls));
        assert_eq!(opening(&hex("1503030002 0228")), Some(Protocol::Tls));
        assert_eq!(opening(&hex("1403030001 01")), Some(Protocol::Tls));
    }

    #[test]
    fn an_ssl2_hello_must_add_up() {
        assert_eq!(opening(&hex("802e 01 0301 0015 0000 0010")), Some(Protocol::Tls));
        assert_eq!(opening(&hex("802f 01 0301 0015 0000 0010")), None);
    }

    #[test]
    fn a_length_beyond_the_record_layer_is_no_record() {
        assert_eq!(opening(&hex("170303ffff 00")), None);
    }
}
