//! Settings: TOML into typed values, and whose word each value is.
//!
//! Each room defines its own settings with their defaults, where their meaning is documented; this file gathers them.
//! `config/tidemark.toml` in the repository lists every key with its default. An unknown key is an error, so that a misspelt setting is
//! never silently the default.

mod layers;
mod place;
mod schema;

pub use layers::{ENVIRONMENT_PREFIX, Effective, Entry, Fault, Layers, Rejected};
pub use place::Origin;
pub use schema::schema;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alert::PrivacySettings;
use crate::{daemon, detect, exceptions, journal, sink};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How departures are scored and when they alert.
    pub detection: detect::Settings,
    /// Exceptions.
    pub exceptions: exceptions::Settings,
    /// The spool and where alerts go.
    pub delivery: sink::Settings,
    /// How much of people is told.
    pub privacy: PrivacySettings,
    /// What is kept of flows that ended.
    pub history: journal::Settings,
    /// What the daemon itself offers.
    pub daemon: daemon::Settings,
}

impl Config {
    /// Reads a file, and nothing beside it.
    ///
    /// # Errors
    /// Where it cannot be read or is wrong.
    pub fn load(path: &Path) -> Result<Self, Rejected> {
        let layers = Layers { file: Some(path.to_owned()), ..Layers::default() };
        layers.load().map(|effective| effective.config)
    }

    /// Reads text.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Whether every setting can be kept; else the key or the table, and what is wrong with it.
    fn validate(&self) -> Result<(), (String, String)> {
        self.detection
            .validate()
            .map_err(|error| (format!("detection.{}", error.key), format!("[detection] {error}")))?;
        self.delivery.validate().map_err(|error| ("delivery".to_owned(), format!("[delivery] {error}")))?;
        self.history.validate().map_err(|error| ("history".to_owned(), format!("[history] {error}")))?;
        self.daemon.validate().map_err(|error| ("daemon".to_owned(), format!("[daemon] {error}")))
    }

    /// With paths that start from this folder: a path in a file means the same wherever the command is started.
    fn resolved(mut self, folder: &Path) -> Self {
        for named in [&mut self.exceptions.directory, &mut self.exceptions.managed].into_iter().flatten() {
            *named = folder.join(&named);
        }
        self.privacy.resolve(folder);
        self.delivery.resolve(folder);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_repository_states_the_defaults() {
        let text = include_str!("../../config/tidemark.toml");
        assert_eq!(Config::parse(text).unwrap(), Config::default());
        // Every key stands in it, as a comment where it has no default value.
        let uncommented: String = text
            .lines()
            .map(|line| {
                line.strip_prefix("# ").filter(|l| l.contains(" = ") || l.starts_with("[[")).unwrap_or(line)
            })
            .fold(String::new(), |mut all, line| {
                all.push_str(line);
                all.push('\n');
                all
            });
        let all = Config::parse(&uncommented).unwrap();
        assert!(
            all.exceptions.directory.is_some()
                && all.exceptions.managed.is_some()
                && all.delivery.sinks.len() == 5
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Config::parse("[exceptions]\ndirectroy = \"x\"").unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("directroy") && error.contains("directory"),
            "{error}"
        );
    }
}
