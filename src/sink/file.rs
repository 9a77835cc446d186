//! Events appended to a file, one JSON document a line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::event::Event;
use super::outcome::Outcome;
use super::settings::FileSettings;
use crate::observation::Timestamp;

/// Appends lines to a file.
///
/// Each line is one write, so that a reader never sees half of one, and all are on the disk before [`FileSink::deliver`] returns. A file that
/// was renamed or removed meanwhile (newsyslog, logrotate) is opened anew. Rotation renames, and never copies and truncates, which most
/// collectors misread: `alerts.ndjson` becomes `alerts.ndjson.1`, that becomes `.2`, and the oldest goes.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    rotate_bytes: u64,
    rotate_daily: bool,
    keep: u32,
    file: Option<File>,
    /// Tells the wall clock's time; only the day matters.
    clock: fn() -> Timestamp,
}

impl FileSink {
    /// The file is made when there is something to write.
    pub fn new(settings: &FileSettings) -> Self {
        Self {
            path: settings.path.clone(),
            rotate_bytes: u64::from(settings.rotate_mib) << 20,
            rotate_daily: settings.rotate_daily,
            keep: settings.keep,
            file: None,
            clock: now,
        }
    }

    /// Appends events.
    pub fn deliver(&mut self, events: &[Event]) -> Outcome {
        match self.write(events) {
            Ok(()) => Outcome::Delivered,
            Err(error) => Outcome::later(format!("cannot write {}: {error}", self.path.display())),
        }
    }

    fn write(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            let mut file = self.open()?;
            if self.is_full(&file)? {
                drop(file);
                self.rotate()?;
                file = self.open()?;
            }
            let mut bytes = Vec::with_capacity(event.line.len() + 1);
            bytes.extend_from_slice(event.line.as_bytes());
            bytes.push(b'\n');
            let before = file.metadata()?.len();
            if let Err(error) = file.write_all(&bytes) {
                // Half a line must not stand before the next attempt's whole one.
                file.set_len(before)?;
                return Err(error);
            }
            self.file = Some(file);
        }
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }

    /// The file that the path names now.
    fn open(&mut self) -> io::Result<File> {
        if let Some(file) = self.file.take()
            && is_still(&file, &self.path)
        {
            return Ok(file);
        }
        OpenOptions::new().create(true).append(true).mode(MODE).open(&self.path)
    }

    /// Whether a file takes no more: it has its size, or the day is another than that of its last line.
    fn is_full(&self, file: &File) -> io::Result<bool> {
        let about = file.metadata()?;
        if about.len() == 0 {
            return Ok(false);
        }
        let day = |seconds: i64| seconds.div_euclid(SECONDS_A_DAY);
        let another_day = self.rotate_daily && day(about.mtime()) != day((self.clock)().as_seconds());
        Ok(another_day || (self.rotate_bytes > 0 && about.len() >= self.rotate_bytes))
    }

    fn rotate(&self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(1))
    }
}

/// Whether the path still names this open file.
fn is_still(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

fn now() -> Timestamp {
    let now = jiff::Timestamp::now();
    Timestamp::from_seconds(now.as_second(), 0)
}

/// Alerts tell what people do: only the owner and the group read them.
const MODE: u32 = 0o640;
const SECONDS_A_DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::spool::Queue;

    fn sink(path: &Path, rest: &str) -> FileSink {
        let text = format!("name='f'\npath='{}'\n{rest}", path.display());
        FileSink::new(&toml::from_str(&text).unwrap())
    }

    fn event(number: u32) -> Event {
        let line = format!(r#"{{"id":"{number}","time":"2026-11-24T10:00:00Z"}}"#);
        Event::parse(line, Queue::Alerts).unwrap()
    }

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_file_that_was_moved_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("alerts.ndjson"), folder.path().join("moved"));
        let mut sink = sink(&path, "");
        assert_eq!(sink.deliver(&[event(1)]), Outcome::Delivered);
        fs::rename(&path, &moved).unwrap();
        assert_eq!(sink.deliver(&[event(2)]), Outcome::Delivered);
        assert_eq!(lines(&moved), [event(1).line]);
        assert_eq!(lines(&path), [event(2).line]);
    }

    #[test]
    fn a_full_file_is_renamed_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.ndjson");
        let mut sink = sink(&path, "keep=2");
        sink.rotate_bytes = 60;
        for number in 0..8 {
            assert_eq!(sink.deliver(&[event(number)]), Outcome::Delivered);
        }
        assert_eq!(lines(&path), [event(6).line, event(7).line]);
        assert_eq!(lines(&folder.path().join("alerts.ndjson.1")), [event(4).line, event(5).line]);
        assert_eq!(lines(&folder.path().join("alerts.ndjson.2")), [event(2).line, event(3).line]);
        assert!(!folder.path().join("alerts.ndjson.3").exists());
    }

    #[test]
    fn a_new_day_begins_a_new_file_and_a_clock_that_is_set_back_loses_no_line() {
        let clocks: [fn() -> Timestamp; 2] = [
            || Timestamp::from_seconds(now().as_seconds() + SECONDS_A_DAY, 0),
            || Timestamp::from_seconds(now().as_seconds() - SECONDS_A_DAY, 0),
        ];
        for clock in clocks {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("alerts.ndjson");
            let mut sink = sink(&path, "");
            sink.deliver(&[event(1)]);
            sink.clock = clock;
            sink.deliver(&[event(2)]);
            assert_eq!(lines(&path), [event(2).line]);
            assert_eq!(lines(&folder.path().join("alerts.ndjson.1")), [event(1).line]);
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = sink(folder.path(), "").deliver(&[event(1)]);
        assert!(matches!(outcome, Outcome::Later { why, .. } if why.contains("cannot write")));
    }

    #[test]
    fn others_cannot_read_alerts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.ndjson");
        sink(&path, "").deliver(&[event(1)]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o007, 0);
    }
}
