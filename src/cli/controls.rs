//! The page of controls in an audit: what runs code for people and used the network, and who approved it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::printable::printable;
use crate::exceptions::{Behaviour, Exceptions};
use crate::journal::{Entry, Program};
use crate::network::Protocol;
use crate::observation::Timestamp;

/// Everything that runs code on somebody's behalf and used the network, from the flows that are kept.
#[derive(Debug, Default)]
pub(super) struct Controls {
    rows: BTreeMap<(Kind, String), Row>,
    /// Flows of controls beyond [`MOST_ROWS`].
    left_out: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// What kind of thing runs the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    ScriptingHost,
    Shortcut,
    MdmScript,
    LaunchdJob,
}

#[derive(Debug, Default)]
struct Row {
    flows: u64,
    bytes_out: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    scripts: BTreeSet<String>,
    protocols: BTreeSet<&'static str>,
    destinations: BTreeSet<String>,
    /// Flows that an exception matches, by the exception.
    approved: BTreeMap<String, u64>,
}

impl Controls {
    /// Takes a flow, where it is one of a control.
    pub(super) fn take(&mut self, entry: &Entry, exceptions: &Exceptions) {
        self.first = Some(self.first.map_or(entry.end, |first| first.min(entry.end)));
        self.last = Some(self.last.map_or(entry.end, |last| last.max(entry.end)));
        let Some(program) = &entry.program else { return };
        let Some(kind) = Kind::of(program) else { return };
        let key = (kind, program.subject.to_string());
        if !self.rows.contains_key(&key) && self.rows.len() >= MOST_ROWS {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let row = self.rows.entry(key).or_default();
        row.flows = row.flows.saturating_add(1);
        row.bytes_out = row.bytes_out.saturating_add(entry.bytes_out);
        row.first = Some(row.first.map_or(entry.end, |first| first.min(entry.end)));
        row.last = Some(row.last.map_or(entry.end, |last| last.max(entry.end)));
        row.protocols.extend(entry.protocol.map(Protocol::label));
        remember(&mut row.scripts, program.script.as_ref().map(|script| script.name.to_string()));
        let destination = entry.proxied_to.as_ref().or(entry.server_name.as_ref());
        let destination = destination.map_or_else(|| entry.remote.ip().to_string(), ToString::to_string);
        remember(&mut row.destinations, Some(destination));
        let ended = entry.to_ended();
        let Some(who) = &ended.attribution.who else { return };
        let behaviour = Behaviour::new(ended.time, who, &ended.flow, None);
        for exception in exceptions.iter().filter(|exception| exception.matches(&behaviour)) {
            let count = row.approved.entry(exception.id.clone()).or_default();
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// One object a control.
    pub(super) fn documents(&self, exceptions: &Exceptions) -> Vec<Value> {
        let told = self.rows.iter().map(|((kind, subject), row)| {
            let by: Vec<Value> = row
                .approved
                .iter()
                .filter_map(|(id, flows)| {
                    let exception = exceptions.iter().find(|exception| exception.id == *id)?;
                    Some(json!({
                        "exception": id, "owner": exception.owner, "reason": exception.reason, "flows": flows,
                        "expires": exception.expires.map(|day| day.to_string()),
                    }))
                })
                .collect();
            json!({
                "kind": kind.words(), "subject": subject, "approved": row.verdict(), "by": by, "flows": row.flows, "bytes_out": row.bytes_out,
                "first": row.first, "last": row.last, "scripts": row.scripts, "protocols": row.protocols, "destinations": row.destinations,
            })
        });
        told.collect()
    }

    /// The page.
    pub(super) fn page(&self, exceptions: &Exceptions) -> String {
        let mut page = "# Controls\n\nWhat runs code on somebody's behalf and used the network: scripting hosts, shortcuts, scripts of the device management, jobs of launchd.\n"
            .to_owned();
        // Writing to a string does not fail, here and below.
        let _ = match (self.first, self.last) {
            (Some(first), Some(last)) => writeln!(
                page,
                "From flows that ended between {first} and {last}; see `[history]` for how long they are kept.\n"
            ),
            _ => writeln!(page, "No flows are kept on this Mac: see `[history]` in the configuration.\n"),
        };
        page.push_str("| kind | program < what ran it | scripts | flows | bytes sent | last | approved | by |\n|---|---|---|---|---|---|---|---|\n");
        for ((kind, subject), row) in &self.rows {
            let by: Vec<String> = row
                .approved
                .keys()
                .filter_map(|id| exceptions.iter().find(|exception| exception.id == *id))
                .map(|exception| format!("{} ({})", exception.owner, exception.id))
                .collect();
            let scripts: Vec<&str> = row.scripts.iter().map(String::as_str).collect();
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                kind.words(),
                cell(subject),
                cell(&scripts.join(", ")),
                row.flows,
                row.bytes_out,
                row.last.map_or(String::new(), |last| last.to_string()),
                row.verdict(),
                cell(&by.join(", ")),
            );
        }
        if self.left_out > 0 {
            let _ = writeln!(page, "\n{} flows of further controls are not in this table.", self.left_out);
        }
        page.push_str("\n*Approved* is what an exception of the organisation matches, whenever it was written. What an analyst called normal (`tidemark feedback`, `baseline approve`) is learnt and names nobody.\n");
        page
    }
}

impl Kind {
    fn of(program: &Program) -> Option<Self> {
        let identities = [Some(&program.subject.image), program.subject.initiator.as_ref()];
        let is_any = |beginnings: &[&str]| {
            identities.iter().flatten().any(|identity| {
                let id = identity.as_str();
                let id = id.split_once(':').map_or(id, |(_, id)| id);
                beginnings.iter().any(|beginning| id.starts_with(beginning))
            })
        };
        if is_any(&SHORTCUTS) {
            Some(Self::Shortcut)
        } else if program.role.scripting_host || program.role.scripted {
            Some(Self::ScriptingHost)
        } else if is_any(&DEVICE_MANAGEMENT) || identities.iter().flatten().any(|id| is_managed(id.as_str()))
        {
            Some(Self::MdmScript)
        } else if program.subject.initiator.as_ref().is_some_and(|by| by.as_str().starts_with("launchd:")) {
            Some(Self::LaunchdJob)
        } else {
            None
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::ScriptingHost => "scripting host",
            Self::Shortcut => "shortcut",
            Self::MdmScript => "MDM script",
            Self::LaunchdJob => "launchd job",
        }
    }
}

impl Row {
    fn verdict(&self) -> &'static str {
        match self.approved.values().max() {
            None => "no",
            Some(most) if *most >= self.flows => "yes",
            Some(_) => "in part",
        }
    }
}

/// Whether an identity is a path in a folder of a management agent.
fn is_managed(identity: &str) -> bool {
    let path = identity.to_ascii_lowercase();
    path.split('/').skip(1).any(|folder| MANAGEMENT_FOLDERS.contains(&folder))
}

fn remember(known: &mut BTreeSet<String>, new: Option<String>) {
    if known.len() < MOST_NAMES {
        known.extend(new);
    }
}

/// Foreign text in a cell of a table.
fn cell(text: &str) -> String {
    printable(text).replace('|', "\\|")
}

/// Shortcuts.app, its runners and its command.
const SHORTCUTS: [&str; 3] = ["com.apple.shortcuts", "com.apple.WorkflowKit", "com.apple.siriactionsd"];
/// The agents by which device management runs scripts, by the beginning of their signing identifiers: Apple's own client, Jamf, Munki, Intune, Kandji,
/// Mosyle, Addigy, Workspace ONE, Chef, Puppet, Salt.
const DEVICE_MANAGEMENT: [&str; 12] = [
    "com.apple.mdmclient",
    "com.jamf",
    "jamf",
    "com.googlecode.munki",
    "com.microsoft.intune",
    "io.kandji",
    "com.mosyle",
    "com.addigy",
    "com.vmware.hub",
    "com.getchef",
    "com.puppet",
    "com.saltstack",
];
/// Folders in which those agents put the scripts that they run.
const MANAGEMENT_FOLDERS: [&str; 7] =
    ["jamf", "intune", "kandji", "iru", "addigy", "mosyle", "managed installs"];
const MOST_ROWS: usize = 5_000;
/// Scripts and destinations that are named a control.
const MOST_NAMES: usize = 50;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::alert::{Privacy, samples};
    use crate::exceptions::{Policy, parse};
    use crate::process::Identity;

    fn entry(initiator: Option<&str>, scripted: bool) -> Entry {
        let mut entry = Entry::new(&samples::ended(1_780_000_000), &Privacy::default());
        let program = entry.program.as_mut().unwrap();
        program.subject.initiator = initiator.map(Identity::new);
        (program.role.scripted, program.role.scripting_host) = (scripted, false);
        entry
    }

    #[test]
    fn each_kind_is_told_and_what_a_person_runs_is_none() {
        let kind = |initiator, scripted| Kind::of(entry(initiator, scripted).program.as_ref().unwrap());
        assert_eq!(kind(Some("apple:com.apple.Automator"), true), Some(Kind::ScriptingHost));
        assert_eq!(kind(Some("apple:com.apple.shortcuts"), true), Some(Kind::Shortcut));
        assert_eq!(kind(Some("483DWKW443:com.jamf.management.daemon"), false), Some(Kind::MdmScript));
        assert_eq!(
            kind(Some("launchd:/Library/Application Support/JAMF/tmp/*"), false),
            Some(Kind::MdmScript)
        );
        assert_eq!(kind(Some("launchd:com.example.backup"), false), Some(Kind::LaunchdJob));
        assert_eq!(kind(Some("apple:com.apple.Terminal"), false), None);
        assert_eq!(kind(None, false), None);
    }

    #[test]
    fn an_approval_names_its_owner_and_what_nobody_approved_says_so() {
        let text = "[[exception]]\nid='BACKUP'\nowner='it@example.com'\nreason='r'\ncreated=2026-01-01\nexpires=2026-03-01\n\
                    match.initiator='launchd:com.example.backup'\n";
        let exceptions =
            Exceptions::new(parse(Path::new("x.toml"), text, Policy::default()).unwrap()).unwrap();
        let mut controls = Controls::default();
        for initiator in ["launchd:com.example.backup", "launchd:com.example.other|x"] {
            controls.take(&entry(Some(initiator), false), &exceptions);
        }
        let page = controls.page(&exceptions);
        let row = |of: &str| page.lines().find(|line| line.contains(of)).unwrap();
        assert!(row("com.example.backup").ends_with("| yes | it@example.com (BACKUP) |"), "{page}");
        assert!(row("com.example.other\\|x").ends_with("| no |  |"), "{page}");
        let documents = controls.documents(&exceptions);
        assert_eq!(documents[0]["by"][0]["owner"], "it@example.com");
        assert_eq!(documents[1]["approved"], "no");
    }
}
