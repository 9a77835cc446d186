//! How much of people an alert tells: server names, arguments and user names each in full, under a key of the organisation, or not at all.
//!
//! It holds for the whole document: a name that is not to be told is replaced wherever it stands, also inside the sentence, the evidence and the
//! counterfactuals. What is scored and what exceptions match is decided before, on what was seen.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use super::Alert;
use super::document::ProcessSection;

/// `[privacy]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Names of servers and destinations: `full`, `keyed` or `off`; `full` by default.
    pub server_names: Mode,
    /// The same where a browser acts, since what a person reads is nobody's business; `off` by default.
    pub browser_server_names: Mode,
    /// Arguments of processes; secrets in them are never told. `full` by default.
    pub arguments: Mode,
    /// Names of users, in paths as well; `full` by default.
    pub user_names: Mode,
    /// A file of mode 0600 that holds the organisation's key for what is `keyed`: one line of at least 32 characters. The same on every Mac, or what is
    /// keyed cannot be compared across Macs.
    pub key_file: Option<PathBuf>,
    /// Images that are browsers: exact identities, or with a `*` at the end their beginnings.
    pub browsers: Vec<String>,
}

/// How much of something is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As it is.
    #[default]
    Full,
    /// As the first 16 hexadecimal digits of its HMAC-SHA256: the same each time, and not to be read without the key.
    Keyed,
    /// Not at all.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_names: Mode::Full,
            browser_server_names: Mode::Off,
            arguments: Mode::Full,
            user_names: Mode::Full,
            key_file: None,
            browsers: BROWSERS.map(str::to_owned).to_vec(),
        }
    }
}

impl Settings {
    /// Whether something is keyed, and so needs the key.
    pub fn needs_key(&self) -> bool {
        [self.server_names, self.browser_server_names, self.arguments, self.user_names].contains(&Mode::Keyed)
    }

    /// A path starts from this folder.
    pub fn resolve(&mut self, folder: &Path) {
        if let Some(path) = &mut self.key_file {
            *path = folder.join(&path);
        }
    }
}

/// The settings with their key.
#[derive(Clone, Default)]
pub struct Privacy {
    settings: Settings,
    key: Arc<[u8]>,
}

impl fmt::Debug for Privacy {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Privacy").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Privacy {
    /// With this key; empty where nothing is keyed.
    pub fn new(settings: Settings, key: &[u8]) -> Self {
        Self { settings, key: Arc::from(key) }
    }

    /// The alert as it may be told. Where nothing is to be hidden it is the same.
    #[must_use]
    pub fn tell(&self, mut alert: Alert) -> Alert {
        let mut hidden = Vec::new();
        let names = self.server_names(&alert);
        if names != Mode::Full {
            hidden
                .extend(server_names(&alert).into_iter().map(|name| (self.replacement(names, &name), name)));
        }
        let users = self.settings.user_names;
        if users != Mode::Full {
            hidden.extend(user_names(&alert).into_iter().map(|name| (self.replacement(users, &name), name)));
        }
        if self.settings.arguments != Mode::Full {
            for section in sections(&mut alert) {
                self.hide_arguments(section);
            }
        }
        if hidden.is_empty() {
            return alert;
        }
        // The longest first: `a.example.com` before `example.com`.
        hidden.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        let Ok(mut document) = serde_json::to_value(&alert) else { return alert };
        replace(&mut document, &hidden);
        // What is replaced is text that may be any text, so that the document stays one.
        serde_json::from_value(document).unwrap_or(alert)
    }

    /// The name of a server that this image spoke to, as it may be told.
    pub fn server_name(&self, image: &str, name: &Arc<str>) -> Option<Arc<str>> {
        match self.mode_of_names(image) {
            Mode::Full => Some(Arc::clone(name)),
            Mode::Keyed => Some(Arc::from(self.keyed(name))),
            Mode::Off => None,
        }
    }

    /// A path, with the names of users in it as they may be told.
    pub fn path(&self, path: &str) -> String {
        if self.settings.user_names == Mode::Full {
            return path.to_owned();
        }
        let mut names = BTreeSet::new();
        users_of_path(path, &mut names);
        names.iter().filter(|name| !name.is_empty() && *name != "Shared").fold(
            path.to_owned(),
            |path, name| {
                let to = self.replacement(self.settings.user_names, name);
                path.replace(&format!("/Users/{name}"), &format!("/Users/{to}"))
            },
        )
    }

    fn server_names(&self, alert: &Alert) -> Mode {
        self.mode_of_names(alert.subject.image.as_str())
    }

    fn mode_of_names(&self, image: &str) -> Mode {
        let is_browser = self.settings.browsers.iter().any(|browser| match browser.strip_suffix('*') {
            Some(beginning) => image.starts_with(beginning),
            None => image == browser,
        });
        if is_browser { self.settings.browser_server_names } else { self.settings.server_names }
    }

    fn hide_arguments(&self, section: &mut ProcessSection) {
        match self.settings.arguments {
            Mode::Full => {}
            Mode::Off => section.arguments.clear(),
            Mode::Keyed => {
                for argument in section.arguments.iter_mut().skip(1) {
                    *argument = Arc::from(self.keyed(argument));
                }
            }
        }
    }

    fn replacement(&self, mode: Mode, name: &str) -> String {
        match mode {
            Mode::Full => name.to_owned(),
            Mode::Keyed => self.keyed(name),
            Mode::Off => NOT_TOLD.to_owned(),
        }
    }

    pub(super) fn keyed(&self, text: &str) -> String {
        // A key of any length is taken (RFC 2104, section 3).
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return NOT_TOLD.to_owned() };
        mac.update(text.as_bytes());
        let digits = hex::encode(mac.finalize().into_bytes());
        format!("k:{}", digits.get(..KEYED_DIGITS).unwrap_or_default())
    }
}

/// Every process that an alert tells of.
fn sections(alert: &mut Alert) -> impl Iterator<Item = &mut ProcessSection> {
    let others = [&mut alert.initiator, &mut alert.application].into_iter().flatten();
    std::iter::once(&mut alert.process).chain(others).chain(&mut alert.ancestors)
}

/// The names of servers that an alert knows of, wherever it has them from.
fn server_names(alert: &Alert) -> BTreeSet<String> {
    let metadata = &alert.flow.metadata;
    let one = [
        &metadata.server_name,
        &metadata.http_host,
        &metadata.dns_query,
        &metadata.proxied_to,
        &alert.flow.resolved_name,
        &alert.flow.destination,
    ];
    let many = metadata.dns_answers.iter().chain(alert.top_destinations.iter().map(|to| &to.name));
    let mut names: BTreeSet<String> =
        one.into_iter().flatten().chain(many).map(ToString::to_string).collect();
    // The name without its port, and what of it a baseline counts.
    let bare: Vec<String> =
        names.iter().filter_map(|name| Some(name.rsplit_once(':')?.0.to_owned())).collect();
    names.extend(bare);
    names.retain(|name| name.parse::<std::net::IpAddr>().is_err() && name.len() >= SHORTEST_NAME);
    names
}

/// The names of users that an alert knows of: the one who acts, and those whose folders are named in a path.
fn user_names(alert: &Alert) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = alert.user.name.iter().map(ToString::to_string).collect();
    let mut of_path = |text: &str| users_of_path(text, &mut names);
    let processes = std::iter::once(&alert.process)
        .chain(&alert.initiator)
        .chain(&alert.application)
        .chain(&alert.ancestors);
    for process in processes {
        of_path(&process.path);
        process.arguments.iter().chain(&process.cwd).for_each(|text| of_path(text));
        if let Some(script) = &process.script {
            of_path(&script.name);
        }
    }
    names.retain(|name| name.len() >= SHORTEST_NAME && name != "Shared");
    names
}

/// The users whose folders a path names.
fn users_of_path(path: &str, names: &mut BTreeSet<String>) {
    for rest in path.split("/Users/").skip(1) {
        names.insert(
            rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-')).collect(),
        );
    }
}

/// Replaces names in every text of a document. Names of members are ours and stay.
fn replace(value: &mut Value, hidden: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (to, from) in hidden {
                if text.contains(from.as_str()) {
                    *text = text.replace(from.as_str(), to);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, hidden)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, hidden)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What stands where a name is not told.
const NOT_TOLD: &str = "(not told)";
/// 64 bits: no two of the names that a fleet sees are alike by chance.
const KEYED_DIGITS: usize = 16;
/// A shorter text would be found inside words.
const SHORTEST_NAME: usize = 3;
/// Browsers by their signing identifiers.
const BROWSERS: [&str; 8] = [
    "apple:com.apple.Safari*",
    "apple:com.apple.WebKit*",
    "EQHXZ8M8AV:com.google.Chrome*",
    "43AQ936H96:org.mozilla.*",
    "UBF8T346G9:com.microsoft.edgemac*",
    "KL8N8XSYF4:com.brave.Browser*",
    "S6N382Y83G:company.thebrowser.*",
    "A2P9LX4JPN:com.operasoftware.*",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples;

    /// Of a named user, with names of servers in several places.
    fn sample() -> Alert {
        let mut alert = samples::plain();
        alert.user.name = Some("annabel".into());
        alert.process.cwd = Some("/Users/annabel/Documents".into());
        alert.process.arguments =
            ["curl", "-T", "/Users/annabel/x.zip", "https://files.example.net/in/"].map(Arc::from).into();
        alert.flow.metadata.server_name = Some("files.example.net".into());
        alert.flow.destination = Some("example.net".into());
        alert.summary.push_str(" It sent to files.example.net for annabel.");
        alert
    }

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn told(set: impl FnOnce(&mut Settings)) -> (Alert, Alert, String) {
        let alert = sample();
        let mut settings = Settings::default();
        set(&mut settings);
        let told = Privacy::new(settings, KEY).tell(alert.clone());
        let json = told.to_json();
        (alert, told, json)
    }

    #[test]
    fn by_default_an_alert_is_told_as_it_is_but_for_browsers() {
        let (alert, told, _) = told(|_| {});
        assert_eq!(told, alert);
        let mut browser = sample();
        browser.subject.image = crate::process::Identity::new("EQHXZ8M8AV:com.google.Chrome.helper");
        let names = server_names(&browser);
        assert!(!names.is_empty());
        let json = Privacy::default().tell(browser).to_json();
        assert!(names.iter().all(|name| !json.contains(name.as_str())), "{json}");
    }

    #[test]
    fn a_name_that_is_off_stands_nowhere_in_any_form() {
        let (alert, told, json) = told(|settings| {
            settings.server_names = Mode::Off;
            settings.user_names = Mode::Off;
            settings.arguments = Mode::Off;
        });
        let hidden: Vec<String> = server_names(&alert).into_iter().chain(user_names(&alert)).collect();
        assert!(hidden.len() >= 2, "{hidden:?}");
        for form in [crate::alert::Format::Native, crate::alert::Format::Ocsf, crate::alert::Format::Ecs] {
            let text = told.render(form);
            for name in &hidden {
                assert!(!text.contains(name.as_str()), "{name} in {text}");
            }
        }
        assert!(told.process.arguments.is_empty() && Alert::read(&json).is_ok());
        // What is told about the behaviour stays.
        assert_eq!(
            (told.score, &told.finding, &told.subject.image),
            (alert.score, &alert.finding, &alert.subject.image)
        );
    }

    #[test]
    fn what_is_keyed_is_the_same_each_time_and_depends_on_the_key() {
        let set = |settings: &mut Settings| settings.server_names = Mode::Keyed;
        let ((_, first, _), (_, second, _)) = (told(set), told(set));
        assert_eq!(first, second);
        let mut settings = Settings::default();
        set(&mut settings);
        let other = Privacy::new(settings, b"another key of the same length..").tell(sample());
        assert_ne!(first.flow.destination, other.flow.destination);
        assert!(first.flow.destination.unwrap().starts_with("k:"));
    }
}
