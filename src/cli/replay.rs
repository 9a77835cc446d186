//! `tidemark replay`: recordings and captures in, alerts out.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::inputs::{self, Inputs, Setup};
use super::{Failure, state, summary};
use crate::alert::{Alert, Format};
use crate::engine::{Engine, Verdict};
use crate::source::Origins;

/// Replays recordings and captures, and prints the alerts that they give.
///
/// Inputs are recordings (NDJSON), output of `eslogger`, and captures (pcap, pcapng), each plain, gzip or zstd; `-` is standard input.
/// They are taken as parts of one Mac's road and merge by time. Alerts are printed to standard output as NDJSON, a summary for people
/// to standard error.
///
/// Examples:
///   tidemark replay tests/recordings/fortnight.ndjson.gz
///   tidemark replay exec.ndjson packets.pcapng | jq .summary
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// Prints findings that an exception covers as well; they carry the member `exception`.
    #[arg(long)]
    suppressed: bool,
    /// The form of the alerts.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Prints alerts in at most 8,000 bytes, as they go to syslog.
    #[arg(long)]
    slim: bool,
    /// Keeps the baselines, and what else the next run needs, in this folder: the next replay with it goes on where this one ends.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Begins from what this folder knows, and leaves it as it is: for the `state` that `tidemark evidence` writes.
    #[arg(long, value_name = "DIR", conflicts_with = "state")]
    from: Option<PathBuf>,
    /// Prints no summary.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    setup: Setup,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let settings = Setup::engine(&config)?;
    let mut source = inputs::open(&args.inputs, Origins::Joined)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut verdicts = Vec::new();
    let opened = |folder: Option<&Path>| folder.map(state::open).transpose().map(|o| o.map(|o| o.store));
    let store = opened(args.state.as_deref())?;
    let from = opened(args.from.as_deref())?;
    let mut engine = match store.as_ref().or(from.as_ref()) {
        Some(store) => state::resume(store, settings, [], &mut verdicts)?,
        None => Engine::new(settings),
    };
    let mut digests = 0;
    let text = |alert: &Alert| {
        if args.slim { alert.render_slim(args.format) } else { alert.render(args.format) }
    };
    let mut print = |verdicts: &mut Vec<Verdict>| -> io::Result<()> {
        for verdict in verdicts.drain(..) {
            match verdict {
                Verdict::Alert(alert) => writeln!(out, "{}", text(&alert))?,
                Verdict::Suppressed(alert) if args.suppressed => writeln!(out, "{}", text(&alert))?,
                Verdict::Suppressed(_) => {}
                Verdict::Digest(_) => digests += 1,
            }
        }
        Ok(())
    };
    for observation in &mut source {
        engine.observe(&observation, &mut verdicts);
        if !verdicts.is_empty() {
            print(&mut verdicts)?;
        }
    }
    match &store {
        Some(store) => state::suspend(store, &mut engine, &mut verdicts)?,
        None => engine.finish(&mut verdicts),
    }
    print(&mut verdicts)?;
    out.flush()?;
    let reports = source.reports();
    if !args.quiet {
        // A closed standard error leaves nobody to tell.
        let _ = summary::write(&engine, digests, &reports, source.merged());
    }
    source.verdict(&reports)
}
