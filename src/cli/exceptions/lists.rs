//! `tidemark exceptions list`, `expiring` and `unused`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;

use super::findings::read_all;
use super::{Today, Which};
use crate::cli::{Code, Failure};
use crate::exceptions::{Action, Condition, Exception, Expiry, Ledger};

/// Lists exceptions.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// One JSON document a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    today: Today,
    #[command(flatten)]
    which: Which,
}

/// Lists exceptions that have expired or expire soon, and exits with 1 where there are any.
#[derive(Debug, clap::Args)]
pub(super) struct ExpiringArgs {
    #[command(flatten)]
    today: Today,
    #[command(flatten)]
    which: Which,
}

/// Lists exceptions that covered none of the stored findings.
#[derive(Debug, clap::Args)]
pub(super) struct UnusedArgs {
    /// Findings, suppressed ones included, as `tidemark replay --suppressed` prints them.
    #[arg(value_name = "FINDINGS", required = true)]
    findings: Vec<PathBuf>,
    #[command(flatten)]
    which: Which,
}

pub(super) fn list(args: &ListArgs) -> Result<(), Failure> {
    let exceptions = args.which.load(&[])?;
    let today = args.today.day();
    let mut out = io::stdout().lock();
    for exception in exceptions.iter() {
        if args.json {
            writeln!(out, "{}", as_json(exception, exception.expiry(today)))?;
            continue;
        }
        let Exception { id, owner, reason, source, .. } = exception;
        writeln!(out, "{id}  {}  ({source})", state(exception, today))?;
        writeln!(out, "    {owner}: {reason}")?;
        for condition in &exception.conditions {
            writeln!(out, "    {} = {condition}", condition.key())?;
        }
        if let Some(limit) = exception.hourly_limit {
            writeln!(out, "    at most {limit} bytes out an hour")?;
        }
    }
    Ok(())
}

pub(super) fn expiring(args: &ExpiringArgs) -> Result<(), Failure> {
    let due = args.which.load(&[])?.due(args.today.day());
    let mut out = io::stdout().lock();
    for line in &due {
        writeln!(out, "{line}")?;
    }
    if due.is_empty() { Ok(()) } else { Err(Failure::new(Code::CheckFailed, "")) }
}

pub(super) fn unused(args: &UnusedArgs) -> Result<(), Failure> {
    let exceptions = args.which.load(&[])?;
    let mut used = BTreeSet::new();
    let findings = read_all(&args.findings)?;
    for stored in &findings {
        used.extend(stored.exception().map(str::to_owned));
        let behaviour = stored.behaviour();
        let mut ledger = Ledger::default();
        exceptions.count(&behaviour, stored.bytes_out(), &mut ledger);
        let covering = exceptions.covering(&behaviour, &stored.channels(), &ledger);
        used.extend(covering.map(|exception| exception.id.clone()));
    }
    let mut out = io::stdout().lock();
    for exception in exceptions.iter().filter(|exception| !used.contains(&exception.id)) {
        let Exception { id, owner, reason, .. } = exception;
        writeln!(out, "{id}  {owner}: {reason} (none of {} findings)", findings.len())?;
    }
    Ok(())
}

fn state(exception: &Exception, today: crate::exceptions::Day) -> String {
    let action = match (exception.action, exception.learn) {
        (Action::Suppress, false) => "suppresses",
        (Action::Suppress, true) => "suppresses and learns",
        (Action::Lower, _) => "lowers",
    };
    let channels: Vec<&str> = exception.channels.iter().map(|channel| channel.label()).collect();
    format!("{action} {}, {}", channels.join(", "), exception.expiry(today))
}

fn as_json(exception: &Exception, expiry: Expiry) -> serde_json::Value {
    let conditions: serde_json::Map<String, serde_json::Value> = exception
        .conditions
        .iter()
        .map(|condition: &Condition| (condition.key(), condition.to_string().into()))
        .collect();
    json!({
        "id": exception.id,
        "owner": exception.owner,
        "reason": exception.reason,
        "ticket": exception.ticket,
        "created": exception.created.to_string(),
        "expires": exception.expires.map(|day| day.to_string()),
        "expiry": expiry.to_string(),
        "due": expiry.is_due(),
        "channels": exception.channels,
        "action": match exception.action { Action::Suppress => "suppress", Action::Lower => "lower" },
        "learn": exception.learn,
        "bytes_out_per_hour": exception.hourly_limit,
        "match": conditions,
        "source": exception.source.to_string(),
    })
}
