//! How much went out under each exception that has a limit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::observation::{Timestamp, ZoneOffset};

/// Bytes of the current hour by exception. It holds at most one number for each exception with a limit; a new hour empties it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Calendar hour, UTC, counted from the epoch.
    hour: i64,
    sent: BTreeMap<String, u64>,
}

impl Ledger {
    /// Bytes out under an exception in the hour of this time. Late observations belong to the latest hour seen: a limit never comes back.
    pub fn sent(&self, id: &str, time: Timestamp) -> u64 {
        if hour(time) > self.hour { 0 } else { self.sent.get(id).copied().unwrap_or(0) }
    }

    pub(super) fn turn(&mut self, time: Timestamp) {
        let hour = hour(time);
        if hour > self.hour {
            self.hour = hour;
            self.sent.clear();
        }
    }

    pub(super) fn add(&mut self, id: &str, bytes: u64) {
        match self.sent.get_mut(id) {
            Some(sent) => *sent = sent.saturating_add(bytes),
            None => {
                self.sent.insert(id.to_owned(), bytes);
            }
        }
    }
}

fn hour(time: Timestamp) -> i64 {
    time.hour_in(ZoneOffset(0))
}
