//! Where a sink stands in the spool, on the disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Queue, sync};

/// The next line of a queue, and where it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Its number.
    pub(super) line: u64,
    /// The number of the first line of its segment.
    pub(super) segment: u64,
    /// The byte of the segment at which it begins; 0 stands for the first line after the header.
    pub(super) offset: u64,
}

/// One position a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    alerts: Position,
    health: Position,
    telemetry: Position,
}

impl Cursor {
    pub(super) fn at(&mut self, queue: Queue) -> &mut Position {
        match queue {
            Queue::Alerts => &mut self.alerts,
            Queue::Health => &mut self.health,
            Queue::Telemetry => &mut self.telemetry,
        }
    }

    /// The next line of each queue.
    pub(super) fn lines(&self) -> [u64; Queue::ALL.len()] {
        [self.alerts.line, self.health.line, self.telemetry.line]
    }

    /// The cursor of a sink. One that cannot be understood stands at the beginning: what is sent twice has the same id, what is skipped is
    /// lost.
    pub(super) fn load(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(cursor = %path.display(), %error, "a cursor cannot be read; its sink is sent again what the spool holds");
                Self::default()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes it beside the old one and takes that one's place, so that a crash leaves one of the two.
    pub(super) fn store(&self, path: &Path) -> io::Result<()> {
        let next = path.with_extension("next");
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        sync(&file)?;
        fs::rename(&next, path)
    }
}

/// The cursor file of a sink.
pub(super) fn path(folder: &Path, sink: &str) -> PathBuf {
    folder.join(format!("cursor-{sink}.json"))
}
