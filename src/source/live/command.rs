//! Sources that are another program's output: Apple's own `eslogger` and `log stream`.

use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{gap, wall};
use crate::observation::Observation;
use crate::source::{Position, Source, SourceReport};

/// A program whose output is read. The source ends when the program does.
///
/// A program that ends was not meant to: what it would have told from then on is a gap. What it said on standard error is logged,
/// since that is where Apple's tools say what they lack. Whoever wants it started anew opens it again ([`super::Live::keep`]).
pub struct CommandSource {
    program: &'static [&'static str],
    read: fn(Output) -> Box<dyn Source + Send>,
    current: Option<(Box<dyn Source + Send>, Words)>,
    has_ended: bool,
    report: SourceReport,
}

/// The first words of a program on standard error.
type Words = Arc<Mutex<String>>;

impl CommandSource {
    /// The output of `program` (its path, then its arguments), read by `read`.
    pub fn new(
        name: &str,
        program: &'static [&'static str],
        read: fn(Output) -> Box<dyn Source + Send>,
    ) -> Self {
        Self { program, read, current: None, has_ended: false, report: SourceReport::new(name) }
    }

    /// Starts the program, so that a caller knows at once whether it can be.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn start(&mut self) -> io::Result<()> {
        let (output, words) = Output::of(self.program)?;
        self.current = Some(((self.read)(output), words));
        Ok(())
    }

    /// The program ended: what it told is over, and it says why.
    fn ended(&mut self, words: &Words) -> Observation {
        self.has_ended = true;
        let words = words.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned();
        let name = Arc::clone(&self.report.name);
        tracing::warn!(source = %name, %words, "the program whose output is read ended");
        let position = Position::Byte(self.report.bytes);
        self.report.end_early(position, format!("the program ended: {words}"));
        gap(wall(), name, None)
    }
}

impl Iterator for CommandSource {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        if self.current.is_none() {
            if self.has_ended {
                return None;
            }
            if let Err(error) = self.start() {
                self.report.end_early(Position::Byte(self.report.bytes), error.to_string());
                return None;
            }
        }
        let (mut source, words) = self.current.take()?;
        let Some(observation) = source.next() else {
            drop(source);
            return Some(self.ended(&words));
        };
        self.report.bytes = source.report().bytes;
        self.report.malformed = source.report().malformed;
        self.report.observations = self.report.observations.saturating_add(1);
        self.current = Some((source, words));
        Some(observation)
    }
}

impl Source for CommandSource {
    fn report(&self) -> &SourceReport {
        &self.report
    }
}

/// Standard output of a program that runs. The program is stopped when nobody reads it any more.
pub struct Output {
    child: Child,
    output: ChildStdout,
}

impl Output {
    fn of(program: &[&str]) -> io::Result<(Self, Words)> {
        let (name, arguments) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
        let mut child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(named)?;
        let words = Words::default();
        if let Some(mut complaints) = child.stderr.take() {
            let words = Arc::clone(&words);
            // Read to its end, lest the program waits for somebody who does; only the first words are kept.
            thread::Builder::new().name("stderr".to_owned()).spawn(move || {
                let mut buffer = [0; 512];
                while let Ok(length @ 1..) = complaints.read(&mut buffer) {
                    let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
                    if words.len() < KEPT_WORDS {
                        words.push_str(&String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()));
                    }
                }
            })?;
        }
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((Self { child, output }, words))
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of complaints that are kept.
const KEPT_WORDS: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Origin;
    use crate::source::RecordingReader;

    fn reader(output: Output) -> Box<dyn Source + Send> {
        Box::new(RecordingReader::new(output, "eslogger", Origin(0)))
    }

    const SHELL: &[&str] =
        &["/bin/sh", "-c", r#"echo '{"clock":{"time":"2026-01-01T00:00:00Z"}}'; echo NOT_PERMITTED >&2"#];

    #[test]
    fn what_a_program_prints_is_read_and_its_end_is_a_gap() {
        let mut source = CommandSource::new("eslogger", SHELL, reader);
        let seen: Vec<Observation> = source.by_ref().collect();
        assert!(matches!(&seen[..], [Observation::Clock(_), Observation::Gap(gap)] if gap.lost.is_none()));
        assert!(source.report().ended_early.is_some());
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let mut source = CommandSource::new("eslogger", &["/nowhere/eslogger"], reader);
        assert!(source.start().unwrap_err().to_string().contains("/nowhere/eslogger"));
        assert!(source.next().is_none() && source.report().ended_early.is_some());
    }
}
