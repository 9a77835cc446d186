//! `tidemark run`: the daemon.

use std::path::PathBuf;
use std::time::Duration;

use super::config::ServiceSetup;
use super::source::{Opened, SourceName};
use super::{Code, Failure, state};
use crate::alert::Alert;
use crate::daemon::{self, Configuration, Learnt, Wiring};
use crate::journal::{self, Journal};
use crate::sink::spool::{Latest, Queue};

/// Runs in the foreground: takes observations as they come and delivers alerts.
///
/// On a Mac it takes what the Mac offers: process events from Endpoint Security, else from Apple's `eslogger`; flows from the kernel's
/// statistics and a packet tap, else from one of them, else from the unified log. What was chosen, and what it cannot see, is said at the start
/// (`-v`). Elsewhere an input has to be named:
///
///   sudo tidemark run
///   sudo eslogger exec fork exit | tidemark run --source eslogger:-
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Where observations come from: `live` (this Mac), `recording:FILE`, `eslogger:-` (standard input), or `follow:FILE`, a file or a FIFO that another
    /// program writes to. Several recordings merge by time; what is followed comes as it comes, and is waited for where it ends.
    #[arg(long, value_name = "SOURCE", default_value = "live")]
    source: Vec<SourceName>,
    /// Takes a recording as fast as it was made (1), or so many times as fast; without it, as fast as it can be read.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pace: Option<f64>,
    /// The folder that keeps what was learnt (in `baselines`), the spool of events that a receiver has yet to take, and the status.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
    /// Seconds between two checkpoints of what was learnt, from 0.01 on: what a crash or a loss of power can take. Alerts are on the disk at
    /// once, whatever it is.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    checkpoint_every: Duration,
    #[command(flatten)]
    service: ServiceSetup,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let layers = args.service.layers();
    let (configuration, settings) =
        Configuration::load(layers).map_err(|error| Failure::new(Code::Config, error))?;
    let Opened { stream, sources, watch, effort } = SourceName::open(&args.source, args.pace)?;
    let opened = state::open(&args.state.join(BASELINES))?;
    let learnt = Learnt::of(&opened);
    let store = opened.store;
    let mut verdicts = Vec::new();
    // What a run that was killed spooled after its last checkpoint is neither told nor numbered again.
    let spooled = Latest::of(&args.state.join(daemon::SPOOL_FOLDER), Queue::Alerts)
        .map_err(|error| Failure::new(Code::Io, error))?
        .filter_map(|line| Alert::read(&line).ok());
    let engine = state::resume(&store, settings, spooled, &mut verdicts)?;
    let journal = match &configuration.config().history {
        journal::Settings { days: 0, .. } => None,
        settings => Journal::open(&args.state.join(journal::FOLDER), settings)
            .inspect_err(|error| tracing::error!(%error, "flows that end cannot be kept on this Mac"))
            .ok(),
    };
    let wiring = Wiring {
        state: args.state.clone(),
        configuration,
        store: Some(store),
        learnt,
        checkpoint_every: args.checkpoint_every,
        host: host_name(),
        journal,
        resumed: verdicts,
        sources,
        watch,
        effort,
    };
    let tally = daemon::run(stream, engine, wiring).map_err(|error| Failure::new(Code::Io, error))?;
    tracing::info!(observations = tally.observations, "stopped");
    Ok(())
}

fn factor(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    if factor.is_finite() && factor > 0.0 { Ok(factor) } else { Err("a pace is more than 0".to_owned()) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text} is no number of seconds"))?;
    if !(SHORTEST_CHECKPOINT..=LONGEST_CHECKPOINT).contains(&seconds) {
        return Err(format!(
            "a checkpoint is made every {SHORTEST_CHECKPOINT} to {LONGEST_CHECKPOINT} seconds"
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Ten milliseconds, for tests of crashes; writing one takes about as long.
const SHORTEST_CHECKPOINT: f64 = 0.01;
/// A day: what was learnt is kept at the end in any case.
const LONGEST_CHECKPOINT: f64 = 86_400.0;

/// The name of this machine in events about the sensor itself.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Where a LaunchDaemon keeps what it must not lose.
pub(super) const DEFAULT_STATE: &str = "/Library/Application Support/Tidemark/State";

pub(super) use crate::daemon::BASELINES;
