//! Names of interfaces and processes, as text that is safe to show.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;

/// Names that recur with every packet, each kept once.
///
/// Holds at most [`Names::LIMIT`] of them; when full it forgets them all and starts afresh, which costs an allocation for each name
/// still in use and changes nothing else.
#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<Box<[u8]>, Option<Arc<str>>>,
}

impl Names {
    /// Far above the number of processes and interfaces that a Mac shows in one capture.
    pub const LIMIT: usize = 4_096;

    /// The text of a field of at most a few dozen bytes; `None` where it is empty.
    pub fn intern(&mut self, field: &[u8]) -> Option<Arc<str>> {
        if field.is_empty() {
            return None;
        }
        if let Some(name) = self.known.get(field) {
            return name.clone();
        }
        if self.known.len() >= Self::LIMIT {
            self.known.clear();
        }
        let name = clean_text(field, field.len());
        self.known.insert(field.into(), name.clone());
        name
    }
}

/// Foreign bytes as text: up to the first NUL and at most `limit` bytes of it, with what is no UTF-8, and control characters, replaced by U+FFFD,
/// so that a process cannot name itself into somebody's terminal. `None` where nothing is left.
pub(crate) fn clean_text(bytes: &[u8], limit: usize) -> Option<Arc<str>> {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let bytes = bytes.get(..limit).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let text = if text.contains(char::is_control) {
        Cow::Owned(text.replace(char::is_control, "\u{fffd}"))
    } else {
        text
    };
    (!text.is_empty()).then(|| Arc::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_kept_once() {
        let mut names = Names::default();
        let first = names.intern(b"curl").unwrap();
        let again = names.intern(b"curl").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(names.intern(b""), None);
    }

    #[test]
    fn never_holds_more_than_its_limit() {
        let mut names = Names::default();
        for number in 0..=Names::LIMIT {
            let text = number.to_string();
            assert_eq!(names.intern(text.as_bytes()).as_deref(), Some(text.as_str()));
        }
        assert_eq!(names.known.len(), 1);
    }

    #[test]
    fn text_ends_at_nul_and_cannot_command_a_terminal() {
        assert_eq!(clean_text(b"en0\0\0", 16).as_deref(), Some("en0"));
        assert_eq!(clean_text(b"\0en0", 16), None);
        assert_eq!(clean_text(b"a\x1b[2Jb\xff", 16).as_deref(), Some("a\u{fffd}[2Jb\u{fffd}"));
        assert_eq!(clean_text("Überprüfer".as_bytes(), 2).as_deref(), Some("Ü"));
    }
}
