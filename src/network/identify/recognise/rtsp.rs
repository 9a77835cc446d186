//! RTSP (RFC 7826, section 7 and 8; RFC 2326): lines as in HTTP, with `RTSP/` and a version.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::CAPITALS, recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let bytes = stream.bytes;
    if bytes.starts_with(b"RTSP/1.") || bytes.starts_with(b"RTSP/2.") {
        return Verdict::Match(Protocol::Rtsp);
    }
    let Some((method, rest)) = text::word(bytes) else { return Verdict::No };
    let versioned = text::line(rest).is_some_and(|line| text::contains(line, b" RTSP/"));
    Verdict::when(METHODS.contains(&method) && (versioned || text::begins(rest, b"rtsp://")), Protocol::Rtsp)
}

/// RFC 7826, section 13, and the two of RFC 2326 that it dropped.
const METHODS: &[&[u8]] = &[
    b"OPTIONS",
    b"DESCRIBE",
    b"SETUP",
    b"PLAY",
    b"PAUSE",
    b"TEARDOWN",
    b"GET_PARAMETER",
    b"SET_PARAMETER",
    b"REDIRECT",
    b"PLAY_NOTIFY",
    b"ANNOUNCE",
    b"RECORD",
];

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn requests_and_answers_are_known() {
        assert_eq!(opening(b"DESCRIBE rtsp://camera/stream RTSP/1.0\r\n"), Some(Protocol::Rtsp));
        assert_eq!(opening(b"OPTIONS * RTSP/1.0\r\n"), Some(Protocol::Rtsp));
        assert_eq!(opening(b"RTSP/1.0 200 OK\r\n"), Some(Protocol::Rtsp));
    }
}
