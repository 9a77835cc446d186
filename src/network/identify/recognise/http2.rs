//! HTTP/2 in the clear (RFC 9113, section 3.4).
//!
//! A client opens with 24 fixed bytes. A server opens with a SETTINGS frame on stream 0, whose length is a multiple of six.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"P\0"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let preface = stream.bytes.starts_with(SHORT_PREFACE);
    Verdict::when(preface || server_settings(stream.bytes) == Some(true), Protocol::Http2)
}

fn server_settings(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let length = cursor.u24_be()?;
    let kind = cursor.u8()?;
    let flags = cursor.u8()?;
    let stream = cursor.u32_be()?;
    if kind != SETTINGS
        || flags != 0
        || stream != 0
        || length == 0
        || length % 6 != 0
        || length > LONGEST_SETTINGS
    {
        return Some(false);
    }
    // The first setting is one that RFC 9113, section 6.5.2 or an extension of it defines.
    Some(matches!(cursor.u16_be()?, 1..=16))
}

/// The preface up to the end of its first line and the empty line: nothing else begins so.
const SHORT_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
const SETTINGS: u8 = 4;
/// Far more settings than exist.
const LONGEST_SETTINGS: u32 = 120;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn both_ends_are_known() {
        assert_eq!(opening(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Some(Protocol::Http2));
        assert_eq!(opening(&hex("000006 04 00 00000000 0003 00000064")), Some(Protocol::Http2));
        assert_eq!(opening(&hex("000007 04 00 00000000 0003 00000064 00")), None);
    }
}
