//! MQTT 3.1, 3.1.1 and 5 (OASIS MQTT 5.0, section 3).
//!
//! A CONNECT names the protocol. A flow joined later is known by packets whose lengths add up to the segment and whose fixed header
//! has the flags that the type demands, both ways.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::range(0x10, 0xf0), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    if connect(stream.bytes) == Some(true) {
        return Verdict::Match(Protocol::Mqtt);
    }
    let is_ping = [stream.bytes, stream.reply] == [&[0xc0, 0][..], &[0xd0, 0]];
    match (packets(stream.bytes), packets(stream.reply)) {
        (Some(this), Some(other)) if this.telling || other.telling || is_ping => {
            Verdict::Match(Protocol::Mqtt)
        }
        (Some(this), _) if this.telling => stream.on_its_port(Protocol::Mqtt),
        _ => Verdict::No,
    }
}

fn connect(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    if cursor.u8()? != CONNECT {
        return Some(false);
    }
    remaining_length(&mut cursor)?;
    Some([&b"\0\x04MQTT"[..], b"\0\x06MQIsdp"].iter().any(|name| cursor.rest().starts_with(name)))
}

/// What a chain of packets shows.
struct Chain {
    /// A packet in it has contents that MQTT fixes, beyond its header.
    telling: bool,
}

/// Reads packets to the end; only one that tells by its first bytes may go beyond it.
fn packets(bytes: &[u8]) -> Option<Chain> {
    let mut cursor = Cursor::new(bytes);
    let mut chain = Chain { telling: false };
    if cursor.is_empty() {
        return None;
    }
    while !cursor.is_empty() {
        let header = cursor.u8()?;
        let length = remaining_length(&mut cursor)?;
        let Some(body) = cursor.take(length) else {
            let publishes = header >> 4 == PUBLISH && header & 0x06 != 0x06;
            return (publishes && has_topic(cursor.rest())).then_some(Chain { telling: true });
        };
        chain.telling |= match (header >> 4, header & 0x0f) {
            (PUBLISH, flags) if flags & 0x06 != 0x06 => has_topic(body),
            (CONNACK, 0) => matches!(body, [0 | 1, 0..=5] | [0 | 1, _, _, ..]) && length <= 64,
            (PUBACK | PUBREC | PUBCOMP | UNSUBACK, 0) | (PUBREL, 2) if length >= 2 => false,
            (SUBACK, 0) => body.len() >= 3 && body.iter().skip(2).all(|code| matches!(code, 0..=2 | 0x80..)),
            (SUBSCRIBE | UNSUBSCRIBE, 2) => body.get(2..).is_some_and(has_topic),
            (PINGREQ | PINGRESP, 0) if length == 0 => false,
            (DISCONNECT | AUTH, 0) => false,
            _ => return None,
        };
    }
    Some(chain)
}

/// A UTF-8 string of printable characters at the front (section 4.7).
fn has_topic(body: &[u8]) -> bool {
    let mut cursor = Cursor::new(body);
    let Some(length) = cursor.u16_be() else { return false };
    let topic = cursor.take(usize::from(length)).unwrap_or_default();
    topic.len() >= 2 && topic.iter().all(|byte| matches!(byte, b' '..=b'~' | 0x80..))
}

/// The variable byte integer of section 1.5.5.
pub(super) fn remaining_length(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = cursor.u8()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
const UNSUBSCRIBE: u8 = 10;
const UNSUBACK: u8 = 11;
const PINGREQ: u8 = 12;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;
const AUTH: u8 = 15;

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_connect_is_known() {
        assert_eq!(opening(b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04abcd"), Some(Protocol::Mqtt));
    }

    #[test]
    fn packets_alone_need_both_directions() {
        let publish = b"\x30\x07\0\x03a/b12";
        assert_eq!(opening(publish), None);
        assert_eq!(answered(publish, &hex("d000")), Some(Protocol::Mqtt));
        assert_eq!(answered(b"\x30\x07\0\x03a\x01b12", &hex("d000")), None);
    }
}
