//! Syslog (RFC 5424, section 6; RFC 3164, section 4): a priority of at most 191 in angle brackets, then a version and a date, or text.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(b"<"), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::of(b"<"), recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::when(is_message(stream.bytes), Protocol::Syslog)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::when(is_message(datagram.bytes), Protocol::Syslog)
}

fn is_message(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"<") else { return false };
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let Some((number, rest)) = rest.split_at_checked(digits) else { return false };
    let priority = number.iter().fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    let Some(message) = rest.strip_prefix(b">") else { return false };
    let head = message.get(..message.len().min(LOOKED_AT)).unwrap_or_default();
    (1..=3).contains(&digits) && priority <= LAST_PRIORITY && head.len() >= 4 && text::is_text(head)
}

/// Facility 23, severity 7.
const LAST_PRIORITY: u32 = 191;
/// How much of the text is looked at, in bytes.
const LOOKED_AT: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::testing::datagram;
    use crate::network::protocol::Protocol;

    #[test]
    fn a_priority_and_text_are_known() {
        assert_eq!(datagram(b"<34>Oct 11 22:14:15 host su: failed"), Some(Protocol::Syslog));
        assert_eq!(datagram(b"<192>Oct 11 22:14:15 host su: failed"), None);
    }
}
