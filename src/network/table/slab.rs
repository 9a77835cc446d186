//! Where flows live.

use std::num::NonZeroU32;

/// The place of a flow in a [`Slab`]; one word in an `Option`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(NonZeroU32);

impl Slot {
    fn new(index: usize) -> Option<Self> {
        u32::try_from(index).ok()?.checked_add(1).and_then(NonZeroU32::new).map(Self)
    }

    /// Its number, from zero: small, since places are used again.
    #[inline]
    pub(super) fn index(self) -> usize {
        // A slot was made from a `usize`, so it fits one.
        usize::try_from(self.0.get() - 1).unwrap_or(usize::MAX)
    }

    #[inline]
    fn chunk_and_place(self) -> (usize, usize) {
        (self.index() / CHUNK, self.index() % CHUNK)
    }
}

/// Places that never move, each in two halves: what every packet touches lies close together, apart from what few packets need.
///
/// It grows by a chunk at a time, so that a table of many flows is never copied, nor half empty. The hot half of a vacant place is
/// stale, and nobody has its slot.
#[derive(Debug)]
pub(super) struct Slab<H, C> {
    hot: Vec<Vec<H>>,
    cold: Vec<Vec<Option<C>>>,
    vacant: Vec<Slot>,
    used: usize,
}

impl<H, C> Default for Slab<H, C> {
    fn default() -> Self {
        Self { hot: Vec::new(), cold: Vec::new(), vacant: Vec::new(), used: 0 }
    }
}

impl<H, C> Slab<H, C> {
    pub(super) fn len(&self) -> usize {
        self.used - self.vacant.len()
    }

    /// Gives a flow a place. `None` after four thousand million of them at once.
    #[inline]
    pub(super) fn insert(&mut self, hot: H, cold: C) -> Option<Slot> {
        if let Some(slot) = self.vacant.pop() {
            *self.hot_mut(slot)? = hot;
            let (chunk, place) = slot.chunk_and_place();
            *self.cold.get_mut(chunk)?.get_mut(place)? = Some(cold);
            return Some(slot);
        }
        let slot = Slot::new(self.used)?;
        if self.used.is_multiple_of(CHUNK) {
            self.hot.push(Vec::with_capacity(CHUNK));
            self.cold.push(Vec::with_capacity(CHUNK));
        }
        self.hot.last_mut()?.push(hot);
        self.cold.last_mut()?.push(Some(cold));
        self.used += 1;
        Some(slot)
    }

    /// Makes a place vacant.
    pub(super) fn remove(&mut self, slot: Slot) {
        let (chunk, place) = slot.chunk_and_place();
        let cold = self.cold.get_mut(chunk).and_then(|chunk| chunk.get_mut(place));
        if let Some(cold) = cold.filter(|cold| cold.is_some()) {
            *cold = None;
            self.vacant.push(slot);
        }
    }

    #[inline]
    pub(super) fn hot(&self, slot: Slot) -> Option<&H> {
        let (chunk, place) = slot.chunk_and_place();
        self.hot.get(chunk)?.get(place)
    }

    #[inline]
    pub(super) fn hot_mut(&mut self, slot: Slot) -> Option<&mut H> {
        let (chunk, place) = slot.chunk_and_place();
        self.hot.get_mut(chunk)?.get_mut(place)
    }

    pub(super) fn cold(&self, slot: Slot) -> Option<&C> {
        let (chunk, place) = slot.chunk_and_place();
        self.cold.get(chunk)?.get(place)?.as_ref()
    }

    /// Both halves of a flow.
    #[inline]
    pub(super) fn both_mut(&mut self, slot: Slot) -> Option<(&mut H, &mut C)> {
        let (chunk, place) = slot.chunk_and_place();
        let cold = self.cold.get_mut(chunk)?.get_mut(place)?.as_mut()?;
        Some((self.hot.get_mut(chunk)?.get_mut(place)?, cold))
    }

    /// All flows with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &C)> {
        let places = self.cold.iter().flatten().enumerate();
        places.filter_map(|(index, cold)| Slot::new(index).zip(cold.as_ref()))
    }
}

/// Flows in a chunk: about 128 KiB.
const CHUNK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_the_others_keep_theirs() {
        let mut slab = Slab::default();
        let slots: Vec<Slot> = (0..1_000).map(|value| slab.insert(value, -value).unwrap()).collect();
        slab.remove(slots[300]);
        slab.remove(slots[300]);
        assert_eq!(slab.cold(slots[300]), None);
        assert_eq!(slab.len(), 999);
        assert_eq!(slab.insert(7, -7), Some(slots[300]));
        assert_eq!(slab.len(), 1_000);
        assert_eq!(slab.both_mut(slots[999]), Some((&mut 999, &mut -999)));
        assert!(slab.iter().all(|(slot, cold)| slab.hot(slot) == Some(&-cold)));
        assert_eq!(slab.iter().count(), 1_000);
    }
}
