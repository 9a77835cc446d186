//! Life on a Mac in a few lines of text: who runs what, what happens on which day, and which alerts may and must come out.
//!
//! A [`Scenario`] is read from TOML ([`Scenario::parse`]); `docs/scenarios.md` is its manual. With a seed it becomes a recording in memory
//! ([`Scenario::recording`]): the ordinary Mac's habits (`ordinary.toml`, a file of the same language) with the scenario's own on top. The engine
//! walks it with default settings, and what left is compared with what was expected ([`Scenario::run`]).
//!
//! The ordinary Mac is steadier than a real one, on purpose: a scenario asks whether one kind of day is understood. How often chance alone raises
//! an alert is a question for many simulated Macs, and `scripts/evaluate.py` asks it.

mod build;
mod chain;
mod check;
mod dice;
mod language;
mod mac;
mod proxy;
mod read;
mod schedule;
pub mod suite;
mod telling;
mod traffic;
mod values;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::engine::Settings;
use crate::exceptions::Exceptions;
use crate::observation::Observation;
use chain::Chain;
pub use check::{Difference, Outcome, Seen};
use language::{Document, Program};
pub use suite::{Judgement, Report};

/// A scenario that was read and makes sense.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What happens, in a sentence.
    pub title: String,
    /// Why it is not expected to hold yet.
    pub expected_failure: Option<String>,
    /// Atomic Red Team tests that it mirrors: `T1105 #31`.
    pub atomic: Vec<String>,
    document: Document,
    programs: BTreeMap<String, Program>,
    exceptions: Arc<Exceptions>,
    zone: jiff::tz::TimeZone,
    starts: jiff::civil::Date,
}

/// Why a text is no scenario: a sentence with the line, and what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Wrong {
    /// The line, from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        read::scenario(text)
    }

    /// What is observed in it, in the order in which it arrives.
    pub fn recording(&self, seed: u64) -> Vec<Observation> {
        build::recording(self, seed)
    }

    /// Walks its recording down the road and compares what leaves with what was expected.
    pub fn run(&self, seed: u64) -> Outcome {
        self.judge(&self.recording(seed))
    }

    /// The same with another recording of the same days: the scenario's own, told otherwise.
    pub fn judge(&self, recording: &[Observation]) -> Outcome {
        check::run(self, recording)
    }

    /// The default settings, with the scenario's exceptions.
    fn settings(&self) -> Settings {
        Settings { exceptions: Arc::clone(&self.exceptions), ..Settings::default() }
    }

    /// A chain that was checked when the scenario was read.
    fn chain(&self, text: &str) -> Chain {
        Chain::parse(text, &self.programs).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
