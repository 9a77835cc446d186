//! The journal on the disk: segments that are begun anew at a size and with each day.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::{Entry, Settings};
use crate::alert::Person;
use crate::lines;

/// The writing end.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    settings: Settings,
    /// The oldest first; the last one is written to.
    segments: VecDeque<Segment>,
    open: Option<File>,
    /// Whole lines that are not on the disk yet.
    waiting: Vec<u8>,
    /// Entries in `waiting`.
    lines: u64,
    left_out: u64,
    failed: bool,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Segment {
    serial: u64,
    /// When its first flow ended, in seconds since 1970.
    since: u64,
    bytes: u64,
}

impl Segment {
    fn name(&self) -> String {
        format!("{:010}-{:012}.{EXTENSION}", self.serial, self.since)
    }

    fn of(name: &str, bytes: u64) -> Option<Self> {
        let (serial, since) = name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split_once('-')?;
        Some(Self { serial: serial.parse().ok()?, since: since.parse().ok()?, bytes })
    }
}

impl Journal {
    /// The journal in a folder, which is made where it is not there.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn open(folder: &Path, settings: &Settings) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            settings: settings.clone(),
            segments: segments(folder)?.into(),
            open: None,
            waiting: Vec::new(),
            lines: 0,
            left_out: 0,
            failed: false,
        })
    }

    /// Takes a flow. It is on the disk after [`Journal::write`], which this calls where much waits.
    pub fn take(&mut self, entry: &Entry) {
        let since = u64::try_from(entry.end.as_seconds()).unwrap_or(0);
        let begins = self.segments.back().is_none_or(|last| {
            let bytes = last.bytes.saturating_add(self.waiting.len() as u64);
            bytes >= self.segment_bytes() || since >= last.since.saturating_add(A_DAY)
        });
        if begins {
            self.write();
            self.open = None;
            let serial = self.segments.back().map_or(1, |last| last.serial.saturating_add(1));
            self.segments.push_back(Segment { serial, since, bytes: 0 });
            self.make_room(since);
        }
        // Writing to memory does not fail, and every member is text or a number.
        if serde_json::to_writer(&mut self.waiting, entry).is_ok() {
            self.waiting.push(b'\n');
            self.lines = self.lines.saturating_add(1);
        }
        if self.waiting.len() >= MOST_WAITING {
            self.write();
        }
    }

    /// Hands what waits to the system. What it does not take is left out and counted: the journal promises nothing, and holds up nothing.
    pub fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        match self.append() {
            Ok(()) => self.failed = false,
            Err(error) => {
                if !self.failed {
                    tracing::warn!(folder = %self.folder.display(), %error, "flows cannot be kept on this Mac");
                }
                self.failed = true;
                self.left_out = self.left_out.saturating_add(self.lines);
                // Half a line may stand at its end: the next one begins after it.
                self.open = None;
            }
        }
        self.waiting.clear();
        self.lines = 0;
    }

    /// Flows that the disk did not take since it was opened.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Removes the flows that tell of a user; how many.
    ///
    /// # Errors
    /// Where a segment cannot be written anew; those before it are.
    pub fn forget(&mut self, person: &Person) -> io::Result<u64> {
        self.write();
        self.open = None;
        let mut removed = 0;
        for segment in &mut self.segments {
            let path = self.folder.join(segment.name());
            let gone = lines::remove(&path, FILE_MODE, |line| {
                let entry = serde_json::from_slice::<Entry>(line).ok();
                let tells = entry.as_ref().map(|entry| entry.tells_of(person));
                removed += u64::from(tells == Some(true));
                // What cannot be read may tell of anybody.
                tells.unwrap_or(true)
            })?;
            segment.bytes = gone.bytes;
        }
        Ok(removed)
    }

    fn append(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        let file = match &mut self.open {
            Some(file) => file,
            none => none.insert(lines::append(&self.folder.join(segment.name()), FILE_MODE)?),
        };
        file.write_all(&self.waiting)?;
        segment.bytes = segment.bytes.saturating_add(self.waiting.len() as u64);
        Ok(())
    }

    /// Removes the oldest segments until a new one fits, and those whose last flow is too old.
    fn make_room(&mut self, now: u64) {
        let oldest = now.saturating_sub(u64::from(self.settings.days).saturating_mul(A_DAY));
        while let (Some(first), Some(second)) = (self.segments.front(), self.segments.get(1)) {
            let total: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
            let fits = total.saturating_add(self.segment_bytes()) <= self.settings.most_bytes();
            if fits && second.since >= oldest && self.segments.len() <= MOST_SEGMENTS {
                return;
            }
            let path = self.folder.join(first.name());
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(segment = %path.display(), %error, "old flows could not be removed");
            }
            self.segments.pop_front();
        }
    }

    fn segment_bytes(&self) -> u64 {
        (self.settings.most_bytes() / PARTS).min(MOST_SEGMENT)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.write();
    }
}

/// The segments in a folder, the oldest first.
fn segments(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        found.extend(Segment::of(&entry.file_name().to_string_lossy(), entry.metadata()?.len()));
    }
    found.sort();
    Ok(found)
}

/// The flows of a journal, about in the order in which they ended. One segment's file is open at a time; what is removed meanwhile is passed over.
#[derive(Debug)]
pub struct Entries {
    folder: PathBuf,
    segments: VecDeque<Segment>,
    open: Option<BufReader<File>>,
    unreadable: u64,
}

impl Entries {
    /// The journal in a folder. One that is not there is empty.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let segments = if folder.exists() { segments(folder)? } else { Vec::new() };
        Ok(Self { folder: folder.to_owned(), segments: segments.into(), open: None, unreadable: 0 })
    }

    /// Lines so far that were no flow: a crash cut them, or somebody changed them.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let mut line = Vec::new();
        loop {
            let Some(reader) = &mut self.open else {
                let path = self.folder.join(self.segments.pop_front()?.name());
                self.open = File::open(path).ok().map(BufReader::new);
                continue;
            };
            line.clear();
            // A line is at most some kilobytes; more is none of ours.
            let read = reader.by_ref().take(MOST_LINE).read_until(b'\n', &mut line);
            match read {
                Ok(0) | Err(_) => self.open = None,
                Ok(_) => {
                    if let Ok(entry) = serde_json::from_slice(&line) {
                        return Some(entry);
                    }
                    let is_blank = line.iter().all(u8::is_ascii_whitespace);
                    self.unreadable = self.unreadable.saturating_add(u64::from(!is_blank));
                }
            }
        }
    }
}

const EXTENSION: &str = "ndjson";
const A_DAY: u64 = 86_400;
/// So many segments at least make up a full journal: what goes at once is a sixteenth.
const PARTS: u64 = 16;
/// Bytes after which a segment is full.
const MOST_SEGMENT: u64 = 4 << 20;
/// Of a clock that jumps, each segment may hold one flow: files stay within a bound as well.
const MOST_SEGMENTS: usize = 2_048;
/// Bytes that wait in memory before they are written on a busy Mac.
const MOST_WAITING: usize = 64 << 10;
const MOST_LINE: u64 = 64 << 10;
/// Flows tell what people do.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
