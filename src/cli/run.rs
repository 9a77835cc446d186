//! `tidemark run`: the daemon.

use std::path::PathBuf;
use std::str::FromStr;

use super::inputs::{self, Setup};
use super::{Code, Failure, state};
use crate::daemon::{self, Wiring};
use crate::source::Origins;

/// Runs in the foreground: takes observations as they come and delivers alerts.
///
/// The sources of a Mac (Endpoint Security, ntstat, pktap) are not built yet. Until they are, Apple's own `eslogger` can feed it:
///
///   sudo eslogger exec fork exit | tidemark run --source eslogger:-
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Where observations come from: `recording:FILE` or `eslogger:-` (standard input).
    #[arg(long, value_name = "SOURCE")]
    source: SourceName,
    /// The folder that keeps what was learnt, the spool of events that no receiver has yet, and the status.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
    #[command(flatten)]
    setup: Setup,
}

#[derive(Debug, Clone)]
enum SourceName {
    Recording(PathBuf),
    Eslogger(PathBuf),
}

impl FromStr for SourceName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("recording", file)) if !file.is_empty() => Ok(Self::Recording(file.into())),
            Some(("eslogger", file)) if !file.is_empty() => Ok(Self::Eslogger(file.into())),
            _ => Err("expected recording:FILE or eslogger:FILE, with - for standard input".to_owned()),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let settings = args.setup.engine(&config)?;
    let (SourceName::Recording(path) | SourceName::Eslogger(path)) = &args.source;
    let source = inputs::open_paths(std::slice::from_ref(path), Origins::Joined, false)?.into_merged();
    let store = state::open(&args.state)?;
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
