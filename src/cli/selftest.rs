//! `tidemark selftest`: whether a finding would arrive.

use std::io::Write;

use serde_json::Value;

use super::status::{DaemonPlace, Told, failure};
use super::{Code, Failure};
use crate::daemon::Request;

/// Proves that a finding passes the whole road into every sink: for use after each deployment, and on a schedule.
///
/// The daemon makes a harmless finding of the kind that AN1227 describes (Automator runs curl; nothing of it happens), marked `"test": true`, spools it
/// beside the real ones, and waits for each sink to have it. No baseline learns of it. The exit code is 1 where a sink did not take it in a minute.
///
/// Example:
///   sudo tidemark selftest
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Prints what came of it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonPlace,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut client = args.daemon.connect()?;
    client.patience(PATIENCE).map_err(|error| failure(&error))?;
    let answer = Told(client.ask(Request::Selftest).map_err(|error| failure(&error))?);
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", answer.0)?;
    } else {
        writeln!(out, "found: {}", answer.text("/summary"))?;
        for (sink, came) in answer.members("/sinks") {
            match came.as_str() {
                None => writeln!(out, "{sink}: delivered, event {}", answer.text("/id"))?,
                Some(why) => writeln!(out, "{sink}: NOT delivered: {why}")?,
            }
        }
    }
    let missing = answer.members("/sinks").filter(|(_, came)| **came != Value::Null).count();
    match missing {
        0 => Ok(()),
        missing => {
            Err(Failure::new(Code::CheckFailed, format!("{missing} of the sinks did not take the finding")))
        }
    }
}

/// Longer than the daemon waits for its sinks.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(75);
