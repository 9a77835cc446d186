//! Segments on the disk: their names, their headers, and what is found of them after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Queue, SpoolError, sync};

/// The first line of a segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    spool: String,
    queue: String,
    /// The number of the first line after this one.
    first: u64,
    /// Seconds that the spool had been open when the segment was begun.
    open_seconds: u64,
}

impl Header {
    pub(super) fn new(queue: Queue, first: u64, opened: Duration) -> Self {
        Self {
            spool: SCHEMA.to_owned(),
            queue: queue.name().to_owned(),
            first,
            open_seconds: opened.as_secs(),
        }
    }
}

/// What is known of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The number of its first line, which is its name.
    pub(super) first: u64,
    /// Lines that are on the disk, the header not counted.
    pub(super) lines: u64,
    /// Bytes that are on the disk, the header counted.
    pub(super) bytes: u64,
    /// Open time of the spool at its beginning.
    pub(super) opened: Duration,
    /// Whether it takes no more lines.
    pub(super) sealed: bool,
}

impl Segment {
    pub(super) fn path(&self, folder: &Path, queue: Queue) -> PathBuf {
        path(folder, queue, self.first)
    }
}

/// What was found of a queue.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The oldest first.
    pub(super) segments: Vec<Segment>,
    /// Lines that had been begun and were cut off.
    pub(super) torn: u64,
}

pub(super) fn path(folder: &Path, queue: Queue, first: u64) -> PathBuf {
    folder.join(format!("{}-{first:020}.{EXTENSION}", queue.name()))
}

/// Begins a segment; its header, and its name in the folder, are on the disk when this returns.
pub(super) fn create(folder: &Path, queue: Queue, header: &Header) -> Result<(Segment, File), SpoolError> {
    let path = path(folder, queue, header.first);
    let mut line = serde_json::to_vec(header).unwrap_or_default();
    line.push(b'\n');
    // A leftover of the same name holds no whole line: whatever did was found, and counts on.
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&path)
        .map_err(SpoolError::io("make", &path))?;
    let begun =
        file.write_all(&line).and_then(|()| sync(&file)).and_then(|()| File::open(folder)?.sync_all());
    if let Err(error) = begun {
        // An empty segment is no loss; the next opening removes it where this fails.
        let _ = fs::remove_file(&path);
        return Err(SpoolError::io("write", &path)(error));
    }
    let segment = Segment {
        first: header.first,
        lines: 0,
        bytes: line.len() as u64,
        opened: Duration::from_secs(header.open_seconds),
        sealed: false,
    };
    drop(file);
    let file = OpenOptions::new().append(true).open(&path).map_err(SpoolError::io("open", &path))?;
    Ok((segment, file))
}

/// Finds the segments of a queue. Only the newest can have been cut by a crash: it is read, and what follows its last whole line is
/// cut off. The lines of the others are known from the number that begins the next.
pub(super) fn recover(folder: &Path, queue: Queue) -> Result<Found, SpoolError> {
    let mut found = Found::default();
    let mut firsts = names(folder, queue)?;
    firsts.sort_unstable();
    for (index, first) in firsts.iter().copied().enumerate() {
        let path = path(folder, queue, first);
        let next = firsts.get(index + 1).copied();
        let Some((header, header_bytes)) = read_header(&path, queue, first) else {
            tracing::warn!(segment = %path.display(), "a spool segment has no header and is set aside");
            found.torn += 1;
            set_aside(&path);
            continue;
        };
        let mut segment = Segment {
            first,
            lines: next.map_or(0, |next| next.saturating_sub(first)),
            bytes: fs::metadata(&path).map_err(SpoolError::io("look at", &path))?.len(),
            opened: Duration::from_secs(header.open_seconds),
            sealed: next.is_some(),
        };
        if next.is_none() {
            let (lines, whole) = whole_lines(&path).map_err(SpoolError::io("read", &path))?;
            segment.lines = lines.saturating_sub(1);
            if whole < segment.bytes {
                tracing::warn!(segment = %path.display(), cut = segment.bytes - whole, "the end of a spool segment was half written and is cut off");
                let file =
                    OpenOptions::new().write(true).open(&path).map_err(SpoolError::io("open", &path))?;
                file.set_len(whole).and_then(|()| sync(&file)).map_err(SpoolError::io("cut", &path))?;
                found.torn += 1;
                segment.bytes = whole.max(header_bytes);
            }
        }
        found.segments.push(segment);
    }
    Ok(found)
}

/// Open time of earlier runs.
pub(super) fn read_open_time(folder: &Path) -> Duration {
    let text = fs::read_to_string(folder.join(OPEN_TIME)).unwrap_or_default();
    Duration::from_secs(text.trim().parse().unwrap_or(0))
}

/// Notes open time. Not synced: after a crash an earlier time stands, and segments live a little longer.
pub(super) fn write_open_time(folder: &Path, open: Duration) -> Result<(), SpoolError> {
    let path = folder.join(OPEN_TIME);
    fs::write(&path, format!("{}\n", open.as_secs())).map_err(SpoolError::io("write", &path))
}

/// The first line numbers that segments of a queue are named by.
pub(super) fn names(folder: &Path, queue: Queue) -> Result<Vec<u64>, SpoolError> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder).map_err(SpoolError::io("read", folder))? {
        let name = entry.map_err(SpoolError::io("read", folder))?.file_name();
        let first = name
            .to_str()
            .and_then(|name| name.strip_suffix(EXTENSION)?.strip_suffix('.'))
            .and_then(|name| name.strip_prefix(queue.name())?.strip_prefix('-')?.parse::<u64>().ok());
        firsts.extend(first);
    }
    Ok(firsts)
}

/// The header and its length in bytes, where the file begins with the one that its name asks for.
fn read_header(path: &Path, queue: Queue, first: u64) -> Option<(Header, u64)> {
    let mut line = Vec::new();
    let mut file = BufReader::new(File::open(path).ok()?);
    std::io::Read::take(&mut file, MOST_HEADER_BYTES).read_until(b'\n', &mut line).ok()?;
    let header: Header = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    let right = header.spool == SCHEMA && header.queue == queue.name() && header.first == first;
    right.then_some((header, line.len() as u64))
}

/// Whole lines of a file, and the bytes that they take.
fn whole_lines(path: &Path) -> std::io::Result<(u64, u64)> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let (mut lines, mut whole, mut at) = (0, 0, 0_u64);
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Ok((lines, whole));
        }
        for (offset, _) in buffer.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            lines += 1;
            whole = at + offset as u64 + 1;
        }
        let read = buffer.len();
        at += read as u64;
        file.consume(read);
    }
}

/// Takes a file that is no segment out of the way, for a person to look at.
fn set_aside(path: &Path) {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    if let Err(error) = fs::rename(path, &aside) {
        tracing::warn!(segment = %path.display(), %error, "it could not be renamed");
    }
}

const SCHEMA: &str = "tidemark.spool/1";
const EXTENSION: &str = "ndjson";
const OPEN_TIME: &str = "open-seconds";
/// A header takes about 100 bytes.
const MOST_HEADER_BYTES: u64 = 1_024;
