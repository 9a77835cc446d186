//! What one line says.

use super::line::{EventMember, Line, RunningRecord};
use crate::observation::{
    FlowReport, Message, Observation, Origin, RecordingHeader, Running, Timestamp, ZoneOffset,
};
use crate::source::eslogger::EventType;
use crate::source::process_monitor;
use crate::source::text::{Interner, NAME_LIMIT, clip};

/// Whether this line can be read as a part of a recording; an unknown version of the format counts, since the reader has more to say on it.
pub(in crate::source) fn recognises(line: &[u8]) -> bool {
    !matches!(Records::default().read(line.trim_ascii()), Err(Refusal::Line(_)))
}

/// What a line holds.
pub(super) enum Record {
    /// An observation.
    Plain(Observation),
    /// A process event that has its place in a sequence.
    Event { event_type: EventType, message: Message, observation: Observation },
    /// An event that is not followed.
    Other,
}

/// Why a line gives nothing.
pub(super) enum Refusal {
    /// The line is skipped.
    Line(String),
    /// Nothing that follows can be understood.
    Recording(String),
}

/// Reads lines into records. What a line needs of the lines before it stands here.
#[derive(Default)]
pub(super) struct Records {
    origin: Origin,
    pub(super) interner: Interner,
    /// The time of the last record that had one.
    latest: Option<Timestamp>,
}

impl Records {
    /// A reader of lines whose flows belong to `origin`.
    pub(super) fn of(origin: Origin) -> Self {
        Self { origin, ..Self::default() }
    }

    /// Reads one line.
    pub(super) fn read(&mut self, text: &[u8]) -> Result<Record, Refusal> {
        let record = match serde_json::from_slice(text) {
            Ok(line) => self.accept(line, text)?,
            Err(_) if std::str::from_utf8(text).is_err() => {
                let text = String::from_utf8_lossy(text);
                let line = serde_json::from_str(&text).map_err(|error| Refusal::Line(sentence(&error)))?;
                self.accept(line, text.as_bytes())?
            }
            Err(error) => return Err(Refusal::Line(sentence(&error))),
        };
        let time = match &record {
            Record::Plain(observation) => observation.time(),
            Record::Event { message, .. } => Some(message.time),
            Record::Other => None,
        };
        self.latest = time.or(self.latest);
        Ok(record)
    }

    fn accept(&mut self, line: Line<'_>, text: &[u8]) -> Result<Record, Refusal> {
        if let Some(header) = line.recording {
            return self.header(header.into_owned());
        }
        if let Some(flow) = line.flow {
            return self.flow(flow.into_owned());
        }
        if let Some(gap) = line.gap {
            let mut gap = gap.into_owned();
            gap.source = self.interner.name(&gap.source);
            return Ok(Record::Plain(Observation::Gap(Box::new(gap))));
        }
        if let Some(clock) = line.clock {
            return Ok(Record::Plain(Observation::Clock(clock)));
        }
        if let Some(running) = line.running {
            return self.running(*running);
        }
        match line.event {
            Some(EventMember::Events(events)) => {
                let time = line.time.ok_or_else(|| Refusal::Line("the event has no time".to_owned()))?;
                let message = Message {
                    time,
                    mach_time: line.mach_time,
                    version: line.version.unwrap_or_default(),
                    seq_num: line.seq_num,
                    global_seq_num: line.global_seq_num,
                };
                let denied = line.action.is_some_and(|action| action.denied());
                let event = events
                    .observe(message, line.process.as_deref(), denied, &mut self.interner)
                    .map_err(|flaw| Refusal::Line(flaw.to_string()))?;
                Ok(event.map_or(Record::Other, |(event_type, observation)| Record::Event {
                    event_type,
                    message,
                    observation,
                }))
            }
            Some(EventMember::Name) => self.process_monitor(text),
            None => Err(Refusal::Line("no member names a record or an event".to_owned())),
        }
    }

    fn header(&mut self, mut header: RecordingHeader) -> Result<Record, Refusal> {
        let version = header.schema.strip_prefix(SCHEMA).and_then(|version| version.strip_prefix('/'));
        let major = version.map(|version| version.split_once('.').map_or(version, |(major, _)| major));
        if major != Some(MAJOR) {
            let schema = printable(&header.schema);
            return Err(Refusal::Recording(format!(
                "the recording's schema is {schema}, this tidemark reads {SCHEMA}/{MAJOR}"
            )));
        }
        if let Some(ZoneOffset(seconds)) = header.utc_offset_seconds
            && !(-FURTHEST_ZONE..=FURTHEST_ZONE).contains(&seconds)
        {
            return Err(Refusal::Line(format!("a zone {seconds} seconds from UTC is no zone")));
        }
        let schema = clip(&header.schema, NAME_LIMIT).len();
        header.schema.truncate(schema);
        let RecordingHeader { host, os_version, os_build, serial_number, hardware_uuid, producer, .. } =
            &mut header;
        for name in [host, os_version, os_build, serial_number, hardware_uuid, producer] {
            *name = name.as_deref().map(|name| self.interner.name(name));
        }
        while header.users.len() > USERS_LIMIT {
            header.users.pop_last();
        }
        for name in header.users.values_mut() {
            *name = self.interner.name(name);
        }
        Ok(Record::Plain(Observation::Recording(Box::new(header))))
    }

    fn flow(&mut self, mut flow: FlowReport) -> Result<Record, Refusal> {
        // A shortened id could be another flow's.
        if flow.flow_id.len() > NAME_LIMIT {
            let length = flow.flow_id.len();
            return Err(Refusal::Line(format!(
                "a flow_id of {length} bytes is over the limit of {NAME_LIMIT}"
            )));
        }
        flow.origin = self.origin;
        flow.pid = flow.pid.filter(|pid| *pid >= 0);
        flow.effective_pid = flow.effective_pid.filter(|pid| *pid >= 0);
        for name in [&mut flow.process, &mut flow.interface, &mut flow.protocol, &mut flow.server_name] {
            *name = name.as_deref().map(|name| self.interner.name(name));
        }
        Ok(Record::Plain(Observation::Flow(Box::new(flow))))
    }

    fn running(&mut self, running: RunningRecord<'_>) -> Result<Record, Refusal> {
        let process =
            running.process.observe(&mut self.interner).map_err(|flaw| Refusal::Line(flaw.to_string()))?;
        Ok(Record::Plain(Observation::Running(Box::new(Running {
            time: running.time,
            process,
            arguments: running.args.kept,
            environment: running.env.0,
        }))))
    }

    fn process_monitor(&mut self, text: &[u8]) -> Result<Record, Refusal> {
        let line: process_monitor::Line<'_> =
            serde_json::from_slice(text).map_err(|error| Refusal::Line(sentence(&error)))?;
        let event = line
            .observe(self.latest.unwrap_or(Timestamp::EPOCH), &mut self.interner)
            .map_err(|flaw| Refusal::Line(flaw.to_string()))?;
        Ok(event.map_or(Record::Other, Record::Plain))
    }
}

/// What `serde_json` complains of, with the column; its own line number is always 1 here.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rfind(" at line ").and_then(|end| text.get(..end)).unwrap_or(&text);
    format!("column {}: {}", error.column(), printable(what))
}

/// The beginning of a foreign text, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).take(ERROR_LIMIT).collect()
}

/// The name of the format, before its version.
pub(super) const SCHEMA: &str = "tidemark.recording";

/// The version that is written. A reader knows every `1` and `1.x`: a minor version only adds members.
pub(super) const MAJOR: &str = "1";

/// The furthest that a zone may lie from UTC, in seconds: what POSIX lets `TZ` say (24:59:59).
const FURTHEST_ZONE: i32 = 89_999;

/// Login names that are kept of a header: more than anybody gives one Mac.
const USERS_LIMIT: usize = 1_024;

/// Characters of an error that are kept: it may quote the line.
const ERROR_LIMIT: usize = 200;
