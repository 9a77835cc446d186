//! Events that a receiver will never take, kept for a person to look at.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::event::Rejected;

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
        let mut file = OpenOptions::new().create(true).append(true).mode(MODE).open(&self.path)?;
        file.write_all(&line)?;
        file.sync_data()
    }
}

const MOST_BYTES: u64 = 16 << 20;
const MODE: u32 = 0o640;
