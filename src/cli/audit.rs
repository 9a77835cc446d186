//! `tidemark audit`: what an auditor asks of one Mac, as a folder that can be signed off.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::config::ServiceSetup;
use super::controls::Controls;
use super::run::DEFAULT_STATE;
use super::{Code, Failure};
use crate::alert::Alert;
use crate::daemon::{ARCHIVE_FOLDER, Client, Request, STATUS_FILE};
use crate::journal::{self, Entries};

/// Collects what an auditor asks of this Mac into a new folder: the status with its coverage, the configuration and whose word each value is, the
/// exceptions, what was found (accepted findings included), the scripting hosts, launchd jobs, shortcuts and MDM scripts that used the network and who approved
/// each, the techniques as a layer for ATT&CK Navigator, the program's and the configuration's hashes, and a manifest over all of it, which `shasum -a 256 -c MANIFEST.sha256` checks.
///
/// Example:
///   sudo tidemark audit ~/audit-2026-11 --config tidemark.toml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The folder, which must not be there yet.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The state's folder, as given to `tidemark run`.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
    #[command(flatten)]
    service: ServiceSetup,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let layers = args.service.layers();
    let effective = layers.load().map_err(|error| Failure::new(Code::Config, error))?;
    let exceptions = effective.config.exceptions.load().map_err(|error| Failure::new(Code::Config, error))?;
    let status = status(&args.state)?;
    let mut folder = Folder::new(&args.folder)?;

    folder.write("status.json", &format!("{status:#}\n"))?;
    let settings = effective
        .entries()
        .into_iter()
        .map(|entry| json!({ "key": entry.key, "value": entry.value, "origin": entry.origin.to_string() }));
    folder.write("settings.ndjson", &lines(settings))?;
    let accepted = exceptions.iter().map(|exception| {
        json!({
            "id": exception.id, "owner": exception.owner, "reason": exception.reason, "ticket": exception.ticket,
            "created": exception.created.to_string(), "expires": exception.expires.map(|day| day.to_string()),
            "conditions": exception.conditions.iter().map(|condition| format!("{} = {condition}", condition.key())).collect::<Vec<_>>(),
            "source": exception.source.to_string(),
        })
    });
    folder.write("exceptions.ndjson", &lines(accepted))?;
    let findings = findings(&args.state.join(ARCHIVE_FOLDER))?;
    folder.write("findings.ndjson", &findings)?;
    let alerts: Vec<Alert> = findings.lines().filter_map(|line| Alert::read(line).ok()).collect();
    folder.write("navigator.json", &format!("{:#}\n", navigator(&alerts)))?;
    let mut controls = Controls::default();
    let flows = Entries::of(&args.state.join(journal::FOLDER))
        .map_err(|error| Failure::new(Code::NoInput, format!("the history cannot be read: {error}")))?;
    for entry in flows {
        controls.take(&entry, &exceptions);
    }
    folder.write("controls.ndjson", &lines(controls.documents(&exceptions).into_iter()))?;
    folder.write("controls.md", &controls.page(&exceptions))?;
    let program = std::env::current_exe().ok();
    let watched = program.iter().map(PathBuf::as_path).chain(layers.files());
    folder.write("integrity.ndjson", &lines(watched.map(integrity)))?;
    folder.write("SIGN-OFF.txt", SIGN_OFF)?;
    folder.seal()?;
    writeln!(
        anstream::stdout().lock(),
        "{}: {} findings, {} exceptions, {} controls",
        args.folder.display(),
        alerts.len(),
        exceptions.len(),
        controls.len()
    )?;
    Ok(())
}

/// The daemon's status now; where none answers, the one that it wrote last.
fn status(state: &Path) -> Result<Value, Failure> {
    let now =
        Client::connect(state).and_then(|mut client| client.ask(Request::Status { subjects: u32::MAX }));
    if let Ok(status) = now {
        return Ok(status);
    }
    let path = state.join(STATUS_FILE);
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::new(
            Code::NoInput,
            format!("no daemon answers, and {} cannot be used: {error}", path.display()),
        )
    };
    let text = fs::read_to_string(&path).map_err(|error| unusable(&error))?;
    serde_json::from_str(&text).map_err(|error| unusable(&error))
}

/// Every finding that is kept on this Mac, by day.
fn findings(folder: &Path) -> Result<String, Failure> {
    let unreadable =
        |error: io::Error| Failure::new(Code::NoInput, format!("cannot read {}: {error}", folder.display()));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
    paths.sort();
    paths.iter().map(fs::read_to_string).collect::<io::Result<String>>().map_err(unreadable)
}

/// A layer for ATT&CK Navigator (format 4.5): how often each technique was found.
fn navigator(alerts: &[Alert]) -> Value {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| !alert.test) {
        let attack = &alert.attack;
        for technique in std::iter::once(&attack.technique).chain(&attack.sub_technique) {
            *counts.entry(technique).or_default() += 1;
        }
    }
    let techniques = counts.iter().map(|(technique, count)| {
        json!({ "techniqueID": technique, "score": count, "comment": "AN1227 (DET0444): a protocol or a volume that was new to a program" })
    });
    json!({
        "name": "tidemark",
        "versions": { "attack": "18", "navigator": "5.1.0", "layer": "4.5" },
        "domain": "enterprise-attack",
        "description": "Findings on this Mac, accepted ones included",
        "filters": { "platforms": ["macOS"] },
        "techniques": techniques.collect::<Vec<_>>(),
    })
}

/// A file as it is: its hash, who owns it and who may write it.
fn integrity(path: &Path) -> Value {
    let about = fs::metadata(path);
    let hash = fs::read(path).map(|bytes| hex::encode(Sha256::digest(bytes)));
    json!({
        "path": path.display().to_string(),
        "sha256": hash.ok(),
        "owner": about.as_ref().ok().map(MetadataExt::uid),
        "mode": about.as_ref().ok().map(|about| format!("{:04o}", about.mode() & 0o7777)),
        "writable_by_others": about.as_ref().ok().map(|about| about.mode() & 0o022 != 0),
    })
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    values.fold(String::new(), |all, value| all + &value.to_string() + "\n")
}

/// The folder while it is filled.
struct Folder {
    path: PathBuf,
    /// Hash and name of each file.
    manifest: Vec<(String, &'static str)>,
}

impl Folder {
    fn new(path: &Path) -> Result<Self, Failure> {
        let made = fs::DirBuilder::new().mode(FOLDER_MODE).create(path);
        made.map_err(|error| Failure::new(Code::Io, format!("cannot make {}: {error}", path.display())))?;
        Ok(Self { path: path.to_owned(), manifest: Vec::new() })
    }

    fn write(&mut self, name: &'static str, text: &str) -> Result<(), Failure> {
        self.manifest.push((hex::encode(Sha256::digest(text)), name));
        self.place(name, text)
    }

    /// Writes the manifest: nothing is added after it.
    fn seal(mut self) -> Result<(), Failure> {
        self.manifest.sort_by_key(|(_, name)| *name);
        let text: String =
            self.manifest.iter().fold(String::new(), |all, (hash, name)| all + hash + "  " + name + "\n");
        self.place("MANIFEST.sha256", &text)
    }

    fn place(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::new(Code::Io, format!("cannot write {}: {error}", path.display())))
    }
}

/// It tells what people did: for its owner alone.
const FOLDER_MODE: u32 = 0o700;
const SIGN_OFF: &str = "\
I have looked at what lies in this folder, and MANIFEST.sha256 names each file as it was when it was collected.

Name:

Date:

SHA-256 of MANIFEST.sha256:

Signature:
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples;

    #[test]
    fn a_layer_counts_techniques_and_leaves_tests_out() {
        let mut test = samples::plain();
        test.test = true;
        let layer = navigator(&[samples::plain(), samples::plain(), test]);
        assert_eq!(layer["techniques"][0]["techniqueID"], "T1071");
        assert_eq!(layer["techniques"][0]["score"], 2);
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Folder::new(folder.path()).is_err());
    }
}
