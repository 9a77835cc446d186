//! The settings as a JSON Schema for the form that Jamf Pro shows under *Application & Custom Settings*.
//!
//! It is made from `config/tidemark.toml`, which lists every key with its default and a comment, so that form and file cannot say
//! different things. Of JSON Schema it uses what Jamf documents: `title`, `description`, `property_order`, `type`, `enum`, `default`,
//! `properties` and `items`.

use serde_json::{Map, Value, json};

use super::BUNDLE_ID;

/// The schema, for the domain `com.tidemark.daemon`.
///
/// # Errors
/// Never in a build whose tests passed: the file is part of the build.
pub fn jamf_schema() -> Result<Value, toml::de::Error> {
    let mut sections = Map::new();
    for entry in Entries::of(SETTINGS) {
        let entry = entry?;
        let section = sections.entry(entry.section.clone()).or_insert_with(|| object(&entry.section));
        let properties = if entry.in_sink { sink_properties(section) } else { properties_of(section) };
        let Some(properties) = properties else { continue };
        for (key, value) in &entry.values {
            add(properties, key, value, &entry);
        }
    }
    number(&mut sections);
    Ok(json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": format!("tidemark ({BUNDLE_ID})"),
        "description": "Settings of the tidemark daemon. What is not set here stays as the file tidemark.toml has it, else as the default.",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
    }))
}

fn object(title: &str) -> Value {
    json!({"type": "object", "title": title, "additionalProperties": false, "properties": {}})
}

fn properties_of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("properties")?.as_object_mut()
}

/// The properties of a sink. Each kind of sink has its own; the form shows one that has all of them, and `type` says which count.
fn sink_properties(delivery: &mut Value) -> Option<&mut Map<String, Value>> {
    let sink = properties_of(delivery)?.entry("sink").or_insert_with(|| {
        json!({
            "type": "array",
            "title": "sink",
            "description": "The receivers. Those that are named here take the place of those in the file.",
            "items": object("receiver"),
        })
    });
    properties_of(sink.get_mut("items")?)
}

/// Adds one setting; a key that several kinds of sinks have is described once, where it stands first.
fn add(properties: &mut Map<String, Value>, key: &str, value: &toml::Value, entry: &Entry) {
    let described = properties.entry(key).or_insert_with(|| {
        let mut described = of_value(key, value);
        if let Some(members) = described.as_object_mut() {
            members.insert("description".to_owned(), entry.description.clone().into());
            if entry.is_default {
                members.insert("default".to_owned(), json_of(value));
            }
        }
        described
    });
    if entry.in_sink
        && key == "type"
        && let Some(members) = described.as_object_mut()
        && let Some(kinds) = members.entry("enum").or_insert_with(|| json!([])).as_array_mut()
    {
        kinds.push(json_of(value));
    }
}

/// A value's type, with that of its members.
fn of_value(title: &str, value: &toml::Value) -> Value {
    match value {
        toml::Value::String(_) | toml::Value::Datetime(_) => json!({"type": "string", "title": title}),
        toml::Value::Integer(_) => json!({"type": "integer", "title": title}),
        toml::Value::Float(_) => json!({"type": "number", "title": title}),
        toml::Value::Boolean(_) => json!({"type": "boolean", "title": title}),
        toml::Value::Array(items) => {
            let item = items.first().map_or_else(|| json!({"type": "string"}), |item| of_value(title, item));
            json!({"type": "array", "title": title, "items": item})
        }
        toml::Value::Table(table) => {
            let mut described = object(title);
            if let Some(properties) = properties_of(&mut described) {
                properties.extend(table.iter().map(|(key, value)| (key.clone(), of_value(key, value))));
            }
            described
        }
    }
}

fn json_of(value: &toml::Value) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The order of the form is that of the file; a JSON object has none.
fn number(sections: &mut Map<String, Value>) {
    let mut order = 0_u32;
    let sequence: Vec<_> = Entries::of(SETTINGS).flatten().collect();
    let mut give = |object: Option<&mut Value>| {
        if let Some(members) = object.and_then(Value::as_object_mut) {
            members.entry("property_order").or_insert_with(|| {
                order += 1;
                order.into()
            });
        }
    };
    for entry in sequence {
        let Some(section) = sections.get_mut(&entry.section) else { continue };
        give(Some(&mut *section));
        if entry.in_sink {
            give(properties_of(section).and_then(|properties| properties.get_mut("sink")));
        }
        let properties = if entry.in_sink { sink_properties(section) } else { properties_of(section) };
        let Some(properties) = properties else { continue };
        for key in entry.values.keys() {
            give(properties.get_mut(key));
        }
    }
}

/// A setting as the file states it.
struct Entry {
    section: String,
    in_sink: bool,
    /// The key with its value.
    values: toml::Table,
    description: String,
    /// Whether the value is the default; one that is commented out is an example.
    is_default: bool,
}

/// Walks the lines of the file.
struct Entries<'a> {
    lines: std::str::Lines<'a>,
    section: String,
    in_sink: bool,
    description: String,
    /// Whether the line before was part of the description: the next one goes on with it.
    describing: bool,
}

impl<'a> Entries<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            lines: text.lines(),
            section: String::new(),
            in_sink: false,
            description: String::new(),
            describing: false,
        }
    }

    fn describe(&mut self, line: &str) {
        if !self.describing {
            self.description.clear();
        } else if !self.description.is_empty() {
            self.description.push(' ');
        }
        self.description.push_str(line);
        self.describing = true;
    }

    /// The setting that begins on this line; a list may go on over several.
    fn entry(&mut self, line: &str, is_default: bool) -> Result<Entry, toml::de::Error> {
        let mut text = line.to_owned();
        while text.matches('[').count() > text.matches(']').count()
            && let Some(next) = self.lines.next()
        {
            text.push('\n');
            text.push_str(next);
        }
        let values = toml::from_str(&text)?;
        // What is said of one key is said of those that follow it at once.
        self.describing = false;
        Ok(Entry {
            section: self.section.clone(),
            in_sink: self.in_sink,
            values,
            description: self.description.clone(),
            is_default,
        })
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, toml::de::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.lines.next()?;
            let (text, is_default) = match line.strip_prefix("# ") {
                Some(comment) if comment.contains(" = ") || comment.starts_with("[[") => (comment, false),
                Some(comment) => {
                    self.describe(comment);
                    continue;
                }
                None => (line, true),
            };
            if text.is_empty() || text.starts_with('[') {
                self.describing = false;
                self.description.clear();
            }
            if text.is_empty() {
                continue;
            }
            if let Some(name) = text.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
                self.in_sink = name == "delivery.sink";
            } else if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut self.section);
                self.in_sink = false;
            } else {
                return Some(self.entry(text, is_default));
            }
        }
    }
}

const SETTINGS: &str = include_str!("../../config/tidemark.toml");
