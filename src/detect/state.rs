//! The detector's state as bytes: what a checkpoint carries, and how it comes back.
//!
//! Every value begins with a byte that names its version; the rest is postcard. An older version is read and becomes the present one, a newer
//! one is refused.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::detector::Map;
use super::entry::Entry;
use super::host::Host;
use super::record::Record;
use super::{Detector, Settings};
use crate::baseline::{
    Age, Checkpoint, Fingerprint, Priors, Saved, SubjectBaseline, SubjectBaselineV2, SubjectBaselineV3,
};
use crate::process::{Identity, Subject};

/// A stored value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// It was written by a newer tidemark.
    #[error("{what} has version {found}, and this tidemark knows up to {known}")]
    Newer {
        /// What it is.
        what: String,
        /// Its version.
        found: u8,
        /// The newest version known.
        known: u8,
    },
    /// It is no such value.
    #[error("{0} cannot be read")]
    Malformed(String),
}

impl Detector {
    /// What changed since the last checkpoint. It counts as written: a caller who could not write it merges it into the next by writing it
    /// first.
    pub fn checkpoint(&mut self) -> Checkpoint {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        let now = self.host.clock.age();
        let mut subjects: Vec<(Vec<u8>, Option<Vec<u8>>)> =
            std::mem::take(&mut self.forgotten).iter().map(|subject| (key_of(subject), None)).collect();
        for subject in dirty {
            if let Some(entry) = self.subjects.get_mut(&subject) {
                entry.dirty = false;
                subjects.push((key_of(&subject), Some(encode_subject(&subject, entry, now))));
            }
        }
        Checkpoint {
            time: self.host.clock.latest(),
            host: encode(HOST_VERSION, &self.host),
            road: None,
            spilled_road: None,
            subjects,
            feedback: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// A detector as it was at a checkpoint.
    ///
    /// # Errors
    /// Names the value that cannot be read.
    pub fn restore(settings: Settings, priors: Arc<Priors>, saved: &Saved) -> Result<Self, StateError> {
        let mut detector = Self::new(settings, priors);
        if let Some(host) = &saved.host {
            detector.host = decode_host(host)?;
        }
        let mut subjects = Map::default();
        for (key, value) in &saved.subjects {
            let subject = subject_of(key)?;
            let entry = decode_subject(&subject, value)?;
            if entry.baseline.network.is_some() {
                let count: &mut u32 = detector.images.entry(subject.image.clone()).or_default();
                *count = count.saturating_add(1);
            }
            subjects.insert(subject, Box::new(entry));
        }
        detector.subjects = subjects;
        Ok(detector)
    }
}

/// The key of a subject: image and, after a zero byte, initiator.
pub(super) fn key_of(subject: &Subject) -> Vec<u8> {
    let mut key = subject.image.as_str().as_bytes().to_vec();
    if let Some(initiator) = &subject.initiator {
        key.push(0);
        key.extend_from_slice(initiator.as_str().as_bytes());
    }
    key
}

/// The subject of a key.
pub(super) fn subject_of(key: &[u8]) -> Result<Subject, StateError> {
    let text = str::from_utf8(key).map_err(|_| StateError::Malformed("the key of a subject".into()))?;
    Ok(match text.split_once('\0') {
        Some((image, initiator)) => {
            Subject { image: Identity::new(image), initiator: Some(Identity::new(initiator)) }
        }
        None => Subject { image: Identity::new(text), initiator: None },
    })
}

/// A subject's value, version 4: weights in whole units, which each histogram names, fingerprints of four bytes.
#[derive(Serialize)]
struct SubjectV4<'a> {
    tool: bool,
    /// The key of its destinations' fingerprints, where it is that of another image, whose history it took over.
    key: Option<u64>,
    baseline: &'a SubjectBaseline,
    record: Option<&'a Record>,
}

/// The same, read.
#[derive(Deserialize)]
struct SubjectV4Read {
    tool: bool,
    key: Option<u64>,
    baseline: SubjectBaseline,
    record: Option<Box<Record>>,
}

/// A subject's value, version 3: weights were numbers of varying length.
#[derive(Deserialize)]
struct SubjectV3 {
    tool: bool,
    key: Option<u64>,
    baseline: SubjectBaselineV3,
    record: Option<Box<Record>>,
}

/// A subject's value, version 2.
#[derive(Deserialize)]
struct SubjectV2 {
    tool: bool,
    baseline: SubjectBaselineV2,
    record: Option<Box<Record>>,
}

/// A subject's value, version 1: it did not say whether the image is a tool.
#[derive(Deserialize)]
struct SubjectV1 {
    baseline: SubjectBaselineV2,
    record: Option<Box<Record>>,
}

/// What was only news for a while and no longer is at `now` is left out.
pub(super) fn encode_subject(subject: &Subject, entry: &Entry, now: Age) -> Vec<u8> {
    let record = entry.record.as_deref().map(|record| record.at(now)).filter(|record| !record.is_empty());
    let own = Fingerprint::key(subject.image.as_str());
    let key = (entry.key != own).then_some(entry.key);
    let value = SubjectV4 { tool: entry.tool, key, baseline: &entry.baseline, record: record.as_deref() };
    encode(SUBJECT_VERSION, &value)
}

pub(super) fn decode_subject(subject: &Subject, value: &[u8]) -> Result<Entry, StateError> {
    let what = || format!("the baseline of {subject}");
    let malformed = |_| StateError::Malformed(what());
    let present = |old: SubjectBaselineV2| old.try_into().map_err(malformed);
    let (tool, key, baseline, record) = match value.split_first() {
        Some((1, rest)) => {
            let SubjectV1 { baseline, record } = decode(rest, what)?;
            (false, None, present(baseline)?, record)
        }
        Some((2, rest)) => {
            let SubjectV2 { tool, baseline, record } = decode(rest, what)?;
            (tool, None, present(baseline)?, record)
        }
        Some((3, rest)) => {
            let SubjectV3 { tool, key, baseline, record } = decode(rest, what)?;
            (tool, key, baseline.try_into().map_err(malformed)?, record)
        }
        Some((&SUBJECT_VERSION, rest)) => {
            let SubjectV4Read { tool, key, baseline, record } = decode(rest, what)?;
            (tool, key, baseline, record)
        }
        Some((&found, _)) if found > SUBJECT_VERSION => {
            return Err(StateError::Newer { what: what(), found, known: SUBJECT_VERSION });
        }
        _ => return Err(StateError::Malformed(what())),
    };
    let mut entry = Entry::new(subject, baseline);
    entry.tool = tool;
    entry.key = key.unwrap_or(entry.key);
    entry.record = record;
    Ok(entry)
}

fn decode_host(value: &[u8]) -> Result<Host, StateError> {
    let what = || "the Mac's state".to_owned();
    match value.split_first() {
        Some((&HOST_VERSION, rest)) => decode(rest, what),
        Some((&found, _)) if found > HOST_VERSION => {
            Err(StateError::Newer { what: what(), found, known: HOST_VERSION })
        }
        _ => Err(StateError::Malformed(what())),
    }
}

fn encode(version: u8, value: &impl Serialize) -> Vec<u8> {
    // postcard fails only where a sequence does not know its length, and all of these do.
    postcard::to_extend(value, vec![version]).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(bytes: &[u8], what: impl Fn() -> String) -> Result<T, StateError> {
    postcard::from_bytes(bytes).map_err(|_| StateError::Malformed(what()))
}

const SUBJECT_VERSION: u8 = 4;
const HOST_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::ObservedClock;
    use crate::observation::Timestamp;

    fn subject() -> Subject {
        Subject { image: Identity::new("apple:com.apple.curl"), initiator: Some(Identity::new("apple:x")) }
    }

    fn baseline() -> SubjectBaseline {
        SubjectBaseline::new(Timestamp::from_seconds(5, 0), &ObservedClock::default())
    }

    #[test]
    fn a_key_reads_back() {
        let alone = Subject { initiator: None, ..subject() };
        for subject in [subject(), alone] {
            assert_eq!(subject_of(&key_of(&subject)), Ok(subject));
        }
    }

    #[test]
    fn a_history_that_was_taken_over_keeps_the_key_of_its_destinations() {
        let mut entry = Entry::new(&subject(), baseline());
        entry.key = 7;
        let stored = encode_subject(&subject(), &entry, Age::default());
        assert_eq!(decode_subject(&subject(), &stored).unwrap().key, 7);
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let error = decode_subject(&subject(), &[9, 1, 2, 3]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the baseline of apple:com.apple.curl < apple:x has version 9, and this tidemark knows up to 4"
        );
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        let good = encode_subject(&subject(), &Entry::new(&subject(), baseline()), Age::default());
        for cut in 0..good.len() {
            assert!(decode_subject(&subject(), &good[..cut]).is_err());
        }
    }
}
