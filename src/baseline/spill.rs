//! What the engine keeps beside the baselines, on its way into the store: in memory while it is small, else in a file of its own beside sled's.
//!
//! sled holds a value several times over while it writes it. With a hundred thousand live flows the value has fifteen megabytes, and the process took
//! eighty more for a moment; written to a file as it is made, thirty (`soak checkpoint`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Checkpoint, StoreError};

/// A file of the store's folder that holds what was too large for sled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spilled {
    /// Its name in the folder.
    name: String,
    /// Its length in bytes.
    bytes: u64,
    /// CRC-32 of its content.
    crc: u32,
}

impl Spilled {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// As it stands in sled.
    pub(super) fn to_value(&self) -> String {
        format!("{} {} {}", self.bytes, self.crc, self.name)
    }

    /// As it stood in sled. A name that no spill gives is none.
    pub(super) fn of_value(value: &[u8]) -> Option<Self> {
        let (bytes, rest) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        let (crc, name) = rest.split_once(' ')?;
        number(name)?;
        Some(Self { name: name.to_owned(), bytes: bytes.parse().ok()?, crc: crc.parse().ok()? })
    }

    /// What is in it.
    ///
    /// # Errors
    /// Where it cannot be read or is not what was written.
    pub(super) fn read(&self, folder: &Path) -> io::Result<Vec<u8>> {
        let bytes = fs::read(folder.join(&self.name))?;
        let is_it = bytes.len() as u64 == self.bytes && crc32fast::hash(&bytes) == self.crc;
        if is_it {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "it is not what was written"))
        }
    }

    /// Copies it to another store's folder.
    pub(super) fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::copy(from.join(&self.name), to.join(&self.name))?;
        File::open(to.join(&self.name))?.sync_all()?;
        File::open(to)?.sync_all()
    }
}

/// Takes what is written, and never fails on the way: what went wrong is said at the end, so that whoever writes need not know of disks.
#[derive(Debug)]
pub struct Spill {
    folder: PathBuf,
    memory: Vec<u8>,
    file: Option<(File, Spilled)>,
    hasher: crc32fast::Hasher,
    failed: Option<io::Error>,
}

impl Spill {
    /// Into the store's folder.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            memory: Vec::new(),
            file: None,
            hasher: crc32fast::Hasher::new(),
            failed: None,
        }
    }

    /// Puts what was written into the checkpoint that it belongs to: itself, or the file that it is in, which is on the disk.
    ///
    /// # Errors
    /// Where the disk did not take it.
    pub fn finish(self, checkpoint: &mut Checkpoint) -> Result<(), StoreError> {
        match self.close()? {
            Ok(bytes) => checkpoint.road = Some(bytes),
            Err(spilled) => checkpoint.spilled_road = Some(spilled),
        }
        Ok(())
    }

    fn close(mut self) -> Result<Result<Vec<u8>, Spilled>, StoreError> {
        if self.file.is_none() && self.failed.is_none() {
            return Ok(Ok(self.memory));
        }
        self.pass_on();
        let path = self.folder;
        let written = match (self.failed, &self.file) {
            (None, Some((file, _))) => file.sync_all().and_then(|()| File::open(&path)?.sync_all()),
            (error, _) => Err(error.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
        };
        match (written, self.file) {
            (Ok(()), Some((_, spilled))) => Ok(Err(Spilled { crc: self.hasher.finalize(), ..spilled })),
            (written, file) => {
                if let Some((_, spilled)) = file {
                    // A full disk gets its space back.
                    let _ = fs::remove_file(path.join(spilled.name));
                }
                let error = written.err().unwrap_or_else(|| io::ErrorKind::NotFound.into());
                Err(StoreError::from_io(&path, error))
            }
        }
    }

    /// From memory to the file.
    fn pass_on(&mut self) {
        let written = match &mut self.file {
            Some(file) => Ok(file),
            None => create(&self.folder).map(|file| self.file.insert(file)),
        };
        let written = written.and_then(|(file, spilled)| {
            file.write_all(&self.memory)?;
            self.hasher.update(&self.memory);
            spilled.bytes += self.memory.len() as u64;
            Ok(())
        });
        self.failed = self.failed.take().or(written.err());
        self.memory.clear();
    }
}

impl Write for Spill {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.memory.extend_from_slice(bytes);
            if self.memory.len() >= if self.file.is_some() { BLOCK_BYTES } else { SMALL_BYTES } {
                self.pass_on();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Removes what spilled before, and what was not finished. One that cannot be removed now is by the next.
pub(super) fn remove_others(folder: &Path, kept: Option<&Spilled>) {
    for name in names(folder) {
        if kept.is_none_or(|kept| kept.name != name) {
            let _ = fs::remove_file(folder.join(name));
        }
    }
}

/// A new file, which nobody else may read.
fn create(folder: &Path) -> io::Result<(File, Spilled)> {
    let last = names(folder).iter().filter_map(|name| number(name)).max().unwrap_or(0);
    let name = format!("{PREFIX}{}", last.saturating_add(1));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(&name))?;
    Ok((file, Spilled { name, bytes: 0, crc: 0 }))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| number(name).is_some()).collect()
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// sled's own files are `conf`, `db`, `blobs` and `snap.…`.
const PREFIX: &str = "road-";
/// Up to this size sled has it: a Mac with some thousand flows.
const SMALL_BYTES: usize = 1 << 20;
/// Written at once.
const BLOCK_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn spill(folder: &Path, bytes: usize) -> Result<Vec<u8>, Spilled> {
        let mut spill = Spill::new(folder);
        let content: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        for part in content.chunks(10_000) {
            spill.write_all(part).unwrap();
        }
        spill.close().unwrap()
    }

    #[test]
    fn what_is_small_makes_no_file_and_what_is_large_is_read_back_from_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(spill(folder.path(), 5_000).unwrap().len(), 5_000);
        assert!(names(folder.path()).is_empty());
        let first = spill(folder.path(), 3_000_001).unwrap_err();
        let read = first.read(folder.path()).unwrap();
        assert_eq!((read.len(), usize::from(read[3_000_000])), (3_000_001, 3_000_000 % 251));
        assert_eq!(Spilled::of_value(first.to_value().as_bytes()), Some(first.clone()));
        let second = spill(folder.path(), 2_000_000).unwrap_err();
        assert!(first.read(folder.path()).is_ok(), "the one before stays until the next is in force");
        remove_others(folder.path(), Some(&second));
        assert!(first.read(folder.path()).is_err() && second.read(folder.path()).is_ok());
        let path = folder.path().join(&second.name);
        let mut damaged = fs::read(&path).unwrap();
        damaged[1_000_000] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(second.read(folder.path()).is_err(), "one bit is another");
    }

    #[test]
    fn a_disk_that_does_not_take_it_is_told_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(&folder.path().join("gone"));
        for _ in 0..8_000 {
            spill.write_all(&[7; 1_000]).unwrap();
        }
        assert!(spill.memory.len() < SMALL_BYTES, "nothing is held for a disk that is away");
        assert!(matches!(spill.close(), Err(StoreError::Io { .. })));
    }

    #[test]
    fn a_value_that_names_another_file_is_none() {
        assert_eq!(Spilled::of_value(b"5 6 ../../etc/passwd"), None);
        assert_eq!(Spilled::of_value(b"5 6 road-1/../../x"), None);
        assert_eq!(Spilled::of_value(b"road-1"), None);
    }
}
