//! WebSocket (RFC 6455, section 5.2) in a flow that was joined behind its handshake; the handshake itself is HTTP.
//!
//! A frame has a final bit, three zero bits, one of six opcodes and a length. A client masks and a server does not: both directions must
//! show it, and the frames must end with what was read of them.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::range(0x81, 0x8a), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let masks = [masked(stream.bytes), masked(stream.reply)];
    Verdict::when(matches!(masks, [Some(true), Some(false)] | [Some(false), Some(true)]), Protocol::Websocket)
}

/// Whether the frames of one end are masked, all of them the same way.
fn masked(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let mut masks = None;
    while !cursor.is_empty() {
        let kind = cursor.u8()?;
        if !matches!(kind, 0x81 | 0x82 | 0x88 | 0x89 | 0x8a) {
            return None;
        }
        let length = cursor.u8()?;
        let masked = length & 0x80 != 0;
        let length = match length & 0x7f {
            126 => usize::from(cursor.u16_be()?),
            127 => usize::try_from(cursor.u64_be()?).ok()?,
            short => usize::from(short),
        };
        if *masks.get_or_insert(masked) != masked {
            return None;
        }
        cursor.skip(if masked { MASK } else { 0 })?;
        cursor.skip(length)?;
    }
    masks
}

/// Bytes of a mask.
const MASK: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn one_end_masks_and_the_other_does_not() {
        let (server, client) = (hex("81 02 6869"), hex("81 82 01020304 696b"));
        assert_eq!(answered(&server, &client), Some(Protocol::Websocket));
        assert_eq!(answered(&client, &client), None);
        assert_eq!(answered(&server, &client[..7]), None);
    }
}
