//! AMQP 0-9-1 (section 4.2.2 and 4.2.3) and 1.0 (OASIS AMQP 1.0, part 2, section 2.2): a header that names the protocol, or a frame of
//! 0-9-1 that ends with its end mark.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::of(&[b'A', 1, 2, 3]), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let header = matches!(stream.bytes, [b'A', b'M', b'Q', b'P', 0..=3, 0 | 1, 0 | 9, 0 | 1 | 9 | 10, ..]);
    Verdict::when(header || frame(stream.bytes) == Some(true), Protocol::Amqp)
}

fn frame(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    cursor.skip(3)?;
    let length = usize::try_from(cursor.u32_be()?).ok()?;
    let body = cursor.take(length)?;
    let class = Cursor::new(body).u16_be()?;
    Some(cursor.u8()? == FRAME_END && class.is_multiple_of(10) && (10..=90).contains(&class))
}

const FRAME_END: u8 = 0xce;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn the_header_and_a_frame_are_known() {
        assert_eq!(opening(b"AMQP\0\0\x09\x01"), Some(Protocol::Amqp));
        assert_eq!(opening(&hex("01 0000 00000004 000a 000b ce")), Some(Protocol::Amqp));
        assert_eq!(opening(&hex("01 0000 00000004 000a 000b cd")), None);
    }
}
