//! Files of lines that this Mac keeps for itself: how one goes on after a crash, and how lines are taken out of one. The archive of findings, the
//! journal of flows and the dead letters are such files; the spool, which promises more, has its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Opens a file to append to, and makes it where there is none. What a crash left half written ends there, so that it spoils no line but its
/// own.
pub(crate) fn append(path: &Path, mode: u32) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(mode).open(path)?;
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// What [`remove`] did to a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Lines that went.
    pub(crate) lines: u64,
    /// Bytes that stay.
    pub(crate) bytes: u64,
}

/// Takes lines out of a file: what stays is written beside it, is on the disk, and takes its place, so that a crash leaves one of the two. A file
/// that is not there has none.
pub(crate) fn remove(path: &Path, mode: u32, mut is_to_go: impl FnMut(&[u8]) -> bool) -> io::Result<Removed> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removed::default()),
        file => file?,
    };
    let next = path.with_extension("next");
    let mut out =
        BufWriter::new(OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(&next)?);
    let mut removed = Removed::default();
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        if is_to_go(&line) {
            removed.lines = removed.lines.saturating_add(1);
        } else {
            out.write_all(&line)?;
            out.write_all(b"\n")?;
            removed.bytes = removed.bytes.saturating_add(line.len() as u64 + 1);
        }
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&next, path)?;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: u32 = 0o600;

    #[test]
    fn a_line_that_a_crash_cut_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (before, after) in [("", "new\n"), ("old\n", "old\nnew\n"), ("old\nhal", "old\nhal\nnew\n")] {
            fs::write(&path, before).unwrap();
            append(&path, MODE).unwrap().write_all(b"new\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn only_what_is_to_go_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"a\nb\xff\na\nc").unwrap();
        assert_eq!(remove(&path, MODE, |line| line == b"a").unwrap(), Removed { lines: 2, bytes: 5 });
        assert_eq!(fs::read(&path).unwrap(), b"b\xff\nc\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_is_not_there_has_no_lines_and_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(remove(&path, MODE, |_| true).unwrap(), Removed::default());
        assert!(!path.exists());
    }
}
