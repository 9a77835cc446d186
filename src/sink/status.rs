//! How a sink goes, for people and for metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// One sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// What it does now.
    pub state: SinkState,
    /// Events that the receiver has, since this process began.
    pub sent: u64,
    /// Attempts that were to be repeated.
    pub retries: u64,
    /// Events that were sent again since the receiver went away shortly after it had taken them; they count in `sent` each time.
    pub repeated: u64,
    /// Requests that were too large and went in halves.
    pub splits: u64,
    /// Events that the receiver will never take; they stand among the dead letters.
    pub set_aside: u64,
    /// When events were last taken (RFC 3339).
    pub last_success: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// What a sink does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkState {
    /// Everything is delivered.
    Idle,
    /// An attempt is under way.
    Sending,
    /// The last attempt failed and the next one waits for its time.
    Waiting,
    /// The receiver refuses this sensor: a person must change something.
    Refused,
}

/// A status that one task writes and others read.
#[derive(Debug, Clone)]
pub struct StatusCell(Arc<Mutex<SinkStatus>>);

impl StatusCell {
    pub(super) fn new(name: &str) -> Self {
        Self(Arc::new(Mutex::new(SinkStatus {
            name: name.to_owned(),
            state: SinkState::Idle,
            sent: 0,
            retries: 0,
            repeated: 0,
            splits: 0,
            set_aside: 0,
            last_success: None,
            last_error: None,
        })))
    }

    /// As it is now.
    pub fn read(&self) -> SinkStatus {
        self.lock().clone()
    }

    pub(super) fn state(&self, state: SinkState) {
        self.lock().state = state;
    }

    pub(super) fn sent(&self, events: usize) {
        let mut status = self.lock();
        status.sent += events as u64;
        if events > 0 {
            status.last_success = Some(jiff::Timestamp::now().to_string());
        }
    }

    pub(super) fn repeated(&self, events: u64) {
        self.lock().repeated += events;
    }

    pub(super) fn split(&self) {
        self.lock().splits += 1;
    }

    pub(super) fn set_aside(&self) {
        self.lock().set_aside += 1;
    }

    pub(super) fn failed(&self, why: &str) {
        let mut status = self.lock();
        status.state = SinkState::Waiting;
        status.retries += 1;
        status.last_error = Some(why.to_owned());
    }

    pub(super) fn refused(&self, why: &str) {
        let mut status = self.lock();
        status.state = SinkState::Refused;
        status.last_error = Some(why.to_owned());
    }

    /// A writer that panicked left counters, each of which is right by itself.
    fn lock(&self) -> MutexGuard<'_, SinkStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
