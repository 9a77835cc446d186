//! The PostgreSQL frontend/backend protocol (PostgreSQL documentation, "Message Formats").
//!
//! A client opens with a length and a code: version 3 and parameters, or a request for TLS, GSSAPI or a cancellation, whose codes are
//! fixed. A server that is joined later is known by its authentication or error message.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"\0RE"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let proof = match stream.bytes.first() {
        Some(0) => startup(stream.bytes),
        _ => server(stream.bytes),
    };
    Verdict::proven(proof, Protocol::Postgres)
}

fn startup(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let length = cursor.u32_be()?;
    let code = cursor.u32_be()?;
    Some(match code {
        SSL_REQUEST | GSS_REQUEST => length == 8,
        CANCEL_REQUEST => length == 16,
        VERSION_3_0..=VERSION_3_2 => {
            (9..=LONGEST_STARTUP).contains(&length)
                // The user is required, so a parameter's name follows.
                && cursor.peek().is_some_and(|byte| byte == b'_' || byte.is_ascii_lowercase())
        }
        _ => false,
    })
}

fn server(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.u8()?;
    let length = cursor.u32_be()?;
    Some(match kind {
        b'R' => (8..=LONGEST_AUTHENTICATION).contains(&length) && cursor.u32_be()? <= LAST_AUTHENTICATION,
        _ => {
            (16..=LONGEST_STARTUP).contains(&length)
                && [&b"SFATAL\0"[..], b"SERROR\0", b"SPANIC\0"]
                    .iter()
                    .any(|field| cursor.rest().starts_with(field))
        }
    })
}

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const VERSION_3_0: u32 = 0x0003_0000;
const VERSION_3_2: u32 = 0x0003_0002;
/// `MAX_STARTUP_PACKET_LENGTH` of the server.
const LONGEST_STARTUP: u32 = 10_000;
const LONGEST_AUTHENTICATION: u32 = 2_000;
/// `AuthenticationSASLFinal`.
const LAST_AUTHENTICATION: u32 = 12;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn openings_are_known() {
        assert_eq!(opening(&hex("00000008 04d2162f")), Some(Protocol::Postgres));
        assert_eq!(opening(b"\0\0\0\x20\0\x03\0\0user\0alice\0"), Some(Protocol::Postgres));
        assert_eq!(opening(&hex("00000009 04d2162f")), None);
    }
}
