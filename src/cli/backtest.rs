//! `tidemark backtest`: what other settings would have said of the flows that ended on this Mac.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::config::ServiceSetup;
use super::history::KeptFlows;
use super::printable::printable;
use super::{Code, Failure};
use crate::alert::{Activity, Alert};
use crate::daemon::engine_settings;
use crate::detect::Severity;
use crate::engine::{Engine, Settings, Verdict};
use crate::exceptions::Exceptions;
use crate::journal::Entry;
use crate::observation::Timestamp;

/// Judges the flows that ended on this Mac anew, with the settings in force and with others, and says what each would have raised. Both begin without a baseline
/// and learn from the same flows, so that the first days (`learn_days`) say little, and the two are to be compared with each other rather than with what was raised.
///
/// Examples:
///   sudo tidemark backtest --budget 0.5
///   sudo tidemark backtest --exceptions new.toml --since 7d --json | jq .changed
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Alerts a day and Mac, in place of `alerts_per_mac_per_day`.
    #[arg(long, value_name = "ALERTS")]
    budget: Option<f64>,
    /// Exceptions beside those in force: files, or folders of them. Their dates are not looked at.
    #[arg(long, value_name = "PATH")]
    exceptions: Vec<PathBuf>,
    #[command(flatten)]
    kept: KeptFlows,
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceSetup,
}

/// What one of the two settings would have raised.
#[derive(Debug, Default)]
struct Outcome {
    alerts: u64,
    suppressed: u64,
    /// Findings that were opened, by subject; at most [`MOST_SUBJECTS`].
    subjects: BTreeMap<String, u64>,
    by_severity: BTreeMap<Severity, u64>,
}

/// An engine and what came of it.
struct Side {
    engine: Engine,
    verdicts: Vec<Verdict>,
    outcome: Outcome,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.budget.is_none() && args.exceptions.is_empty() {
        return Err(Failure::new(Code::Usage, "name what would be different: --budget or --exceptions"));
    }
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Code::Config, error);
    let effective = args.service.layers().load().map_err(|error| wrong(&error))?;
    let now = engine_settings(&effective.config).map_err(|error| wrong(&error))?;
    let mut then = now.clone();
    if let Some(budget) = args.budget {
        (then.detection.alerts_per_mac_per_day, then.detection.fleet) = (budget, None);
        then.detection.validate().map_err(|error| Failure::new(Code::Usage, format!("--budget: {error}")))?;
    }
    if !args.exceptions.is_empty() {
        let policy = effective.config.exceptions.policy();
        let new = Exceptions::read(&args.exceptions, policy).map_err(|error| wrong(&error))?.dateless();
        let all = now.exceptions.iter().chain(new.iter()).cloned();
        then.exceptions = Arc::new(Exceptions::new(all.collect()).map_err(|error| wrong(&error))?);
    }
    let (mut now, mut then) = (Side::new(now), Side::new(then));
    let mut span: Option<(Timestamp, Timestamp, u64)> = None;
    for entry in args.kept.entries()? {
        let (first, last, flows) = span.unwrap_or((entry.end, entry.end, 0));
        span = Some((first, last.max(entry.end), flows.saturating_add(1)));
        now.judge(&entry);
        then.judge(&entry);
    }
    let Some((first, last, flows)) = span else {
        return Err(Failure::new(Code::NoInput, "no flows are kept: see [history] in the configuration"));
    };
    let (now, then) = (now.end(), then.end());
    let text = if args.json {
        let document = json!({
            "schema": "tidemark.backtest/1", "from": first, "until": last, "flows": flows,
            "in_force": document(&now), "proposed": document(&then), "changed": changed(&now, &then),
        });
        format!("{document:#}\n")
    } else {
        let days = last.since(first).as_secs_f64() / SECONDS_A_DAY;
        format!("{flows} flows over {days:.1} days, from {first} to {last}\n") + &page(&now, &then)
    };
    anstream::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

impl Side {
    fn new(settings: Settings) -> Self {
        Self { engine: Engine::new(settings), verdicts: Vec::new(), outcome: Outcome::default() }
    }

    fn judge(&mut self, entry: &Entry) {
        self.engine.replay(entry.to_ended(), &mut self.verdicts);
        self.outcome.count(&mut self.verdicts);
    }

    fn end(mut self) -> Outcome {
        self.engine.finish(&mut self.verdicts);
        self.outcome.count(&mut self.verdicts);
        self.outcome
    }
}

impl Outcome {
    fn count(&mut self, verdicts: &mut Vec<Verdict>) {
        for verdict in verdicts.drain(..) {
            match verdict {
                Verdict::Alert(alert) if alert.stage.activity == Activity::Create => self.opened(&alert),
                Verdict::Suppressed(_) => self.suppressed = self.suppressed.saturating_add(1),
                Verdict::Alert(_) | Verdict::Digest(_) => {}
            }
        }
    }

    fn opened(&mut self, alert: &Alert) {
        self.alerts = self.alerts.saturating_add(1);
        let severity = self.by_severity.entry(alert.severity).or_default();
        *severity = severity.saturating_add(1);
        let subject = alert.subject.to_string();
        let subject = if self.subjects.contains_key(&subject) || self.subjects.len() < MOST_SUBJECTS {
            subject
        } else {
            "(others)".to_owned()
        };
        let count = self.subjects.entry(subject).or_default();
        *count = count.saturating_add(1);
    }
}

/// Subjects with another number of findings, by how many more or fewer.
fn changed(now: &Outcome, then: &Outcome) -> BTreeMap<String, i64> {
    let signed = |count: Option<&u64>| count.map_or(0, |count| i64::try_from(*count).unwrap_or(i64::MAX));
    now.subjects
        .keys()
        .chain(then.subjects.keys())
        .map(|subject| {
            let difference = signed(then.subjects.get(subject)) - signed(now.subjects.get(subject));
            (subject.clone(), difference)
        })
        .filter(|(_, difference)| *difference != 0)
        .collect()
}

fn document(outcome: &Outcome) -> serde_json::Value {
    json!({
        "findings": outcome.alerts, "suppressed": outcome.suppressed, "by_severity": outcome.by_severity, "subjects": outcome.subjects,
    })
}

fn page(now: &Outcome, then: &Outcome) -> String {
    let mut page = String::new();
    for (name, outcome) in [("in force", now), ("proposed", then)] {
        let severities: Vec<String> =
            outcome.by_severity.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            page,
            "{name:<9} {:>6} findings, {} accepted{}",
            outcome.alerts,
            outcome.suppressed,
            if severities.is_empty() { String::new() } else { format!(" ({})", severities.join(", ")) },
        );
    }
    for (subject, difference) in changed(now, then) {
        let _ = writeln!(page, "{difference:>+6}  {}", printable(&subject));
    }
    page
}

/// Subjects that are told by name.
const MOST_SUBJECTS: usize = 10_000;
const SECONDS_A_DAY: f64 = 86_400.0;
