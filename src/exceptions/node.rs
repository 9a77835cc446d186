//! Values with their places, whatever they were written in: TOML, a property list, JSON.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: Option<usize>,
    pub(super) data: Data,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Data {
    Text(String),
    Integer(i64),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// Something that no key takes; its kind.
    Other(&'static str),
}

/// A member of a table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: Option<usize>,
    pub(super) value: Node,
}

impl Data {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }
}

/// Reads TOML.
pub(super) fn from_toml(text: &str) -> Result<Node, toml::de::Error> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text)?;
    Ok(Node { line: None, data: toml_table(table.get_ref(), &lines) })
}

fn toml_table(table: &DeTable<'_>, lines: &Lines) -> Data {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| Entry {
        key: key_text(key).to_owned(),
        line: Some(lines.line(key.span().start)),
        value: toml_value(value, lines),
    };
    Data::Table(table.iter().map(entry).collect())
}

fn key_text<'a>(key: &'a Spanned<std::borrow::Cow<'_, str>>) -> &'a str {
    key.get_ref()
}

fn toml_value(value: &Spanned<DeValue<'_>>, lines: &Lines) -> Node {
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Data::Other("a number out of range"), Data::Integer),
        DeValue::Float(_) => Data::Other("a fraction"),
        DeValue::Boolean(value) => Data::Bool(*value),
        DeValue::Datetime(date) => Data::Date(date.to_string()),
        DeValue::Array(items) => Data::List(items.iter().map(|item| toml_value(item, lines)).collect()),
        DeValue::Table(table) => toml_table(table, lines),
    };
    Node { line: Some(lines.line(value.span().start)), data }
}

/// From JSON. Depth is bounded by its reader (128).
pub(super) fn from_json(value: Value) -> Node {
    let data = match value {
        Value::String(text) => Data::Text(text),
        Value::Bool(value) => Data::Bool(value),
        Value::Number(number) => number.as_i64().map_or(Data::Other("a fraction"), Data::Integer),
        Value::Array(items) => Data::List(items.into_iter().map(from_json).collect()),
        Value::Object(members) => Data::Table(
            members
                .into_iter()
                .map(|(key, value)| Entry { key, line: None, value: from_json(value) })
                .collect(),
        ),
        Value::Null => Data::Other("null"),
    };
    Node { line: None, data }
}

/// From a property list. Its nesting is that of the file, which `depth` bounds.
pub(super) fn from_plist(value: plist::Value, depth: u8) -> Node {
    let Some(depth) = depth.checked_sub(1) else {
        return Node { line: None, data: Data::Other("nested too deeply") };
    };
    let data = match value {
        plist::Value::String(text) => Data::Text(text),
        plist::Value::Boolean(value) => Data::Bool(value),
        plist::Value::Integer(number) => {
            number.as_signed().map_or(Data::Other("a number out of range"), Data::Integer)
        }
        plist::Value::Date(date) => Data::Date(date.to_xml_format()),
        plist::Value::Array(items) => {
            Data::List(items.into_iter().map(|item| from_plist(item, depth)).collect())
        }
        plist::Value::Dictionary(members) => Data::Table(
            members
                .into_iter()
                .map(|(key, value)| Entry { key, line: None, value: from_plist(value, depth) })
                .collect(),
        ),
        plist::Value::Real(_) => Data::Other("a fraction"),
        plist::Value::Data(_) => Data::Other("bytes"),
        _ => Data::Other("a value of another kind"),
    };
    Node { line: None, data }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// Counted from 1.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}
