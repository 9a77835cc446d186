//! `tidemark feedback`: an analyst's word on an alert.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::alerts::Lookup;
use super::baseline::{Located, OpenStore, Place, read_text};
use super::status::failure;
use super::{Code, Failure};
use crate::alert::Alert;
use crate::daemon::{Client, Request, Word};
use crate::detect::{Detector, Verdict};
use crate::process::Subject;

/// Says whether an alert was benign or malicious. Benign: what it saw is learnt in full. Malicious: what it saw is forgotten, and the alert
/// does not count against the budget.
///
/// ALERT is a file with the alert's document, as tidemark wrote it or as the SIEM returns it, or `-` for standard input; or the id of an
/// event or a finding, which is looked up among the alerts of a file. On a machine that is not the alert's Mac, --deliver writes the word
/// to a file for that Mac. A word may also be written by hand, and name its finding by key alone, with or without the host:
///   {"feedback": {"schema": "tidemark.feedback/1", "verdict": "benign", "finding": "tmk1:6a5f56425cdc5d41f29875d41cb916bc"}}
///
/// Examples:
///   tidemark feedback alert.json benign
///   tidemark feedback tmk1:6a5f56425cdc5d41f29875d41cb916bc benign --alerts /var/log/tidemark/alerts.ndjson
///   tidemark feedback alert.json malicious --deliver word.json
///   tidemark feedback --from /var/spool/tidemark/feedback
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The alert's document, or an id.
    #[arg(value_name = "ALERT", required_unless_present = "from", requires = "verdict")]
    alert: Option<String>,
    /// What it was.
    #[arg(value_enum)]
    verdict: Option<Said>,
    #[command(flatten)]
    lookup: Lookup,
    /// Writes the word to this file, to be delivered, and touches no store.
    #[arg(long, value_name = "FILE")]
    deliver: Option<PathBuf>,
    /// Has the daemon, or the store where none runs, take every delivered word in this folder; one that was taken before is skipped.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["alert", "deliver"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Said {
    /// Normal for this program.
    Benign,
    /// An attack.
    Malicious,
}

/// A word on its way to a Mac.
#[derive(Debug, Serialize, Deserialize)]
struct Delivered {
    feedback: Word,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let place = args.place.or_in(args.lookup.kept.state());
    if let Some(folder) = &args.from {
        return take_folder(folder, &place);
    }
    let (Some(name), Some(said)) = (&args.alert, args.verdict) else { return Ok(()) };
    let document = document(name, args)?;
    let subject = subject_of(&document).ok_or_else(|| {
        Failure::new(Code::BadData, format!("{name} holds no alert: no `subject` with an `image` in it"))
    })?;
    let verdict = match said {
        Said::Benign => Verdict::Benign,
        Said::Malicious => Verdict::Malicious,
    };
    if let Some(file) = &args.deliver {
        let finding = find(&document, "finding").and_then(Value::as_str).map(str::to_owned);
        let feedback =
            Word { schema: Word::SCHEMA.into(), verdict, subject: Some(subject), finding, host: None };
        let text = serde_json::to_string(&Delivered { feedback }).map_err(io::Error::from)?;
        return std::fs::write(file, text + "\n")
            .map_err(|error| Failure::new(Code::Io, format!("cannot write {}: {error}", file.display())));
    }
    let finding = find(&document, "finding").and_then(Value::as_str).map(str::to_owned);
    if let Some(mut daemon) = place.daemon()? {
        let finding = finding.and_then(|key| serde_json::from_value(Value::String(key)).ok());
        let request = Request::Feedback { subject, verdict, finding };
        return daemon.ask(request).map(drop).map_err(|error| failure(&error));
    }
    let (mut store, mut detector) = place.open()?;
    if !detector.feedback(&subject, verdict) {
        let message = format!("nothing of `{subject}` is remembered: is this the alert's own Mac?");
        return Err(Failure::new(Code::CheckFailed, message));
    }
    if let (Verdict::Benign, Some(finding)) = (verdict, finding) {
        store.settle(finding);
    }
    store.save(&mut detector)
}

/// The document that a name means. OCSF and ECS hold the native one as text; what is no whole alert may still name its subject.
fn document(name: &str, args: &Args) -> Result<Value, Failure> {
    let path = Path::new(name);
    if name != "-" && !path.exists() {
        let config = args.place.setup.config()?;
        let found = args.lookup.find(name, &config)?;
        let latest = found.last().map(serde_json::to_value).transpose();
        return latest
            .map_err(io::Error::from)?
            .ok_or_else(|| Failure::new(Code::NoInput, format!("no alert is {name}")));
    }
    let text = read_text(path)?;
    match Alert::read(&text) {
        Ok(alert) => serde_json::to_value(alert),
        Err(_) => serde_json::from_str(&text),
    }
    .map_err(|error| Failure::new(Code::BadData, format!("{}: {error}", path.display())))
}

fn take_folder(folder: &Path, place: &Located<'_>) -> Result<(), Failure> {
    let unreadable =
        |error: io::Error| Failure::new(Code::NoInput, format!("cannot read {}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut paths =
        entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut taker = match place.daemon()? {
        Some(daemon) => Taker::Daemon(daemon),
        None => Taker::Store(Box::new(place.open()?)),
    };
    let mut err = io::stderr().lock();
    for path in paths {
        let text = read_text(&path)?;
        match serde_json::from_str::<Delivered>(&text) {
            Ok(delivered) => taker.take(&Sha256::digest(text.as_bytes()), delivered.feedback)?,
            // A file of somebody else's is no reason to leave the others untaken.
            Err(error) => drop(writeln!(err, "{}: skipped: {error}", path.display())),
        }
    }
    Ok(())
}

/// Who takes delivered words, each once.
enum Taker {
    /// It has the store open.
    Daemon(Client),
    Store(Box<(OpenStore, Detector)>),
}

impl Taker {
    fn take(&mut self, key: &[u8], word: Word) -> Result<(), Failure> {
        match self {
            Self::Daemon(daemon) => {
                let request = Request::Word { key: hex::encode(key), word };
                daemon.ask(request).map(drop).map_err(|error| failure(&error))
            }
            Self::Store(open) => {
                let (store, detector) = &mut **open;
                if store.store.has_feedback(key).map_err(|error| Failure::new(Code::BadData, error))? {
                    return Ok(());
                }
                let subject = word.subject_among(detector.subjects());
                let known = subject.is_some_and(|subject| detector.feedback(&subject, word.verdict));
                if let (true, Verdict::Benign, Some(finding)) = (known, word.verdict, word.finding) {
                    store.settle(finding);
                }
                let mut checkpoint = detector.checkpoint();
                checkpoint.feedback.push((key.to_vec(), vec![u8::from(known)]));
                store.write(checkpoint)
            }
        }
    }
}

/// The subject of an alert's document, however deep a SIEM has wrapped it.
fn subject_of(document: &Value) -> Option<Subject> {
    find(document, "subject").and_then(|value| serde_json::from_value(value.clone()).ok())
}

/// The first member of this name, outer ones first.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => {
            members.get(name).or_else(|| members.values().find_map(|member| find(member, name)))
        }
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_found_in_what_a_siem_wraps_around_it() {
        let alert =
            serde_json::json!({ "subject": { "image": "apple:com.apple.curl", "initiator": "apple:x" } });
        let wrapped = serde_json::json!({ "hits": { "hits": [{ "_source": { "unmapped": alert } }] } });
        assert_eq!(subject_of(&wrapped).unwrap().to_string(), "apple:com.apple.curl < apple:x");
        assert_eq!(subject_of(&serde_json::json!({ "subject": "mail" })), None);
    }
}
