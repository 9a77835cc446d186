//! Many scenarios, each under several seeds, on all cores.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use super::{Outcome, Scenario};

/// How one scenario went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How it went under all seeds together.
    pub result: Judgement,
    /// Its title.
    pub title: String,
    /// Why it was not expected to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_failure: Option<String>,
    /// Atomic Red Team tests that it mirrors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub atomic: Vec<String>,
    /// Each seed with what came of it.
    pub seeds: Vec<(u64, Outcome)>,
}

/// Whether a scenario passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It holds under every seed.
    Pass,
    /// It does not.
    Fail,
    /// It does not, and says why: that passes.
    ExpectedFailure,
    /// It says why it does not hold, and holds: what it says is out of date.
    UnexpectedPass,
}

impl Judgement {
    /// Whether a suite with it passes.
    pub fn passes(self) -> bool {
        matches!(self, Self::Pass | Self::ExpectedFailure)
    }

    /// Its name, as in the documents.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::ExpectedFailure => "expected failure",
            Self::UnexpectedPass => "unexpected pass",
        }
    }
}

impl Report {
    fn new(scenario: &Scenario, seeds: Vec<(u64, Outcome)>) -> Self {
        let holds = seeds.iter().all(|(_, outcome)| outcome.holds());
        let result = match (holds, scenario.expected_failure.is_some()) {
            (true, false) => Judgement::Pass,
            (false, false) => Judgement::Fail,
            (false, true) => Judgement::ExpectedFailure,
            (true, true) => Judgement::UnexpectedPass,
        };
        Self {
            result,
            title: scenario.title.clone(),
            expected_failure: scenario.expected_failure.clone(),
            atomic: scenario.atomic.clone(),
            seeds,
        }
    }
}

/// The scenario files among these paths: a file is one, of a folder every `*.toml` is, in the order of their names.
///
/// # Errors
/// Where a path cannot be read, with that path.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |error| (path.clone(), error);
        if !std::fs::metadata(path).map_err(failed)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            if entry.extension().is_some_and(|extension| extension == "toml") {
                inside.push(entry);
            }
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

/// Reads one file.
///
/// # Errors
/// A sentence with the file and, where there is one, the line.
pub fn load(path: &Path) -> Result<Scenario, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Scenario::parse(&text).map_err(|wrong| match wrong.line {
        Some(line) => format!("{}:{line}: {}", path.display(), wrong.message),
        None => format!("{}: {}", path.display(), wrong.message),
    })
}

/// Runs every scenario under the seeds 1 to `seeds`, on as many threads as there are cores. The reports stand in the order of the scenarios.
pub fn run(scenarios: &[Scenario], seeds: u64) -> Vec<Report> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(scenarios.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(at) else { break };
                    let outcomes = (1..=seeds).map(|seed| (seed, scenario.run(seed))).collect();
                    let report = Report::new(scenario, outcomes);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, report));
                }
            });
        }
    });
    let mut reports = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    reports.sort_by_key(|(at, _)| *at);
    reports.into_iter().map(|(_, report)| report).collect()
}
