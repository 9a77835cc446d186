//! The part of an input that is in memory.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};

/// A window on a stream of bytes that moves forward and never holds more than one record and one read.
///
/// [`Window::split`] hands out pieces of the buffer without copying. Reading goes into the same buffer again once all pieces of it are
/// gone; while some live, another buffer is taken, and the old one's turn comes again. Of those whose pieces stay, the oldest goes with
/// its last piece. So a piece that is kept long keeps [`BUFFER_BYTES`] with it: whoever stores payload copies it. What comes in dribs and
/// drabs, as through a pipe, is copied out of the buffer, so that no few bytes keep a whole one.
pub(super) struct Window {
    reader: Box<dyn Read + Send>,
    /// What was read and not taken yet: the end of what is filled of `buffer`, or a copy of it.
    unread: Bytes,
    buffer: Buffer,
    /// How much of `buffer` the last read filled.
    filled: usize,
    /// Buffers of which pieces may live, oldest first.
    lent: VecDeque<Buffer>,
    position: u64,
    ended: bool,
}

/// Bytes that are all initialised, so that nothing needs to be cleared before it is read into again; shared with the pieces of it.
#[derive(Debug, Clone, Default)]
struct Buffer(Arc<Vec<u8>>);

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Buffer {
    /// The bytes, where no piece of them lives.
    fn free(&mut self) -> Option<&mut [u8]> {
        Arc::get_mut(&mut self.0).map(Vec::as_mut_slice)
    }
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
        Self {
            reader,
            unread: Bytes::new(),
            buffer: Buffer::default(),
            filled: 0,
            lent: VecDeque::new(),
            position: 0,
            ended: false,
        }
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
        self.unread.split_to(count)
    }

    /// Moves past `count` bytes, however many, in bounded memory.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), Shortage> {
        loop {
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(BUFFER_BYTES);
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
        let mut filled = self.make_room(count);
        let mut failure = None;
        while let Some(room) = self.buffer.free().and_then(|bytes| bytes.get_mut(filled..))
            && filled < count
            && !self.ended
            && failure.is_none()
        {
            let most = room.len();
            match self.reader.read(room) {
                Ok(0) => self.ended = true,
                Ok(read) => filled += read.min(most),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => failure = Some(error),
            }
        }
        self.show(filled);
        match failure {
            Some(error) => Err(Shortage::Failed(error)),
            None if filled < count => Err(Shortage::End { left: filled }),
            None => Ok(()),
        }
    }

    /// Brings what is unread to the front of a buffer that has room for `count` bytes, and of which no piece lives. Returns how much it is.
    fn make_room(&mut self, count: usize) -> usize {
        let held = std::mem::take(&mut self.unread).len();
        let unread = self.filled - held..self.filled;
        let size = BUFFER_BYTES.max(count);
        if let Some(bytes) = self.buffer.free().filter(|bytes| bytes.len() >= size) {
            bytes.copy_within(unread, 0);
            return held;
        }
        let next = self.next_buffer(size);
        let last = std::mem::replace(&mut self.buffer, next);
        let front = self.buffer.free().and_then(|bytes| bytes.get_mut(..held));
        if let Some((front, unread)) = front.zip(last.as_ref().get(unread)) {
            front.copy_from_slice(unread);
        }
        self.lent.push_back(last);
        held
    }

    /// A buffer of at least this size of which no piece lives.
    fn next_buffer(&mut self, size: usize) -> Buffer {
        // Pieces go about in the order in which they came.
        let mut oldest = self.lent.pop_front();
        if let Some(buffer) = oldest.take_if(|buffer| buffer.free().is_some_and(|bytes| bytes.len() >= size))
        {
            return buffer;
        }
        if let Some(oldest) = oldest.filter(|_| self.lent.len() < LENT) {
            self.lent.push_front(oldest);
        }
        Buffer(Arc::new(vec![0; size]))
    }

    /// Makes the first `filled` bytes of the buffer the ones that are unread.
    fn show(&mut self, filled: usize) {
        self.filled = filled;
        self.unread = match self.buffer.as_ref().get(..filled) {
            Some(few) if filled < WORTH_SHARING => Bytes::copy_from_slice(few),
            _ => Bytes::from_owner(self.buffer.clone()),
        };
        self.unread.truncate(filled);
    }
}

/// Size of a buffer, and what is read at once. Small enough to stay in a core's second-level cache, where the packets are decoded next.
const BUFFER_BYTES: usize = 128 << 10;
/// Fewer bytes than these are copied, and leave the buffer free.
const WORTH_SHARING: usize = BUFFER_BYTES / 4;
/// Buffers that are waited for. The merge of several inputs looks ahead by 256 KiB, which lie in three.
const LENT: usize = 3;
