//! What was found on this Mac, kept on it: alerts after they were delivered, and findings that an exception covered, which nobody is sent.
//!
//! ```text
//!  findings/2026-06-14.ndjson  findings/2026-06-15.ndjson   one native document a line, a file a day of the findings' own time
//! ```
//!
//! It is what `tidemark exceptions test` and `unused` judge by, and where `tidemark explain` finds an alert by its id. The days and the bytes
//! are bounded, whatever the Mac does: the oldest day goes first, and what a single day has no room for is counted.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::exceptions::Day;
use crate::lines;
use crate::observation::Timestamp;

/// The writing end.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    most_bytes: u64,
    /// The days that there are, the earliest first, with their bytes.
    days: Vec<(String, u64)>,
    /// The day that was written last.
    open: Option<(String, File)>,
    left_out: u64,
}

impl Archive {
    /// The archive in a folder, which is made where it is not there.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        let mut days = Vec::new();
        for name in days_in(folder)? {
            let bytes = fs::metadata(folder.join(&name))?.len();
            days.push((name, bytes));
        }
        Ok(Self { folder: folder.to_owned(), most_bytes: MOST_BYTES, days, open: None, left_out: 0 })
    }

    /// Appends findings, each with its time and its document on one line. They are on the disk when this returns.
    ///
    /// # Errors
    /// Where they cannot be written. Those before the one that failed may be there; one that is there twice is the same finding by its id.
    pub fn append(&mut self, findings: &[(Timestamp, String)]) -> io::Result<()> {
        for (time, line) in findings {
            let Some(name) = Day::of(*time).map(|day| format!("{day}.{EXTENSION}")) else {
                self.left_out = self.left_out.saturating_add(1);
                continue;
            };
            let bytes = line.len() as u64 + 1;
            if !self.make_room(&name, bytes) {
                self.left_out = self.left_out.saturating_add(1);
                continue;
            }
            if self.open.as_ref().is_none_or(|(open, _)| *open != name) {
                if let Some((_, before)) = self.open.take() {
                    before.sync_data()?;
                }
                self.open = Some((name.clone(), lines::append(&self.folder.join(&name), FILE_MODE)?));
            }
            if let Some((_, file)) = &mut self.open {
                file.write_all(format!("{line}\n").as_bytes())?;
            }
            self.grew(name, bytes);
        }
        self.open.as_ref().map_or(Ok(()), |(_, file)| file.sync_data())
    }

    /// Removes the findings whose lines are to go; how many.
    ///
    /// # Errors
    /// Where a day cannot be written anew; those before it are.
    pub fn forget(&mut self, is_to_go: impl Fn(&str) -> bool) -> io::Result<u64> {
        self.open = None;
        let mut removed = 0_u64;
        for (day, known) in &mut self.days {
            let path = self.folder.join(day.as_str());
            let gone = lines::remove(&path, FILE_MODE, |line| is_to_go(&String::from_utf8_lossy(line)))?;
            *known = gone.bytes;
            removed = removed.saturating_add(gone.lines);
        }
        Ok(removed)
    }

    /// Findings for which there was no room since it was opened.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn grew(&mut self, name: String, bytes: u64) {
        match self.days.binary_search_by(|(day, _)| day.cmp(&name)) {
            Ok(at) => {
                if let Some((_, known)) = self.days.get_mut(at) {
                    *known = known.saturating_add(bytes);
                }
            }
            Err(at) => self.days.insert(at, (name, bytes)),
        }
    }

    /// Removes the oldest days until so many bytes more fit on this day; whether they do.
    fn make_room(&mut self, name: &str, bytes: u64) -> bool {
        loop {
            let total: u64 = self.days.iter().map(|(_, bytes)| *bytes).sum();
            let is_new = !self.days.iter().any(|(day, _)| day == name);
            if total.saturating_add(bytes) <= self.most_bytes
                && self.days.len() + usize::from(is_new) <= MOST_DAYS
            {
                return true;
            }
            // A finding that is older than everything that is kept makes nothing newer go.
            match self.days.first() {
                Some((oldest, _)) if oldest.as_str() < name => {
                    let path = self.folder.join(oldest);
                    if let Err(error) = fs::remove_file(&path) {
                        tracing::warn!(day = %path.display(), %error, "a day of findings could not be removed");
                    }
                    self.days.remove(0);
                }
                _ => return false,
            }
        }
    }
}

/// The names of the days in a folder, the earliest first.
fn days_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let day = name.strip_suffix(EXTENSION).and_then(|name| name.strip_suffix('.'));
        if day.is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The lines of an archive, the earliest day first; within a day as they were written. It holds one day in memory, and passes over what is
/// removed meanwhile.
#[derive(Debug)]
pub struct Archived {
    folder: PathBuf,
    days: VecDeque<String>,
    lines: VecDeque<String>,
}

impl Archived {
    /// The archive in a folder. One that is not there is empty.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let days = if folder.exists() { days_in(folder)? } else { Vec::new() };
        Ok(Self { folder: folder.to_owned(), days: days.into(), lines: VecDeque::new() })
    }
}

impl Iterator for Archived {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            let path = self.folder.join(self.days.pop_front()?);
            match fs::read(&path) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes);
                    self.lines = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
                }
                Err(error) => {
                    tracing::warn!(day = %path.display(), %error, "a day of findings is passed over");
                }
            }
        }
    }
}

const EXTENSION: &str = "ndjson";
/// A month that has 31 days, and with it the 30 days that `exceptions test` looks back.
const MOST_DAYS: usize = 31;
/// About 9,000 documents of 7 kB: three hundred findings a day.
const MOST_BYTES: u64 = 64 << 20;
/// Findings tell what people do.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64, second: i64) -> Timestamp {
        Timestamp::from_seconds(1_780_000_000 / 86_400 * 86_400 + day * 86_400 + second, 0)
    }

    fn lines(folder: &Path) -> Vec<String> {
        Archived::of(folder).unwrap().collect()
    }

    #[test]
    fn what_was_appended_is_read_back_day_by_day_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("findings");
        assert_eq!(lines(&folder), [""; 0]);
        let mut archive = Archive::open(&folder).unwrap();
        archive.append(&[(at(1, 5), "b".into()), (at(0, 5), "a".into()), (at(1, 6), "c".into())]).unwrap();
        let mut archive = Archive::open(&folder).unwrap();
        archive.append(&[(at(1, 7), "d".into())]).unwrap();
        assert_eq!(lines(&folder), ["a", "b", "c", "d"]);
        assert_eq!(archive.left_out(), 0);
    }

    #[test]
    fn days_and_bytes_are_bounded_and_the_oldest_day_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        for day in 0..40 {
            archive.append(&[(at(day, 0), day.to_string())]).unwrap();
        }
        assert_eq!(lines(folder.path()), (9..40).map(|day| day.to_string()).collect::<Vec<_>>());
        archive.append(&[(at(0, 0), "too old".into())]).unwrap();
        assert_eq!((lines(folder.path()).len(), archive.left_out()), (31, 1));
        archive.most_bytes = 100;
        archive.append(&[(at(40, 0), "x".repeat(90))]).unwrap();
        assert_eq!(
            lines(folder.path()),
            ["36", "37", "38", "39"]
                .map(str::to_owned)
                .into_iter()
                .skip(1)
                .chain(["x".repeat(90)])
                .collect::<Vec<_>>()
        );
        archive.append(&[(at(40, 1), "y".repeat(90))]).unwrap();
        assert_eq!(archive.left_out(), 2, "a day that is full takes no more");
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        archive.append(&[(at(0, 0), "whole".into())]).unwrap();
        let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"ha").unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        archive.append(&[(at(0, 1), "next".into())]).unwrap();
        assert_eq!(lines(folder.path()), ["whole", "{\"id\":\"ha", "next"]);
    }

    #[test]
    fn what_is_to_go_goes_and_the_day_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        archive
            .append(&[(at(0, 0), "ann".into()), (at(0, 1), "bob".into()), (at(1, 0), "bob".into())])
            .unwrap();
        assert_eq!(archive.forget(|line| line == "ann").unwrap(), 1);
        archive.append(&[(at(0, 2), "eve".into())]).unwrap();
        assert_eq!(lines(folder.path()), ["bob", "eve", "bob"]);
    }
}
