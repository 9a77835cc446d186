//! The words for who a process is.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::observation::{CodeSigning, Credentials, ProcessKey, Timestamp};

/// The identity of an image, which survives an update: `apple:<signing_id>` for platform binaries, `<team_id>:<signing_id>` for signed
/// ones, else `path:<normalised path>`. What launchd starts and has no identity of its own as an initiator is `launchd:<label>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(Arc<str>);

impl Identity {
    /// From its text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a part of macOS.
    pub fn is_apple(&self) -> bool {
        self.0.starts_with("apple:")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a baseline belongs to and what is scored: an image as run by an initiator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The image.
    pub image: Identity,
    /// Who made it run; `None` for what launchd starts as itself (an app, a daemon).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<Identity>,
}

impl fmt::Display for Subject {
    /// `apple:com.apple.curl < apple:com.apple.Terminal`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.initiator {
            Some(initiator) => write!(f, "{} < {initiator}", self.image),
            None => fmt::Display::fmt(&self.image, f),
        }
    }
}

/// What kinds of program the two halves of a subject are, as far as scoring cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Role {
    /// The image is a network tool, an interpreter or a shell that others run: curl, python, node, ssh, nc, git's helpers, ...
    pub tool: bool,
    /// The image itself is a scripting host: osascript, Automator, Script Editor, Shortcuts, an Office app, ...
    pub scripting_host: bool,
    /// The initiator is a scripting host.
    pub scripted: bool,
}

/// One process, as an alert describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFacts {
    /// Identity of the image.
    pub identity: Identity,
    /// Path of the executable as observed.
    pub path: Arc<str>,
    /// Number and generation.
    pub key: ProcessKey,
    /// `argv`.
    pub arguments: Vec<Arc<str>>,
    /// Code signature.
    pub signing: CodeSigning,
    /// The script, where the image is an interpreter.
    pub script: Option<Script>,
    /// Working directory at exec.
    pub cwd: Option<Arc<str>>,
    /// Who runs it.
    pub credentials: Credentials,
    /// Its session.
    pub session_id: Option<i32>,
    /// Its controlling terminal.
    pub tty: Option<Arc<str>>,
    /// When the process was forked, or else when this image was first seen.
    pub start: Option<Timestamp>,
}

/// What an interpreter runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Where the code comes from.
    pub source: ScriptSource,
    /// The normalised path of a file, the module's name of `-m`, or `inline`/`stdin`.
    pub name: Arc<str>,
    /// SHA-256 of inline code, in hex: an attribute, never part of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Arc<str>>,
}

/// Where an interpreter's code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptSource {
    /// A file.
    File,
    /// A module by name (`python3 -m`), or a jar.
    Module,
    /// The command line (`-c`, `-e`).
    Inline,
    /// Standard input.
    Stdin,
}

/// How a flow's process was found, surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By process number and generation.
    Exact,
    /// The owner is a broker, and the process on whose behalf it acts is known.
    Effective,
    /// By the process that had this number when the flow began.
    Pid,
    /// The process is known only from the list made when observation began: its initiator is not scored.
    Snapshot,
    /// Not at all.
    #[default]
    None,
}

impl Method {
    /// Its name in records and alerts.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Effective => "effective",
            Self::Pid => "pid",
            Self::Snapshot => "snapshot",
            Self::None => "none",
        }
    }
}

/// Whose a flow is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Attribution {
    /// How the process was found.
    pub method: Method,
    /// Who it is.
    pub who: Option<Arc<Who>>,
    /// The broker that owns the socket, where the flow counts for the app that it serves ([`Method::Effective`]).
    pub via: Option<Arc<ProcessFacts>>,
}

/// A process with what made it run: the answer of this room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// What is scored.
    pub subject: Subject,
    /// What kinds of program these are.
    pub role: Role,
    /// The process.
    pub process: Arc<ProcessFacts>,
    /// Whether the chain up to the initiator, or up to launchd, was seen without a hole. Where it was not, an absent initiator means
    /// "not known" and not "launchd started it".
    pub initiator_known: bool,
    /// What made it run, where that is a process that was seen; `None` for a job of launchd.
    pub initiator: Option<Arc<ProcessFacts>>,
    /// The app that macOS holds responsible, or else the nearest app among the ancestors. A hint, not proof.
    pub application: Option<Arc<ProcessFacts>>,
    /// Earlier images of the same process, latest first, then its ancestors, nearest first; bounded.
    pub ancestors: Vec<Arc<ProcessFacts>>,
    /// Whether the image is unsigned or ad-hoc signed and lies where a user can write: its cdhash is part of its history.
    pub volatile: bool,
}
