//! SIP (RFC 3261, section 7): a method and a `sip:`, `sips:` or `tel:` target before `SIP/2.0`, or a status line that starts so.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::CAPITALS, recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::CAPITALS, recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::when(is_message(stream.bytes), Protocol::Sip)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::when(is_message(datagram.bytes), Protocol::Sip)
}

fn is_message(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let Some((method, rest)) = text::word(bytes) else { return false };
    let target = [&b"sip:"[..], b"sips:", b"tel:"].iter().any(|scheme| text::begins(rest, scheme));
    let versioned = text::line(rest).is_some_and(|line| line.trim_ascii_end().ends_with(b" SIP/2.0"));
    METHODS.contains(&method) && (target || versioned)
}

/// RFC 3261, section 7.1 and the extensions of the IANA registry.
const METHODS: &[&[u8]] = &[
    b"INVITE",
    b"ACK",
    b"OPTIONS",
    b"BYE",
    b"CANCEL",
    b"REGISTER",
    b"PRACK",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"PUBLISH",
    b"INFO",
    b"REFER",
    b"MESSAGE",
    b"UPDATE",
];

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn requests_and_answers_are_known() {
        assert_eq!(datagram(b"REGISTER sip:example.com SIP/2.0\r\n"), Some(Protocol::Sip));
        assert_eq!(datagram(b"SIP/2.0 100 Trying\r\n"), Some(Protocol::Sip));
        assert_eq!(opening(b"OPTIONS sip:a@b SIP/2.0\r\n"), Some(Protocol::Sip));
        assert_eq!(datagram(b"OPTIONS * HTTP/1.1\r\n"), None);
    }
}
