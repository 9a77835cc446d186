//! What several verbs share: input files, configuration, and how reading them may fail.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Code, Failure};
use crate::baseline::Priors;
use crate::config::Config;
use crate::engine;
use crate::exceptions::{self, Exceptions};
use crate::observation::Observation;
use crate::source::{Merged, Origins, SourceReport};

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
}

impl Setup {
    /// The configuration that the command line names.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        match &self.config {
            Some(path) => Config::load(path).map_err(|error| Failure::new(Code::Config, error)),
            None => Ok(Config::default()),
        }
    }

    /// The engine's settings from a configuration and the exceptions that it names.
    pub(super) fn engine(&self, config: &Config) -> Result<engine::Settings, Failure> {
        let exceptions = match &config.exceptions.directory {
            Some(folder) => load_exceptions(folder)?,
            None => Exceptions::default(),
        };
        Ok(engine::Settings {
            priors: Arc::new(Priors::builtin()),
            exceptions: Arc::new(exceptions),
            ..engine::Settings::default()
        })
    }
}

fn load_exceptions(folder: &Path) -> Result<Exceptions, Failure> {
    let unreadable = |path: &Path, error: io::Error| {
        Failure::new(Code::Config, format!("cannot read the exceptions in {}: {error}", path.display()))
    };
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            all.extend(exceptions::parse(&path, &text).map_err(|error| Failure::new(Code::Config, error))?);
        }
    }
    Exceptions::new(all).map_err(|error| Failure::new(Code::Config, error))
}
