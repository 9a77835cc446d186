//! A file or a pipe that another program writes to while it is read.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::BoxedSource;
use crate::source::{OpenOptions, open, open_reader};

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// What is in the file already was seen by whoever followed it before.
    End,
    /// The file is another one than before: all of it is new.
    Beginning,
}

/// Opens a pipe or a file for [`super::Live::keep`], again each time that the source has ended. A pipe ends when its writer goes; a file, when another
/// takes its place or when it is cut. The first file is read from its end on, since what stands in it happened before; those after it from their beginning.
pub fn follow(path: PathBuf) -> impl FnMut() -> Result<BoxedSource, String> + Send + 'static {
    let mut from = Start::End;
    move || {
        let about = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let source = if about.file_type().is_fifo() {
            // Waits for a writer.
            open(&path, &OpenOptions::default())
        } else {
            let growing =
                Growing::open(&path, from).map_err(|error| format!("{}: {error}", path.display()))?;
            open_reader(growing, &path, &OpenOptions::default())
        };
        from = Start::Beginning;
        source.map_err(|error| error.to_string())
    }
}

/// A file at whose end one waits for more, until it is no longer the file of its name.
struct Growing {
    path: PathBuf,
    file: File,
    at: u64,
}

impl Growing {
    fn open(path: &Path, from: Start) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let at = match from {
            Start::End => file.seek(SeekFrom::End(0))?,
            Start::Beginning => 0,
        };
        Ok(Self { path: path.to_owned(), file, at })
    }

    /// Whether what is written next will be read here.
    fn goes_on(&self) -> io::Result<bool> {
        let own = self.file.metadata()?;
        let named = match fs::metadata(&self.path) {
            // Between a rename and the file that follows it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            named => named?,
        };
        Ok((own.dev(), own.ino()) == (named.dev(), named.ino()) && own.len() >= self.at)
    }
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Asked before reading, so that nothing is left behind that was written before the file was replaced.
            let goes_on = self.goes_on()?;
            let read = self.file.read(buffer)?;
            self.at = self.at.saturating_add(read as u64);
            if read > 0 || buffer.is_empty() || !goes_on {
                return Ok(read);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Late enough to let the machine sleep, early enough for an alert.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn append(path: &Path, text: &str) {
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    #[test]
    fn what_is_written_from_now_on_is_read_and_a_file_that_was_replaced_or_cut_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.ndjson");
        append(&path, "before\n");
        let mut growing = Growing::open(&path, Start::End).unwrap();
        append(&path, "one\n");
        fs::rename(&path, folder.path().join("log.ndjson.1")).unwrap();
        append(&folder.path().join("log.ndjson.1"), "two\n");
        append(&path, "three\n");
        let mut text = String::new();
        growing.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");

        let mut growing = Growing::open(&path, Start::Beginning).unwrap();
        assert_eq!(growing.read(&mut [0; 64]).unwrap(), "three\n".len());
        fs::write(&path, "x\n").unwrap();
        assert_eq!(growing.read(&mut [0; 64]).unwrap(), 0);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let why = follow("/nowhere/at/all".into())().err().unwrap();
        assert!(why.contains("/nowhere/at/all"), "{why}");
    }
}
