//! How a person names alerts: a file in any form, standard input, or an id to be looked up.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::run::DEFAULT_STATE;
use super::{Code, Failure};
use crate::alert::Alert;
use crate::config::Config;
use crate::daemon::{ARCHIVE_FOLDER, SPOOL_FOLDER};
use crate::sink::Archived;
use crate::sink::spool::{Latest, Queue};

/// The alerts in a file or on standard input (`-`): one document, or one a line; at least one.
pub(super) fn read(path: &Path) -> Result<Vec<Alert>, Failure> {
    let alerts = read_any(path)?;
    if alerts.is_empty() {
        return Err(Failure::new(Code::BadData, format!("{}: there is nothing in it", path.display())));
    }
    Ok(alerts)
}

/// The alerts in a file to which none may have been written yet.
fn read_any(path: &Path) -> Result<Vec<Alert>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::new(Code::NoInput, format!("cannot read {}: {error}", path.display())))?;
    parse(&String::from_utf8_lossy(&bytes))
        .map_err(|why| Failure::new(Code::BadData, format!("{}: {why}", path.display())))
}

/// Where an alert is looked up by its id.
#[derive(Debug, clap::Args)]
pub(super) struct Lookup {
    /// A file of alerts in which an id is looked up first; the first file sink of the configuration where none is named.
    #[arg(long, value_name = "FILE")]
    alerts: Option<PathBuf>,
    #[command(flatten)]
    pub(super) kept: Kept,
}

/// What the daemon keeps on this Mac.
#[derive(Debug, clap::Args)]
pub(super) struct Kept {
    /// The state's folder, as given to `tidemark run`: what was found is kept in it for a month, and what no receiver has taken yet.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
}

impl Lookup {
    /// The alerts that a name means: those of a file, or those whose event or finding has this id, or an event's id that begins so.
    pub(super) fn find(&self, name: &str, config: &Config) -> Result<Vec<Alert>, Failure> {
        let path = Path::new(name);
        if name == "-" || path.exists() {
            return read(path);
        }
        let is_meant = |alert: &Alert| {
            (alert.id.starts_with(name) && name.len() >= SHORTEST_ID)
                || alert.finding.as_str() == name
                || alert.fleet_finding.as_str() == name
        };
        if let Some(file) = &self.alerts {
            let mut alerts = read_any(file)?;
            alerts.retain(is_meant);
            return if alerts.is_empty() {
                Err(Failure::new(Code::NoInput, format!("no alert in {} has the id {name}", file.display())))
            } else {
                Ok(alerts)
            };
        }
        // What a file sink wrote may be unreadable for this user, or rotated away; then what is kept answers.
        let written = config.delivery.file().and_then(|file| read_any(file).ok()).unwrap_or_default();
        let lines = self.kept.findings()?.chain(self.kept.spooled()?);
        // Few lines have the id in them, and only those are read.
        let kept = lines.filter(|line| line.contains(name)).filter_map(|line| Alert::read(&line).ok());
        let mut alerts: Vec<Alert> = written.into_iter().chain(kept).filter(is_meant).collect();
        let mut seen = BTreeSet::new();
        alerts.retain(|alert| seen.insert(alert.id.clone()));
        if alerts.is_empty() {
            let advice = "it is no file, and no alert that is kept has this id: give `--alerts FILE`, or `--state` as given to `tidemark run`";
            return Err(Failure::new(Code::NoInput, format!("{name}: {advice}")));
        }
        Ok(alerts)
    }
}

impl Kept {
    /// The state's folder.
    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    /// What was found, suppressed findings included, the earliest day first, one document a line.
    pub(super) fn findings(&self) -> Result<Archived, Failure> {
        let folder = self.state.join(ARCHIVE_FOLDER);
        Archived::of(&folder).map_err(|error| {
            Failure::new(Code::NoInput, format!("cannot read {}: {error}", folder.display()))
        })
    }

    /// Where [`Kept::findings`] are.
    pub(super) fn folder(&self) -> PathBuf {
        self.state.join(ARCHIVE_FOLDER)
    }

    fn spooled(&self) -> Result<Latest, Failure> {
        Latest::of(&self.state.join(SPOOL_FOLDER), Queue::Alerts)
            .map_err(|error| Failure::new(Code::NoInput, error))
    }
}

/// Characters of an event's id that name it: they hold its time to the second.
const SHORTEST_ID: usize = 8;

/// One document over several lines, or one document a line.
fn parse(text: &str) -> Result<Vec<Alert>, String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let by_line: Result<Vec<Alert>, String> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            Alert::read(line).map_err(|error| format!("line {}: {error}", at.saturating_add(1)))
        })
        .collect();
    match by_line {
        Ok(alerts) => Ok(alerts),
        Err(error) => Alert::read(text).map(|alert| vec![alert]).map_err(|whole| {
            if lines.len() > 1 && !text.trim_start().starts_with("{\n") { error } else { whole.to_string() }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Format, samples};

    #[test]
    fn alerts_are_read_by_the_line_and_spread_over_lines() {
        let alert = samples::plain();
        let lines = format!("{}\n\n{}\n", alert.render(Format::Ocsf), alert.render(Format::Native));
        assert_eq!(parse(&lines).unwrap().len(), 2);
        let value: serde_json::Value = serde_json::from_str(&alert.render(Format::Ecs)).unwrap();
        assert_eq!(parse(&serde_json::to_string_pretty(&value).unwrap()).unwrap().len(), 1);
        assert!(parse("{}\n{}").unwrap_err().contains("line 1"));
        assert_eq!(parse("").unwrap(), []);
    }
}
