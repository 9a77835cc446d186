//! What a spool holds, from its end backwards, for whoever asks beside the process that has it.

use std::fs;
use std::path::{Path, PathBuf};

use super::segment;
use super::{Queue, SpoolError};

/// The lines of one queue that are on the disk, the latest first. It takes no lock and holds one segment in memory; what is removed meanwhile
/// is passed over.
#[derive(Debug)]
pub struct Latest {
    folder: PathBuf,
    queue: Queue,
    /// The segments that were not read yet, the latest last.
    segments: Vec<u64>,
    /// Lines of the segment that was read last, the latest last.
    lines: Vec<String>,
}

impl Latest {
    /// The lines of a queue in the spool in a folder. A folder that is not there holds none.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn of(folder: &Path, queue: Queue) -> Result<Self, SpoolError> {
        let mut segments = if folder.exists() { segment::names(folder, queue)? } else { Vec::new() };
        segments.sort_unstable();
        Ok(Self { folder: folder.to_owned(), queue, segments, lines: Vec::new() })
    }
}

impl Iterator for Latest {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.lines.pop() {
                return Some(line);
            }
            let path = segment::path(&self.folder, self.queue, self.segments.pop()?);
            match fs::read(&path) {
                Ok(bytes) => self.lines = whole_lines(&bytes),
                Err(error) => {
                    tracing::warn!(segment = %path.display(), %error, "a spool segment is passed over");
                }
            }
        }
    }
}

/// The lines after the header. The last one has no end where it is being written.
fn whole_lines(bytes: &[u8]) -> Vec<String> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
        .skip(1)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}
