//! The one way that a parser touches foreign bytes.

#![allow(
    dead_code,
    reason = "the set of reads is the same for every parser, and a build may lack some of them"
)]

/// A place in a slice of foreign bytes that moves forward as values are read.
///
/// Every read checks that the slice still holds what it asks for; one that fails returns `None` and leaves the cursor where it was, so
/// that a parser may try another form. Nothing else in a parser touches the slice, so nothing can run past its end. A cursor is two
/// words and `Copy`: keep a copy to come back to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What lies ahead, without moving.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes lie ahead.
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing lies ahead.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, without moving.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Everything that lies ahead; the cursor stands at the end afterwards.
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// A cursor over the next `count` bytes alone, for a part that states its own length.
    #[inline]
    pub(crate) fn part(&mut self, count: usize) -> Option<Self> {
        self.take(count).map(Self::new)
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    /// Moves past `count` bytes.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    /// Moves past `prefix` where it lies ahead.
    #[inline]
    pub(crate) fn expect(&mut self, prefix: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(prefix)?;
        Some(())
    }

    /// One byte.
    #[inline]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Two bytes, most significant first.
    #[inline]
    pub(crate) fn u16_be(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Two bytes, least significant first.
    #[inline]
    pub(crate) fn u16_le(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Three bytes, most significant first, as TLS and HTTP/2 write lengths.
    #[inline]
    pub(crate) fn u24_be(&mut self) -> Option<u32> {
        self.array().map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]))
    }

    /// Three bytes, least significant first, as the MySQL protocol writes lengths.
    #[inline]
    pub(crate) fn u24_le(&mut self) -> Option<u32> {
        self.array().map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
    }

    /// Four bytes, most significant first.
    #[inline]
    pub(crate) fn u32_be(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Four bytes, least significant first.
    #[inline]
    pub(crate) fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, most significant first.
    #[inline]
    pub(crate) fn u64_be(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Eight bytes, least significant first.
    #[inline]
    pub(crate) fn u64_le(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_both_byte_orders_in_sequence() {
        let bytes: Vec<u8> = (1..=23).collect();
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(cursor.u8(), Some(0x01));
        assert_eq!(cursor.u16_be(), Some(0x0203));
        assert_eq!(cursor.u16_le(), Some(0x0504));
        assert_eq!(cursor.u24_be(), Some(0x0006_0708));
        assert_eq!(cursor.u24_le(), Some(0x000b_0a09));
        assert_eq!(cursor.u32_be(), Some(0x0c0d_0e0f));
        assert_eq!(cursor.u32_le(), Some(0x1312_1110));
        assert_eq!(cursor.rest(), [0x14, 0x15, 0x16, 0x17]);
        let wide: Vec<u8> = (1..=16).collect();
        let mut cursor = Cursor::new(&wide);
        assert_eq!(cursor.u64_be(), Some(0x0102_0304_0506_0708));
        assert_eq!(cursor.u64_le(), Some(0x100f_0e0d_0c0b_0a09));
        assert!(cursor.is_empty());
    }

    #[test]
    fn a_read_that_fails_leaves_the_cursor_where_it_was() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u32_be(), None);
        assert_eq!(cursor.take(4), None);
        assert_eq!(cursor.part(usize::MAX), None);
        assert_eq!(cursor.skip(4), None);
        assert_eq!(cursor.expect(&[1, 3]), None);
        assert_eq!(cursor.remaining(), 3);
        assert_eq!(cursor.expect(&[1, 2]), Some(()));
        assert_eq!(cursor.peek(), Some(3));
    }

    #[test]
    fn a_part_ends_where_it_says() {
        let mut cursor = Cursor::new(&[2, 10, 11, 12]);
        let mut part = cursor.part(3).unwrap();
        assert_eq!(part.u16_be(), Some(0x020a));
        assert_eq!(part.u16_be(), None);
        assert_eq!(part.take_rest(), [11]);
        assert_eq!(cursor.take_rest(), [12]);
        assert!(cursor.is_empty());
    }

    proptest! {
        #[test]
        fn takes_add_up_to_the_whole(bytes: Vec<u8>, counts in prop::collection::vec(0_usize..64, 0..32)) {
            let mut cursor = Cursor::new(&bytes);
            let mut seen = Vec::new();
            for count in counts {
                if let Some(taken) = cursor.take(count) {
                    prop_assert_eq!(taken.len(), count);
                    seen.extend_from_slice(taken);
                } else {
                    prop_assert!(cursor.remaining() < count);
                }
            }
            seen.extend_from_slice(cursor.take_rest());
            prop_assert_eq!(seen, bytes);
        }
    }
}
