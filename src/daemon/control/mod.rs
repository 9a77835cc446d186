//! The control socket: how a person at this Mac asks the daemon, and tells it.
//!
//! A Unix socket in the state's folder (mode 0600), one JSON document a line each way. Only root and the daemon's own user are answered, by the word
//! of the kernel on who connected. A client may ask several things one after another. Everything about a client is bounded: how many there are, how
//! long a line is, how long it may take to say it and to read the answer.
//!
//! ```text
//!  {"version":1,"request":"status"}             ──►
//!                                               ◄──  {"version":1,"ok":{"schema":"tidemark.status/1",…}}
//!  {"version":1,"request":"approve","subject":…} ──►
//!                                               ◄──  {"version":1,"error":"nothing of `curl` waits for a word"}
//! ```

mod client;
mod desk;
mod server;

pub use client::{Client, ControlError};
pub(super) use desk::{Desk, ReloadRequest};
pub(super) use server::{bind, serve};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alert::FindingKey;
use crate::daemon::Word;
use crate::detect::Verdict;
use crate::process::Subject;

/// The socket's name in the state's folder.
pub const SOCKET: &str = "control.sock";
/// The version of the words.
const VERSION: u32 = 1;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// How the daemon does.
    Status {
        /// How many subjects to name.
        #[serde(default)]
        subjects: u32,
    },
    /// Findings from now on, a document a line, until the client goes.
    Tail,
    /// An analyst's word on a subject, and the finding that it closes.
    Feedback {
        /// The subject.
        subject: Subject,
        /// The word.
        verdict: Verdict,
        /// The finding's key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        finding: Option<FindingKey>,
    },
    /// A delivered word, which is taken once.
    Word {
        /// What tells it from others: the SHA-256 of its file, in hexadecimal.
        key: String,
        /// The word.
        word: Word,
    },
    /// What a subject did so far is normal.
    Approve {
        /// The subject.
        subject: Subject,
    },
    /// Forgets a subject.
    Forget {
        /// The subject.
        subject: Subject,
    },
    /// Forgets a person.
    ForgetUser {
        /// The login name.
        name: String,
        /// The number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
    },
    /// Reads the configuration anew.
    Reload,
    /// Makes a marked finding, and waits until every sink has it.
    Selftest,
}

/// A request with the version of its words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    version: u32,
    #[serde(flatten)]
    request: Request,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answered {
    version: u32,
    #[serde(flatten)]
    answer: Answer,
}

/// See [`Answered`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It was done; what there is to say.
    Ok(Value),
    /// It was not, and why.
    Error(String),
}

impl Answer {
    fn to_line(&self) -> String {
        let answered = Answered { version: VERSION, answer: self.clone() };
        // Its maps have text for keys.
        serde_json::to_string(&answered).unwrap_or_default() + "\n"
    }
}

/// Bytes of a line from a client: a subject is well under this.
const MOST_LINE: u64 = 64 << 10;

#[cfg(test)]
mod tests;
