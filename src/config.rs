//! Settings: TOML into typed values.
//!
//! Each room defines its own settings with their defaults, where their meaning is documented; this file gathers them.
//! `config/tidemark.toml` in the repository lists every key with its default. An unknown key is an error, so that a misspelt setting is
//! never silently the default.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use toml::{Table, Value};

use crate::managed::{ManagedError, Preferences};
use crate::{detect, exceptions, sink};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How departures are scored and when they alert.
    pub detection: detect::Settings,
    /// Exceptions.
    pub exceptions: exceptions::Settings,
    /// The spool and where alerts go.
    pub delivery: sink::Settings,
}

/// The configuration cannot be used: a sentence with the file and, where there is one, the line and the key.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A setting has a value that cannot be kept.
    #[error("{path}: [detection] {source}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The key and its rule.
        source: detect::InvalidSetting,
    },
    /// A setting of the delivery cannot be kept.
    #[error("{path}: [delivery] {source}")]
    Delivery {
        /// The file.
        path: PathBuf,
        /// The rule.
        source: sink::InvalidSetting,
    },
    /// What an MDM ships cannot be used.
    #[error(transparent)]
    Managed(#[from] ManagedError),
    /// The text is not a configuration.
    #[error("{path}: {source}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and key.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read or is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::layered(Some(path), None)
    }

    /// Reads a file, and lays over it what an MDM manages, where there is such a file. Paths in either start from the file's folder.
    ///
    /// # Errors
    /// Where one of them cannot be read or is wrong; the file must be right by itself.
    pub fn layered(file: Option<&Path>, managed: Option<&Path>) -> Result<Self, ConfigError> {
        let (mut config, mut table) = (Self::default(), Table::new());
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            let wrong = |source| ConfigError::Wrong { path: path.to_owned(), source: Box::new(source) };
            config = Self::parse(&text).map_err(wrong)?;
            config.validate(path)?;
            table = toml::from_str(&text).map_err(wrong)?;
        }
        if let Some(path) = managed
            && let Some(preferences) = Preferences::read(path)?
        {
            config = Self::deserialize(Value::Table(preferences.over(table)))
                .map_err(|source| ConfigError::Wrong { path: path.to_owned(), source: Box::new(source) })?;
            config.validate(path)?;
            if preferences.has_exceptions {
                config.exceptions.managed.get_or_insert_with(|| path.to_owned());
            }
        }
        // A path in the file means the same wherever the command is started.
        let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
        for named in [&mut config.exceptions.directory, &mut config.exceptions.managed].into_iter().flatten()
        {
            *named = folder.join(&named);
        }
        config.delivery.resolve(folder);
        Ok(config)
    }

    /// What types cannot check; `path` is where the settings stand.
    fn validate(&self, path: &Path) -> Result<(), ConfigError> {
        self.detection.validate().map_err(|source| ConfigError::Invalid { path: path.to_owned(), source })?;
        self.delivery.validate().map_err(|source| ConfigError::Delivery { path: path.to_owned(), source })
    }

    /// Reads text.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_repository_states_the_defaults() {
        let text = include_str!("../config/tidemark.toml");
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
