//! The reading end of the spool, one a sink.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::cursor::{self, Cursor, Position};
use super::segment::Segment;
use super::shared::Shared;
use super::{Queue, SpoolError};

/// Reads what a sink has not passed yet: alerts first, health next, telemetry last.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    sink: String,
    cursor: Cursor,
    /// Where the cursor stood, oldest first, as far back as it may have to go again.
    passed: VecDeque<(Instant, Cursor)>,
    shared: Arc<Shared>,
    changes: watch::Receiver<u64>,
    /// The segment that was read last.
    file: Option<(Queue, u64, File)>,
}

/// Lines of one queue, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which.
    pub queue: Queue,
    /// Without their line ends.
    pub lines: Vec<String>,
    /// The number of the first.
    pub first: u64,
    after: Position,
}

impl Reader {
    pub(super) fn new(folder: &Path, sink: &str, shared: Arc<Shared>) -> Result<Self, SpoolError> {
        let path = cursor::path(folder, sink);
        let cursor = Cursor::load(&path).map_err(SpoolError::io("read", &path))?;
        let changes = shared.changes();
        let mut reader = Self {
            folder: folder.to_owned(),
            sink: sink.to_owned(),
            cursor,
            passed: VecDeque::new(),
            shared,
            changes,
            file: None,
        };
        for queue in Queue::ALL {
            reader.find_place(queue);
        }
        reader.shared.passed(sink, reader.cursor.lines());
        Ok(reader)
    }

    /// The next lines: at most so many, and at most so many bytes, but at least one. None where the sink has passed everything. The cursor
    /// moves with [`Reader::advance`] only.
    ///
    /// # Errors
    /// Where a segment cannot be read.
    pub fn next(&mut self, most_lines: usize, most_bytes: usize) -> io::Result<Option<Batch>> {
        // What is appended from here on counts as a change.
        self.changes.mark_unchanged();
        for queue in Queue::ALL {
            while let Some(segment) = self.find_place(queue) {
                if let Some(batch) = self.read(queue, segment, most_lines, most_bytes)? {
                    return Ok(Some(batch));
                }
            }
        }
        Ok(None)
    }

    /// The sink has passed these lines: the cursor goes behind them, and is on the disk when this returns.
    ///
    /// # Errors
    /// Where the cursor cannot be written; it stands behind the lines nevertheless, as long as the process lives.
    pub fn advance(&mut self, batch: &Batch) -> io::Result<()> {
        let now = Instant::now();
        self.forget_passed(now);
        if self.passed.len() < MOST_PASSED {
            self.passed.push_back((now, self.cursor));
        }
        *self.cursor.at(batch.queue) = batch.after;
        self.write_cursor()
    }

    /// The receiver may have lost what it was given last: the cursor goes back to where it stood five seconds ago, as far as the spool still has
    /// those lines. Gives how many lines are read again; the same lines are not given back twice.
    ///
    /// # Errors
    /// As [`Reader::advance`].
    pub fn step_back(&mut self) -> io::Result<u64> {
        self.forget_passed(Instant::now());
        let Some((_, before)) = self.passed.pop_front() else { return Ok(0) };
        self.passed.clear();
        let lines = |cursor: &Cursor| cursor.lines().iter().sum::<u64>();
        let after = lines(&self.cursor);
        self.cursor = before;
        for queue in Queue::ALL {
            self.find_place(queue);
        }
        let again = after.saturating_sub(lines(&self.cursor));
        self.write_cursor()?;
        Ok(again)
    }

    fn write_cursor(&self) -> io::Result<()> {
        self.shared.passed(&self.sink, self.cursor.lines());
        self.cursor.store(&cursor::path(&self.folder, &self.sink))
    }

    /// What a receiver has had for so long, it has for good.
    fn forget_passed(&mut self, now: Instant) {
        while self.passed.front().is_some_and(|(at, _)| now.duration_since(*at) > DOUBT) {
            self.passed.pop_front();
        }
    }

    /// Waits until lines have been appended since the last [`Reader::next`]; for ever where the spool is closed.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Puts the cursor on a line that stands, and gives the line's segment; none where everything is passed.
    fn find_place(&mut self, queue: Queue) -> Option<Segment> {
        let next = self.shared.next(queue);
        let oldest = self.shared.oldest(queue).map_or(next, |oldest| oldest.first);
        let at = self.cursor.at(queue);
        if at.line > next {
            tracing::warn!(
                sink = self.sink,
                queue = queue.name(),
                cursor = at.line,
                next,
                "the cursor is ahead of the spool; what the spool holds is sent again"
            );
            *at = Position { line: oldest, segment: oldest, offset: 0 };
        }
        if at.line < oldest {
            // The caps took what lies between, and counted it.
            *at = Position { line: oldest, segment: oldest, offset: 0 };
        }
        if at.line == next {
            return None;
        }
        let segment = self.shared.segment_of(queue, at.line)?;
        if segment.first != at.segment {
            // Past the end of its segment, or a cursor that someone wrote by hand: the line is looked for from the segment's start.
            *at = Position { line: at.line.max(segment.first), segment: segment.first, offset: 0 };
        }
        Some(segment)
    }

    /// Lines from the cursor on. None where the rest of the segment is damaged: the cursor stands behind it then.
    fn read(
        &mut self,
        queue: Queue,
        segment: Segment,
        most_lines: usize,
        most_bytes: usize,
    ) -> io::Result<Option<Batch>> {
        let at = *self.cursor.at(queue);
        let start = if at.offset == 0 { self.offset_of(queue, segment, at.line)? } else { Some(at.offset) };
        let Some(start) = start else { return Ok(self.skip_rest(queue, segment, at.line)) };
        let left = usize::try_from(segment.bytes.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut bytes = self.bytes(queue, segment, start, left.min(most_bytes.max(1)))?;
        // A line longer than the whole batch is sent by itself.
        while !bytes.contains(&b'\n') && bytes.len() < left {
            let more = bytes.len().saturating_mul(2).min(left);
            let longer = self.bytes(queue, segment, start, more)?;
            if longer.len() == bytes.len() {
                break;
            }
            bytes = longer;
        }
        let left_in_segment = segment.first + segment.lines - at.line;
        let most = most_lines.max(1).min(usize::try_from(left_in_segment).unwrap_or(usize::MAX));
        let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        let mut lines = Vec::new();
        let mut taken = 0;
        for line in whole.take(most) {
            taken += line.len() as u64 + 1;
            // Foreign bytes in a line stay recognisable, and are set aside with it by whoever asks for JSON.
            lines.push(String::from_utf8_lossy(line).into_owned());
        }
        if lines.is_empty() {
            return Ok(self.skip_rest(queue, segment, at.line));
        }
        let after =
            Position { line: at.line + lines.len() as u64, segment: segment.first, offset: start + taken };
        Ok(Some(Batch { queue, lines, first: at.line, after }))
    }

    /// The rest of a segment is not there: it was cut after it had been written.
    fn skip_rest(&mut self, queue: Queue, segment: Segment, line: u64) -> Option<Batch> {
        let end = segment.first + segment.lines;
        let lost = end.saturating_sub(line);
        tracing::warn!(
            sink = self.sink,
            queue = queue.name(),
            segment = segment.first,
            lost,
            "a spool segment is damaged; the lines that are missing are counted"
        );
        self.shared.damaged(queue, lost);
        *self.cursor.at(queue) = Position { line: end, segment: end, offset: 0 };
        self.shared.passed(&self.sink, self.cursor.lines());
        None
    }

    /// The byte at which a line begins, counted from the segment's start; none where the segment ends before it.
    fn offset_of(&mut self, queue: Queue, segment: Segment, line: u64) -> io::Result<Option<u64>> {
        // The header is the line before the first.
        let mut ends_before = line.saturating_sub(segment.first) + 1;
        let mut at = 0;
        loop {
            let bytes = self.bytes(queue, segment, at, SCAN_BYTES)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            for (index, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
                ends_before -= 1;
                if ends_before == 0 {
                    return Ok(Some(at + index as u64 + 1));
                }
            }
            at += bytes.len() as u64;
        }
    }

    /// Up to so many bytes of what is on the disk; fewer where the file is shorter than it should be.
    fn bytes(&mut self, queue: Queue, segment: Segment, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let known = self.shared.segment(queue, segment.first).map_or(segment.bytes, |segment| segment.bytes);
        let most = usize::try_from(known.saturating_sub(at)).unwrap_or(usize::MAX).min(most);
        let file = match self.file.take() {
            Some((of, first, file)) if (of, first) == (queue, segment.first) => file,
            _ => match File::open(segment.path(&self.folder, queue)) {
                Ok(file) => file,
                // It was removed meanwhile, by a cap or by a hand: what it held is missing, as if it had been cut.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            },
        };
        let mut bytes = vec![0; most];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        self.file = Some((queue, segment.first, file));
        Ok(bytes)
    }
}

/// How long after its answer a receiver that dies may lose what it took: receivers answer before they write. Tenzir 6.20, killed with -9, had
/// answered for a batch of 100 events that it had not written; five seconds are generous for what stands in a pipeline's memory.
const DOUBT: Duration = Duration::from_secs(5);
/// Batches that can be in doubt; a receiver that takes more of them in that time is given back the first of them and all since.
const MOST_PASSED: usize = 1_024;
/// Bytes looked at at once when a line is looked for.
const SCAN_BYTES: usize = 1 << 16;
