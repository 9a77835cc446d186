//! The layers that a configuration is made of, and whose word each value is.
//!
//! ```text
//!  default  <  file  <  managed preferences  <  environment  <  --set
//! ```
//!
//! A later layer goes before an earlier one, key by key; a list is one value. Each layer is checked by itself, so that what is wrong is
//! told with the place where it stands, and everything that is wrong in a layer is told at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

use super::Config;
use super::place::{Lines, Origin, join};
use super::schema::{self, Instead, Unknown};
use crate::managed::Preferences;

/// Where the layers are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// Managed preferences: a property list of the configuration's tables, with the exceptions beside them. One that is not there is no
    /// error, since a Mac may be unmanaged.
    pub managed: Option<PathBuf>,
    /// Variables whose name begins with [`ENVIRONMENT_PREFIX`], as `TIDEMARK__DETECTION__LEARN_DAYS`, with their values.
    pub environment: Vec<(String, String)>,
    /// `key=value`, as `detection.learn_days=3`.
    pub flags: Vec<String>,
}

/// A configuration, and whose word each of its values is.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// What is in force. Its paths start from the folder of the file.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

/// One value of an effective configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its path: `detection.learn_days`.
    pub key: String,
    /// What is in force; `null` where nothing is set.
    pub value: Value,
    /// Whose word it is.
    pub origin: Origin,
}

/// Everything that is wrong with a configuration, each thing with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected(Vec<Fault>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub origin: Origin,
    /// What, as a sentence that names the key.
    pub what: String,
}

impl Layers {
    /// This process's environment, as far as it is about the configuration.
    pub fn environment() -> Vec<(String, String)> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
            .collect()
    }

    /// Reads every layer and puts them together.
    ///
    /// # Errors
    /// Everything that is wrong in the first layer that has something wrong.
    pub fn load(&self) -> Result<Effective, Rejected> {
        let mut merged = toml::Table::new();
        let mut origins = BTreeMap::new();
        let Read { tables, exceptions } = self.read()?;
        for (table, origin) in tables {
            give_way(&mut merged, &mut origins, &table);
            lay(&mut merged, &mut origins, "", table, &origin);
        }
        let by_rule = |path: &str, what: String| {
            // A rule of a whole table is told where the table's first value stands.
            let within = origins.range(path.to_owned()..).next().filter(|(key, _)| key.starts_with(path));
            let origin = within.map_or(Origin::Default, |(_, origin)| origin.clone());
            Rejected(vec![Fault { origin, what }])
        };
        let config = Config::deserialize(toml::Value::Table(merged))
            .map_err(|error| by_rule("", error.message().to_owned()))?;
        config.validate().map_err(|(path, what)| by_rule(&path, what))?;
        let folder = self.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let mut config = config.resolved(&folder);
        if let Some(path) = exceptions {
            config.exceptions.managed.get_or_insert(path);
        }
        Ok(Effective { config, origins })
    }

    /// The layers from the first to the last, each with what names the origin of its keys.
    fn read(&self) -> Result<Read, Rejected> {
        let mut tables = Vec::new();
        let mut exceptions = None;
        if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Rejected::one(Origin::File(path.clone(), 0), format!("cannot be read: {error}"))
            })?;
            let lines = Lines::of(&text);
            let file = path.clone();
            let origin: OriginOf = Box::new(move |key| Origin::File(file.clone(), lines.line(key)));
            tables.push((checked(&text, &origin)?, origin));
        }
        if let Some(path) = &self.managed
            && let Some(Preferences { settings, has_exceptions }) = Preferences::read(path)
                .map_err(|what| Rejected::one(Origin::Managed(path.clone()), what.to_string()))?
        {
            exceptions = has_exceptions.then(|| path.clone());
            let path = path.clone();
            let origin: OriginOf = Box::new(move |_| Origin::Managed(path.clone()));
            tables.push((checked(&settings.to_string(), &origin)?, origin));
        }
        for (name, value) in &self.environment {
            let key = name.trim_start_matches(ENVIRONMENT_PREFIX).to_lowercase().replace("__", ".");
            let name = name.clone();
            let origin: OriginOf = Box::new(move |_| Origin::Environment(name.clone()));
            tables.push((checked(&line(&key, value), &origin)?, origin));
        }
        for flag in &self.flags {
            let origin: OriginOf = Box::new(|_| Origin::Flag);
            let Some((key, value)) = flag.split_once('=') else {
                return Err(Rejected::one(Origin::Flag, format!("{flag:?} is not of the form key=value")));
            };
            tables.push((checked(&line(key.trim(), value.trim()), &origin)?, origin));
        }
        Ok(Read { tables, exceptions })
    }

    /// The files that, when they change, make another configuration.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.file.as_deref().into_iter().chain(self.managed.as_deref())
    }
}

impl Effective {
    /// Every value with its origin, by key; an item of a list stands by itself where it is a table.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let value = serde_json::to_value(&self.config).unwrap_or_default();
        self.list("", &value, &mut entries);
        entries
    }

    /// The keys whose values differ from those of another.
    pub fn changed(&self, before: &Self) -> Vec<String> {
        let before: BTreeMap<String, Value> =
            before.entries().into_iter().map(|entry| (entry.key, entry.value)).collect();
        let now: BTreeMap<String, Value> =
            self.entries().into_iter().map(|entry| (entry.key, entry.value)).collect();
        let gone = before.keys().filter(|key| !now.contains_key(*key)).cloned();
        let mut keys: Vec<String> = now
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
            .map(|(key, _)| key.clone())
            .collect();
        keys.extend(gone);
        keys.sort();
        keys
    }

    fn list(&self, at: &str, value: &Value, entries: &mut Vec<Entry>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    self.list(&join(at, key), value, entries);
                }
            }
            Value::Array(items) if items.first().is_some_and(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    self.list(&format!("{at}[{index}]"), item, entries);
                }
            }
            value => entries.push(Entry {
                key: at.to_owned(),
                value: value.clone(),
                origin: origin_of(&self.origins, at).clone(),
            }),
        }
    }
}

impl Rejected {
    /// Each thing.
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    fn one(origin: Origin, what: String) -> Self {
        Self(vec![Fault { origin, what }])
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            // A file that cannot be read has no line.
            Origin::File(path, 0) => write!(f, "{}: {}", path.display(), self.what),
            origin => write!(f, "{origin}: {}", self.what),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejected {}

impl Unknown {
    fn sentence(&self) -> String {
        let path = &self.path;
        match &self.instead {
            Some(Instead::Renamed(now)) => format!("`{path}` is now called `{now}`"),
            Some(Instead::Nearest(nearest)) => format!("`{path}` is no setting; did you mean `{nearest}`?"),
            None => format!("`{path}` is no setting; what stands there is {}", self.known.join(", ")),
        }
    }
}

/// The layers from the first to the last, each with what names the origin of its keys, and the managed preferences where they hold
/// exceptions.
struct Read {
    tables: Vec<(toml::Table, OriginOf)>,
    exceptions: Option<PathBuf>,
}

/// Says where a key of a layer stands.
type OriginOf = Box<dyn Fn(&str) -> Origin>;

/// Reads the text of one layer, and tells everything that is wrong in it.
fn checked(text: &str, origin: &OriginOf) -> Result<toml::Table, Rejected> {
    let at_span = |error: &toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        match origin("") {
            Origin::File(path, _) => Origin::File(path, line),
            other => other,
        }
    };
    let table: toml::Table =
        toml::from_str(text).map_err(|error| Rejected::one(at_span(&error), one_line(error.message())))?;
    let unknown = schema::unknown(&table);
    if !unknown.is_empty() {
        let fault = |unknown: &Unknown| Fault { origin: origin(&unknown.path), what: unknown.sentence() };
        return Err(Rejected(unknown.iter().map(fault).collect()));
    }
    match Config::parse(text) {
        Ok(_) => Ok(table),
        Err(error) => Err(Rejected::one(at_span(&error), one_line(error.message()))),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', "; ")
}

/// `key=value` as TOML: what is no TOML value by itself is text.
fn line(key: &str, value: &str) -> String {
    let taken = format!("{key} = {value}\n");
    if toml::from_str::<toml::Table>(&taken).is_ok() {
        return taken;
    }
    format!("{key} = {}\n", toml::Value::String(value.to_owned()))
}

/// A fleet's budget takes the place of a Mac's, so that one of a layer below would win over a Mac's budget of a layer above.
fn give_way(merged: &mut toml::Table, origins: &mut BTreeMap<String, Origin>, above: &toml::Table) {
    let says = |key| above.get("detection").is_some_and(|table| table.get(key).is_some());
    if says("alerts_per_mac_per_day")
        && !says("fleet")
        && let Some(toml::Value::Table(detection)) = merged.get_mut("detection")
    {
        detection.remove("fleet");
        origins.retain(|key, _| !key.starts_with("detection.fleet"));
    }
}

/// Lays a table over what is there, and notes the origin of each value.
fn lay(
    onto: &mut toml::Table,
    origins: &mut BTreeMap<String, Origin>,
    at: &str,
    table: toml::Table,
    origin: &OriginOf,
) {
    for (key, value) in table {
        let path = join(at, &key);
        match (value, onto.get_mut(&key)) {
            (toml::Value::Table(over), Some(toml::Value::Table(under))) => {
                lay(under, origins, &path, over, origin);
            }
            (toml::Value::Table(over), _) => {
                let mut under = toml::Table::new();
                lay(&mut under, origins, &path, over, origin);
                onto.insert(key, toml::Value::Table(under));
            }
            (value, _) => {
                note(origins, &path, &value, origin);
                onto.insert(key, value);
            }
        }
    }
}

/// A list is one value, but each key in it has a line of its own.
fn note(origins: &mut BTreeMap<String, Origin>, path: &str, value: &toml::Value, origin: &OriginOf) {
    origins.insert(path.to_owned(), origin(path));
    match value {
        toml::Value::Array(items) => {
            // Whatever a layer below said of a longer list is over.
            let within = format!("{path}[");
            origins.retain(|key, _| !key.starts_with(&within));
            for (index, item) in items.iter().enumerate() {
                if let toml::Value::Table(table) = item {
                    for (key, value) in table {
                        note(origins, &join(&format!("{path}[{index}]"), key), value, origin);
                    }
                }
            }
        }
        toml::Value::Table(table) => {
            for (key, value) in table {
                note(origins, &join(path, key), value, origin);
            }
        }
        _ => {}
    }
}

fn origin_of<'a>(origins: &'a BTreeMap<String, Origin>, path: &str) -> &'a Origin {
    origins.get(path).unwrap_or(&Origin::Default)
}

/// What the names of variables begin with. Two underscores part the tables: `TIDEMARK__DELIVERY__SPOOL_MAX_MIB`.
pub const ENVIRONMENT_PREFIX: &str = "TIDEMARK__";

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, Layers) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidemark.toml");
        std::fs::write(&path, text).unwrap();
        (folder, Layers { file: Some(path), ..Layers::default() })
    }

    fn entry(effective: &Effective, key: &str) -> (String, String) {
        let entry = effective.entries().into_iter().find(|entry| entry.key == key).unwrap();
        (entry.value.to_string(), entry.origin.to_string())
    }

    const PLIST: &str = r#"<?xml version="1.0"?><plist version="1.0"><dict>
        <key>detection</key><dict><key>learn_days</key><integer>9</integer><key>floor_bytes</key><integer>5</integer></dict>
        <key>Exceptions</key><array/></dict></plist>"#;

    #[test]
    fn a_later_layer_goes_before_an_earlier_one_key_by_key() {
        let (folder, mut layers) =
            file("[detection]\nlearn_days = 8\nfloor_bytes = 4\nhalf_life_days = 20.0\n");
        let managed = folder.path().join("managed.plist");
        std::fs::write(&managed, PLIST).unwrap();
        layers.managed = Some(managed.clone());
        layers.environment = vec![("TIDEMARK__DETECTION__FLOOR_BYTES".to_owned(), "6".to_owned())];
        layers.flags = vec!["detection.subjects=177".to_owned()];
        let effective = layers.load().unwrap();
        let of = |key| entry(&effective, key);
        let path = layers.file.clone().unwrap();
        assert_eq!(of("detection.half_life_days"), ("20.0".to_owned(), format!("{}:4", path.display())));
        assert_eq!(
            of("detection.learn_days"),
            ("9".to_owned(), format!("managed preferences {}", managed.display()))
        );
        assert_eq!(
            of("detection.floor_bytes"),
            ("6".to_owned(), "environment TIDEMARK__DETECTION__FLOOR_BYTES".to_owned())
        );
        assert_eq!(of("detection.subjects"), ("177".to_owned(), "--set".to_owned()));
        assert_eq!(of("detection.settling_hours"), ("48".to_owned(), "default".to_owned()));
    }

    #[test]
    fn everything_that_is_misspelt_is_told_with_its_line_and_the_nearest_key() {
        let (_folder, layers) = file("[detection]\nlern_days = 8\n\n[delivry]\n");
        let told = layers.load().unwrap_err().to_string();
        let lines: Vec<&str> = told.lines().collect();
        assert!(
            lines[0].contains("tidemark.toml:4: ") && lines[0].contains("did you mean `delivery`"),
            "{told}"
        );
        assert!(
            lines[1].contains("tidemark.toml:2: ") && lines[1].contains("did you mean `learn_days`"),
            "{told}"
        );
    }

    #[test]
    fn a_value_of_another_kind_and_one_against_a_rule_are_told_with_their_place() {
        let (_folder, layers) = file("\n[detection]\nlearn_days = 'x'\n");
        assert!(layers.load().unwrap_err().to_string().contains("tidemark.toml:3: "));
        let flags = vec!["detection.alerts_per_mac_per_day=0".to_owned()];
        let told = Layers { flags, ..Layers::default() }.load().unwrap_err().to_string();
        assert!(told.starts_with("--set: ") && told.contains("alerts_per_mac_per_day"), "{told}");
        let told =
            Layers { flags: vec!["x".to_owned()], ..Layers::default() }.load().unwrap_err().to_string();
        assert!(told.contains("key=value"), "{told}");
    }

    #[test]
    fn text_needs_no_quotes_where_a_shell_takes_them_away() {
        let layers = Layers { flags: vec!["exceptions.directory=/etc/x".to_owned()], ..Layers::default() };
        assert_eq!(layers.load().unwrap().config.exceptions.directory, Some("/etc/x".into()));
    }

    #[test]
    fn an_unmanaged_mac_and_preferences_without_settings_change_nothing() {
        let (folder, mut layers) = file("");
        layers.managed = Some(folder.path().join("none.plist"));
        assert_eq!(layers.load().unwrap().config, Config::default());
        let empty = r#"<plist version="1.0"><dict/></plist>"#;
        std::fs::write(folder.path().join("none.plist"), empty).unwrap();
        assert_eq!(layers.load().unwrap().config, Config::default());
        std::fs::write(folder.path().join("none.plist"), "not a property list").unwrap();
        assert!(layers.load().unwrap_err().to_string().contains("property list"));
    }

    #[test]
    fn a_sink_tells_the_line_of_each_of_its_keys_and_a_list_is_one_value() {
        let (_folder, mut layers) = file(
            "[[delivery.sink]]\ntype = 'stdout'\nname = 'a'\n[[delivery.sink]]\ntype = 'stdout'\nname = 'b'\n",
        );
        let effective = layers.load().unwrap();
        assert!(entry(&effective, "delivery.sink[1].name").1.ends_with(":6"));
        layers.flags = vec!["delivery.sink=[{type='stdout',name='c'}]".to_owned()];
        let other = layers.load().unwrap();
        assert_eq!(entry(&other, "delivery.sink[0].name"), ("\"c\"".to_owned(), "--set".to_owned()));
        let changed = other.changed(&effective);
        assert_eq!(changed[0], "delivery.sink[0].name");
        assert!(changed.contains(&"delivery.sink[1].name".to_owned()), "{changed:?}");
    }
}
