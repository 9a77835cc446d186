//! Integers in the byte order of the machine that wrote them.

use crate::cursor::Cursor;

/// The order of the bytes of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    /// Most significant first.
    Big,
    /// Least significant first.
    Little,
}

impl ByteOrder {
    /// Four bytes as an integer.
    #[inline]
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        }
    }

    /// A whole slice as an integer; `None` where it has another length.
    pub(super) fn whole_u32(self, bytes: &[u8]) -> Option<u32> {
        bytes.try_into().ok().map(|bytes| self.u32(bytes))
    }

    /// As [`ByteOrder::whole_u32`], for eight bytes.
    pub(super) fn whole_u64(self, bytes: &[u8]) -> Option<u64> {
        let bytes = bytes.try_into().ok()?;
        Some(match self {
            Self::Big => u64::from_be_bytes(bytes),
            Self::Little => u64::from_le_bytes(bytes),
        })
    }
}

/// A cursor that reads integers in one byte order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    cursor: Cursor<'a>,
    order: ByteOrder,
}

impl<'a> Fields<'a> {
    /// At the start of `bytes`.
    pub(super) fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { cursor: Cursor::new(bytes), order }
    }

    /// The order.
    pub(super) fn order(&self) -> ByteOrder {
        self.order
    }

    /// How many bytes lie ahead.
    pub(super) fn remaining(&self) -> usize {
        self.cursor.remaining()
    }

    /// One byte.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.cursor.u8()
    }

    /// Two bytes.
    #[inline]
    pub(super) fn u16(&mut self) -> Option<u16> {
        match self.order {
            ByteOrder::Big => self.cursor.u16_be(),
            ByteOrder::Little => self.cursor.u16_le(),
        }
    }

    /// Four bytes.
    #[inline]
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.cursor.array().map(|bytes| self.order.u32(bytes))
    }

    /// The next `count` bytes.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        self.cursor.take(count)
    }

    /// Moves past `count` bytes.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.cursor.skip(count)
    }
}
