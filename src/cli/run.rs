//! `tidemark run`: the daemon.

use super::inputs::Setup;
use super::source::SourceName;
use super::{Code, Failure};
use crate::daemon;
use crate::engine::Engine;

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
    #[command(flatten)]
    setup: Setup,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let settings = Setup::engine(&config)?;
    let source = args.source.open()?;
    let tally = daemon::run(source, Engine::new(settings), config.output.file.as_deref())
        .map_err(|error| Failure::new(Code::Io, error))?;
    tracing::info!(observations = tally.observations, "stopped");
    Ok(())
}
