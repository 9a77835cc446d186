//! The configuration as a JSON Schema, and what a table holds beyond it.
//!
//! The schema comes from the types, so it cannot tell of a key that is not read, or forget one that is.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Config;
use super::place::join;

/// The JSON Schema (2020-12) of a configuration file, with every key's documentation and default.
pub fn schema() -> Value {
    // Inlined: a tagged sink is its type's properties and one more, which a reference to a closed object could not say.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = Value::from(settings.into_generator().into_root_schema_for::<Config>());
    if let Value::Object(members) = &mut schema {
        members.insert("title".to_owned(), "tidemark's configuration".into());
    }
    schema
}

/// A key that no setting has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Its path.
    pub(super) path: String,
    /// What is meant, where that can be guessed; the path of a key that took its place, where it had one.
    pub(super) instead: Option<Instead>,
    /// The keys that stand there.
    pub(super) known: Vec<String>,
}

/// What to write for an unknown key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Instead {
    /// A key that is spelt alike.
    Nearest(String),
    /// A key of an older version is now called so.
    Renamed(&'static str),
}

/// Every key of a table that the schema does not have, in the order of their paths.
pub(super) fn unknown(table: &toml::Table) -> Vec<Unknown> {
    let schema = schema();
    let mut found = Vec::new();
    walk("", table, &schema, &mut found);
    found
}

fn walk(at: &str, table: &toml::Table, schema: &Value, found: &mut Vec<Unknown>) {
    let Some(known) = properties(schema, table) else { return };
    for (key, value) in table {
        let path = join(at, key);
        let Some(inner) = known.get(key) else {
            found.push(missing(path, key, &known));
            continue;
        };
        match value {
            toml::Value::Table(table) => walk(&path, table, inner, found),
            toml::Value::Array(items) => {
                let of_item = inner.get("items").unwrap_or(&Value::Null);
                for (index, item) in items.iter().enumerate() {
                    if let toml::Value::Table(table) = item {
                        walk(&format!("{path}[{index}]"), table, of_item, found);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The properties that a table of this schema may have. Of alternatives, those of the one whose `type` is the table's; of all where none is.
fn properties(schema: &Value, table: &toml::Table) -> Option<Map<String, Value>> {
    let mut all = schema.get("properties").and_then(Value::as_object).cloned();
    for alternatives in ["oneOf", "anyOf"].iter().filter_map(|name| schema.get(name)?.as_array()) {
        let is_meant = |alternative: &&Value| {
            let tag = alternative.pointer("/properties/type/const").and_then(Value::as_str);
            tag.is_some() && tag == table.get("type").and_then(toml::Value::as_str)
        };
        let meant = alternatives.iter().find(is_meant);
        for alternative in meant.map_or(alternatives.as_slice(), std::slice::from_ref) {
            if let Some(more) = properties(alternative, table) {
                all.get_or_insert_default().extend(more);
            }
        }
    }
    all
}

fn missing(path: String, key: &str, known: &Map<String, Value>) -> Unknown {
    let renamed = RENAMED.iter().find(|(old, _)| *old == path).map(|(_, new)| Instead::Renamed(new));
    let nearest = || {
        let alike = known.keys().map(|other| (strsim::damerau_levenshtein(key, other), other));
        let (distance, nearest) = alike.min()?;
        (distance <= key.len().div_ceil(3)).then(|| Instead::Nearest(nearest.clone()))
    };
    Unknown { instead: renamed.or_else(nearest), known: known.keys().cloned().collect(), path }
}

/// Keys of older versions, and what they are called now.
const RENAMED: [(&str, &str); 1] = [("detect", "detection")];

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown_in(text: &str) -> Vec<Unknown> {
        unknown(&text.parse().unwrap())
    }

    /// As JSON, for a validator that is not ours.
    fn is_valid(text: &str) -> bool {
        let table: toml::Table = text.parse().unwrap();
        jsonschema::validator_for(&schema()).unwrap().is_valid(&serde_json::to_value(table).unwrap())
    }

    #[test]
    fn the_schema_takes_what_tidemark_takes_and_refuses_what_it_refuses() {
        let sink = "[[delivery.sink]]\ntype='hec'\nname='s'\nurl='https://s'\n";
        for good in [include_str!("../../config/tidemark.toml"), sink, ""] {
            assert!(is_valid(good) && Config::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "[detection]\nlearn_dais=1",
            "[detection]\nlearn_days='x'",
            "[[delivery.sink]]\ntype='hec'\nname='s'\nurl='https://s'\npath='x'",
            "[[delivery.sink]]\ntype='carrier-pigeon'\nname='s'",
            "[[delivery.sink]]\ntype='file'\nname='s'",
        ] {
            assert!(!is_valid(bad) && Config::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_key_is_documented() {
        fn look(at: &str, schema: &Value) {
            for (key, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let path = join(at, key);
                assert!(
                    inner.get("description").is_some() || inner.get("const").is_some(),
                    "{path} is not documented"
                );
                look(&path, inner);
                look(&path, inner.get("items").unwrap_or(&Value::Null));
            }
            for alternative in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
                look(at, alternative);
            }
        }
        look("", &schema());
    }

    #[test]
    fn unknown_keys_are_found_at_every_depth_with_the_nearest_that_stands_there() {
        let text = "[detection]\nlern_days = 1\n[[delivery.sink]]\ntype = 'file'\nname = 'f'\npaht = 'x'\n[delivery.tls]\n[zzz]";
        let found = unknown_in(text);
        let paths: Vec<_> = found.iter().map(|unknown| unknown.path.as_str()).collect();
        assert_eq!(paths, ["delivery.sink[0].paht", "delivery.tls", "detection.lern_days", "zzz"]);
        assert_eq!(found[0].instead, Some(Instead::Nearest("path".to_owned())));
        assert_eq!(found[2].instead, Some(Instead::Nearest("learn_days".to_owned())));
        assert_eq!(found[3].instead, None);
        // What only another kind of sink has is unknown in this one.
        assert!(!found[0].known.contains(&"url".to_owned()));
    }

    #[test]
    fn a_key_of_an_older_version_is_told_by_its_new_name() {
        assert_eq!(unknown_in("[detect]")[0].instead, Some(Instead::Renamed("detection")));
    }
}
