//! Known attacks, replayed to see what an exception would hide.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{Code, Failure};
use crate::alert::Alert;
use crate::config::Config;
use crate::engine::{Engine, Settings, Verdict};
use crate::exceptions::{Exceptions, Stored};
use crate::observation::Origin;
use crate::process::Subject;
use crate::source::{Input, Merged, OpenOptions, Origins, open_reader};

/// Where recordings of attacks are.
#[derive(Debug, clap::Args)]
pub(super) struct Attacks {
    /// A folder with recordings of attacks, beside those that come with tidemark: its files are one Mac's road, and so are those of
    /// each folder in it.
    #[arg(long, value_name = "DIR")]
    attacks: Vec<PathBuf>,
}

/// One Mac's road with attacks in it.
enum Road {
    /// Comes with tidemark: a fortnight of ordinary life and the two attacks of AN1227's example.
    Builtin,
    Files(Vec<PathBuf>),
}

/// What a replay said of one subject.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// A sentence about it.
    pub(super) summary: String,
    /// Whether an alert stood.
    stands: bool,
    /// Exceptions that suppressed it.
    pub(super) hidden_by: Vec<String>,
}

impl Attacks {
    /// How many subjects of known attacks there are, and which are hidden: those that alert without exceptions, and not with them. Dates and hours do not count,
    /// since an attack can come at any time.
    pub(super) fn hidden(
        &self,
        config: &Config,
        exceptions: Exceptions,
    ) -> Result<(usize, Vec<Outcome>), Failure> {
        let exceptions = Arc::new(exceptions.whenever());
        let (mut known, mut hidden) = (0, Vec::new());
        for road in self.roads()? {
            let plain = outcomes(road.replay(config, Arc::default())?);
            let mut excepted = outcomes(road.replay(config, Arc::clone(&exceptions))?);
            for (subject, outcome) in plain {
                known += 1;
                let left = excepted.remove(&subject).unwrap_or_default();
                if !left.stands {
                    hidden.push(Outcome { summary: outcome.summary, ..left });
                }
            }
        }
        Ok((known, hidden))
    }

    /// The findings of all known attacks.
    pub(super) fn findings(&self, config: &Config) -> Result<Vec<Stored>, Failure> {
        let mut all = Vec::new();
        for road in self.roads()? {
            for alert in road.replay(config, Arc::default())? {
                let wrong = |error: &dyn std::fmt::Display| Failure::new(Code::BadData, error);
                let document = serde_json::to_value(&alert).map_err(|error| wrong(&error))?;
                all.push(Stored::read(document).map_err(|error| wrong(&error))?);
            }
        }
        Ok(all)
    }

    fn roads(&self) -> Result<Vec<Road>, Failure> {
        let mut roads = vec![Road::Builtin];
        for folder in &self.attacks {
            let (files, folders) = entries(folder)?;
            roads.extend((!files.is_empty()).then_some(Road::Files(files)));
            for folder in folders {
                let (files, _) = entries(&folder)?;
                roads.extend((!files.is_empty()).then_some(Road::Files(files)));
            }
            if roads.len() == 1 {
                return Err(Failure::new(Code::NoInput, format!("{} holds no recordings", folder.display())));
            }
        }
        Ok(roads)
    }
}

impl Road {
    fn replay(&self, config: &Config, exceptions: Arc<Exceptions>) -> Result<Vec<Alert>, Failure> {
        let settings = Settings { detection: config.detection.clone(), exceptions, ..Settings::default() };
        let mut engine = Engine::new(settings);
        let mut verdicts = Vec::new();
        let mut merged = Merged::new(self.inputs()?);
        for observation in &mut merged {
            engine.observe(&observation, &mut verdicts);
        }
        engine.finish(&mut verdicts);
        if let Some(error) = merged.failures().first() {
            return Err(Failure::new(Code::NoInput, error));
        }
        let alert = |verdict| match verdict {
            Verdict::Alert(alert) | Verdict::Suppressed(alert) => Some(*alert),
            Verdict::Digest(_) => None,
        };
        Ok(verdicts.into_iter().filter_map(alert).collect())
    }

    fn inputs(&self) -> Result<Vec<Input>, Failure> {
        match self {
            Self::Files(paths) => Ok(Input::all(paths, Origins::Joined, &OpenOptions::default())),
            Self::Builtin => {
                let open = |(name, bytes): (&str, &'static [u8])| {
                    let source = open_reader(Cursor::new(bytes), Path::new(name), &OpenOptions::default())
                        .map_err(|error| Failure::new(Code::BadData, error))?;
                    Ok(Input::from_source(source, Origin::default()))
                };
                BUILTIN.into_iter().map(open).collect()
            }
        }
    }
}

/// By subject: whether an alert stands, and who suppressed what does not. One that was lowered to the least severity does not stand.
fn outcomes(alerts: Vec<Alert>) -> BTreeMap<Subject, Outcome> {
    let mut all: BTreeMap<Subject, Outcome> = BTreeMap::new();
    for alert in alerts {
        let outcome = all.entry(alert.subject).or_default();
        match alert.exception {
            Some(exception) if !outcome.hidden_by.contains(&exception.id) => {
                outcome.hidden_by.push(exception.id);
            }
            Some(_) => {}
            None => outcome.stands = true,
        }
        outcome.summary = alert.summary;
    }
    all
}

/// Files and folders in a folder, each by name; what begins with a dot or is text for people is left out.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Code::NoInput, format!("cannot read {}: {error}", folder.display()))
    };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            folders.push(path);
        } else if !name.starts_with('.') && RECORDINGS.iter().any(|end| name.contains(end)) {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

/// What stands in the names of recordings and captures; a compression's own ending may follow.
const RECORDINGS: [&str; 3] = [".ndjson", ".jsonl", ".pcap"];

/// The demo recording: see `tests/recordings/README.md`.
const BUILTIN: [(&str, &[u8]); 3] = [
    ("fortnight.ndjson.gz", include_bytes!("../../../tests/recordings/fortnight.ndjson.gz")),
    ("attack.ndjson", include_bytes!("../../../tests/recordings/attack.ndjson")),
    ("attack.pcapng", include_bytes!("../../../tests/recordings/attack.pcapng")),
];
