//! The spool: every event is on the disk before any receiver hears of it.
//!
//! ```text
//!  append ──► alerts-00…01.ndjson  alerts-00…97.ndjson   ──► a reader a sink, each with a cursor of its own
//!             health-…             telemetry-…
//! ```
//!
//! Events stand in segments: append-only files of one JSON document a line, begun by a header that names the queue and the number of the
//! segment's first line. Lines of a queue are numbered without gaps for as long as the spool exists, so that what a damaged segment lost
//! can be counted. [`Spool::append`] returns when its lines are on the disk; a [`Reader`] never sees a line before that, so a
//! crash can't leave a cursor ahead of the spool. A segment is removed when every sink has passed it, or when a cap says so: first
//! telemetry, then health, and alerts last. Every line that a cap takes from a sink that had not sent it is counted.
//!
//! Age is counted in time that the spool was open: a clock that was set, or a Mac that lay in a drawer for a month, drops no alert.

mod cursor;
mod latest;
mod reader;
mod segment;
mod shared;
#[cfg(test)]
mod tests;

pub use latest::Latest;
pub use reader::{Batch, Reader};
pub use shared::SpoolStatus;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::lock::wait_while_held;

use segment::{Header, Segment};
use shared::Shared;

/// What a line is; an earlier one goes before a later one, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Alerts, and what closes or updates them.
    Alerts,
    /// The sensor's own condition.
    Health,
    /// What is useful and not missed.
    Telemetry,
}

impl Queue {
    /// Each, the most important first.
    pub const ALL: [Self; 3] = [Self::Alerts, Self::Health, Self::Telemetry];

    /// Its name, as in the names of segments.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Health => "health",
            Self::Telemetry => "telemetry",
        }
    }
}

/// Bounds of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of all segments together.
    pub bytes: u64,
    /// Open time after which a segment goes, sent or not.
    pub age: Duration,
    /// Bytes after which a new segment is begun. The caps hold to within one segment.
    pub segment_bytes: u64,
}

impl Default for Caps {
    /// 256 MiB hold about 37,000 alerts of the full form; a week covers a receiver that is down over a long weekend.
    fn default() -> Self {
        Self { bytes: 256 << 20, age: Duration::from_hours(7 * 24), segment_bytes: 8 << 20 }
    }
}

/// The spool cannot be opened or written.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// Another process has it.
    #[error("the spool in {0} is in use by another process: is tidemark running already?")]
    InUse(PathBuf),
    /// A line holds a line end, which would make two of it.
    #[error("a line for the spool holds a line end")]
    NotALine,
    /// The disk.
    #[error("cannot {act} {path}: {source}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl SpoolError {
    fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { act, path: path.to_owned(), source }
    }
}

/// The writing end. One process has a spool, and one thread writes to it.
pub struct Spool {
    folder: PathBuf,
    caps: Caps,
    /// The newest segment of each queue, where it takes more lines.
    open: [Option<File>; Queue::ALL.len()],
    shared: Arc<Shared>,
    /// Open time, which only runs forward.
    clock: Box<dyn Fn() -> Duration + Send>,
    /// Held as long as the spool is.
    _lock: File,
}

impl Spool {
    /// Opens the spool in a folder, which is made where it is not there. What a crash left half written is cut off and counted.
    ///
    /// # Errors
    /// Where the folder cannot be used, or another process uses it.
    pub fn open(folder: &Path, caps: Caps) -> Result<Self, SpoolError> {
        let started = Instant::now();
        Self::open_with_clock(folder, caps, move || started.elapsed())
    }

    /// As [`Spool::open`], with a clock of the caller's: the time since now.
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub fn open_with_clock(
        folder: &Path,
        caps: Caps,
        clock: impl Fn() -> Duration + Send + 'static,
    ) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder).map_err(SpoolError::io("make", folder))?;
        let lock = lock(folder)?;
        let before = segment::read_open_time(folder);
        let shared = Shared::default();
        for queue in Queue::ALL {
            let found = segment::recover(folder, queue)?;
            shared.found(queue, found);
        }
        let clock = Box::new(move || before.saturating_add(clock()));
        Ok(Self {
            folder: folder.to_owned(),
            caps,
            open: Default::default(),
            shared: Arc::new(shared),
            clock,
            _lock: lock,
        })
    }

    /// The reading end for one sink, which goes on where its cursor stands. Readers are made before the first line is appended: a sink
    /// that is not known yet holds back no segment.
    ///
    /// # Errors
    /// Where its cursor cannot be read.
    pub fn reader(&self, sink: &str) -> Result<Reader, SpoolError> {
        Reader::new(&self.folder, sink, Arc::clone(&self.shared))
    }

    /// A sink is no longer configured: it holds back no segment, and where one of its name comes again, it begins with what the spool
    /// then holds.
    pub fn forget_reader(&mut self, sink: &str) {
        self.shared.forget(sink);
        let path = cursor::path(&self.folder, sink);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(cursor = %path.display(), %error, "the cursor of a sink that is gone cannot be removed");
        }
    }

    /// Other bounds from here on.
    pub fn set_caps(&mut self, caps: Caps) {
        self.caps = caps;
    }

    /// Appends lines, none of which has a line end, and gives the number of the first. They are on the disk when this returns: all of
    /// them or, with an error, none.
    ///
    /// # Errors
    /// Where they cannot be written: the disk is full or broken. On a full disk, unsent telemetry and health events make room first.
    pub fn append<L: AsRef<str>>(&mut self, queue: Queue, lines: &[L]) -> Result<u64, SpoolError> {
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.as_ref().len() + 1).sum());
        for line in lines {
            let line = line.as_ref();
            if line.contains('\n') {
                return Err(SpoolError::NotALine);
            }
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        if bytes.is_empty() {
            return Ok(self.shared.next(queue));
        }
        let first = loop {
            match self.write(queue, &bytes, lines.len() as u64) {
                Ok(first) => break first,
                Err(error) if self.make_room(queue, &error) => {}
                Err(error) => return Err(error),
            }
        };
        self.keep_caps();
        Ok(first)
    }

    /// Time passes without new lines: the caps are kept, and the open time is noted for the next run.
    ///
    /// # Errors
    /// Where the open time cannot be written.
    pub fn tick(&mut self) -> Result<(), SpoolError> {
        self.keep_caps();
        segment::write_open_time(&self.folder, (self.clock)())
    }

    /// Begins new segments, so that what every sink has passed can be removed now and not with the segment's end.
    ///
    /// # Errors
    /// Where a segment cannot be begun: then the one before it goes on.
    pub fn remove_sent(&mut self) -> Result<(), SpoolError> {
        for queue in Queue::ALL {
            if self.shared.newest(queue).is_some_and(|newest| newest.lines > 0) {
                self.shared.seal(queue);
                *self.slot(queue) = None;
                let (_, file) = self.segment(queue)?;
                *self.slot(queue) = Some(file);
            }
        }
        self.shared.remove_sent(&self.folder);
        Ok(())
    }

    /// What it holds and what it lost.
    pub fn status(&self) -> SpoolStatus {
        self.shared.status()
    }

    /// What reads the status from elsewhere.
    pub fn watch(&self) -> SpoolWatch {
        SpoolWatch { shared: Arc::clone(&self.shared) }
    }

    fn write(&mut self, queue: Queue, bytes: &[u8], lines: u64) -> Result<u64, SpoolError> {
        let (segment, mut file) = self.segment(queue)?;
        let path = segment.path(&self.folder, queue);
        let written = file.write_all(bytes).and_then(|()| sync(&file));
        if let Err(error) = written {
            // What was written in part must not stand before the next line. Where it cannot be cut off, the next opening does it.
            if file.set_len(segment.bytes).is_ok() {
                *self.slot(queue) = Some(file);
            } else {
                self.shared.seal(queue);
            }
            return Err(SpoolError::io("write", &path)(error));
        }
        let first = self.shared.appended(queue, lines, bytes.len() as u64);
        if segment.bytes.saturating_add(bytes.len() as u64) < self.caps.segment_bytes {
            *self.slot(queue) = Some(file);
        } else {
            self.shared.seal(queue);
        }
        Ok(first)
    }

    /// The newest segment with its file, or a new one.
    fn segment(&mut self, queue: Queue) -> Result<(Segment, File), SpoolError> {
        let open = self.slot(queue).take();
        if let Some(segment) = self.shared.newest(queue).filter(|newest| !newest.sealed) {
            let path = segment.path(&self.folder, queue);
            if let Some(file) = open.or_else(|| OpenOptions::new().append(true).open(&path).ok()) {
                return Ok((segment, file));
            }
        }
        let first = self.shared.next(queue);
        let opened = (self.clock)();
        let header = Header::new(queue, first, opened);
        let (segment, file) = segment::create(&self.folder, queue, &header)?;
        self.shared.begun(queue, segment);
        // Not being able to note the time costs a little of the age of segments, never a line.
        if let Err(error) = segment::write_open_time(&self.folder, opened) {
            tracing::debug!(%error, "the open time was not noted");
        }
        Ok((segment, file))
    }

    fn slot(&mut self, queue: Queue) -> &mut Option<File> {
        let [alerts, health, telemetry] = &mut self.open;
        match queue {
            Queue::Alerts => alerts,
            Queue::Health => health,
            Queue::Telemetry => telemetry,
        }
    }

    /// On a full disk, what matters less than these lines goes; whether anything went.
    fn make_room(&mut self, queue: Queue, error: &SpoolError) -> bool {
        let SpoolError::Io { source, .. } = error else { return false };
        if source.kind() != io::ErrorKind::StorageFull {
            return false;
        }
        // The last first: telemetry goes before health, and neither for the sake of its own kind.
        Queue::ALL.into_iter().rev().take_while(|less| *less > queue).any(|less| self.drop_oldest(less))
    }

    fn keep_caps(&mut self) {
        let now = (self.clock)();
        self.shared.remove_sent(&self.folder);
        for queue in Queue::ALL {
            while self.shared.oldest(queue).is_some_and(|s| now.saturating_sub(s.opened) > self.caps.age) {
                if !self.drop_oldest(queue) {
                    break;
                }
            }
        }
        while self.shared.bytes() > self.caps.bytes {
            if !Queue::ALL.into_iter().rev().any(|queue| self.drop_oldest(queue)) {
                break;
            }
        }
    }

    /// Removes the oldest segment of a queue, the newest one included; whether there was one with lines.
    fn drop_oldest(&mut self, queue: Queue) -> bool {
        if !self.shared.drop_oldest(&self.folder, queue) {
            return false;
        }
        if self.shared.oldest(queue).is_none() {
            *self.slot(queue) = None;
            // The count of lines lives in the name of the newest segment, so one is begun now. Where the disk is too full for that, the next
            // line begins it.
            match self.segment(queue) {
                Ok((_, file)) => *self.slot(queue) = Some(file),
                Err(error) => tracing::debug!(%error, "the next segment was not begun"),
            }
        }
        true
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // As in `segment`: only a little of the age is at stake.
        let _ = segment::write_open_time(&self.folder, (self.clock)());
        self.shared.remove_sent(&self.folder);
    }
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool")
            .field("folder", &self.folder)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Reads a spool's status while another thread writes to it.
#[derive(Debug, Clone)]
pub struct SpoolWatch {
    shared: Arc<Shared>,
}

impl SpoolWatch {
    /// What the spool holds and what it lost.
    pub fn status(&self) -> SpoolStatus {
        self.shared.status()
    }
}

fn lock(folder: &Path) -> Result<File, SpoolError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(SpoolError::io("open", &path))?;
    let take = || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    wait_while_held(take, |error| *error == rustix::io::Errno::WOULDBLOCK)
        .map_err(|_| SpoolError::InUse(folder.to_owned()))?;
    Ok(file)
}

/// `fdatasync`; on a Mac the standard library asks for `F_FULLFSYNC`, which empties the drive's cache as well.
fn sync(file: &File) -> io::Result<()> {
    file.sync_data()
}

const LOCK: &str = "lock";
