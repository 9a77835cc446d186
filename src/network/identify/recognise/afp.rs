//! AFP over DSI (Apple Filing Protocol Programming Guide, "Data Stream Interface"): a sixteen-byte header of which the last word is
//! zero, of the commands that open: `DSIGetStatus` and `DSIOpenSession`.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(&[0]), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    match request(stream.bytes) {
        Some(true) if is_answer(stream.bytes, stream.reply) == Some(true) => Verdict::Match(Protocol::Afp),
        Some(true) => stream.on_its_port(Protocol::Afp),
        _ => Verdict::No,
    }
}

fn request(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let flags = cursor.u8()?;
    let command = cursor.u8()?;
    cursor.skip(2)?;
    let offset = cursor.u32_be()?;
    let length = cursor.u32_be()?;
    let reserved = cursor.u32_be()?;
    let body = match command {
        GET_STATUS => matches!(length, 0 | 2),
        OPEN_SESSION => length <= 32,
        _ => false,
    };
    Some(
        flags == 0
            && offset == 0
            && reserved == 0
            && body
            && usize::try_from(length) == Ok(cursor.remaining()),
    )
}

/// The answer repeats command and number with the reply flag.
fn is_answer(request: &[u8], reply: &[u8]) -> Option<bool> {
    let asked = Cursor::new(request).array::<4>()?;
    let [flags, command @ ..] = Cursor::new(reply).array::<4>()?;
    Some(flags == 1 && Some(&command[..]) == asked.get(1..))
}

const GET_STATUS: u8 = 3;
const OPEN_SESSION: u8 = 4;

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_request_needs_its_answer() {
        let request = hex("00 03 0001 00000000 00000000 00000000");
        assert_eq!(opening(&request), None);
        assert_eq!(answered(&request, &hex("01 03 0001 00000000")), Some(Protocol::Afp));
        assert_eq!(answered(&request, &hex("01 03 0002 00000000")), None);
    }
}
