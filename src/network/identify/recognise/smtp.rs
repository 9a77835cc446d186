//! SMTP (RFC 5321, section 3.1, 4.1 and 4.2) and LMTP (RFC 2033).
//!
//! FTP greets with the same 220, so a greeting needs the word `SMTP` or a client that answers with `EHLO`; a client's own words are
//! enough by themselves.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::LETTERS.or(FirstBytes::DIGITS), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let proof = is_hello(stream.bytes)
        || is_envelope(stream.bytes)
        || is_greeting(stream)
        || (is_bare_hello(stream.bytes) && text::reply_code(stream.reply).is_some());
    Verdict::when(proof, Protocol::Smtp)
}

fn is_hello(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| {
        text::word(line).is_some_and(|(command, host)| {
            text::is_one_of(command, &[b"EHLO", b"HELO", b"LHLO"]) && !host.is_empty()
        })
    })
}

/// A hello without the name that it should have.
fn is_bare_hello(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| text::is_one_of(line, &[b"EHLO", b"HELO"]))
}

fn is_envelope(bytes: &[u8]) -> bool {
    text::begins(bytes, b"MAIL FROM:") || text::begins(bytes, b"RCPT TO:")
}

fn is_greeting(stream: &Stream<'_>) -> bool {
    let Some((code, _)) = text::reply_code(stream.bytes) else { return false };
    let line = text::line(stream.bytes).unwrap_or_default();
    match code {
        220 => says_smtp(line) || is_hello(stream.reply),
        421 | 450..=455 | 550..=556 => says_smtp(line) || is_hello(stream.reply) || is_envelope(stream.reply),
        250 => is_extension_list(stream.bytes),
        _ => false,
    }
}

fn says_smtp(line: &[u8]) -> bool {
    text::contains(line, b"SMTP") || text::contains(line, b"Postfix") || text::contains(line, b"Sendmail")
}

/// The answer to `EHLO`, for a flow that was joined there.
fn is_extension_list(bytes: &[u8]) -> bool {
    text::lines(bytes).any(|line| {
        [&b"250-PIPELINING"[..], b"250-SIZE", b"250-8BITMIME", b"250-STARTTLS", b"250-ENHANCEDSTATUSCODES"]
            .iter()
            .any(|extension| text::begins(line, extension))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn both_ends_are_known() {
        assert_eq!(opening(b"220 mx.example.com ESMTP\r\n"), Some(Protocol::Smtp));
        assert_eq!(opening(b"EHLO client.example.com\r\n"), Some(Protocol::Smtp));
        assert_eq!(opening(b"220 mx.example.com ready\r\n"), None);
        assert_eq!(answered(b"220 mx.example.com ready\r\n", b"EHLO x\r\n"), Some(Protocol::Smtp));
    }
}
