//! Reading exceptions: TOML files, managed preferences, the starter pack.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Fault;
use super::node::{self, Data, Entry, Node};
use super::read::{self, Wrong};
use super::{Exception, Exceptions, Policy, Source};

/// `[exceptions]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A folder whose `*.toml` files hold exceptions; relative to the configuration's own folder. None by default.
    pub directory: Option<PathBuf>,
    /// A property list (XML or binary) or JSON file of managed preferences whose key `exception` or `Exceptions` holds exceptions. None by
    /// default; a file that is not there is no error, since a Mac may be unmanaged.
    pub managed: Option<PathBuf>,
    /// Whether the exceptions that come with tidemark, for what every managed fleet has, are in force. Off by default.
    pub starter_pack: bool,
    /// Whether every exception must say when it ends. On by default.
    pub require_expiry: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { directory: None, managed: None, starter_pack: false, require_expiry: true }
    }
}

impl Settings {
    /// What it demands of exceptions.
    pub fn policy(&self) -> Policy {
        Policy { require_expiry: self.require_expiry }
    }

    /// All exceptions that the settings name.
    ///
    /// # Errors
    /// Everything that is wrong. One mistake refuses all: half of an organisation's decisions is none of them.
    pub fn load(&self) -> Result<Exceptions, Rejected> {
        let mut files = Vec::new();
        if let Some(folder) = &self.directory {
            files.extend(toml_files(folder)?);
        }
        let mut all = read_files(&files, self.policy())?;
        if let Some(path) = &self.managed {
            match std::fs::read(path) {
                Ok(bytes) => all.extend(parse_managed(path, &bytes, self.policy())?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Rejected::unreadable(path, &error)),
            }
        }
        if self.starter_pack {
            all.extend(starter_pack()?);
        }
        Exceptions::new(all)
    }
}

/// The exceptions in these TOML files; a folder stands for its `*.toml` files.
///
/// # Errors
/// Everything that is wrong in any of them.
pub(super) fn read_files(paths: &[PathBuf], policy: Policy) -> Result<Vec<Exception>, Rejected> {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for path in paths {
        let text = std::fs::read_to_string(path).map_err(|error| Rejected::unreadable(path, &error))?;
        match parse(path, &text, policy) {
            Ok(exceptions) => all.extend(exceptions),
            Err(Rejected(errors)) => wrong.extend(errors),
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(Rejected(wrong)) }
}

impl Exceptions {
    /// The exceptions in files and folders.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn read(paths: &[PathBuf], policy: Policy) -> Result<Self, Rejected> {
        Self::new(read_files(&files(paths)?, policy)?)
    }
}

/// The files that paths stand for: a folder for its `*.toml` files, by name.
///
/// # Errors
/// Where a folder cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Rejected> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(toml_files(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// The `*.toml` files of a folder, by name.
fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, Rejected> {
    let unreadable = |error: io::Error| Rejected::unreadable(folder, &error);
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut files =
        entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

/// Reads the text of one TOML file; `path` is only for messages.
///
/// # Errors
/// Everything that is wrong, at most one fault for each exception. A file with an error is refused whole.
pub fn parse(path: &Path, text: &str, policy: Policy) -> Result<Vec<Exception>, Rejected> {
    let path: Arc<Path> = path.into();
    let document = node::from_toml(text).map_err(|error| {
        let line = error.span().map(|span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
        Rejected(vec![ExceptionError::new(&path, line, None, error.message())])
    })?;
    read::document(document, &path, policy).map_err(|wrong| Rejected::of(&path, wrong))
}

/// Reads managed preferences: a property list, XML or binary, or JSON, whose key `exception` or `Exceptions` holds a list of the tables
/// that TOML files hold. Other keys are other settings' business. Dates may be dates or text.
///
/// # Errors
/// Everything that is wrong.
pub fn parse_managed(path: &Path, bytes: &[u8], policy: Policy) -> Result<Vec<Exception>, Rejected> {
    let path: Arc<Path> = path.into();
    let unreadable = |what: String| Rejected(vec![ExceptionError::new(&path, None, None, what)]);
    let document = if bytes.trim_ascii_start().first() == Some(&b'{') {
        node::from_json(serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?)
    } else {
        let value = plist::Value::from_reader(io::Cursor::new(bytes))
            .map_err(|error| unreadable(format!("is no property list: {error}")))?;
        node::from_plist(value, MOST_DEPTH)
    };
    let Data::Table(entries) = document.data else {
        return Err(unreadable("managed preferences must be a dictionary".to_owned()));
    };
    let entries = entries
        .into_iter()
        .filter(|entry| entry.key == "exception" || entry.key == "Exceptions")
        .map(|entry| Entry { key: "exception".to_owned(), ..entry })
        .collect();
    let document = Node { line: None, data: Data::Table(entries) };
    read::document(document, &path, policy).map_err(|wrong| Rejected::of(&path, wrong))
}

/// The deepest nesting of a property list that an exception needs is 5.
const MOST_DEPTH: u8 = 16;

/// The exceptions that come with tidemark, for what every managed fleet has.
///
/// # Errors
/// Never in a build whose tests passed.
pub fn starter_pack() -> Result<Vec<Exception>, Rejected> {
    let mut all = Vec::new();
    for (name, text) in STARTER {
        all.extend(parse(Path::new(name), text, Policy::default())?);
    }
    Ok(all)
}

macro_rules! starter {
    ($($name:literal),+ $(,)?) => {
        [$((concat!("starter/", $name), include_str!(concat!("../../config/exceptions.d/starter/", $name)))),+]
    };
}

const STARTER: [(&str, &str); 8] = starter![
    "backup.toml",
    "browsers.toml",
    "git.toml",
    "homebrew.toml",
    "ide.toml",
    "mdm.toml",
    "packages.toml",
    "updates.toml",
];

/// One thing that is wrong: a sentence with the file, the line where there is one, and the exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionError {
    source: Source,
    id: Option<String>,
    what: String,
}

impl ExceptionError {
    fn new(path: &Arc<Path>, line: Option<usize>, id: Option<String>, what: impl Into<String>) -> Self {
        Self { source: Source { path: Arc::clone(path), line }, id, what: what.into() }
    }
}

impl fmt::Display for ExceptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if let Some(id) = &self.id {
            write!(f, "exception {id:?}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// Everything that is wrong, one sentence a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected(Vec<ExceptionError>);

impl Rejected {
    /// Each thing.
    pub fn errors(&self) -> &[ExceptionError] {
        &self.0
    }

    pub(super) fn twice(exception: &Exception, other: &Source) -> Self {
        let Source { path, line } = &exception.source;
        let what = format!("its id stands at {other} as well; give one of them another id");
        Self(vec![ExceptionError::new(path, *line, Some(exception.id.clone()), what)])
    }

    fn of(path: &Arc<Path>, wrong: Vec<Wrong>) -> Self {
        let error = |Wrong { id, fault: Fault { line, what } }| ExceptionError::new(path, line, id, what);
        Self(wrong.into_iter().map(error).collect())
    }

    fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self(vec![ExceptionError::new(&path.into(), None, None, format!("cannot be read: {error}"))])
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(error, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejected {}
