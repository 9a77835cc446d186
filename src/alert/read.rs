//! An alert as it comes back: from the spool, from a file, or from a SIEM.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::{Alert, SCHEMA};

/// A text holds no alert of tidemark.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// It is JSON without an alert in it.
    #[error(
        "no {SCHEMA} document in it: neither native, nor in OCSF's raw_data, nor in ECS's event.original"
    )]
    NoAlert,
    /// The alert lacks something.
    #[error("a {SCHEMA} document that cannot be read: {0}")]
    Broken(String),
}

impl Alert {
    /// Reads an alert in any [`Format`](super::Format), full or slim, wrapped as a SIEM returns it (Elasticsearch's `_source`, Splunk's `result`
    /// and `_raw`, a list of hits): the first native document that stands in it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn read(text: &str) -> Result<Self, ReadError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| ReadError::NotJson(error.to_string()))?;
        let document = native(value).ok_or(ReadError::NoAlert)?;
        Self::deserialize(document).map_err(|error| ReadError::Broken(error.to_string()))
    }
}

/// The native document in an alert's document of any form, however a SIEM wraps it. It may be of a version that this tidemark cannot read
/// whole.
pub(crate) fn native(value: Value) -> Option<Value> {
    find(value, DEEPEST)
}

/// The native document in a value, or in a text of it that is JSON itself.
fn find(value: Value, depth: u8) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Object(members)
            if members.get("schema").and_then(Value::as_str).is_some_and(|text| text.starts_with(FAMILY)) =>
        {
            Some(Value::Object(members))
        }
        Value::Object(members) => members.into_iter().find_map(|(_, value)| find(value, depth)),
        Value::Array(items) => items.into_iter().find_map(|value| find(value, depth)),
        Value::String(text) if text.contains(FAMILY) => {
            find(serde_json::from_str(text.trim_start()).ok()?, depth)
        }
        _ => None,
    }
}

/// What the `schema` of every version begins with.
const FAMILY: &str = "tidemark.alert/";
/// How deep an alert may be wrapped: a search's answer is five deep, and a text in a text counts twice.
const DEEPEST: u8 = 12;
