//! `tidemark run`: the daemon.

use std::path::PathBuf;

use super::config::ServiceSetup;
use super::inputs::Setup;
use super::source::SourceName;
use super::{Code, Failure, state};
use crate::daemon::{self, Wiring};

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
    /// Where observations come from: `live` (this Mac), `recording:FILE` or `eslogger:-` (standard input).
    #[arg(long, value_name = "SOURCE", default_value = "live")]
    source: SourceName,
    /// The folder that keeps what was learnt (in `baselines`), the spool of events that a receiver has yet to take, and the status.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
    #[command(flatten)]
    service: ServiceSetup,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let layers = args.service.layers();
    let config = layers.load().map_err(|error| Failure::new(Code::Config, error))?.config;
    let settings = Setup::engine(&config)?;
    let source = args.source.open()?;
    let store = state::open(&args.state.join(BASELINES))?;
    let mut verdicts = Vec::new();
    let engine = state::resume(&store, settings, &mut verdicts)?;
    let wiring = Wiring {
        state: args.state.clone(),
        delivery: config.delivery,
        store: Some(store),
        host: host_name(),
        resumed: verdicts,
    };
    let tally = daemon::run(source, engine, wiring).map_err(|error| Failure::new(Code::Io, error))?;
    tracing::info!(observations = tally.observations, "stopped");
    Ok(())
}

/// The name of this machine in events about the sensor itself.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Where a LaunchDaemon keeps what it must not lose.
pub(super) const DEFAULT_STATE: &str = "/Library/Application Support/Tidemark/State";

/// The store's folder has one to itself: a store that cannot be read is set aside as a whole, and the spool must not go with it.
const BASELINES: &str = "baselines";
