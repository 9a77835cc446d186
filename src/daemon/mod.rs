//! The live wiring: threads at the source, one thread for the engine, tokio at the sinks, and the spool between.
//!
//! ```text
//!  source thread ──bounded──► engine thread ──► spool (on the disk) ──► a task a sink ──► receivers
//!                     ▲            ▲                ▲
//!  SIGTERM, SIGINT ───┘ stop       │  heartbeat ────┘
//!  control socket ── mailbox ──────┘
//! ```
//!
//! `supervisor` starts the parts, looks after them and takes them down; `engine_thread` is the one place where the engine works, and questions to it
//! come by the `mailbox`. `service` looks after the rest every few seconds. `control` answers people, `metrics` machines; what both tell is made in
//! `vitals`. `reload` puts another configuration in force, whole or not at all. A part that fails is begun anew where it can be (a sink; a live or a
//! followed source, by `source::live`); where it cannot (the engine, a recording), the daemon delivers what it has and ends, and launchd starts it anew
//! from the last checkpoint.
//!
//! The channel is bounded: a recorded source waits where the engine is behind, and nothing is lost. An alert is in the spool before anything
//! else knows of it; receivers may be slow, away or full, and the engine does not wait for them. On a signal the engine takes what is
//! already queued before it and tells what its flows still hold; then the sinks get some seconds to deliver. What they do not deliver
//! stays in the spool for the next start.

mod accepted;
mod checkpoint;
mod control;
mod engine_thread;
mod forget;
mod governor;
mod health;
mod history;
mod intake;
mod integrity;
mod mailbox;
mod metrics;
mod queue;
mod reload;
mod resources;
mod selftest;
mod service;
mod settings;
mod sinks;
mod sources;
mod stop;
mod supervisor;
mod vitals;

pub use accepted::AcceptedStatus;
pub use control::{Client, ControlError, Request, SOCKET as CONTROL_SOCKET};
pub use health::test_event;
pub use integrity::faults as integrity_faults;
pub use metrics::{SOCKET as METRICS_SOCKET, render as render_metrics};
pub use reload::{Configuration, engine_settings};
pub use resources::Usage;
pub use settings::{InvalidSetting, Settings};
pub use stop::StopSignal;
pub use vitals::{Snapshot, Sources, Status};

use std::path::PathBuf;
use std::time::Duration;

use crate::baseline::{Opened, Store, StoreError};
use crate::engine::{Engine, ResumeError, Tally, Verdict};
use crate::journal::Journal;
use crate::observation::Observation;
use crate::sink::SinkError;
use crate::sink::spool::SpoolError;
use crate::source::live::{EffortCell, SourceWatch};
use thiserror::Error;

/// Why the daemon ended otherwise than by a signal or the end of its source.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// A thread could not be started, or signals not be caught.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// A sink is not usable as it is configured.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// What was learnt cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine's state cannot be written.
    #[error(transparent)]
    State(#[from] ResumeError),
    /// The disk took alerts neither while they were made nor at the end.
    #[error("{0} alerts could not be spooled and are lost")]
    Lost(u64),
    /// A part of the daemon failed in a way that is a mistake in the program.
    #[error("the {part} thread panicked")]
    Panicked {
        /// Which.
        part: &'static str,
    },
}

/// What the daemon works with.
#[derive(Debug)]
pub struct Wiring {
    /// The state's folder: the spool is in `spool/`, what was found in `findings/`, dead letters in `dead-letters/`, the status in `status.json`.
    pub state: PathBuf,
    /// What is in force, and where it is read anew.
    pub configuration: Configuration,
    /// Where the engine's state goes, now and then and at the end.
    pub store: Option<Store>,
    /// What that store held when it was opened.
    pub learnt: Learnt,
    /// How often the engine's state goes there while something is observed.
    pub checkpoint_every: Duration,
    /// The name of this Mac in events of the daemon's own.
    pub host: String,
    /// Where flows that ended are kept.
    pub journal: Option<Journal>,
    /// What resuming the engine gave.
    pub resumed: Vec<Verdict>,
    /// Where observations come from, in words.
    pub sources: Sources,
    /// How each source does that is begun anew when it ends.
    pub watch: SourceWatch,
    /// How hard they are to try; `None` where none of them can try less.
    pub effort: Option<EffortCell>,
}

/// What was remembered of this Mac when the daemon began. Whoever removes a store hopes for a fortnight in which nothing is told, so its
/// absence is told first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learnt {
    /// What the last run kept.
    Kept,
    /// Nothing: a new Mac, or one whose store was removed.
    Nothing,
    /// Nothing, since the store could not be read and was set aside here.
    SetAside(PathBuf),
}

impl Learnt {
    /// As the store was found.
    pub fn of(opened: &Opened) -> Self {
        match &opened.set_aside {
            Some(aside) => Self::SetAside(aside.clone()),
            None if opened.fresh => Self::Nothing,
            None => Self::Kept,
        }
    }
}

/// The name of the store's folder in the state's folder. It has one to itself: a store that cannot be read is set aside as a whole, and the spool must
/// not go with it.
pub const BASELINES: &str = "baselines";
/// The name of the spool's folder in the state's folder.
pub const SPOOL_FOLDER: &str = "spool";
/// The name of the folder in the state's folder where findings are kept.
pub const ARCHIVE_FOLDER: &str = "findings";
/// The name of the status file in the state's folder.
pub const STATUS_FILE: &str = "status.json";

/// Runs until the source ends or a signal says stop; gives what was seen.
///
/// # Errors
/// Where a part cannot start or fails.
pub fn run(
    source: impl Iterator<Item = Observation> + Send + 'static,
    engine: Engine,
    wiring: Wiring,
) -> Result<Tally, DaemonError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SINK_THREADS)
        .thread_name("sink")
        .enable_all()
        .build()?;
    let done = runtime.block_on(supervisor::supervise(source, engine, wiring));
    // A task may stand in a write to a pipe that nobody reads: it is not waited for.
    runtime.shutdown_background();
    done
}

/// Sinks wait most of the time; two threads let a slow disk under one not hold up another.
const SINK_THREADS: usize = 2;

#[cfg(test)]
mod simulated_kernel;
