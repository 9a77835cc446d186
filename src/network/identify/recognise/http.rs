//! HTTP/1 (RFC 9112, sections 3 and 4).
//!
//! A request line is a method in capitals, a target, and `HTTP/1.x`; a status line starts with `HTTP/1.x` and three digits. Where the
//! line has not ended yet, a registered method before a target that only HTTP writes is enough. A tracker's announce is `bittorrent`
//! (BEP 3).

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::LETTERS, recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let bytes = stream.bytes;
    if is_status_line(bytes) {
        return Verdict::Match(Protocol::Http);
    }
    let Some((method, rest)) = text::word(bytes) else { return Verdict::No };
    if method.len() < 3
        || !method.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
    {
        return Verdict::No;
    }
    match text::line(rest) {
        Some(line) if is_versioned(line) => {
            Verdict::Match(if rest.starts_with(b"/announce?") && text::contains(line, b"info_hash=") {
                Protocol::Bittorrent
            } else {
                Protocol::Http
            })
        }
        // HTTP/0.9 (RFC 1945, section 4.1) has no version: a GET of a path, no more.
        Some(line) if method == b"GET" && line.starts_with(b"/") && text::word(line).is_none() => {
            // An answer of that time is a document and nothing else.
            if stream.reply.first() == Some(&b'<') {
                Verdict::Match(Protocol::Http)
            } else {
                stream.on_its_port(Protocol::Http)
            }
        }
        Some(_) => Verdict::No,
        None => Verdict::when(METHODS.contains(&method) && is_target(method, rest), Protocol::Http),
    }
}

fn is_status_line(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', b' ', b'1'..=b'9', b'0'..=b'9', ..]
    )
}

/// Whether a request line ends with a version of HTTP.
fn is_versioned(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let version = line.get(line.len().saturating_sub(b"HTTP/1.1".len())..).unwrap_or_default();
    text::begins(version, b"HTTP/") && matches!(version, [.., b'0'..=b'9', b'.', b'0'..=b'9'])
}

/// Whether the unfinished rest of a request line is a target that no relative of HTTP uses (RFC 9112, section 3.2).
fn is_target(method: &[u8], rest: &[u8]) -> bool {
    rest.len() >= SHORTEST_TARGET
        && (rest.starts_with(b"/")
            || text::begins(rest, b"http://")
            || (method == b"CONNECT" && rest.contains(&b':')))
        && text::is_text(rest)
}

/// Methods of the IANA registry that clients use, and those of Microsoft's RPC over HTTP.
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"SUBSCRIBE",
    b"NOTIFY",
];

/// How much of an unfinished target must have come, in bytes.
const SHORTEST_TARGET: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn requests_and_answers_are_known() {
        assert_eq!(opening(b"GET / HTTP/1.1\r\n"), Some(Protocol::Http));
        assert_eq!(opening(b"FROBNICATE /x HTTP/1.0\r\n"), Some(Protocol::Http));
        assert_eq!(opening(b"HTTP/1.1 204 No Content\r\n"), Some(Protocol::Http));
        assert_eq!(opening(b"CONNECT example.com:443"), Some(Protocol::Http));
    }

    #[test]
    fn an_unfinished_line_waits_for_a_target() {
        assert_eq!(opening(b"GET /"), None);
        assert_eq!(opening(b"GET /a-long-path-without-an-end"), Some(Protocol::Http));
    }

    #[test]
    fn relatives_are_not_http() {
        assert_ne!(opening(b"OPTIONS rtsp://camera/ RTSP/1.0\r\n"), Some(Protocol::Http));
        assert_ne!(opening(b"OPTIONS sip:a@b SIP/2.0\r\n"), Some(Protocol::Http));
        assert_eq!(opening(b"GET /announce?info_hash=x HTTP/1.1\r\n"), Some(Protocol::Bittorrent));
    }
}
