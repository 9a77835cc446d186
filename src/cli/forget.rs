//! `tidemark forget`: a person leaves, and with the person what this Mac keeps.

use std::io::Write;

use super::status::{DaemonPlace, Told, failure};
use super::{Code, Failure};
use crate::daemon::Request;

/// Removes what this Mac keeps of a user: findings, ended flows, dead letters, open findings, the login name, sent events, baselines that are named after
/// the user; then writes the store anew, so that no old page of it tells either. What it prints says how much it was, place by place.
///
/// Events that no receiver has yet cannot be changed: they are counted, the exit code is 1, and they go once they were sent, or after seven days. What
/// receivers have is theirs to remove. Processes of the user that run are known until they end.
///
/// Example:
///   sudo tidemark forget --user ann
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The login name.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The user's number, where the account is gone from this Mac.
    #[arg(long, value_name = "UID")]
    uid: Option<u32>,
    /// Prints what was removed as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonPlace,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let uid = args.uid.or_else(|| uzers::get_user_by_name(&args.user).map(|user| user.uid()));
    let mut client = args.daemon.connect()?;
    client.patience(PATIENCE).map_err(|error| failure(&error))?;
    let request = Request::ForgetUser { name: args.user.clone(), uid };
    let told = Told(client.ask(request).map_err(|error| failure(&error))?);
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", told.0)?;
    } else {
        for (place, what) in PLACES {
            writeln!(out, "{:>6}  {what}", told.number(place))?;
        }
    }
    if uid.is_none() {
        tracing::warn!(
            "no account of that name is on this Mac: what tells of its number alone was not found; see --uid"
        );
    }
    match (
        told.number("/still_to_send"),
        told.0.pointer("/store_rewritten").and_then(serde_json::Value::as_bool),
    ) {
        (0, Some(true)) => Ok(()),
        (0, _) => Err(Failure::new(
            Code::CheckFailed,
            "the store has not been written anew yet; it is tried again with the next checkpoint",
        )),
        (waiting, _) => Err(Failure::new(
            Code::CheckFailed,
            format!(
                "{waiting} events are still to be sent and cannot be changed: say it again once they were"
            ),
        )),
    }
}

const PLACES: [(&str, &str); 5] = [
    ("/findings", "findings that were kept"),
    ("/flows", "flows of the history"),
    ("/dead_letters", "dead letters"),
    ("/open_findings", "open findings"),
    ("/baselines", "baselines named after the user"),
];
/// Longer than the daemon takes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
