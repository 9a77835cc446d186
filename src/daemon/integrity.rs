//! Whether somebody else could change what the daemon is, is told and has learnt, or did.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The program as it was when the daemon began.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// The file's place, length and times: as long as they are the same, so is what stands in it. The time of the last change of the inode (`ctime`)
    /// cannot be set but by the clock.
    seen: Option<Seen>,
    hash: Option<[u8; 32]>,
}

/// Device, inode, length, and when content and inode were changed last.
type Seen = (u64, u64, u64, i64, i64, i64, i64);

impl Program {
    /// The program that runs. It is read once.
    pub(super) fn running() -> Option<Self> {
        Some(Self::at(std::env::current_exe().ok()?))
    }

    fn at(path: PathBuf) -> Self {
        Self { seen: seen(&path).ok(), hash: hash(&path).ok(), path }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What became of it on the disk since then; `None` where it is the same.
    pub(super) fn change(&self) -> Option<String> {
        let path = self.path.display();
        if self.hash.is_none() || seen(&self.path).ok() == self.seen {
            return None;
        }
        match hash(&self.path) {
            Ok(now) if Some(now) == self.hash => None,
            Ok(_) => Some(format!("the program {path} was changed on the disk since the daemon began")),
            Err(error) => Some(format!("the program {path} can no longer be read: {error}")),
        }
    }
}

fn seen(path: &Path) -> io::Result<Seen> {
    let about = fs::metadata(path)?;
    let (changed, changed_nanos) = (about.ctime(), about.ctime_nsec());
    Ok((about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec(), changed, changed_nanos))
}

/// SHA-256 of a file, without holding it in memory.
fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let (mut file, mut digest, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            length => digest.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// Who but root and the daemon's own user could change these files and folders: a sentence each, in their order. What is not there is no fault.
pub fn faults<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<String> {
    let own = rustix::process::geteuid().as_raw();
    paths.into_iter().filter_map(|path| fault(path, own)).collect()
}

fn fault(path: &Path, own: u32) -> Option<String> {
    let about = fs::metadata(path).ok()?;
    let (path, uid, mode) = (path.display(), about.uid(), about.mode());
    if uid != 0 && uid != own {
        return Some(format!("{path} belongs to user {uid}, who can change it"));
    }
    match (mode & GROUP_WRITES != 0, mode & OTHERS_WRITE != 0) {
        (_, true) => Some(format!("everybody can change {path} (mode {:04o})", mode & MODE)),
        (true, false) => Some(format!("group {} can change {path} (mode {:04o})", about.gid(), mode & MODE)),
        (false, false) => None,
    }
}

const BUFFER: usize = 64 << 10;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const MODE: u32 = 0o7777;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn who_else_may_write_is_said_and_what_is_not_there_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidemark.toml");
        assert!(faults([path.as_path()]).is_empty());
        fs::write(&path, "").unwrap();
        let with = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            faults([path.as_path()])
        };
        assert!(with(0o644).is_empty() && with(0o600).is_empty());
        assert!(with(0o664)[0].contains("group") && with(0o646)[0].contains("everybody"));
        with(0o600);
        let own = rustix::process::geteuid().as_raw();
        assert!(fault(&path, own + 1).is_some_and(|fault| fault.contains("belongs to user")) || own == 0);
    }

    #[test]
    fn a_program_that_was_replaced_or_removed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidemark");
        fs::write(&path, "one").unwrap();
        let program = Program::at(path.clone());
        assert_eq!(program.change(), None);
        fs::write(&path, "two").unwrap();
        assert!(program.change().unwrap().contains("was changed"));
        fs::remove_file(&path).unwrap();
        assert!(program.change().unwrap().contains("no longer"));
    }
}
