//! The part of an input that is in memory.

use std::io::{self, Read};

use bytes::{Buf, Bytes, BytesMut};

/// A window on a stream of bytes that moves forward and never holds more than one record and one read.
///
/// [`Window::split`] hands out pieces of the buffer without copying. `BytesMut::reserve` takes the same buffer again once all pieces of
/// it are gone; while some live it takes a new one of [`BUFFER_BYTES`], and the old one goes with its last piece. So a piece that is
/// kept long keeps [`BUFFER_BYTES`] with it: whoever stores payload copies it.
pub(super) struct Window {
    reader: Box<dyn Read + Send>,
    unread: BytesMut,
    position: u64,
    ended: bool,
}

/// Why the window cannot show what was asked for.
#[derive(Debug)]
pub(super) enum Shortage {
    /// The input ended.
    End {
        /// How many bytes are left of it.
        left: usize,
    },
    /// The input could not be read.
    Failed(io::Error),
}

impl Window {
    /// At the start of the input.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self { reader, unread: BytesMut::new(), position: 0, ended: false }
    }

    /// How many bytes of the input lie behind.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next `count` bytes, without moving.
    #[inline]
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], Shortage> {
        if self.unread.len() < count {
            self.fill(count)?;
        }
        self.unread.get(..count).ok_or(Shortage::End { left: self.unread.len() })
    }

    /// Moves past `count` bytes that were peeked at; to the end of the window where there are fewer.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        let count = count.min(self.unread.len());
        self.unread.advance(count);
        self.position += count as u64;
    }

    /// Takes `count` bytes that were peeked at; what there is of them where there are fewer.
    #[inline]
    pub(super) fn split(&mut self, count: usize) -> Bytes {
        let count = count.min(self.unread.len());
        self.position += count as u64;
        self.unread.split_to(count).freeze()
    }

    /// Moves past `count` bytes, however many, in bounded memory.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), Shortage> {
        loop {
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(READ_BYTES);
            self.peek(step)?;
            self.advance(step);
            count -= step as u64;
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// Reads until `count` bytes are in the window.
    #[cold]
    fn fill(&mut self, count: usize) -> Result<(), Shortage> {
        while self.unread.len() < count {
            let left = self.unread.len();
            if self.ended || self.read(count).map_err(Shortage::Failed)? == 0 {
                self.ended = true;
                return Err(Shortage::End { left });
            }
        }
        Ok(())
    }

    /// One read, of at most [`READ_BYTES`]; returns how many bytes came.
    fn read(&mut self, wanted: usize) -> io::Result<usize> {
        let held = self.unread.len();
        if self.unread.capacity() - held < READ_BYTES.max(wanted - held) {
            // Exactly as much as the buffer had, so that it is taken again rather than enlarged.
            self.unread.reserve((BUFFER_BYTES.max(wanted + READ_BYTES)) - held);
        }
        let room = (self.unread.capacity() - held).min(READ_BYTES.max(wanted - held));
        self.unread.resize(held + room, 0);
        let result = loop {
            let (_, free) = self.unread.split_at_mut(held);
            match self.reader.read(free) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.unread.truncate(held + result.as_ref().map_or(0, |read| (*read).min(room)));
        result
    }
}

/// Size of a buffer. Small enough to stay in a core's second-level cache, where the packets are decoded next.
const BUFFER_BYTES: usize = 128 << 10;
/// What is read at once.
const READ_BYTES: usize = 64 << 10;
