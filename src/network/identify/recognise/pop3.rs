//! POP3 (RFC 1939, section 3 and 4): the server greets with `+OK`; what makes that POP3 is its word for itself, a timestamp for APOP,
//! or a client's command.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::LETTERS.or(FirstBytes::of(b"+-")), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let proof = (is_status(stream.bytes) && (names_itself(stream.bytes) || is_command(stream.reply)))
        || (is_command(stream.bytes) && is_status(stream.reply));
    Verdict::when(proof, Protocol::Pop3)
}

fn is_status(bytes: &[u8]) -> bool {
    bytes.starts_with(b"+OK") || bytes.starts_with(b"-ERR")
}

/// Whether a greeting says `POP`, or ends with the timestamp that APOP signs (RFC 1939, section 7).
fn names_itself(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| {
        text::contains(line, b"POP3")
            || text::contains(line, b"POP server")
            || (line.ends_with(b">") && line.contains(&b'<') && line.contains(&b'@'))
    })
}

fn is_command(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| {
        // Redis authenticates with the same word, and a name.
        let mechanism = |line: &[u8]| {
            text::word(line).is_none_or(|(_, rest)| MECHANISMS.iter().any(|known| text::begins(rest, known)))
        };
        text::is_one_of(text::command(line), COMMANDS) || (text::begins(line, b"AUTH") && mechanism(line))
    })
}

/// RFC 1939, 2449 and 2595.
const COMMANDS: &[&[u8]] = &[
    b"USER", b"PASS", b"APOP", b"CAPA", b"STLS", b"STAT", b"LIST", b"RETR", b"UIDL", b"TOP", b"DELE",
    b"NOOP", b"QUIT",
];

/// Of SASL (RFC 5034, section 4).
const MECHANISMS: &[&[u8]] =
    &[b"PLAIN", b"LOGIN", b"CRAM-MD5", b"DIGEST-MD5", b"NTLM", b"GSSAPI", b"XOAUTH2", b"SCRAM-"];

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_greeting_needs_a_word_of_its_own() {
        assert_eq!(opening(b"+OK POP3 ready\r\n"), Some(Protocol::Pop3));
        assert_eq!(opening(b"+OK <1896.697170952@dbc.mtview.ca.us>\r\n"), Some(Protocol::Pop3));
        assert_eq!(opening(b"+OK ready\r\n"), None);
        assert_eq!(answered(b"+OK ready\r\n", b"CAPA\r\n"), Some(Protocol::Pop3));
    }
}
