//! `tidemark calibrate`: does a score mean what it says on this Mac?

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::Failure;
use super::inputs::{self, Inputs, Setup};
use crate::alert::Activity;
use crate::engine::{Engine, Verdict};
use crate::observation::Timestamp;
use crate::source::Origins;

/// Replays a Mac's recordings once for each of several budgets and compares the alerts that were promised with those that came. An alert
/// counts once a subject and day, after the learning days; the closing of a finding does not. Budgets that promise less than a few alerts in the time recorded say little.
///
/// Example:
///   tidemark calibrate october.ndjson.zst november.ndjson.zst
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// The budgets, in alerts a day.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 0.3, 0.1, 0.05, 0.01])]
    budgets: Vec<f64>,
    /// Prints one JSON object a budget.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    setup: Setup,
}

/// One budget's row.
#[derive(Debug, Serialize)]
struct Row {
    /// Alerts a day.
    budget: f64,
    /// Days after learning.
    days: f64,
    /// Alerts that the budget promises in that time.
    promised: f64,
    /// Alerts that came.
    observed: usize,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let mut out = BufWriter::new(io::stdout().lock());
    if !args.json {
        writeln!(
            out,
            "{:>12} {:>8} {:>9} {:>9} {:>6}",
            "alerts a day", "days", "promised", "observed", "ratio"
        )?;
    }
    for &budget in &args.budgets {
        let mut config = config.clone();
        config.detection.fleet = None;
        config.detection.alerts_per_mac_per_day = budget;
        config.detection.validate().map_err(|error| Failure::new(super::Code::Usage, error))?;
        let learn_days = f64::from(config.detection.learn_days);
        let mut engine = Engine::new(Setup::engine(&config)?);
        let mut source = inputs::open(&args.inputs, Origins::Joined)?;
        let (mut first, mut last): (Option<Timestamp>, Option<Timestamp>) = (None, None);
        let (mut verdicts, mut alerts) = (Vec::new(), BTreeSet::new());
        let mut note = |verdicts: &mut Vec<Verdict>, first: Option<Timestamp>| {
            for verdict in verdicts.drain(..) {
                // That a finding has been quiet for a month, and is closed, is no alert.
                if let Verdict::Alert(alert) = verdict
                    && alert.stage.activity != Activity::Close
                {
                    let days = first.map_or(0.0, |first| days_between(first, alert.time));
                    if days >= learn_days {
                        alerts.insert((alert.subject.clone(), alert.time.as_seconds() / 86_400));
                    }
                }
            }
        };
        for observation in &mut source {
            if let Some(time) = observation.time() {
                first = first.or(Some(time));
                last = last.max(Some(time));
            }
            engine.observe(&observation, &mut verdicts);
            note(&mut verdicts, first);
        }
        engine.finish(&mut verdicts);
        note(&mut verdicts, first);
        let days =
            first.zip(last).map_or(0.0, |(first, last)| (days_between(first, last) - learn_days).max(0.0));
        let row = Row { budget, days, promised: budget * days, observed: alerts.len() };
        if args.json {
            serde_json::to_writer(&mut out, &row).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            let ratio = row.observed as f64 / row.promised;
            let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".to_owned() };
            writeln!(out, "{budget:>12} {days:>8.1} {:>9.1} {:>9} {ratio:>6}", row.promised, row.observed)?;
        }
        source.finish()?;
    }
    out.flush()?;
    Ok(())
}

fn days_between(first: Timestamp, last: Timestamp) -> f64 {
    last.since(first).as_secs_f64() / 86_400.0
}
