//! Events that a receiver will never take, kept for a person to look at.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::event::Rejected;
use crate::lines;

/// The dead letters of one sink: one line an event, with the reason. Two files of 16 MiB at most; what goes beyond is the oldest.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
}

#[derive(Serialize)]
struct Letter<'a> {
    why: &'a str,
    /// As text: it may be damaged JSON.
    event: &'a str,
}

impl DeadLetters {
    /// In a folder, which is made when it is needed.
    pub fn new(folder: &Path, sink: &str) -> Self {
        Self { path: folder.join(format!("{sink}.ndjson")) }
    }

    /// Removes the letters in a folder, of whatever sink, whose lines are to go; how many.
    ///
    /// # Errors
    /// Where a file cannot be written anew; those before it are.
    pub fn forget(folder: &Path, is_to_go: impl Fn(&str) -> bool) -> io::Result<u64> {
        let mut removed = 0_u64;
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "ndjson") {
                continue;
            }
            let gone = lines::remove(&path, MODE, |line| is_to_go(&String::from_utf8_lossy(line)))?;
            removed = removed.saturating_add(gone.lines);
        }
        Ok(removed)
    }

    /// Adds one, and has it on the disk when it returns.
    pub(super) fn add(&self, rejected: &Rejected) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        if fs::metadata(&self.path).is_ok_and(|about| about.len() >= MOST_BYTES) {
            fs::rename(&self.path, self.path.with_extension("old.ndjson"))?;
        }
        let mut line = serde_json::to_vec(&Letter { why: &rejected.why, event: &rejected.line })?;
        line.push(b'\n');
        let mut file = lines::append(&self.path, MODE)?;
        file.write_all(&line)?;
        file.sync_data()
    }
}

const MOST_BYTES: u64 = 16 << 20;
const MODE: u32 = 0o640;
