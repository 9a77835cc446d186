//! IMAP (RFC 9051, sections 2.2 and 7.1): the server greets with `* OK`, `* PREAUTH` or `* BYE`; a client tags its commands.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser {
    opens: FirstBytes::LETTERS.or(FirstBytes::DIGITS).or(FirstBytes::of(b"*")),
    recognise: streams,
};

fn streams(stream: &Stream<'_>) -> Verdict {
    let proof = is_untagged(stream.bytes)
        || (is_command(stream.bytes)
            && (stream.reply.is_empty() || is_untagged(stream.reply) || answers(stream)));
    Verdict::when(proof, Protocol::Imap)
}

fn is_untagged(bytes: &[u8]) -> bool {
    [&b"* OK"[..], b"* PREAUTH", b"* BYE", b"* CAPABILITY "]
        .iter()
        .any(|greeting| text::begins(bytes, greeting))
}

fn is_command(bytes: &[u8]) -> bool {
    let Some((tag, rest)) = text::word(bytes) else { return false };
    let tagged = tag.len() <= LONGEST_TAG
        && tag.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.')
        && tag.iter().any(u8::is_ascii_digit);
    tagged && text::line(rest).is_some_and(|line| text::is_one_of(text::command(line), COMMANDS))
}

/// Whether the other end answers with the same tag.
fn answers(stream: &Stream<'_>) -> bool {
    let (Some((tag, _)), Some((answer, rest))) = (text::word(stream.bytes), text::word(stream.reply)) else {
        return false;
    };
    tag == answer && [&b"OK"[..], b"NO", b"BAD"].iter().any(|word| text::begins(rest, word))
}

/// Commands that no other protocol puts behind a tag (RFC 9051, section 6).
const COMMANDS: &[&[u8]] = &[
    b"CAPABILITY",
    b"STARTTLS",
    b"AUTHENTICATE",
    b"LOGIN",
    b"LOGOUT",
    b"SELECT",
    b"EXAMINE",
    b"NOOP",
    b"FETCH",
    b"UID",
    b"NAMESPACE",
];
/// Clients count in tags such as `A0001` and `1.32`.
const LONGEST_TAG: usize = 12;

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn greetings_and_tagged_commands_are_known() {
        assert_eq!(opening(b"* OK [CAPABILITY IMAP4rev1] ready\r\n"), Some(Protocol::Imap));
        assert_eq!(opening(b"a001 CAPABILITY\r\n"), Some(Protocol::Imap));
        assert_eq!(answered(b"a1 LOGIN x y\r\n", b"a1 NO failed\r\n"), Some(Protocol::Imap));
        assert_eq!(opening(b"hello LOGIN\r\n"), None);
    }
}
