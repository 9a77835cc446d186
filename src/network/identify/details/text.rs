//! Foreign bytes as text that is safe to show.

use std::borrow::Cow;

/// At most [`LONGEST`] bytes as text: what is no UTF-8 and what could control a terminal is replaced.
pub(super) fn shown(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let bytes = bytes.get(..bytes.len().min(LONGEST)).unwrap_or_default().trim_ascii();
    if bytes.is_empty() {
        return None;
    }
    // Without an early end, many bytes are looked at at once.
    if bytes.iter().fold(true, |printable, byte| printable & matches!(byte, b' '..=b'~')) {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some((before, behind)) = split_at_control(rest) {
            text.push_str(before);
            text.push_str(REPLACEMENT);
            rest = behind;
        }
        text.push_str(rest);
        if !chunk.invalid().is_empty() {
            text.push_str(REPLACEMENT);
        }
    }
    Some(Cow::Owned(text))
}

/// What stands before and behind the first control character: U+0000 to 001F, 007F to 009F, as [`char::is_control`] has them. Byte by byte,
/// which is several times as fast.
fn split_at_control(text: &str) -> Option<(&str, &str)> {
    let mut before = 0_u8;
    let at = text.bytes().position(|byte| {
        let second_of_two = before == 0xc2 && byte < 0xa0;
        before = byte;
        second_of_two || byte < b' ' || byte == 0x7f
    })?;
    let start = if before < 0x80 { at } else { at - 1 };
    Some((text.get(..start)?, text.get(at + 1..)?))
}

/// As much of the bytes, with what is no UTF-8 replaced, as [`shown`] looks at.
pub(super) fn replaced(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * LONGEST);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push_str(REPLACEMENT);
        }
        if text.len() >= LONGEST {
            break;
        }
    }
    text
}

/// A host name: as [`shown`], in lower case and without the root's dot, since DNS knows no case (RFC 4343).
pub(super) fn host(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    let mut text = shown(bytes)?;
    if text.bytes().fold(false, |upper, byte| upper | byte.is_ascii_uppercase()) {
        text.to_mut().make_ascii_lowercase();
    }
    Some(text)
}

/// The longest text that is kept, in bytes; the longest host name is shorter.
const LONGEST: usize = 256;
/// U+FFFD, [`char::REPLACEMENT_CHARACTER`].
const REPLACEMENT: &str = "\u{fffd}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_replaced_and_length_is_bounded() {
        assert_eq!(shown(b"a\x1b[31m\xff").as_deref(), Some("a\u{fffd}[31m\u{fffd}"));
        assert_eq!(shown(&[b'a'; 999]).map(|text| text.len()), Some(LONGEST));
        assert_eq!(shown(b"  "), None);
        assert_eq!(shown("\u{1}\u{85}ü\n".as_bytes()).as_deref(), Some("\u{fffd}\u{fffd}ü"));
    }

    #[test]
    fn what_is_replaced_first_is_shown_the_same() {
        let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        for length in 0..bytes.len() {
            let bytes = &bytes[length / 3..length];
            assert_eq!(shown(replaced(bytes).as_bytes()), shown(String::from_utf8_lossy(bytes).as_bytes()));
        }
    }

    proptest::proptest! {
        #[test]
        fn controls_are_those_of_unicode(text in ".*|[\\u{0}-\\u{a5}]*") {
            let found = split_at_control(&text);
            proptest::prop_assert_eq!(found, text.split_once(char::is_control));
        }
    }

    #[test]
    fn hosts_are_lower_case_without_a_final_dot() {
        assert_eq!(host(b"Example.COM.").as_deref(), Some("example.com"));
    }
}
