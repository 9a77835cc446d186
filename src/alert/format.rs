//! The forms in which an alert leaves, in full and slim.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Alert, ecs, ocsf, slim};

/// A form of the document.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `tidemark.alert/1`: what is stored.
    #[default]
    Native,
    /// OCSF 1.8.0 Detection Finding (class 2004).
    Ocsf,
    /// Elastic Common Schema 9.4.
    Ecs,
}

/// The most bytes of a slim document: rsyslog cuts messages at 8,096 bytes by default, its header included.
pub const SLIM_BYTES: usize = 8_000;

impl Alert {
    /// The whole document as one line of JSON, without the line's end.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Native => self.to_json(),
            Format::Ocsf => ocsf::document(self, ocsf::Extent::Full).to_json(),
            Format::Ecs => ecs::document(self).to_json(),
        }
    }

    /// The document in at most [`SLIM_BYTES`]: as much of it as fits, dropped in the order that `alert::slim` documents, always whole
    /// JSON that validates as the full form does.
    pub fn render_slim(&self, format: Format) -> String {
        let full = self.render(format);
        if full.len() <= SLIM_BYTES { full } else { slim::render(self, format, SLIM_BYTES) }
    }
}

/// A document whose members stand in the order in which they were put: file tailers tell files apart by their first bytes, so what differs
/// from alert to alert stands first.
#[derive(Debug, Default)]
pub(super) struct Document(Vec<(&'static str, Value)>);

impl Document {
    /// Puts a member; nothing where the value is null or empty.
    pub(super) fn put(&mut self, name: &'static str, value: Value) {
        let value = pruned(value);
        if !is_nothing(&value) {
            self.0.push((name, value));
        }
    }

    /// As one line.
    pub(super) fn to_json(&self) -> String {
        // Serialisation fails only for maps with keys that are no strings, and these have none.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Without the members that say nothing: null, and empty objects and lists.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, pruned(value)))
                .filter(|(_, value)| !is_nothing(value))
                .collect(),
        ),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(pruned).filter(|value| !is_nothing(value)).collect())
        }
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A count as both schemas' `long`, which is signed.
pub(super) fn long(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A command line that a shell reads back as these arguments.
pub(super) fn command_line<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for argument in arguments {
        if !line.is_empty() {
            line.push(' ');
        }
        let plain = !argument.is_empty()
            && argument.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&b));
        if plain {
            line.push_str(argument);
        } else {
            line.push('\'');
            line.push_str(&argument.replace('\'', r"'\''"));
            line.push('\'');
        }
    }
    line
}

/// The last part of a path, or a word for what has none: both schemas ask for a file's name.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("unknown")
}

/// Names one run of an image on one Mac: number, generation and start in milliseconds.
pub(super) fn process_uid(process: &super::ProcessSection) -> String {
    let version = process.pidversion.map_or_else(|| "-".to_owned(), |version| version.to_string());
    let start = process.start.map_or_else(|| "-".to_owned(), |start| start.as_millis().to_string());
    format!("{}:{version}:{start}", process.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_quoted_as_a_shell_reads_it() {
        assert_eq!(command_line(["sh", "-c", "echo 'a b'", ""]), r"sh -c 'echo '\''a b'\''' ''");
    }
}
