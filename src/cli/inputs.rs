//! What several verbs share: input files, configuration, and how reading them may fail.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Code, Failure, summary};
use crate::config::{Config, Layers};
use crate::observation::Observation;
use crate::source::{Input, Merged, OpenOptions, Origins, SourceReport};
use crate::{daemon, engine};

/// Input files.
#[derive(Debug, clap::Args)]
pub(super) struct Inputs {
    /// Recordings and captures; `-` is standard input.
    #[arg(value_name = "INPUT", required = true)]
    pub(super) inputs: Vec<PathBuf>,
    /// Shows no progress.
    #[arg(long)]
    no_progress: bool,
}

/// Configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Setup {
    /// The configuration file; without it every setting has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one value, whatever the file says: `--set detection.learn_days=3`. May be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Managed preferences, as an MDM ships them: their settings stand above the file's. A file that is not there is no error.
    #[arg(long, value_name = "FILE")]
    managed: Option<PathBuf>,
}

impl Setup {
    /// The configuration that the command line names.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let effective = self.layers().load().map_err(|error| Failure::new(Code::Config, error))?;
        Ok(effective.config)
    }

    /// What the command line names, and nothing of this machine: a replay gives the same wherever it runs.
    pub(super) fn layers(&self) -> Layers {
        Layers {
            file: self.config.clone(),
            managed: self.managed.clone(),
            flags: self.set.clone(),
            ..Layers::default()
        }
    }

    /// The engine's settings from a configuration and the exceptions that it names.
    pub(super) fn engine(config: &Config) -> Result<engine::Settings, Failure> {
        daemon::engine_settings(config).map_err(|error| Failure::new(Code::Config, error))
    }
}

impl Inputs {
    /// The inputs as the user named them.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.inputs.iter().map(|path| path.to_string_lossy().into()).collect()
    }
}

/// Inputs that are being read, merged by time, with a progress bar where somebody watches.
pub(super) struct Reading {
    merged: Merged,
    read: Arc<AtomicU64>,
    bar: Option<ProgressBar>,
    observations: u64,
}

/// Opens the inputs.
pub(super) fn open(inputs: &Inputs, origins: Origins) -> Result<Reading, Failure> {
    open_paths(&inputs.inputs, origins, !inputs.no_progress)
}

/// Opens inputs by their paths.
pub(super) fn open_paths(paths: &[PathBuf], origins: Origins, progress: bool) -> Result<Reading, Failure> {
    let read = Arc::new(AtomicU64::new(0));
    let options = OpenOptions { progress: Some(read.clone()), ..OpenOptions::default() };
    let merged = Merged::new(Input::all(paths, origins, &options));
    // A missing input may be the one that matters, and its name is probably misspelt: nothing is read without it.
    if let Some(error) = merged.failures().iter().find(|error| !error.is_bad_data()) {
        return Err(Failure::new(Code::NoInput, error));
    }
    let bar = progress.then(|| progress_bar(paths)).flatten();
    Ok(Reading { merged, read, bar, observations: 0 })
}

/// A bar over the bytes of the files, where standard error is a terminal and they are many.
fn progress_bar(paths: &[PathBuf]) -> Option<ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let total: u64 =
        paths.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).sum();
    if total < WORTH_A_BAR {
        return None;
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}").ok()?;
    Some(ProgressBar::new(total).with_style(style))
}

/// Files smaller than this, in bytes together, are read before anybody looks.
const WORTH_A_BAR: u64 = 16 << 20;
/// Observations between two looks at the progress.
const LOOK_EVERY: u64 = 16_384;

impl Iterator for Reading {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        let observation = self.merged.next()?;
        self.observations = self.observations.wrapping_add(1);
        if self.observations.is_multiple_of(LOOK_EVERY)
            && let Some(bar) = &self.bar
        {
            bar.set_position(self.read.load(Ordering::Relaxed));
        }
        Some(observation)
    }
}

impl Reading {
    /// The stream alone, for a thread of its own.
    pub(super) fn into_merged(self) -> Merged {
        self.merged
    }

    /// What was read, and what was not: takes the bar away.
    pub(super) fn reports(&mut self) -> Vec<SourceReport> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.merged.reports()
    }

    /// Says what could not be read, for verbs without a summary, and how the reading went as a whole.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let reports = self.reports();
        // A closed standard error leaves nobody to tell.
        let _ = summary::write_unread(&mut anstream::stderr().lock(), &reports, &self.merged);
        self.verdict(&reports)
    }

    /// The merged stream, for its warnings and failures.
    pub(super) fn merged(&self) -> &Merged {
        &self.merged
    }

    /// Fails where there was something to read and nothing could be read.
    pub(super) fn verdict(&self, reports: &[SourceReport]) -> Result<(), Failure> {
        if reports.iter().any(|report| report.observations > 0) {
            return Ok(());
        }
        if let Some(error) = self.merged.failures().first() {
            let code = if error.is_bad_data() { Code::BadData } else { Code::NoInput };
            return Err(Failure::new(code, error));
        }
        let nothing = |report: &&SourceReport| report.malformed > 0 || report.ended_early.is_some();
        match reports.iter().find(nothing) {
            Some(report) => {
                Err(Failure::new(Code::BadData, format!("{}: nothing in it could be read", report.name)))
            }
            None => Ok(()),
        }
    }
}
