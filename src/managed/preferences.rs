//! Managed preferences: the configuration as a property list.
//!
//! The keys are those of `tidemark.toml`, tables being dictionaries. Beside them may stand `Exceptions` (or `exception`), a list of what
//! `[[exception]]` holds. An unknown key is an error, as in the file: a misspelt setting is never silently the default.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::Table;

use super::document;

/// What an MDM has set for the daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// The settings, as the configuration file would hold them.
    pub settings: Table,
    /// Whether exceptions stand beside them; [`crate::exceptions::parse_managed`] reads them from the same file.
    pub has_exceptions: bool,
}

/// Managed preferences cannot be used.
#[derive(Debug, Error)]
pub enum ManagedError {
    /// The file is there and cannot be read.
    #[error("cannot read the managed preferences {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no property list, or holds what no setting takes.
    #[error("{path}: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl Preferences {
    /// Reads a file; `None` where there is none, since a Mac may be unmanaged.
    ///
    /// # Errors
    /// Where it is there and cannot be used.
    pub fn read(path: &Path) -> Result<Option<Self>, ManagedError> {
        let unreadable = |source| ManagedError::Unreadable { path: path.to_owned(), source };
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::parse(&bytes).map(Some).map_err(|what| ManagedError::Wrong { path: path.to_owned(), what })
    }

    /// Reads the bytes of a property list, XML or binary.
    ///
    /// # Errors
    /// What is wrong, as a sentence without the file's name.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err(format!("managed preferences have at most {MOST_BYTES} bytes"));
        }
        let value = plist::Value::from_reader(Cursor::new(bytes))
            .map_err(|error| format!("is no property list: {error}"))?;
        let plist::Value::Dictionary(members) = value else {
            return Err("managed preferences must be a dictionary".to_owned());
        };
        let mut read = Self { settings: Table::new(), has_exceptions: false };
        for (key, value) in members {
            match key.as_str() {
                "Exceptions" | "exception" => read.has_exceptions = true,
                name if BOOKKEEPING.contains(&name) => {}
                _ => {
                    let value = document::to_toml(value)
                        .map_err(|what| format!("`{key}` holds {what}, which no setting takes"))?;
                    read.settings.insert(key, value);
                }
            }
        }
        Ok(read)
    }
}

/// The keys that every payload of a profile has (Apple's `CommonPayloadKeys`), which may stand in the file that macOS writes from one.
const BOOKKEEPING: [&str; 7] = [
    "PayloadIdentifier",
    "PayloadUUID",
    "PayloadType",
    "PayloadVersion",
    "PayloadDescription",
    "PayloadDisplayName",
    "PayloadOrganization",
];

/// A thousand exceptions have half of this.
const MOST_BYTES: u64 = 1 << 20;
