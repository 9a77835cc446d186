//! Writes recordings.

use std::borrow::Cow;
use std::io::{self, Write};

use super::line::{EventMember, Line, RunningRecord};
use super::record::{MAJOR, SCHEMA};
use crate::observation::{Exec, Message, Observation, ProcessInfo, RecordingHeader, Running};
use crate::source::eslogger::{Action, Arguments, Environment, Events, Process};
use crate::source::lines::LINE_LIMIT;

/// Writes one line for each observation.
///
/// Each line goes out in one piece, so what a crash leaves behind is whole but for its last line. Process events are written as
/// `eslogger` prints them, without the members that tidemark does not read.
#[derive(Debug)]
pub struct RecordingWriter<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> RecordingWriter<W> {
    /// A writer to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        Self { out, line: Vec::new() }
    }

    /// Writes an observation. `false`: it is a packet, which belongs in a capture beside the recording, and nothing was written.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn write(&mut self, observation: &Observation) -> io::Result<bool> {
        match observation {
            Observation::Packet(_) => return Ok(false),
            Observation::Exec(exec) => self.write_exec(exec)?,
            Observation::Running(running) => self.write_running(running)?,
            Observation::Recording(header) => self.write_header(header)?,
            Observation::Fork(fork) => {
                self.encode(&event(&fork.message, FORK, &fork.parent, Events::from(&**fork), false))?;
            }
            Observation::Exit(exit) => {
                self.encode(&event(&exit.message, EXIT, &exit.process, Events::from(&**exit), false))?;
            }
            Observation::Flow(flow) => {
                self.encode(&Line { flow: Some(Cow::Borrowed(flow)), ..Line::default() })?;
            }
            Observation::Gap(gap) => {
                self.encode(&Line { gap: Some(Cow::Borrowed(gap)), ..Line::default() })?;
            }
            Observation::Clock(clock) => self.encode(&Line { clock: Some(*clock), ..Line::default() })?,
        }
        self.out.write_all(&self.line)?;
        Ok(true)
    }

    /// Makes sure that what was written so far has gone out.
    ///
    /// # Errors
    /// Where `out` cannot be flushed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends writing and gives `out` back.
    ///
    /// # Errors
    /// Where `out` cannot be flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// The schema of the header is the one that is written here, whatever it was where the header came from.
    fn write_header(&mut self, header: &RecordingHeader) -> io::Result<()> {
        let header = RecordingHeader { schema: format!("{SCHEMA}/{MAJOR}"), ..header.clone() };
        self.encode(&Line { recording: Some(Cow::Owned(header)), ..Line::default() })
    }

    /// Leaves out arguments where the line would be longer than a reader reads.
    fn write_exec(&mut self, exec: &Exec) -> io::Result<()> {
        self.encode(&event(&exec.message, EXEC, &exec.actor, Events::from(exec), exec.denied))?;
        let mut shorter = Cow::Borrowed(exec);
        while self.line.len() > LINE_LIMIT && !shorter.arguments.is_empty() {
            let half = shorter.arguments.len() / 2;
            shorter.to_mut().arguments.truncate(half);
            self.encode(&event(&exec.message, EXEC, &exec.actor, Events::from(&*shorter), exec.denied))?;
        }
        Ok(())
    }

    /// As [`Self::write_exec`].
    fn write_running(&mut self, running: &Running) -> io::Result<()> {
        let mut kept = running.arguments.len();
        loop {
            let arguments = running.arguments.iter().take(kept).cloned().collect();
            self.encode(&Line {
                running: Some(Box::new(RunningRecord {
                    time: running.time,
                    process: Process::from(&running.process),
                    args: Arguments { kept: arguments, total: 0 },
                    env: Environment(running.environment.clone()),
                })),
                ..Line::default()
            })?;
            if self.line.len() <= LINE_LIMIT || kept == 0 {
                return Ok(());
            }
            kept /= 2;
        }
    }

    fn encode(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        Ok(())
    }
}

/// A line as `eslogger` prints it.
fn event<'a>(
    message: &Message,
    event_type: u32,
    actor: &'a ProcessInfo,
    events: Events<'a>,
    denied: bool,
) -> Line<'a> {
    Line {
        schema_version: Some(ESLOGGER_SCHEMA),
        version: Some(message.version),
        time: Some(message.time),
        mach_time: message.mach_time,
        event_type: Some(event_type),
        action_type: Some(NOTIFY),
        action: Some(Action::of(denied)),
        seq_num: message.seq_num,
        global_seq_num: message.global_seq_num,
        process: Some(Box::new(Process::from(actor))),
        event: Some(EventMember::Events(events)),
        ..Line::default()
    }
}

/// `schema_version` of `eslogger` on macOS 13 to 27.
const ESLOGGER_SCHEMA: u32 = 1;

/// `ES_ACTION_TYPE_NOTIFY`.
const NOTIFY: u32 = 1;

/// `ES_EVENT_TYPE_NOTIFY_EXEC`.
const EXEC: u32 = 9;

/// `ES_EVENT_TYPE_NOTIFY_FORK`.
const FORK: u32 = 11;

/// `ES_EVENT_TYPE_NOTIFY_EXIT`.
const EXIT: u32 = 15;
