//! NNTP (RFC 3977, sections 5.1 and 5.3): a greeting 200 or 201 with a word for itself, or with a command that only NNTP has.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::LETTERS.or(FirstBytes::DIGITS), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let proof = is_own_greeting(stream.bytes)
        || is_own_command(stream.bytes)
        || (is_greeting(stream.bytes) && is_command(stream.reply))
        || (is_command(stream.bytes) && is_greeting(stream.reply));
    Verdict::when(proof, Protocol::Nntp)
}

fn is_greeting(bytes: &[u8]) -> bool {
    text::reply_code(bytes).is_some_and(|(code, _)| matches!(code, 200 | 201))
}

fn is_own_greeting(bytes: &[u8]) -> bool {
    let line = text::line(bytes).unwrap_or_default();
    is_greeting(bytes)
        && [&b"NNTP"[..], b"NNRP", b"InterNetNews", b"news"].iter().any(|word| text::contains(line, word))
}

fn is_own_command(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| {
        text::is_one_of(line, &[b"MODE READER", b"MODE STREAM"])
            || text::begins(line, b"AUTHINFO ")
            || text::begins(line, b"XOVER ")
    })
}

fn is_command(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| text::is_one_of(text::command(line), COMMANDS))
}

const COMMANDS: &[&[u8]] = &[
    b"GROUP",
    b"ARTICLE",
    b"HEAD",
    b"BODY",
    b"CAPABILITIES",
    b"LISTGROUP",
    b"NEWNEWS",
    b"NEWGROUPS",
    b"POST",
    b"IHAVE",
    b"CHECK",
    b"TAKETHIS",
];

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_greeting_needs_a_word_or_an_answer() {
        assert_eq!(opening(b"200 news.example.com InterNetNews ready\r\n"), Some(Protocol::Nntp));
        assert_eq!(opening(b"200 hello\r\n"), None);
        assert_eq!(answered(b"200 hello\r\n", b"GROUP misc.test\r\n"), Some(Protocol::Nntp));
    }
}
