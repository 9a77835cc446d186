//! Texts that many flows have in common, kept once.

use std::hash::BuildHasher;
use std::sync::Arc;

/// The same few user agents, fingerprints, versions and names come with nearly every flow of a Mac, and a flow lives for hours. The texts
/// met lately are remembered, each in the place that its hash gives, and a flow that brings the same text again gets that one. A
/// collision costs a second copy and nothing else.
#[derive(Debug)]
pub(super) struct SharedTexts {
    places: Box<[Option<Arc<str>>]>,
    hasher: foldhash::fast::FixedState,
}

impl Default for SharedTexts {
    fn default() -> Self {
        Self { places: vec![None; PLACES].into_boxed_slice(), hasher: foldhash::fast::FixedState::default() }
    }
}

impl SharedTexts {
    /// A handle on this text: the one that is already kept, where there is one.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        let hash = self.hasher.hash_one(text);
        let place = usize::try_from(hash % PLACES as u64).unwrap_or_default();
        match self.places.get_mut(place) {
            Some(Some(kept)) if **kept == *text => Arc::clone(kept),
            Some(place) => Arc::clone(place.insert(text.into())),
            None => text.into(),
        }
    }
}

/// Texts remembered; with the longest texts, half a mebibyte.
const PLACES: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_of_two_flows_are_one() {
        let mut shared = SharedTexts::default();
        let (first, second) = (shared.share("curl/8"), shared.share("curl/8"));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(&*shared.share("curl/9"), "curl/9");
    }

    #[test]
    fn a_collision_costs_a_copy_and_changes_no_text() {
        let mut shared = SharedTexts::default();
        for number in 0..3 * PLACES {
            let text = number.to_string();
            assert_eq!(*shared.share(&text), *text);
        }
    }
}
