//! IRC (RFC 1459, sections 2.3 and 4.1; `IRCv3` capability negotiation): a client registers with `NICK`, `USER` and `CAP`; a server's
//! lines have a prefix and a numeric or a notice.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::LETTERS.or(FirstBytes::of(b":")), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    // A password comes before the registration, so two lines may be needed.
    let proof =
        text::lines(stream.bytes).take(LINES).any(|line| is_registration(line) || is_server_line(line));
    Verdict::when(proof, Protocol::Irc)
}

fn is_registration(line: &[u8]) -> bool {
    let Some((command, rest)) = text::word(line) else { return false };
    let is = |name: &[u8]| command.eq_ignore_ascii_case(name);
    (is(b"NICK") && !rest.is_empty() && rest.len() <= LONGEST_NICK)
        || (is(b"USER") && rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count() >= 4)
        || (is(b"CAP") && text::is_one_of(text::command(rest), &[b"LS", b"REQ", b"END"]))
        || (is(b"JOIN") && matches!(rest, [b'#' | b'&', ..]))
        || (is(b"PRIVMSG") && text::contains(rest, b" :"))
        || (is(b"NOTICE") && text::begins(rest, b"AUTH :"))
}

fn is_server_line(line: &[u8]) -> bool {
    let Some((_, rest)) = line.strip_prefix(b":").and_then(text::word) else { return false };
    let numeric = matches!(rest, [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', ..]);
    numeric
        || text::is_one_of(
            text::command(rest),
            &[b"NOTICE", b"PRIVMSG", b"JOIN", b"MODE", b"CAP", b"PART", b"QUIT"],
        )
}

const LINES: usize = 3;
const LONGEST_NICK: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn registrations_and_notices_are_known() {
        assert_eq!(opening(b"NICK alice\r\n"), Some(Protocol::Irc));
        assert_eq!(opening(b"PASS secret\r\nUSER a 0 * :Alice\r\n"), Some(Protocol::Irc));
        assert_eq!(opening(b":irc.example.com NOTICE * :*** Looking up\r\n"), Some(Protocol::Irc));
        assert_eq!(opening(b"USER alice\r\n"), None);
    }
}
