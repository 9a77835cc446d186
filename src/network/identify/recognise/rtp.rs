//! RTP (RFC 3550, section 5.1). The header is weak: version 2 and a payload type that RTCP does not occupy (RFC 5761). The proof is a
//! second packet of the same source and type whose sequence number goes on.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::range(0, 0x06), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams =
    Recogniser { opens: FirstBytes::range(0x80, 0xbf), recognise: datagrams };

/// Over TCP each packet follows its length (RFC 4571, section 2); the first must end with its segment.
fn streams(stream: &Stream<'_>) -> Verdict {
    let mut cursor = Cursor::new(stream.bytes);
    let framed = cursor.u16_be().map(usize::from) == Some(cursor.remaining());
    let packet = cursor.rest();
    let audible = packet.len() >= SHORTEST_FRAMED && header(packet, packet.len()).is_some();
    Verdict::when(
        framed && audible && packet.first().is_some_and(|flags| flags & 0xf0 == 0x80),
        Protocol::Rtp,
    )
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    let Some((source, kind, sequence)) = header(datagram.bytes, datagram.wire_length) else {
        return Verdict::No;
    };
    // Source, type and number in one word.
    let token = u64::from(source) << 32 | u64::from(kind) << 16 | u64::from(sequence);
    let goes_on = |before: u64| {
        let step = sequence.wrapping_sub(u16::try_from(before & 0xffff).unwrap_or_default());
        before >> 32 == u64::from(source) && (1..=LARGEST_STEP).contains(&step)
    };
    if datagram.token(Protocol::Rtp).is_some_and(goes_on) {
        Verdict::Match(Protocol::Rtp)
    } else {
        Verdict::Weak(Protocol::Rtp, token)
    }
}

fn header(bytes: &[u8], wire_length: usize) -> Option<(u32, u8, u16)> {
    let mut cursor = Cursor::new(bytes);
    let flags = cursor.u8()?;
    let kind = cursor.u8()? & 0x7f;
    let sequence = cursor.u16_be()?;
    cursor.skip(4)?;
    let source = cursor.u32_be()?;
    let sources = usize::from(flags & 0x0f);
    let fits = SHORTEST + sources * 4 <= wire_length;
    // Static types end at 34; dynamic ones begin at 96 (RFC 3551, section 6).
    let assigned = matches!(kind, 0..=34 | 96..=127);
    (fits && assigned && source != 0).then_some((source, kind, sequence))
}

const SHORTEST: usize = 12;
/// A frame of audio: ten milliseconds at eight kilobits.
const SHORTEST_FRAMED: usize = 22;
/// How far the sequence number may move from one packet to the next that is seen.
const LARGEST_STEP: u16 = 16;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex, second_datagram};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_packet_needs_another_that_goes_on() {
        let first = hex("80 60 0001 00000000 11223344 ab");
        assert_eq!(datagram(&first), None);
        assert_eq!(second_datagram(&first, &hex("80 e0 0002 000000a0 11223344 ab")), Some(Protocol::Rtp));
        assert_eq!(second_datagram(&first, &hex("80 60 0002 000000a0 11223345 ab")), None);
        assert_eq!(second_datagram(&first, &hex("80 60 0001 000000a0 11223344 ab")), None);
    }
}
