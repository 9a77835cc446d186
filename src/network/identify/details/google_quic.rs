//! The client's hello of Google's QUIC up to its version 46 ("QUIC Crypto", Langley and Chang, 2016): tags and values in the clear.

use super::Notes;
use crate::cursor::Cursor;

/// Reads a hello; `false` where the datagram has none.
pub(in super::super) fn read(datagram: &[u8], notes: &mut Notes<'_>) -> bool {
    let Some(hello) = find(datagram) else { return false };
    for (tag, value) in values(hello).into_iter().flatten() {
        match tag {
            SERVER_NAME => {
                let name = notes.host(value);
                notes.write().server_name = name;
            }
            USER_AGENT => {
                let agent = notes.shown(value);
                notes.write().user_agent = agent;
            }
            _ => {}
        }
    }
    true
}

/// What follows the hello's own tag. The headers before it have a dozen forms, all short, so that the tag is looked for.
fn find(datagram: &[u8]) -> Option<&[u8]> {
    let head = datagram.get(..datagram.len().min(LONGEST_HEADERS))?;
    let at = head.windows(HELLO.len()).position(|window| window == HELLO)?;
    datagram.get(at + HELLO.len()..)
}

/// The tags with their values: a count, then for each tag the end of its value, then the values.
fn values(hello: &[u8]) -> Option<impl Iterator<Item = ([u8; 4], &[u8])>> {
    let mut index = Cursor::new(hello);
    let count = usize::from(index.u16_le()?).min(MOST_TAGS);
    index.skip(2)?;
    let mut rest = index;
    let mut index = rest.part(count * 8)?;
    let values = rest.rest();
    let mut start = 0;
    Some(std::iter::from_fn(move || {
        let tag = index.array::<4>()?;
        let end = usize::try_from(index.u32_le()?).ok()?;
        let value = values.get(start..end)?;
        start = end;
        Some((tag, value))
    }))
}

const HELLO: &[u8] = b"CHLO";
const SERVER_NAME: [u8; 4] = *b"SNI\0";
const USER_AGENT: [u8; 4] = *b"UAID";
/// Public header, hash and frame header, in bytes.
const LONGEST_HEADERS: usize = 96;
const MOST_TAGS: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::super::Metadata;
    use super::super::super::shared::SharedTexts;
    use super::*;

    #[test]
    fn a_hello_gives_name_and_agent() {
        let mut datagram =
            b"\x0d\x01\x02\x03\x04\x05\x06\x07\x08Q039\x01............\xa0\x01\x00\x04".to_vec();
        datagram.extend(b"CHLO\x02\0\0\0SNI\0\x0b\0\0\0UAID\x11\0\0\0example.comChrome");
        let mut metadata = None;
        assert!(read(&datagram, &mut Notes::new(&mut metadata, &mut SharedTexts::default(), 443)));
        let expected = Metadata {
            server_name: Some("example.com".into()),
            user_agent: Some("Chrome".into()),
            ..Metadata::default()
        };
        assert_eq!(metadata.as_deref(), Some(&expected));
    }

    #[test]
    fn a_value_beyond_the_end_is_left_out() {
        let mut metadata = None;
        assert!(read(
            b"CHLO\x01\0\0\0SNI\0\xff\0\0\0example.com",
            &mut Notes::new(&mut metadata, &mut SharedTexts::default(), 443)
        ));
        assert_eq!(metadata, None);
    }
}
