//! Baselines on the move: exported to a file, imported, merged.
//!
//! A document is NDJSON. Its first line says how old the Mac's observation is, since ages are counted in observed time; each further line is
//! one subject, with the stored value in hexadecimal (decimal text would not bring every weight back to the bit) and a few numbers beside
//! it for whoever reads the file. What was exported and is imported into a fresh store is the same to the bit; merging commutes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::entry::Entry;
use super::state::{StateError, decode_subject, encode_subject};
use super::{Detector, Settings};
use crate::baseline::Age;
use crate::process::Subject;

/// A document of baselines.
#[derive(Debug, Clone)]
pub struct Transfer {
    age: Age,
    day: u32,
    aged_days: u32,
    subjects: BTreeMap<Subject, Entry>,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Imported {
    /// Subjects that were not known.
    pub added: Vec<Subject>,
    /// Subjects that were known and are merged.
    pub merged: Vec<Subject>,
}

/// A document that cannot be read.
#[derive(Debug, Error)]
pub enum TransferError {
    /// A line is no part of such a document.
    #[error("line {line}: {source}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What was wrong.
        source: serde_json::Error,
    },
    /// Its first line is not the header of such a document.
    #[error("the first line is no header with schema `{SCHEMA}`")]
    Header,
    /// A subject's value is not hexadecimal.
    #[error("line {0}: `state` is not hexadecimal")]
    Hex(usize),
    /// A subject's value cannot be read.
    #[error("line {line}: {source}")]
    State {
        /// Counted from 1.
        line: usize,
        /// What was wrong.
        source: StateError,
    },
}

#[derive(Serialize, Deserialize)]
struct HeaderLine {
    baseline: Header,
}

#[derive(Serialize, Deserialize)]
struct Header {
    schema: String,
    age_seconds: u32,
    day: u32,
    aged_days: u32,
}

#[derive(Serialize, Deserialize)]
struct SubjectLine {
    subject: Subject,
    active_days: u32,
    active_hours: u32,
    state: String,
}

impl Detector {
    /// Every baseline, as a document. What was alerted stays: it is this Mac's own.
    pub fn export(&self) -> Transfer {
        let bare = |entry: &Entry| Entry { record: None, dirty: false, ..entry.clone() };
        Transfer {
            age: self.host.clock.age(),
            day: self.host.clock.day(),
            aged_days: self.host.clock.aged_days(),
            subjects: self.subjects.iter().map(|(subject, entry)| (subject.clone(), bare(entry))).collect(),
        }
    }

    /// Takes a document in: what is not known is added, what is known is merged. A Mac younger than the document is from then on as old as
    /// that, and so has done its learning. With `dry_run` nothing changes.
    pub fn import(&mut self, transfer: &Transfer, dry_run: bool) -> Imported {
        let (merged, added): (Vec<_>, Vec<_>) =
            transfer.subjects.keys().cloned().partition(|subject| self.subjects.contains_key(subject));
        if !dry_run {
            self.host.clock.inherit(transfer.age, transfer.day, transfer.aged_days);
            let ours = self.export();
            let mut joined = transfer.clone();
            joined.shift_to(&ours);
            for (subject, mut entry) in joined.subjects {
                match self.subjects.get(&subject) {
                    Some(known) => {
                        let record = known.record.clone();
                        entry.merge(known, self.settings.half_life_days);
                        entry.record = record;
                    }
                    None => self.join_counts(&subject, &entry),
                }
                entry.dirty = false;
                self.subjects.insert(subject.clone(), Box::new(entry));
                self.touch(&subject);
            }
        }
        Imported { added, merged }
    }

    /// Counts an imported subject among those that use the network.
    fn join_counts(&mut self, subject: &Subject, entry: &Entry) {
        let Some(network) = entry.baseline.network.as_deref() else { return };
        let prevalence = self.host.prevalence.among(entry.tool);
        prevalence.joined();
        network.protocols.iter().for_each(|spoken| prevalence.spoke(spoken.protocol));
        let count = self.images.entry(subject.image.clone()).or_default();
        *count = count.saturating_add(1);
    }
}

impl Transfer {
    /// Reads a document.
    ///
    /// # Errors
    /// Names the line that cannot be read.
    pub fn read(text: &str) -> Result<Self, TransferError> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let header = lines.next().and_then(|(_, line)| serde_json::from_str::<HeaderLine>(line).ok());
        let header =
            header.map(|line| line.baseline).filter(|h| h.schema == SCHEMA).ok_or(TransferError::Header)?;
        let mut subjects = BTreeMap::new();
        for (index, line) in lines {
            let line_number = index + 1;
            let read: SubjectLine = serde_json::from_str(line)
                .map_err(|source| TransferError::Line { line: line_number, source })?;
            let value = from_hex(&read.state).ok_or(TransferError::Hex(line_number))?;
            let entry = decode_subject(&read.subject, &value)
                .map_err(|source| TransferError::State { line: line_number, source })?;
            subjects.insert(read.subject, entry);
        }
        Ok(Self { age: Age(header.age_seconds), day: header.day, aged_days: header.aged_days, subjects })
    }

    /// The document's text.
    pub fn to_text(&self) -> String {
        let header = Header {
            schema: SCHEMA.into(),
            age_seconds: self.age.0,
            day: self.day,
            aged_days: self.aged_days,
        };
        let mut text = serde_json::json!({ "baseline": header }).to_string();
        text.push('\n');
        for (subject, entry) in &self.subjects {
            let activity = entry.baseline.network.as_deref().map(|network| network.activity);
            let line = serde_json::json!(SubjectLine {
                subject: subject.clone(),
                active_days: activity.map_or(0, |activity| activity.days),
                active_hours: activity.map_or(0, |activity| activity.hours),
                state: to_hex(&encode_subject(subject, entry, self.age)),
            });
            // Writing to a String does not fail.
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// How many subjects it holds.
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Two documents in one. Commutative: the ages of both are counted back from now, and what both have is added up.
    #[must_use]
    pub fn merge(mut self, mut other: Self, settings: &Settings) -> Self {
        let latest = Self {
            age: self.age.max(other.age),
            day: self.day.max(other.day),
            aged_days: self.aged_days.max(other.aged_days),
            subjects: BTreeMap::new(),
        };
        self.shift_to(&latest);
        other.shift_to(&latest);
        for (subject, theirs) in other.subjects {
            match self.subjects.get_mut(&subject) {
                Some(ours) => ours.merge(&theirs, settings.half_life_days),
                None => {
                    self.subjects.insert(subject, theirs);
                }
            }
        }
        self
    }

    /// Moves every age so that it lies as far before the other's now as before this one's.
    fn shift_to(&mut self, other: &Self) {
        let seconds = other.age.seconds_since(self.age);
        let days = other.aged_days.saturating_sub(self.aged_days);
        let numbers = other.day.saturating_sub(self.day);
        if seconds > 0 || days > 0 || numbers > 0 {
            for entry in self.subjects.values_mut() {
                entry.baseline.shift(seconds, days, numbers);
            }
        }
        (self.age, self.day, self.aged_days) = (other.age, other.day, other.aged_days);
    }
}

impl Entry {
    fn merge(&mut self, other: &Self, half_life_days: f64) {
        self.baseline.merge(&other.baseline, half_life_days);
        self.tool |= other.tool;
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

const SCHEMA: &str = "tidemark.baseline/1";
