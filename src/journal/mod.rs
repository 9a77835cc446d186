//! What ended: a bounded local record of the flows of this Mac, so that somebody who holds an alert can ask what else the program talked to, and what
//! other settings would have said of it.
//!
//! ```text
//!  engine ──► Ended ──► Entry (as the privacy settings let it be told) ──► Journal: segments of NDJSON, the oldest goes first
//!                                                                             │
//!                                               tidemark history ◄────────────┤
//!                                               tidemark backtest ◄── Ended ◄─┘
//! ```
//!
//! It never leaves the Mac. Arguments are not in it. A flow is in it once, when it has ended, with the bytes of its whole life; one that is live is not in
//! it yet. Days and bytes are bounded by `[history]`. A crash costs the flows of the last second or so, and spoils no line but the one that it cut.

mod entry;
mod segments;

pub use entry::{Entry, Program};
pub use segments::{Entries, Journal};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[history]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Days that ended flows are kept on this Mac, from 0 (none are) to 366. Read at the start.
    pub days: u32,
    /// The most MiB that they take, from 1 to 4096. Read at the start.
    pub max_mib: u32,
}

impl Default for Settings {
    /// Ninety days, for which an auditor asks, as far as they fit: a Mac with 2,000 flows a day takes about 1 MB a day.
    fn default() -> Self {
        Self { days: 90, max_mib: 64 }
    }
}

impl Settings {
    /// Whether they can be kept; else what is wrong.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn validate(&self) -> Result<(), &'static str> {
        match self {
            Self { days: 367.., .. } => Err("`days` is at most 366"),
            Self { max_mib: 0 | 4_097.., .. } => Err("`max_mib` is from 1 to 4096"),
            _ => Ok(()),
        }
    }

    fn most_bytes(&self) -> u64 {
        u64::from(self.max_mib) << 20
    }
}

/// The name of the folder in the state's folder.
pub const FOLDER: &str = "history";
