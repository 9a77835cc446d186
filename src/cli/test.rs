//! `tidemark test`: scenarios, and whether what comes out is what was expected.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Code, Failure};
use crate::scenario::{Judgement, Report, Scenario, suite};
use crate::source::recording::RecordingWriter;

/// Plays scenarios and says whether the alerts are those that they expect.
///
/// A scenario is a TOML file: who is on the Mac, what happens on which day, and what may and must come out. `docs/scenarios.md` tells how to write
/// one. Each runs under several seeds with default settings. Exits with 1 where one does not hold.
///
/// Examples:
///   tidemark test tests/life
///   tidemark test --seeds 10 captive-portal.toml
///   tidemark test --write-recording portal.ndjson captive-portal.toml && tidemark replay portal.ndjson
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Scenario files, or folders of them.
    #[arg(value_name = "FILE|DIR", required = true)]
    paths: Vec<PathBuf>,
    /// Under how many seeds each is played: 1 to N.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// Prints one JSON document a scenario, with every alert that left.
    #[arg(long)]
    json: bool,
    /// Writes what the one scenario given is made of under seed 1, instead of playing it: a recording for `tidemark replay`. Packets, which only
    /// a proxy's day has, are left out.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "seeds"])]
    write_recording: Option<PathBuf>,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a Path,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let files = suite::files(&args.paths)
        .map_err(|(path, error)| Failure::new(Code::NoInput, format!("{}: {error}", path.display())))?;
    if files.is_empty() {
        return Err(Failure::new(Code::NoInput, "there is no scenario: a folder holds them as `*.toml`"));
    }
    let (mut scenarios, mut wrong) = (Vec::new(), Vec::new());
    for file in &files {
        match suite::load(file) {
            Ok(scenario) => scenarios.push(scenario),
            Err(message) => wrong.push(message),
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::new(Code::BadData, wrong.join("\n")));
    }
    if let Some(path) = &args.write_recording {
        return write_recording(&scenarios, path);
    }
    let reports = suite::run(&scenarios, args.seeds);
    let mut out = BufWriter::new(io::stdout().lock());
    for (scenario, report) in files.iter().zip(&reports) {
        if args.json {
            serde_json::to_writer(&mut out, &Line { scenario, report }).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        } else {
            write_report(&mut out, scenario, report)?;
        }
    }
    out.flush()?;
    let failed = reports.iter().filter(|report| !report.result.passes()).count();
    if failed > 0 {
        return Err(Failure::new(
            Code::CheckFailed,
            format!("{failed} of {} scenarios do not hold", reports.len()),
        ));
    }
    Ok(())
}

fn write_report(out: &mut impl Write, scenario: &Path, report: &Report) -> io::Result<()> {
    writeln!(out, "{}  {}  {}", report.result.label(), scenario.display(), report.title)?;
    if let Some(reason) = &report.expected_failure {
        writeln!(out, "  because: {reason}")?;
    }
    if report.result == Judgement::Pass {
        return Ok(());
    }
    for (seed, outcome) in &report.seeds {
        for difference in &outcome.differences {
            writeln!(out, "  seed {seed}: expected {}\n    seen {}", difference.expected, difference.seen)?;
        }
    }
    Ok(())
}

fn write_recording(scenarios: &[Scenario], path: &Path) -> Result<(), Failure> {
    let [scenario] = scenarios else {
        return Err(Failure::new(Code::Usage, "`--write-recording` takes one scenario"));
    };
    let failed =
        |error: io::Error| Failure::new(Code::Io, format!("cannot write {}: {error}", path.display()));
    let mut writer = RecordingWriter::new(BufWriter::new(File::create(path).map_err(failed)?));
    for observation in scenario.recording(1) {
        writer.write(&observation).map_err(failed)?;
    }
    writer.flush().map_err(failed)
}
