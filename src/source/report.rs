//! The account that a source gives of itself.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// What a source read, and what it could not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// The input's name, as the user gave it.
    pub name: Arc<str>,
    /// Observations yielded.
    pub observations: u64,
    /// Bytes consumed, after decompression.
    pub bytes: u64,
    /// Records (lines, packets, blocks) that could not be read and were skipped.
    pub malformed: u64,
    /// Readable records that tidemark has no use for, such as events of types that it does not follow.
    pub other: u64,
    /// Observations that came late, but early enough for the merge to put them in their place.
    pub reordered: u64,
    /// Observations that were earlier than one already yielded by this source.
    pub out_of_order: u64,
    /// The first [`SourceReport::KEPT_FAULTS`] faults, in the order met.
    pub faults: Vec<Fault>,
    /// Why reading stopped before the end of the input, if it did.
    pub ended_early: Option<Fault>,
}

impl SourceReport {
    /// How many faults are kept in full; the rest are only counted.
    pub const KEPT_FAULTS: usize = 8;

    /// An account of the input of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Counts one record that could not be read, and keeps the first few faults. Logs it at debug level.
    pub fn skip(&mut self, position: Position, what: impl Into<String>) {
        self.malformed = self.malformed.saturating_add(1);
        let fault = Fault { position, what: what.into() };
        tracing::debug!(input = %self.name, %fault, "skipped");
        if self.faults.len() < Self::KEPT_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Keeps a fault that cost no record: something that a person should know about the input.
    pub fn warn(&mut self, position: Position, what: impl Into<String>) {
        let fault = Fault { position, what: what.into() };
        tracing::debug!(input = %self.name, %fault, "odd");
        if self.faults.len() < Self::KEPT_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Says that nothing after this position can be read.
    pub fn end_early(&mut self, position: Position, what: impl Into<String>) {
        let fault = Fault { position, what: what.into() };
        tracing::debug!(input = %self.name, %fault, "ended early");
        self.ended_early.get_or_insert(fault);
    }
}

/// One thing that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where.
    pub position: Position,
    /// What was wrong, as half a sentence: `record length 4294967295 is over the limit of 262144 bytes`.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.what)
    }
}

/// A place in an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// A line, counted from 1.
    Line(u64),
    /// A byte, counted from 0, after decompression.
    Byte(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}
