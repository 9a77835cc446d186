//! The MongoDB wire protocol (MongoDB manual, "MongoDB Wire Protocol"): a header of four little-endian integers, and behind the
//! operation's code a field whose values are few.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::ANY, recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::proven(message(stream.bytes), Protocol::Mongodb)
}

fn message(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let length = cursor.u32_le()?;
    cursor.skip(4)?;
    let response_to = cursor.u32_le()?;
    let operation = cursor.u32_le()?;
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Some(false);
    }
    Some(match operation {
        OP_MSG => cursor.u32_le()? & !MSG_FLAGS == 0 && cursor.u8()? <= 1 && response_to < OP_LIMIT,
        OP_QUERY => {
            let flags = cursor.u32_le()?;
            let collection = cursor.rest();
            let end = collection.iter().take(LONGEST_NAME).position(|byte| *byte == 0)?;
            let name = cursor.take(end)?;
            flags <= 0xff && name.contains(&b'.') && name.iter().all(u8::is_ascii_graphic)
        }
        OP_REPLY => cursor.u32_le()? <= 0xf && response_to != 0 && length >= 36,
        OP_COMPRESSED => matches!(cursor.u32_le()?, OP_MSG | OP_QUERY | OP_REPLY),
        OP_UPDATE | OP_INSERT | OP_GET_MORE | OP_DELETE | OP_KILL_CURSORS => cursor.u32_le()? <= 1,
        _ => false,
    })
}

const OP_REPLY: u32 = 1;
const OP_UPDATE: u32 = 2001;
const OP_INSERT: u32 = 2002;
const OP_QUERY: u32 = 2004;
const OP_GET_MORE: u32 = 2005;
const OP_DELETE: u32 = 2006;
const OP_KILL_CURSORS: u32 = 2007;
const OP_COMPRESSED: u32 = 2012;
const OP_MSG: u32 = 2013;
/// `checksumPresent`, `moreToCome`, `exhaustAllowed`.
const MSG_FLAGS: u32 = 0x0001_0003;
const SHORTEST: u32 = 21;
/// `maxMessageSizeBytes`.
const LONGEST: u32 = 48_000_000;
/// Message numbers count up from zero and are signed.
const OP_LIMIT: u32 = 1 << 31;
/// Bytes of a namespace.
const LONGEST_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn messages_are_known() {
        assert_eq!(opening(&hex("40000000 01000000 00000000 dd070000 00000000 00")), Some(Protocol::Mongodb));
        let mut query = hex("3f000000 01000000 00000000 d4070000 04000000");
        query.extend(b"admin.$cmd\0");
        assert_eq!(opening(&query), Some(Protocol::Mongodb));
        assert_eq!(opening(&hex("40000000 01000000 00000000 dd070000 00ff0000 00")), None);
    }
}
