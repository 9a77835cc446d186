//! `tidemark exceptions explain`, `suggest` and `test`: exceptions beside findings that were written down.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::attacks::Attacks;
use super::{Today, Which, days_before};
use crate::cli::alerts::{Kept, Lookup};
use crate::cli::baseline::read_text;
use crate::cli::printable::printable;
use crate::cli::{Code, Failure};
use crate::config::Config;
use crate::exceptions::{self, Day, Exception, Exceptions, Governance, Ledger, Miss, Policy, Stored};

/// Says which exception covers a finding, or by how little the nearest ones miss it.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    alert: AlertArgs,
    #[command(flatten)]
    which: Which,
}

/// Prints an exception that covers a finding and as little else as the evidence allows.
///
/// Beside it stand, as comments, the known attack that it comes nearest to hiding and, with --findings, how many stored findings it
/// would have covered.
#[derive(Debug, clap::Args)]
pub(super) struct SuggestArgs {
    #[command(flatten)]
    alert: AlertArgs,
    /// Who answers for it.
    #[arg(long, default_value = "")]
    owner: String,
    /// Why it is accepted.
    #[arg(long, default_value = "")]
    reason: String,
    /// Where it was agreed.
    #[arg(long)]
    ticket: Option<String>,
    /// Days until it expires, from today or from the finding's day, whichever is later.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u16,
    /// Stored findings to try it on; those that this Mac keeps where none are named.
    #[arg(long, value_name = "FILE")]
    findings: Vec<PathBuf>,
    #[command(flatten)]
    attacks: Attacks,
    #[command(flatten)]
    today: Today,
    #[command(flatten)]
    setup: crate::cli::inputs::Setup,
}

/// Says what exceptions would have done to stored findings.
#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    /// A file with new exceptions, or a folder of such files.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Findings, suppressed ones included, as `tidemark replay --suppressed` prints them; those that this Mac keeps where none are named.
    #[arg(long, value_name = "FILE")]
    findings: Vec<PathBuf>,
    #[command(flatten)]
    kept: Kept,
    /// How far back from the latest finding, in days.
    #[arg(long, default_value_t = 30)]
    days: u32,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct AlertArgs {
    /// A file with alerts, as tidemark wrote them or as the SIEM returns them; `-` is standard input; else an id, which is looked up in
    /// what this Mac keeps.
    #[arg(value_name = "ALERT")]
    alert: String,
    /// The id of the alert in the file, or its beginning; without it the last one.
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    lookup: Lookup,
}

impl AlertArgs {
    fn read(&self, config: &Config) -> Result<Stored, Failure> {
        let wanted = |stored: &Stored| self.id.as_deref().is_none_or(|id| stored.id.starts_with(id));
        let path = PathBuf::from(&self.alert);
        let all = if self.alert == "-" || path.exists() {
            read_all(&[path])?
        } else {
            let found = self.lookup.find(&self.alert, config)?;
            let stored = |alert| Stored::of(&alert).map_err(|error| Failure::new(Code::BadData, error));
            found.into_iter().map(stored).collect::<Result<_, _>>()?
        };
        all.into_iter().rfind(wanted).ok_or_else(|| {
            let id = self.id.as_deref().unwrap_or_default();
            Failure::new(Code::NoInput, format!("{} holds no alert {id}", self.alert))
        })
    }
}

pub(super) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let stored = args.alert.read(&args.which.setup.config()?)?;
    let exceptions = args.which.load(&[])?;
    let behaviour = stored.behaviour();
    let channels = stored.channels();
    let mut ledger = Ledger::default();
    exceptions.count(&behaviour, stored.bytes_out(), &mut ledger);
    let mut out = io::stdout().lock();
    writeln!(out, "{}", printable(&stored.summary))?;
    if let Some(exception) = exceptions.covering(&behaviour, &channels, &ledger) {
        let Exception { id, owner, reason, source, .. } = exception;
        writeln!(out, "covered by {id} ({source}), accepted by {owner}: {reason}")?;
        return Ok(());
    }
    writeln!(out, "covered by none of {} exceptions", exceptions.len())?;
    let mut missing: Vec<(Vec<Miss<'_>>, &Exception)> = exceptions
        .iter()
        .map(|exception| (exception.misses(&behaviour, &channels, &ledger).collect(), exception))
        .collect();
    // By rank where as many conditions fail: the sort is stable.
    missing.sort_by_key(|(misses, _)| misses.len());
    for (misses, exception) in missing.iter().take(NEAREST) {
        writeln!(out, "{} ({}) does not cover it:", exception.id, exception.source)?;
        for miss in misses {
            writeln!(out, "  {}", in_words(miss, exception, &stored))?;
        }
    }
    Ok(())
}

fn in_words(miss: &Miss<'_>, exception: &Exception, stored: &Stored) -> String {
    match miss {
        Miss::Date => {
            let until = exception.expires.map(|day| format!(" to {day}")).unwrap_or_default();
            format!("it is in force from {}{until}, and this was at {}", exception.created, stored.time)
        }
        Miss::Channel(channel) => format!("the channel {} counts, which it does not name", channel.label()),
        Miss::Condition(condition) => {
            let seen = condition.seen(&stored.behaviour());
            format!("{}: wanted {condition}, seen {}", condition.key(), printable(&seen))
        }
        Miss::Limit { limit, sent } => {
            format!("{sent} bytes went out, and it allows {limit} in an hour")
        }
    }
}

pub(super) fn suggest(args: &SuggestArgs) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let stored = args.alert.read(&config)?;
    let from = Day::of(stored.time).map_or(args.today.day(), |day| day.max(args.today.day()));
    let governance = Governance {
        owner: args.owner.clone(),
        reason: args.reason.clone(),
        ticket: args.ticket.clone(),
        expires: Day(from.0.saturating_add(jiff::Span::new().days(i64::from(args.days)))),
    };
    let stanza = exceptions::suggest(&stored, &governance);
    // The same conditions with somebody's name, so that they can be tried before anybody has put theirs.
    let named = Governance { owner: "nobody yet".into(), reason: "not yet given".into(), ..governance };
    let tried =
        exceptions::parse(Path::new("suggestion"), &exceptions::suggest(&stored, &named), Policy::default())
            .map_err(|error| Failure::new(Code::BadData, error))?;
    let tried = Exceptions::new(tried).map_err(|error| Failure::new(Code::BadData, error))?;
    let mut out = io::stdout().lock();
    writeln!(out, "# {}", printable(&stored.summary))?;
    out.write_all(stanza.as_bytes())?;
    let attacks = args.attacks.findings(&config)?;
    writeln!(out, "# {}", nearest_attack(&tried.clone().whenever(), &attacks))?;
    let findings = stored_findings(&args.findings, &args.alert.lookup.kept)?;
    if !findings.is_empty() {
        let covered = findings.iter().filter(|other| covering(&tried, other).is_some()).count();
        writeln!(out, "# It would have covered {covered} of {} stored findings.", findings.len())?;
    }
    Ok(())
}

/// The known attack that fails the fewest conditions.
fn nearest_attack(suggested: &Exceptions, attacks: &[Stored]) -> String {
    let ledger = Ledger::default();
    let distances =
        suggested.iter().flat_map(|exception| attacks.iter().map(move |attack| (exception, attack)));
    let nearest = distances
        .map(|(exception, attack)| {
            let behaviour = attack.behaviour();
            let failed: Vec<String> = exception
                .misses(&behaviour, &[], &ledger)
                .filter_map(|miss| match miss {
                    Miss::Condition(condition) => Some(condition.key()),
                    _ => None,
                })
                .collect();
            (failed, attack)
        })
        .min_by_key(|(failed, _)| failed.len());
    match nearest {
        None => "No attack is known to try it on.".to_owned(),
        Some((failed, attack)) if failed.is_empty() => {
            format!("CAREFUL: up to its limit it hides a known attack: {}", printable(&attack.summary))
        }
        Some((failed, attack)) => format!(
            "The nearest known attack that it does not hide ({} differ): {}",
            failed.join(", "),
            printable(&attack.summary)
        ),
    }
}

pub(super) fn test(args: &TestArgs) -> Result<(), Failure> {
    let policy = args.which.setup.config()?.exceptions.policy();
    let new = Exceptions::read(&args.paths, policy).map_err(|error| Failure::new(Code::Config, error))?;
    let mut findings = stored_findings(&args.findings, &args.kept)?;
    if findings.is_empty() && args.findings.is_empty() {
        let message =
            format!("no findings are kept in {}: name --findings or --state", args.kept.folder().display());
        return Err(Failure::new(Code::NoInput, message));
    }
    if let Some(latest) = findings.iter().map(|stored| stored.time).max() {
        findings.retain(|stored| stored.time >= days_before(latest, args.days));
    }
    // Judged as if the new exceptions had been in force all the time.
    let new = new.dateless();
    let mut covered: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut quieter = 0_u64;
    for stored in &findings {
        let Some(exception) = covering(&new, stored) else { continue };
        *covered.entry((exception.id.clone(), stored.subject.to_string())).or_default() += 1;
        quieter += u64::from(stored.exception().is_none());
    }
    let mut out = io::stdout().lock();
    for ((id, subject), count) in &covered {
        writeln!(out, "{id}  {count:>6}  {}", printable(subject))?;
    }
    let total: u64 = covered.values().sum();
    writeln!(
        out,
        "{total} of {} findings would have been covered; {quieter} of them had left as alerts",
        findings.len()
    )?;
    Ok(())
}

/// What covers a stored finding. Of traffic only its own flow is known.
fn covering<'a>(exceptions: &'a Exceptions, stored: &Stored) -> Option<&'a Exception> {
    let behaviour = stored.behaviour();
    let mut ledger = Ledger::default();
    exceptions.count(&behaviour, stored.bytes_out(), &mut ledger);
    exceptions.covering(&behaviour, &stored.channels(), &ledger)
}

/// The findings in these files; where none are named, those that this Mac keeps.
pub(super) fn stored_findings(files: &[PathBuf], kept: &Kept) -> Result<Vec<Stored>, Failure> {
    if !files.is_empty() {
        return read_all(files);
    }
    // A line that a crash cut is none; the others are what tidemark wrote itself.
    let stored = |line: String| Stored::read(serde_json::from_str(&line).ok()?).ok();
    Ok(kept.findings()?.filter_map(stored).collect())
}

/// The findings in files: each one JSON document, or one a line.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Stored>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        let text = read_text(path)?;
        let wrong = |line: usize, error: &dyn std::fmt::Display| {
            Failure::new(Code::BadData, format!("{}:{line}: {error}", path.display()))
        };
        if let Ok(document) = serde_json::from_str::<Value>(&text) {
            all.push(Stored::read(document).map_err(|error| wrong(1, &error))?);
            continue;
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = number.saturating_add(1);
            let document = serde_json::from_str(line).map_err(|error| wrong(number, &error))?;
            all.push(Stored::read(document).map_err(|error| wrong(number, &error))?);
        }
    }
    Ok(all)
}

/// Exceptions that miss by least, as far as an explanation names them.
const NEAREST: usize = 3;
