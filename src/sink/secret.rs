//! Secrets: from files that only their owner can read, never from a command line, an environment or a configuration.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A token or key. Neither `Debug` nor any error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A secret's file cannot be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read the secret {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read or change it.
    #[error(
        "the secret {path} has mode {mode:04o}, so that others than its owner can use it: chmod 600 {path}"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Someone else owns it.
    #[error(
        "the secret {path} belongs to user {owner}: chown it to root or to the user that tidemark runs as"
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// The owner's id.
        owner: u32,
    },
    /// It does not hold one line of visible text.
    #[error("the secret {path} does not hold one line of visible text")]
    Content {
        /// The file.
        path: PathBuf,
    },
}

impl Secret {
    /// Reads a one-line secret; white space around it is not part of it.
    ///
    /// # Errors
    /// Where the file can't be read, others can use it, or it holds anything but one line of visible ASCII.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        let text = read_private(path)?;
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(SecretError::Content { path: path.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    /// Its text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The text of a file that is regular, belongs to root or to this process's user, and gives nobody else any right. The file that was
/// opened is the one that is checked, whatever the path names meanwhile.
pub(super) fn read_private(path: &Path) -> Result<String, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    if about.mode() & OTHERS != 0 {
        return Err(SecretError::Open { path: path.to_owned(), mode: about.mode() & 0o7777 });
    }
    if about.uid() != ROOT && about.uid() != rustix::process::geteuid().as_raw() {
        return Err(SecretError::Owner { path: path.to_owned(), owner: about.uid() });
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Any right of the group or of others.
const OTHERS: u32 = 0o077;
const ROOT: u32 = 0;
/// A key with a long chain takes some kilobytes.
const MOST_BYTES: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secret(text: &str, mode: u32) -> Result<Secret, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Secret::load(&path)
    }

    #[test]
    fn a_private_file_gives_its_line() {
        assert_eq!(secret("s3cret\n", 0o600).unwrap().expose(), "s3cret");
        assert_eq!(secret("s3cret", 0o400).unwrap().expose(), "s3cret");
    }

    #[test]
    fn a_file_that_others_can_use_is_refused_with_the_remedy() {
        for mode in [0o640, 0o604, 0o620, 0o644] {
            let error = secret("s3cret", mode).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn an_empty_or_torn_secret_is_refused() {
        for text in ["", " \n", "two\nlines", "nul\0", "bell\x07"] {
            assert!(matches!(secret(text, 0o600), Err(SecretError::Content { .. })), "{text:?}");
        }
    }

    #[test]
    fn a_secret_does_not_show() {
        assert_eq!(format!("{:?}", secret("s3cret", 0o600).unwrap()), "Secret(…)");
    }

    #[test]
    fn a_folder_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(Secret::load(folder.path()), Err(SecretError::Unreadable { .. })));
    }
}
