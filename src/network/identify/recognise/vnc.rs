//! VNC (RFC 6143, section 7.1.1): both ends open with `RFB 003.008` and a line feed, in twelve bytes.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"R"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let proof = matches!(stream.bytes, [b'R', b'F', b'B', b' ', version @ .., ] if matches!(version, [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'.', ..]));
    Verdict::when(proof, Protocol::Vnc)
}

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn the_version_is_known() {
        assert_eq!(opening(b"RFB 003.889\n"), Some(Protocol::Vnc));
        assert_eq!(opening(b"RFB x"), None);
    }
}
