//! Why a store cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::store::FORMAT;

/// Why a store cannot be used. Nothing is destroyed in any of these cases.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A newer tidemark wrote it.
    #[error(
        "the store in {path} has format {found}, and this tidemark knows up to {FORMAT}: install the newer version, or name another folder"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Another process has it open.
    #[error("the store in {0} is in use by another process: is tidemark running already?")]
    InUse(PathBuf),
    /// It cannot be written to.
    #[error(
        "the store in {0} cannot be written: check who owns the folder and whether the volume is read-only"
    )]
    Unwritable(PathBuf),
    /// The disk is full.
    #[error(
        "no space left on the volume of {0}: what was learnt since the last checkpoint is kept in memory"
    )]
    Full(PathBuf),
    /// It cannot be read, and could not be set aside either.
    #[error("the store in {path} cannot be read ({reason}), nor be set aside ({source})")]
    Stuck {
        /// The folder.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
        /// Why it could not be moved.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("the store in {path} cannot be read: {reason}")]
    Corrupt {
        /// The folder.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// Anything else that the system said.
    #[error("the store in {path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Unwritable(path),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Io { path, source },
        }
    }

    pub(super) fn from_sled(path: &Path, error: sled::Error) -> Self {
        let path = path.to_owned();
        match error {
            sled::Error::Io(source) => match source.kind() {
                // sled wraps the lock's failure into a text of its own.
                _ if source.to_string().contains("could not acquire lock") => Self::InUse(path),
                // sled's word for a header or a snapshot that does not read.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Self::Corrupt { path, reason: source.to_string() }
                }
                _ => Self::from_io(&path, source),
            },
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) | sled::Error::Unsupported(_) => {
                Self::Corrupt { path, reason: error.to_string() }
            }
            sled::Error::CollectionNotFound(_) => Self::Corrupt { path, reason: error.to_string() },
        }
    }
}
