//! The first bytes of a stream, put in order.

use smallvec::SmallVec;

/// Bytes of one direction of a stream, written at their offsets in any order; the first copy of a byte wins.
///
/// A host may well take the second copy, and an adversary may send both. Which one wins matters less than that it is always the same:
/// a second copy that differs cannot undo what was read.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    bytes: Vec<u8>,
    /// What has been written, in order and apart from each other.
    spans: SmallVec<[Span; 2]>,
}

/// Offsets from `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

/// How much an assembly may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes from the start of the stream; what lies beyond is ignored.
    pub(super) bytes: usize,
    /// Parts that lie apart from the beginning, waiting for what is missing.
    pub(super) pending: usize,
}

impl Assembly {
    /// Writes `data` at `offset`.
    pub(super) fn write(&mut self, offset: usize, data: &[u8], limits: Limits) {
        let end = offset.saturating_add(data.len()).min(limits.bytes);
        if offset >= end {
            return;
        }
        let touches = |span: &Span| span.start <= end && span.end >= offset;
        let apart = offset > self.prefix().len() && !self.spans.iter().any(touches);
        let pending = self.spans.iter().filter(|span| span.start > 0).count();
        if apart && pending >= limits.pending {
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut at = offset;
        for span in &self.spans {
            if span.end <= at {
                continue;
            }
            if span.start >= end {
                break;
            }
            copy(&mut self.bytes, data, offset, Span { start: at, end: span.start });
            at = span.end;
        }
        copy(&mut self.bytes, data, offset, Span { start: at, end });
        self.cover(Span { start: offset, end });
    }

    /// What has come without a gap, from the start on.
    pub(super) fn prefix(&self) -> &[u8] {
        let end = self.spans.first().filter(|span| span.start == 0).map_or(0, |span| span.end);
        self.bytes.get(..end).unwrap_or_default()
    }

    /// Takes the first `count` bytes away; what follows them becomes the start.
    pub(super) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.prefix().len());
        self.bytes.drain(..count);
        for span in &mut self.spans {
            span.start = span.start.saturating_sub(count);
            span.end = span.end.saturating_sub(count);
        }
        self.spans.retain(|span| span.start < span.end);
    }

    /// Bytes of memory that it holds.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets everything, and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Notes that a span is written, and joins it with what it touches.
    fn cover(&mut self, written: Span) {
        let mut joined = written;
        self.spans.retain(|span| {
            let apart = span.end < joined.start || span.start > joined.end;
            if !apart {
                joined = Span { start: span.start.min(joined.start), end: span.end.max(joined.end) };
            }
            apart
        });
        let at = self.spans.partition_point(|span| span.start < joined.start);
        self.spans.insert(at, joined);
    }
}

/// Copies the part of `data` that belongs to `span`; `data` lies at `offset`.
fn copy(bytes: &mut [u8], data: &[u8], offset: usize, span: Span) {
    let source = span.start.checked_sub(offset).zip(span.end.checked_sub(offset));
    let Some(source) = source.and_then(|(start, end)| data.get(start..end)) else { return };
    if let Some(target) = bytes.get_mut(span.start..span.end) {
        target.copy_from_slice(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { bytes: 64, pending: 4 };

    #[test]
    fn the_first_copy_wins() {
        let mut assembly = Assembly::default();
        assembly.write(2, b"cd", LIMITS);
        assembly.write(0, b"abXXef", LIMITS);
        assert_eq!(assembly.prefix(), b"abcdef");
    }

    #[test]
    fn a_gap_holds_back_what_follows() {
        let mut assembly = Assembly::default();
        assembly.write(3, b"def", LIMITS);
        assert_eq!(assembly.prefix(), b"");
        assembly.write(0, b"abc", LIMITS);
        assert_eq!(assembly.prefix(), b"abcdef");
        assembly.drop_front(4);
        assert_eq!(assembly.prefix(), b"ef");
    }

    #[test]
    fn more_parts_than_allowed_are_ignored() {
        let mut assembly = Assembly::default();
        for part in 1..8 {
            assembly.write(part * 4, b"x", LIMITS);
        }
        assert_eq!(assembly.spans.len(), LIMITS.pending);
    }

    proptest! {
        #[test]
        fn agrees_with_a_byte_by_byte_model(
            writes in prop::collection::vec((0_usize..80, prop::collection::vec(any::<u8>(), 0..24)), 0..24)
        ) {
            let limits = Limits { bytes: 64, pending: 64 };
            let mut assembly = Assembly::default();
            let mut model = [None; 64];
            for (offset, data) in writes {
                assembly.write(offset, &data, limits);
                for (at, byte) in data.iter().enumerate() {
                    if let Some(place) = model.get_mut(offset + at) {
                        place.get_or_insert(*byte);
                    }
                }
                let prefix: Vec<u8> = model.iter().map_while(|byte| *byte).collect();
                prop_assert_eq!(assembly.prefix(), &prefix[..]);
                prop_assert!(assembly.bytes.len() <= 64);
            }
        }
    }
}
