//! The process tree.

use std::sync::Arc;
use std::time::Duration;

use crate::observation::{Exec, Exit, Fork, ProcessKey, Running, Timestamp};

use super::{Attribution, Who};

/// How much the tree keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long an ended process stays, in event time: flows are reported late.
    pub grace: Duration,
    /// Most processes that are taken to be alive.
    pub live: usize,
    /// Most ended processes.
    pub ended: usize,
    /// Most arguments kept of one image.
    pub arguments: usize,
    /// Most bytes kept of one argument.
    pub argument_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(60),
            live: 16_384,
            ended: 16_384,
            arguments: 64,
            argument_bytes: 1_024,
        }
    }
}

/// What the tree holds and what it had to let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Processes taken to be alive.
    pub live: usize,
    /// Ended processes still kept.
    pub ended: usize,
    /// Live processes dropped because there were too many.
    pub evicted_live: u64,
    /// Ended processes dropped before their grace time was over because there were too many.
    pub evicted_ended: u64,
}

/// Every process that was seen, with the images it had.
#[derive(Debug, Default)]
pub struct Processes {
    settings: Settings,
}

impl Processes {
    /// An empty tree.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// An image was replaced. Returns who the process is now; `None` where the exec was denied or is told a second time.
    pub fn exec(&mut self, exec: &Exec) -> Option<Arc<Who>> {
        let _ = (exec, &self.settings);
        None
    }

    /// A process was forked.
    pub fn fork(&mut self, fork: &Fork) {
        let _ = fork;
    }

    /// A process ended. It stays for the grace time.
    pub fn exit(&mut self, exit: &Exit) {
        let _ = exit;
    }

    /// A process ran already when observation began. What an event said about it stands.
    pub fn running(&mut self, running: &Running) {
        let _ = running;
    }

    /// Whose a flow is that began at `start`.
    pub fn attribute(
        &mut self,
        owner: Option<ProcessKey>,
        effective_pid: Option<i32>,
        start: Timestamp,
    ) -> Attribution {
        let _ = (owner, effective_pid, start);
        Attribution::default()
    }

    /// What the tree holds.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
}
