//! Foreign bytes as text that is safe to show.

use std::sync::Arc;

/// At most [`LONGEST`] bytes as text: what is no UTF-8 and what could control a terminal is replaced.
pub(super) fn shown(bytes: &[u8]) -> Option<Arc<str>> {
    let bytes = bytes.get(..bytes.len().min(LONGEST)).unwrap_or_default().trim_ascii();
    if bytes.is_empty() {
        return None;
    }
    if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return std::str::from_utf8(bytes).ok().map(Arc::from);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut pieces = chunk.valid().split(char::is_control);
        text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            text.push(char::REPLACEMENT_CHARACTER);
            text.push_str(piece);
        }
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Some(text.into())
}

/// As much of the bytes, with what is no UTF-8 replaced, as [`shown`] looks at.
pub(super) fn replaced(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        if text.len() >= LONGEST {
            break;
        }
    }
    text
}

/// A host name: as [`shown`], in lower case and without the root's dot, since DNS knows no case (RFC 4343).
pub(super) fn host(bytes: &[u8]) -> Option<Arc<str>> {
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    let text = shown(bytes)?;
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some(text.to_ascii_lowercase().into())
    } else {
        Some(text)
    }
}

/// The longest text that is kept, in bytes; the longest host name is shorter.
const LONGEST: usize = 256;

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

    #[test]
    fn hosts_are_lower_case_without_a_final_dot() {
        assert_eq!(host(b"Example.COM.").as_deref(), Some("example.com"));
    }
}
