//! `tidemark exceptions list`, `expiring` and `unused`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;

use super::findings::stored_findings;
use super::{Today, Which};
use crate::alert::{Alert, Format};
use crate::cli::alerts::Kept;
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
    /// Findings, suppressed ones included, as `tidemark replay --suppressed` prints them; those that this Mac keeps where none are named.
    #[arg(value_name = "FINDINGS")]
    findings: Vec<PathBuf>,
    #[command(flatten)]
    kept: Kept,
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
    let findings = stored_findings(&args.findings, &args.kept)?;
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

/// Prints the findings of the last month that exceptions covered, one document a line: what nobody was sent.
///
/// A count by exception goes to standard error.
///
/// Example:
///   tidemark exceptions suppressed --exception EXC-2026-014 | tidemark explain -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct SuppressedArgs {
    /// Only those of this exception.
    #[arg(long, value_name = "ID")]
    exception: Option<String>,
    /// The form of the documents.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    kept: Kept,
}

pub(super) fn suppressed(args: &SuppressedArgs) -> Result<(), Failure> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in args.kept.findings()? {
        let Ok(alert) = Alert::read(&line) else { continue };
        let Some(exception) = &alert.exception else { continue };
        if args.exception.as_ref().is_some_and(|wanted| *wanted != exception.id) {
            continue;
        }
        writeln!(out, "{}", alert.render(args.format))?;
        let count = counts.entry(exception.id.clone()).or_default();
        *count = count.saturating_add(1);
    }
    out.flush()?;
    let mut err = anstream::stderr().lock();
    for (id, count) in &counts {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(err, "{count:>6}  {id}");
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
