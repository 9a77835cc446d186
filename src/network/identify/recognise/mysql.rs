//! The MySQL client/server protocol (MySQL Internals, "Connection Phase Packets").
//!
//! The server speaks first: a length of three bytes, sequence 0, protocol version 10 (or 9), a version in text; or, where it refuses,
//! an error packet. A client's answer has sequence 1 and 23 zero bytes.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::ANY, recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let mut cursor = Cursor::new(stream.bytes);
    let (Some(length), Some(sequence)) = (cursor.u24_le(), cursor.u8()) else { return Verdict::No };
    let Ok(length) = usize::try_from(length) else { return Verdict::No };
    let proof = match sequence {
        0 => greeting(cursor, length) == Some(true) || error(cursor, length) == Some(true),
        1 => login(cursor, length) == Some(true),
        _ => false,
    };
    Verdict::when(proof, Protocol::Mysql)
}

fn greeting(mut cursor: Cursor<'_>, length: usize) -> Option<bool> {
    let protocol = cursor.u8()?;
    let version = cursor.rest();
    let end = version.iter().take(LONGEST_VERSION).position(|byte| *byte == 0)?;
    let version = cursor.take(end)?;
    Some(
        matches!(protocol, 9 | 10)
            && (SHORTEST_GREETING..=LONGEST_GREETING).contains(&length)
            && version.first().is_some_and(u8::is_ascii_digit)
            && version.iter().all(u8::is_ascii_graphic),
    )
}

fn error(mut cursor: Cursor<'_>, length: usize) -> Option<bool> {
    let marker = cursor.u8()?;
    let code = cursor.u16_le()?;
    let message = cursor.rest();
    Some(
        marker == 0xff
            && (1_000..4_000).contains(&code)
            && length == message.len() + 3
            && message.len() > 8
            && text::is_text(message),
    )
}

fn login(mut cursor: Cursor<'_>, length: usize) -> Option<bool> {
    let capabilities = cursor.u32_le()?;
    cursor.skip(5)?;
    let filler = cursor.take(23)?;
    Some(capabilities & PROTOCOL_41 != 0 && length >= 32 && filler.iter().all(|byte| *byte == 0))
}

/// `CLIENT_PROTOCOL_41`.
const PROTOCOL_41: u32 = 0x0200;
const LONGEST_VERSION: usize = 80;
const SHORTEST_GREETING: usize = 20;
const LONGEST_GREETING: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_greeting_and_a_refusal_are_known() {
        let mut greeting = hex("4a0000 00 0a");
        greeting.extend(b"8.0.36\0");
        assert_eq!(opening(&greeting), Some(Protocol::Mysql));
        let mut refusal = hex("1f0000 00 ff 6a04");
        refusal.extend(b"Host is not allowed to conn.");
        assert_eq!(opening(&refusal), Some(Protocol::Mysql));
    }

    #[test]
    fn a_version_that_is_no_number_is_no_greeting() {
        let mut greeting = hex("4a0000 00 0a");
        greeting.extend(b"x.0.36\0");
        assert_eq!(opening(&greeting), None);
    }
}
