//! SSH (RFC 4253, section 4.2): both ends open with `SSH-` and a version number.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"S"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::when(matches!(stream.bytes, [b'S', b'S', b'H', b'-', b'0'..=b'9', ..]), Protocol::Ssh)
}

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn the_identification_is_known() {
        assert_eq!(opening(b"SSH-2.0-OpenSSH_9.9\r\n"), Some(Protocol::Ssh));
        assert_eq!(opening(b"SSH-"), None);
    }
}
