//! The journal of flows that ended, between the engine's thread, which fills it, and people, who have something of it removed.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::alert::Person;
use crate::engine::Engine;
use crate::journal::{Entry, Journal};

/// Where flows that ended go; nowhere, where none are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct History(Option<Arc<Mutex<Journal>>>);

impl History {
    pub(super) fn new(journal: Option<Journal>) -> Self {
        Self(journal.map(|journal| Arc::new(Mutex::new(journal))))
    }

    pub(super) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Takes the flows that ended, as the engine's privacy settings let them be told.
    pub(super) fn take(&self, engine: &mut Engine) {
        let ended = engine.take_ended();
        if ended.is_empty() {
            return;
        }
        if let Some(mut journal) = self.journal() {
            for ended in &ended {
                journal.take(&Entry::new(ended, engine.privacy()));
            }
        }
    }

    /// Hands what waits to the system.
    pub(super) fn write(&self) {
        if let Some(mut journal) = self.journal() {
            journal.write();
        }
    }

    /// Flows that the disk did not take.
    pub(super) fn left_out(&self) -> u64 {
        self.journal().map_or(0, |journal| journal.left_out())
    }

    /// Removes what tells of a user; how many flows.
    pub(super) fn forget(&self, person: &Person) -> io::Result<u64> {
        self.journal().map_or(Ok(0), |mut journal| journal.forget(person))
    }

    /// Each line of it is right by itself, also after a panic of another thread.
    fn journal(&self) -> Option<MutexGuard<'_, Journal>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
