//! The store: what was learnt, on disk, in sled.
//!
//! The working set lives in memory; the store takes checkpoints. A checkpoint is one transaction over all trees, so that a process killed at
//! any moment leaves the latest whole checkpoint behind: it never opens half-written. The trees are `subjects`, `host`, `feedback` and
//! `metadata`; values are opaque here and carry their own version.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};

use super::StoreError;
use super::spill::{Spilled, remove_others};
use crate::lock::wait_while_held;
use crate::observation::Timestamp;

/// The open store. One process at a time.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    db: sled::Db,
    subjects: sled::Tree,
    host: sled::Tree,
    feedback: sled::Tree,
    metadata: sled::Tree,
}

/// A store that was opened, and what there is to say about it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Nothing was ever written to it: a health event where one had been there before.
    pub fresh: bool,
    /// Where a store that could not be read was set aside. Nothing of it was changed.
    pub set_aside: Option<PathBuf>,
}

/// What changed since the last checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The time of the latest observation that it includes.
    pub time: Option<Timestamp>,
    /// The Mac's state.
    pub host: Vec<u8>,
    /// What the engine keeps beside the baselines, where a run ended in good order.
    pub road: Option<Vec<u8>>,
    /// The same, where it was too large for memory.
    pub spilled_road: Option<Spilled>,
    /// Subjects by key; `None` where one was forgotten.
    pub subjects: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Feedback that was taken, by its key.
    pub feedback: Vec<(Vec<u8>, Vec<u8>)>,
    /// What was called normal while no engine ran, a finding's key or a subject each: the next engine closes the findings, and its checkpoints
    /// have none.
    pub settled: Vec<String>,
}

impl Checkpoint {
    /// This one and a later one as one: of what both have, the later counts.
    #[must_use]
    pub fn followed_by(self, later: Self) -> Self {
        let mut subjects: BTreeMap<_, _> = self.subjects.into_iter().collect();
        subjects.extend(later.subjects);
        let mut feedback: BTreeMap<_, _> = self.feedback.into_iter().collect();
        feedback.extend(later.feedback);
        Self {
            subjects: subjects.into_iter().collect(),
            feedback: feedback.into_iter().collect(),
            time: later.time,
            host: later.host,
            road: later.road,
            spilled_road: later.spilled_road,
            settled: later.settled,
        }
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let pair = |key: &Vec<u8>, value: usize| key.len().saturating_add(value);
        let subjects = self.subjects.iter().map(|(key, value)| pair(key, value.as_ref().map_or(0, Vec::len)));
        let feedback = self.feedback.iter().map(|(key, value)| pair(key, value.len()));
        let all = subjects.chain(feedback).fold(0_usize, usize::saturating_add);
        let spilled = self
            .spilled_road
            .as_ref()
            .map_or(0, |spilled| usize::try_from(spilled.bytes()).unwrap_or(usize::MAX));
        let road = self.road.as_ref().map_or(spilled, Vec::len);
        all.saturating_add(self.host.len()).saturating_add(road)
    }
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Saved {
    /// The time of the latest observation that it includes.
    pub time: Option<Timestamp>,
    /// The Mac's state; `None` where nothing was ever written.
    pub host: Option<Vec<u8>>,
    /// What the engine kept beside the baselines; `None` where the run did not end in good order.
    pub road: Option<Vec<u8>>,
    /// Subjects by key, in the order of the keys.
    pub subjects: Vec<(Vec<u8>, Vec<u8>)>,
    /// See [`Checkpoint::settled`].
    pub settled: Vec<String>,
}

impl Store {
    /// Opens the store in a folder, and makes it where there is none. One that cannot be read is set aside beside it, as
    /// `<folder>.corrupt-<n>`, and a fresh one opened.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        match Self::open_as_it_is(path) {
            Ok(store) => Ok(Opened { fresh: store.is_fresh(path)?, store, set_aside: None }),
            Err(StoreError::Corrupt { reason, .. }) => {
                let aside = set_aside(path, &reason)?;
                let store = Self::open_as_it_is(path)?;
                Ok(Opened { store, fresh: true, set_aside: Some(aside) })
            }
            Err(other) => Err(other),
        }
    }

    /// Opens the store in a folder without setting anything aside.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open_as_it_is(path: &Path) -> Result<Self, StoreError> {
        let before = beside(path, BEFORE);
        if !path.exists() && before.exists() {
            // A crash while it was written anew.
            std::fs::rename(&before, path)
                .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        } else if before.exists() {
            // A crash after that: what it holds may have been meant to be forgotten.
            std::fs::remove_dir_all(&before)
                .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        }
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let db = wait_while_held(
            || Self::open_pages(path, &config),
            |error| matches!(error, StoreError::InUse(_)),
        )?;
        let tree = |name: &str| db.open_tree(name).map_err(|error| StoreError::from_sled(path, error));
        let store = Self {
            path: path.to_owned(),
            subjects: tree("subjects")?,
            host: tree("host")?,
            feedback: tree("feedback")?,
            metadata: tree("metadata")?,
            db,
        };
        match store.format(path)? {
            Some(found) if found > FORMAT => Err(StoreError::Newer { path: path.to_owned(), found }),
            Some(_) => {
                remove_others(path, store.spilled()?.as_ref());
                Ok(store)
            }
            None => {
                let format = FORMAT.to_be_bytes().to_vec();
                store
                    .metadata
                    .insert(FORMAT_KEY, format)
                    .map_err(|error| StoreError::from_sled(path, error))?;
                store.db.flush().map_err(|error| StoreError::from_sled(path, error))?;
                Ok(store)
            }
        }
    }

    /// Writes a checkpoint and waits until it is on disk: all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Unwritable`] leave the store as it was; the caller keeps the checkpoint.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        type Tree = TransactionalTree;
        let trees = (&self.subjects, &self.host, &self.feedback, &self.metadata);
        let written = trees.transaction(|(subjects, host, feedback, metadata): &(Tree, Tree, Tree, Tree)| {
            for (key, value) in &checkpoint.subjects {
                match value {
                    Some(value) => subjects.insert(key.as_slice(), value.as_slice())?,
                    None => subjects.remove(key.as_slice())?,
                };
            }
            for (key, value) in &checkpoint.feedback {
                feedback.insert(key.as_slice(), value.as_slice())?;
            }
            host.insert(HOST_KEY, checkpoint.host.as_slice())?;
            match &checkpoint.road {
                Some(road) => host.insert(ROAD_KEY, road.as_slice())?,
                None => host.remove(ROAD_KEY)?,
            };
            match checkpoint.spilled_road.as_ref().filter(|_| checkpoint.road.is_none()) {
                Some(spilled) => host.insert(SPILLED_KEY, spilled.to_value().as_bytes())?,
                None => host.remove(SPILLED_KEY)?,
            };
            match &*checkpoint.settled {
                [] => host.remove(SETTLED_KEY)?,
                settled => host.insert(SETTLED_KEY, serde_json::to_vec(settled).unwrap_or_default())?,
            };
            if let Some(time) = checkpoint.time {
                metadata.insert(TIME_KEY, &time.as_nanos().to_be_bytes())?;
            }
            Ok::<_, ConflictableTransactionError<()>>(())
        });
        let path = &self.path;
        written.map_err(|error| match error {
            TransactionError::Storage(error) => StoreError::from_sled(path, error),
            TransactionError::Abort(()) => {
                StoreError::Corrupt { path: path.clone(), reason: "a write was refused".into() }
            }
        })?;
        self.db.flush().map_err(|error| StoreError::from_sled(path, error))?;
        remove_others(path, checkpoint.spilled_road.as_ref().filter(|_| checkpoint.road.is_none()));
        Ok(())
    }

    /// Reads everything.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where a page cannot be read.
    pub fn load(&self) -> Result<Saved, StoreError> {
        let path = &self.path;
        let wrong = |error| StoreError::from_sled(path, error);
        let subjects =
            self.subjects.iter().map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())));
        let time = self.metadata.get(TIME_KEY).map_err(wrong)?;
        let nanos = time.and_then(|bytes| Some(i64::from_be_bytes(bytes.as_ref().try_into().ok()?)));
        let settled = self.host.get(SETTLED_KEY).map_err(wrong)?;
        let settled = settled.and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or_default();
        Ok(Saved {
            settled,
            time: nanos.map(Timestamp::from_nanos),
            host: self.host.get(HOST_KEY).map_err(wrong)?.map(|value| value.to_vec()),
            road: self.road()?,
            subjects: subjects.collect::<Result<_, _>>().map_err(wrong)?,
        })
    }

    fn road(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let path = &self.path;
        let wrong = |error| StoreError::from_sled(path, error);
        // An earlier tidemark knows only this one, and leaves the other as it is.
        if let Some(value) = self.host.get(ROAD_KEY).map_err(wrong)? {
            return Ok(Some(value.to_vec()));
        }
        let Some(spilled) = self.spilled()? else { return Ok(None) };
        match spilled.read(path) {
            Ok(road) => Ok(Some(road)),
            Err(error) => {
                // The baselines are whole, and worth more than what runs just now.
                tracing::error!(store = %path.display(), %error, "processes and flows of the last run cannot be read; baselines stay");
                Ok(None)
            }
        }
    }

    fn spilled(&self) -> Result<Option<Spilled>, StoreError> {
        let value = self.host.get(SPILLED_KEY).map_err(|error| StoreError::from_sled(&self.path, error))?;
        Ok(value.and_then(|value| Spilled::of_value(&value)))
    }

    /// Whether feedback with this key was taken already.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn has_feedback(&self, key: &[u8]) -> Result<bool, StoreError> {
        self.feedback.contains_key(key).map_err(|error| StoreError::from_sled(&self.path, error))
    }

    /// Writes the whole store anew, so that nothing stays on the disk of what was overwritten or removed: sled keeps old pages until it needs
    /// their place.
    ///
    /// # Errors
    /// See [`StoreError`]. The store stays as it was, here or, after a crash between two renames, as `<folder>.before`, where the next opening finds it.
    pub fn rewritten(self) -> Result<Self, StoreError> {
        let path = self.path.clone();
        let (next, before) = (beside(&path, "next"), beside(&path, BEFORE));
        let io = |source| StoreError::Io { path: path.clone(), source };
        if next.exists() {
            std::fs::remove_dir_all(&next).map_err(io)?;
        }
        {
            let copy = Self::open_as_it_is(&next)?;
            let trees = [
                (&self.subjects, &copy.subjects),
                (&self.host, &copy.host),
                (&self.feedback, &copy.feedback),
                (&self.metadata, &copy.metadata),
            ];
            let wrong = |error| StoreError::from_sled(&path, error);
            for (from, to) in trees {
                for pair in from {
                    let (key, value) = pair.map_err(wrong)?;
                    to.insert(key, value).map_err(wrong)?;
                }
            }
            if let Some(spilled) = self.spilled()? {
                spilled.copy(&path, &next).map_err(io)?;
            }
            copy.db.flush().map_err(wrong)?;
        }
        drop(self);
        std::fs::rename(&path, &before).map_err(io)?;
        std::fs::rename(&next, &path).map_err(io)?;
        std::fs::remove_dir_all(&before).map_err(io)?;
        Self::open_as_it_is(&path)
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.db.size_on_disk().map_err(|error| StoreError::from_sled(&self.path, error))
    }

    fn open_pages(path: &Path, config: &sled::Config) -> Result<sled::Db, StoreError> {
        // sled asserts on some damage instead of returning an error; the value is dropped where it does, so nothing half-made is seen.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| StoreError::Corrupt {
            path: path.to_owned(),
            reason: "its pages contradict each other".into(),
        })?;
        opened.map_err(|error| StoreError::from_sled(path, error))
    }

    fn is_fresh(&self, path: &Path) -> Result<bool, StoreError> {
        Ok(!self.host.contains_key(HOST_KEY).map_err(|error| StoreError::from_sled(path, error))?)
    }

    fn format(&self, path: &Path) -> Result<Option<u32>, StoreError> {
        let Some(bytes) =
            self.metadata.get(FORMAT_KEY).map_err(|error| StoreError::from_sled(path, error))?
        else {
            return Ok(None);
        };
        let reason =
            || StoreError::Corrupt { path: path.to_owned(), reason: "its format number is none".into() };
        bytes.as_ref().try_into().map(|bytes| Some(u32::from_be_bytes(bytes))).map_err(|_| reason())
    }
}

/// A folder beside this one, of its name and another ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}

/// Moves a folder beside itself under the first free name.
fn set_aside(path: &Path, reason: &str) -> Result<PathBuf, StoreError> {
    let name = |n: u32| beside(path, &format!("corrupt-{n}"));
    let aside = (1..MOST_ASIDE).map(name).find(|aside| !aside.exists()).unwrap_or_else(|| name(0));
    std::fs::rename(path, &aside).map_err(|source| StoreError::Stuck {
        path: path.to_owned(),
        reason: reason.to_owned(),
        source,
    })?;
    Ok(aside)
}

/// The format of the trees and their keys. Values carry a version of their own.
pub(super) const FORMAT: u32 = 1;
/// Names tried for a store that is set aside; the last resort, `.corrupt-0`, fails where it is taken.
const MOST_ASIDE: u32 = 10_000;
/// The ending of a store in whose place the one that was written anew comes.
const BEFORE: &str = "before";
const FORMAT_KEY: &[u8] = b"format";
const TIME_KEY: &[u8] = b"time";
const HOST_KEY: &[u8] = b"host";
const ROAD_KEY: &[u8] = b"road";
const SPILLED_KEY: &[u8] = b"spilled_road";
const SETTLED_KEY: &[u8] = b"settled";
/// sled's page cache: everything is read once, at start, so that little is enough.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
