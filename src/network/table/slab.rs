//! Where flows live.

use std::num::NonZeroU32;

/// The place of a value in a [`Slab`]; one word in an `Option`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(NonZeroU32);

impl Slot {
    fn new(index: usize) -> Option<Self> {
        u32::try_from(index).ok()?.checked_add(1).and_then(NonZeroU32::new).map(Self)
    }

    fn chunk_and_place(self) -> (usize, usize) {
        // A slot was made from a `usize`, so it fits one.
        let index = usize::try_from(self.0.get() - 1).unwrap_or(usize::MAX);
        (index / CHUNK, index % CHUNK)
    }
}

/// Values at places that never move. It grows by a chunk at a time, so that a table of many flows is never copied, nor half empty.
#[derive(Debug)]
pub(super) struct Slab<V> {
    chunks: Vec<Vec<Option<V>>>,
    vacant: Vec<Slot>,
    used: usize,
}

impl<V> Default for Slab<V> {
    fn default() -> Self {
        Self { chunks: Vec::new(), vacant: Vec::new(), used: 0 }
    }
}

impl<V> Slab<V> {
    pub(super) fn len(&self) -> usize {
        self.used - self.vacant.len()
    }

    /// Keeps a value. `None` after four thousand million of them at once.
    pub(super) fn insert(&mut self, value: V) -> Option<Slot> {
        if let Some(slot) = self.vacant.pop() {
            *self.place(slot)? = Some(value);
            return Some(slot);
        }
        let slot = Slot::new(self.used)?;
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut()?.push(Some(value));
        self.used += 1;
        Some(slot)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<V> {
        let value = self.place(slot)?.take()?;
        self.vacant.push(slot);
        Some(value)
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&V> {
        let (chunk, place) = slot.chunk_and_place();
        self.chunks.get(chunk)?.get(place)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut V> {
        self.place(slot)?.as_mut()
    }

    /// All values with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &V)> {
        let places = self.chunks.iter().flatten().enumerate();
        places.filter_map(|(index, value)| Slot::new(index).zip(value.as_ref()))
    }

    #[inline]
    fn place(&mut self, slot: Slot) -> Option<&mut Option<V>> {
        let (chunk, place) = slot.chunk_and_place();
        self.chunks.get_mut(chunk)?.get_mut(place)
    }
}

/// Values in a chunk: about 128 KiB of flows.
const CHUNK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_the_others_keep_theirs() {
        let mut slab = Slab::default();
        let slots: Vec<Slot> = (0..1_000).map(|value| slab.insert(value).unwrap()).collect();
        assert_eq!(slab.remove(slots[300]), Some(300));
        assert_eq!(slab.get(slots[300]), None);
        assert_eq!(slab.insert(7), Some(slots[300]));
        assert_eq!(slab.len(), 1_000);
        assert_eq!(slab.get(slots[999]), Some(&999));
        assert!(slab.iter().all(|(slot, value)| slab.get(slot) == Some(value)));
        assert_eq!(slab.iter().count(), 1_000);
    }
}
