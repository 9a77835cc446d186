//! The configuration in force, and when another one takes its place.
//!
//! A reload is asked for by SIGHUP, by the control socket, or by a file that changed. It is taken whole or not at all: where anything in it
//! is wrong, what was in force stays, and the next change is waited for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::alert::{Privacy, PrivacySettings};
use crate::config::{Config, Effective, Layers};
use crate::engine;
use crate::sink::Secret;

/// Where the configuration comes from, and what is in force.
#[derive(Debug)]
pub struct Configuration {
    layers: Layers,
    effective: Effective,
    /// The files as they were when they were last looked at.
    seen: Vec<Seen>,
}

/// A file, and what tells that it changed.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    /// Its time and length; `None` where it is not there.
    state: Option<(SystemTime, u64)>,
}

/// A configuration that may take the place of the one in force.
#[derive(Debug)]
pub(super) struct Candidate {
    effective: Effective,
    /// The engine's part of it, exceptions included.
    pub(super) engine: engine::Settings,
}

impl Configuration {
    /// Reads it, with the exceptions that it names.
    ///
    /// # Errors
    /// Everything that is wrong, a sentence a line.
    pub fn load(layers: Layers) -> Result<(Self, engine::Settings), String> {
        let effective = layers.load().map_err(|error| error.to_string())?;
        let engine = engine_settings(&effective.config)?;
        let seen = look(&layers, &effective.config);
        Ok((Self { layers, effective, seen }, engine))
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        &self.effective.config
    }

    /// The files of it that are there or may be, exceptions included.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.seen.iter().map(|seen| seen.path.clone()).collect();
        files.extend(self.effective.config.exceptions.directory.clone());
        files
    }

    /// Whether a file of it changed since this was last asked.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = look(&self.layers, &self.effective.config);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    /// Reads it anew. What is in force stays until [`Configuration::accept`].
    pub(super) fn candidate(&self) -> Result<Candidate, String> {
        let effective = self.layers.load().map_err(|error| error.to_string())?;
        let engine = engine_settings(&effective.config)?;
        Ok(Candidate { effective, engine })
    }

    /// Puts it in force; gives the keys whose values are others than before. Exceptions have no keys here.
    pub(super) fn accept(&mut self, candidate: Candidate) -> Vec<String> {
        let changed = candidate.effective.changed(&self.effective);
        self.effective = candidate.effective;
        self.seen = look(&self.layers, &self.effective.config);
        changed
    }
}

impl Candidate {
    pub(super) fn config(&self) -> &Config {
        &self.effective.config
    }
}

/// The engine's settings from a configuration and the exceptions that it names.
///
/// # Errors
/// Everything that is wrong with the exceptions.
pub fn engine_settings(config: &Config) -> Result<engine::Settings, String> {
    let exceptions = config.exceptions.load().map_err(|error| error.to_string())?;
    Ok(engine::Settings {
        detection: config.detection.clone(),
        exceptions: Arc::new(exceptions),
        privacy: privacy(&config.privacy)?,
        ..engine::Settings::default()
    })
}

/// The privacy settings with the organisation's key.
fn privacy(settings: &PrivacySettings) -> Result<Privacy, String> {
    let key = match &settings.key_file {
        Some(path) if settings.needs_key() => Some(Secret::load(path).map_err(|error| error.to_string())?),
        _ => None,
    };
    let key = key.as_ref().map_or("", Secret::expose);
    if settings.needs_key() && key.len() < SHORTEST_KEY {
        return Err(format!(
            "[privacy] what is `keyed` needs a key of at least {SHORTEST_KEY} characters in `key_file`"
        ));
    }
    Ok(Privacy::new(settings.clone(), key.as_bytes()))
}

/// RFC 2104, section 3: a key shorter than the hash, of 32 bytes, is weaker than it.
const SHORTEST_KEY: usize = 32;

/// The files of a configuration as they are now: its own, and those of its exceptions.
fn look(layers: &Layers, config: &Config) -> Vec<Seen> {
    let mut paths: Vec<PathBuf> = layers.files().map(Path::to_owned).collect();
    paths.extend(config.exceptions.managed.clone());
    if let Some(folder) = &config.exceptions.directory {
        // A folder that cannot be read has no files; reading the exceptions says so.
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path()));
    }
    paths.sort();
    let state = |path: &Path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    paths.into_iter().map(|path| Seen { state: state(&path), path }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCEPTION: &str = r#"
[[exception]]
id = "x"
owner = "it@example.com"
reason = "test"
created = 2026-01-01
expires = 2026-12-31
channels = ["volume"]
match.image = "apple:com.apple.curl"
"#;

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).unwrap();
    }

    #[test]
    fn a_change_of_any_file_is_noticed_once_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::create_dir(at.join("exceptions.d")).unwrap();
        write(at, "tidemark.toml", "[exceptions]\ndirectory = 'exceptions.d'\n");
        let layers = Layers { file: Some(at.join("tidemark.toml")), ..Layers::default() };
        let (mut configuration, engine) = Configuration::load(layers).unwrap();
        assert_eq!((engine.exceptions.len(), configuration.has_changed()), (0, false));

        write(at, "exceptions.d/x.toml", EXCEPTION);
        assert!(configuration.has_changed() && !configuration.has_changed());
        let candidate = configuration.candidate().unwrap();
        assert_eq!(candidate.engine.exceptions.len(), 1);
        assert!(configuration.accept(candidate).is_empty());

        write(at, "tidemark.toml", "[exceptions]\ndirectory = 'exceptions.d'\n[detection]\nlern_days = 3\n");
        assert!(configuration.has_changed());
        assert!(configuration.candidate().unwrap_err().contains("learn_days"));
        assert_eq!(configuration.config().detection.learn_days, 7);

        write(at, "tidemark.toml", "[exceptions]\ndirectory = 'exceptions.d'\n[detection]\nlearn_days = 3\n");
        assert!(configuration.has_changed());
        let candidate = configuration.candidate().unwrap();
        assert_eq!(configuration.accept(candidate), ["detection.learn_days"]);
        assert_eq!(configuration.config().detection.learn_days, 3);
    }
}
