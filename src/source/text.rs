//! Texts of foreign lines: bounded, and kept once where they repeat.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The longest text that is kept, in bytes: four times the `PATH_MAX` of macOS.
pub(crate) const TEXT_LIMIT: usize = 4_096;

/// The longest name that is kept (host, interface, server name, flow id): a DNS name has at most 253 bytes.
pub(crate) const NAME_LIMIT: usize = 256;

/// As much of `text` as fits into `limit` bytes, cut between characters.
pub(crate) fn clip(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// Gives out one shared copy of texts that repeat (paths, signing ids, arguments): the process tree keeps many thousands of them.
///
/// The seed of its hash is random, so that nobody can choose paths that collide; nothing depends on the order of the set.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    known: HashSet<Arc<str>, RandomState>,
}

impl Interner {
    /// How many texts are known at once; when it is full it starts afresh, since what repeats comes back at once.
    const CAPACITY: usize = 4_096;

    /// Texts over this length in bytes are not worth a place: they rarely repeat.
    const LONGEST: usize = 512;

    /// A shared copy of `text`, cut at [`TEXT_LIMIT`].
    pub(crate) fn text(&mut self, text: &str) -> Arc<str> {
        let text = clip(text, TEXT_LIMIT);
        if text.len() > Self::LONGEST {
            return text.into();
        }
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        if self.known.len() >= Self::CAPACITY {
            self.known.clear();
        }
        let new: Arc<str> = text.into();
        self.known.insert(Arc::clone(&new));
        new
    }

    /// A shared copy of a name, cut at [`NAME_LIMIT`].
    pub(crate) fn name(&mut self, name: &str) -> Arc<str> {
        self.text(clip(name, NAME_LIMIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(clip("größe", 3), "gr");
        assert_eq!(clip("größe", 4), "grö");
        assert_eq!(clip("größe", 40), "größe");
        assert_eq!(clip("ö", 1), "");
    }

    #[test]
    fn a_text_that_repeats_is_kept_once() {
        let mut interner = Interner::default();
        let first = interner.text("/bin/zsh");
        assert!(Arc::ptr_eq(&first, &interner.text("/bin/zsh")));
        assert_eq!(interner.text(&"x".repeat(5_000)).len(), TEXT_LIMIT);
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut interner = Interner::default();
        for number in 0..3 * Interner::CAPACITY {
            interner.text(&number.to_string());
        }
        assert!(interner.known.len() <= Interner::CAPACITY);
    }
}
