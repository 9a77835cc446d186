//! XMPP (RFC 6120, section 4): a stream header in the namespace `http://etherx.jabber.org/streams`, with or without an XML declaration.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"<"), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let head = stream.bytes.get(..stream.bytes.len().min(LOOKED_AT)).unwrap_or_default();
    let proof = text::begins(head, b"<stream:stream")
        || (text::begins(head, b"<?xml") && text::contains(head, b"<stream:stream"))
        || ([&b"<presence"[..], b"<message", b"<iq"].iter().any(|tag| text::begins(head, tag))
            && text::contains(head, b"jabber:"));
    Verdict::when(proof, Protocol::Xmpp)
}

/// How much of the header is looked at, in bytes.
const LOOKED_AT: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::testing::opening;
    use crate::network::protocol::Protocol;

    #[test]
    fn a_stream_header_is_known_and_other_xml_is_not() {
        assert_eq!(opening(b"<?xml version='1.0'?><stream:stream to='example.com'>"), Some(Protocol::Xmpp));
        assert_eq!(opening(b"<?xml version='1.0'?><policy/>"), None);
    }
}
