//! `tidemark feedback`: an analyst's word on an alert.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::baseline::{Place, read_text};
use super::status::failure;
use super::{Code, Failure};
use crate::alert::Alert;
use crate::daemon::Request;
use crate::detect::Verdict;
use crate::process::Subject;

/// Says whether an alert was benign or malicious. Benign: what it saw is learnt in full. Malicious: what it saw is forgotten, and the alert
/// does not count against the budget.
///
/// ALERT is a file with the alert's document, as tidemark wrote it or as the SIEM returns it; `-` is standard input. On a machine that is not
/// the alert's Mac, --deliver writes the word to a file for that Mac.
///
/// Examples:
///   tidemark feedback alert.json benign
///   tidemark feedback alert.json malicious --deliver word.json
///   tidemark feedback --from /var/spool/tidemark/feedback
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The alert's document.
    #[arg(value_name = "ALERT", required_unless_present = "from", requires = "verdict")]
    alert: Option<PathBuf>,
    /// What it was.
    #[arg(value_enum)]
    verdict: Option<Word>,
    /// Writes the word to this file, to be delivered, and touches no store.
    #[arg(long, value_name = "FILE")]
    deliver: Option<PathBuf>,
    /// Takes every delivered word in this folder; one that was taken before is skipped.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["alert", "deliver"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Word {
    /// Normal for this program.
    Benign,
    /// An attack.
    Malicious,
}

/// A word on its way to a Mac.
#[derive(Debug, Serialize, Deserialize)]
struct Delivered {
    feedback: Feedback,
}

#[derive(Debug, Serialize, Deserialize)]
struct Feedback {
    schema: String,
    verdict: Verdict,
    subject: Subject,
    /// The finding's key, or its key without the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finding: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(folder) = &args.from {
        return take_folder(folder, &args.place);
    }
    let (Some(path), Some(word)) = (&args.alert, args.verdict) else { return Ok(()) };
    let text = read_text(path)?;
    // OCSF and ECS hold the native document as text; what is no whole alert may still name its subject.
    let document: Value = match Alert::read(&text) {
        Ok(alert) => serde_json::to_value(alert),
        Err(_) => serde_json::from_str(&text),
    }
    .map_err(|error| Failure::new(Code::BadData, format!("{}: {error}", path.display())))?;
    let subject = subject_of(&document).ok_or_else(|| {
        Failure::new(
            Code::BadData,
            format!("{} holds no alert: no `subject` with an `image` in it", path.display()),
        )
    })?;
    let verdict = match word {
        Word::Benign => Verdict::Benign,
        Word::Malicious => Verdict::Malicious,
    };
    if let Some(file) = &args.deliver {
        let finding = find(&document, "finding").and_then(Value::as_str).map(str::to_owned);
        let delivered = Delivered { feedback: Feedback { schema: SCHEMA.into(), verdict, subject, finding } };
        let text = serde_json::to_string(&delivered).map_err(io::Error::from)?;
        return std::fs::write(file, text + "\n")
            .map_err(|error| Failure::new(Code::Io, format!("cannot write {}: {error}", file.display())));
    }
    if let Some(mut daemon) = args.place.daemon()? {
        let finding = find(&document, "finding").and_then(|key| serde_json::from_value(key.clone()).ok());
        let request = Request::Feedback { subject, verdict, finding };
        return daemon.ask(request).map(drop).map_err(|error| failure(&error));
    }
    let (store, mut detector) = args.place.open()?;
    if !detector.feedback(&subject, verdict) {
        let message = format!("nothing of `{subject}` is remembered: is this the alert's own Mac?");
        return Err(Failure::new(Code::CheckFailed, message));
    }
    store.save(&mut detector)
}

fn take_folder(folder: &std::path::Path, place: &Place) -> Result<(), Failure> {
    let unreadable =
        |error: io::Error| Failure::new(Code::NoInput, format!("cannot read {}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut paths =
        entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let (store, mut detector) = place.open()?;
    let mut err = io::stderr().lock();
    for path in paths {
        let text = read_text(&path)?;
        let key = Sha256::digest(text.as_bytes()).to_vec();
        if store.0.has_feedback(&key).map_err(|error| Failure::new(Code::BadData, error))? {
            continue;
        }
        let delivered: Delivered = match serde_json::from_str(&text) {
            Ok(delivered) => delivered,
            // A file of somebody else's is no reason to leave the others untaken.
            Err(error) => {
                let _ = writeln!(err, "{}: skipped: {error}", path.display());
                continue;
            }
        };
        let known = detector.feedback(&delivered.feedback.subject, delivered.feedback.verdict);
        let mut checkpoint = detector.checkpoint();
        checkpoint.feedback.push((key, vec![u8::from(known)]));
        store.write(&checkpoint)?;
    }
    Ok(())
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

const SCHEMA: &str = "tidemark.feedback/1";

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
