//! RESP (Redis documentation, "Redis serialization protocol specification"): a request is an array of bulk strings. Replies are short
//! texts that other protocols have too, except those that only Redis gives.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::of(b"*+-$:|%~>PIpi"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let bytes = stream.bytes;
    let proof = is_request(bytes)
        || SAYINGS.iter().any(|saying| bytes.starts_with(saying))
        || (is_inline(bytes) && is_reply(stream.reply))
        || (is_reply(bytes) && is_inline(stream.reply))
        || is_aggregate(bytes);
    Verdict::when(proof, Protocol::Redis)
}

/// `*2\r\n$4\r\n`.
fn is_request(bytes: &[u8]) -> bool {
    let Some(rest) = number(bytes, b'*') else { return false };
    number(rest, b'$').is_some()
}

/// What follows a type byte, a decimal number and a line end.
fn number(bytes: &[u8], kind: u8) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&[kind])?;
    let digits = rest.iter().take(LONGEST_NUMBER).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    rest.get(digits..)?.strip_prefix(b"\r\n")
}

/// An array, set, map, push or attribute of version 3 and the type of its first member.
fn is_aggregate(bytes: &[u8]) -> bool {
    [b'*', b'|', b'%', b'~', b'>'].iter().any(|kind| {
        number(bytes, *kind).is_some_and(|members| {
            matches!(members, [b'+' | b'-' | b':' | b'$' | b'*' | b'_' | b'#' | b',' | b'%', ..])
        })
    })
}

fn is_inline(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| text::is_one_of(line, &[b"PING", b"INFO"]))
}

fn is_reply(bytes: &[u8]) -> bool {
    bytes.starts_with(b"+PONG\r\n")
        || number(bytes, b'$').is_some_and(|body| body.starts_with(b"# Server\r\n"))
}

/// Errors and greetings whose words are those of Redis.
const SAYINGS: &[&[u8]] = &[
    b"-NOAUTH ",
    b"-WRONGPASS ",
    b"-WRONGTYPE ",
    b"-MOVED ",
    b"-DENIED Redis",
    b"-LOADING Redis",
    b"-ERR unknown command",
    b"+PONG\r\n",
];
const LONGEST_NUMBER: usize = 10;

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn requests_are_known_and_plain_replies_are_not() {
        assert_eq!(opening(b"*1\r\n$4\r\nPING\r\n"), Some(Protocol::Redis));
        assert_eq!(opening(b"+OK\r\n"), None);
        assert_eq!(answered(b"INFO\r\n", b"$3120\r\n# Server\r\n"), Some(Protocol::Redis));
    }
}
