//! The recording: NDJSON, one observation a line, in time order.
//!
//! [`RecordingReader`] reads it and [`RecordingWriter`] writes it; both follow one definition of a line. A line is told
//! apart by its members, so raw output of `eslogger` or `ProcessMonitor` is a recording too, and so is a file in which all of them are
//! mixed. Packets are not part of it; they stay in a capture beside it.
//!
//! | member | what the line is |
//! |---|---|
//! | `recording` | where the recording comes from; a later one changes the zone |
//! | `flow` | a [`FlowReport`](crate::observation::FlowReport) |
//! | `gap` | a [`Gap`]: something was lost |
//! | `clock` | `{"time": …, "awake_seconds": …}`: time passed |
//! | `running` | `{"time": …, "process": {…}, "args": […], "env": […]}`: a process that ran already |
//! | `event`, an object | an exec, fork or exit as `eslogger` prints it |
//! | `event`, a text | the same as `ProcessMonitor` prints it |

mod line;
mod record;
mod writer;

pub use writer::RecordingWriter;

use std::io::Read;
use std::sync::Arc;

pub(super) use self::record::recognises;

use self::record::{Record, Records, Refusal};
use super::eslogger::Sequence;
use super::lines::Lines;
use super::{Source, SourceReport};
use crate::observation::{Gap, Observation, Origin};

/// Reads a recording.
///
/// A line that is too long, is no JSON, holds no known member or lacks one that it needs is skipped, counted and reported with its
/// number. Bytes that are not UTF-8 are read as U+FFFD. Events of types other than exec, fork and exit are counted apart
/// ([`SourceReport::other`]). A jump of the sequence numbers gives an [`Observation::Gap`] right before the event that revealed it
/// (see [`Sequence`]). Times are given out as they stand; putting late lines in their place is the merge's work.
pub struct RecordingReader<R> {
    lines: Lines<R>,
    records: Records,
    sequence: Sequence,
    /// The event before which a gap was given out.
    held: Option<Observation>,
    report: SourceReport,
    ended: bool,
}

impl<R: Read> RecordingReader<R> {
    /// A reader of the input of this name.
    pub fn new(input: R, name: impl Into<Arc<str>>, origin: Origin) -> Self {
        Self {
            lines: Lines::new(input),
            records: Records::of(origin),
            sequence: Sequence::default(),
            held: None,
            report: SourceReport::new(name),
            ended: false,
        }
    }

    /// The next observation as it stands in the file.
    fn read(&mut self) -> Option<Observation> {
        while !self.ended {
            let Some((position, text)) = self.lines.next_text(&mut self.report) else { break };
            let (text, hole) = strip(text);
            if hole > 0 {
                self.report.skip(position, format!("a hole of {hole} NUL bytes"));
            }
            if text.is_empty() {
                continue;
            }
            match self.records.read(text) {
                Ok(Record::Other) => self.report.other = self.report.other.saturating_add(1),
                Ok(Record::Plain(observation)) => {
                    if let Observation::Gap(gap) = &observation
                        && PROCESS_SOURCES.contains(&&*gap.source)
                    {
                        self.sequence.forget();
                    }
                    return Some(observation);
                }
                Ok(Record::Event { event_type, message, observation }) => {
                    let lost = self.sequence.advance(event_type, &message);
                    if lost == 0 {
                        return Some(observation);
                    }
                    self.held = Some(observation);
                    let source = self.records.interner.name(SEQUENCE_SOURCE);
                    return Some(Observation::Gap(Box::new(Gap {
                        time: message.time,
                        source,
                        lost: Some(lost),
                    })));
                }
                Err(Refusal::Line(why)) => self.report.skip(position, why),
                Err(Refusal::Recording(why)) => {
                    self.report.end_early(position, why);
                    self.ended = true;
                }
            }
        }
        self.ended = true;
        None
    }
}

impl<R: Read> Iterator for RecordingReader<R> {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        let observation = self.held.take().or_else(|| self.read());
        self.report.bytes = self.lines.bytes();
        let observation = observation?;
        self.report.observations = self.report.observations.saturating_add(1);
        Some(observation)
    }
}

impl<R: Read> Source for RecordingReader<R> {
    fn report(&self) -> &SourceReport {
        &self.report
    }

    fn expectation(&self) -> Sequence {
        self.sequence
    }

    fn expect(&mut self, sequence: Sequence) {
        self.sequence = sequence.inherited();
    }
}

/// Takes off a byte order mark and the hole that a power failure leaves where a file was being extended (a run of NUL bytes); how long
/// the hole was.
fn strip(text: &[u8]) -> (&[u8], usize) {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let hole = text.iter().take_while(|byte| **byte == 0).count();
    (text.get(hole..).unwrap_or_default().trim_ascii(), hole)
}

/// The name under which gaps in the sequence of process events are reported.
const SEQUENCE_SOURCE: &str = "eslogger";

/// Sources whose losses are losses of process events: where one of them reports a gap itself, the jump in the numbers after it is the
/// same loss and is not told again.
const PROCESS_SOURCES: [&str; 2] = [SEQUENCE_SOURCE, "endpoint_security"];

/// A byte order mark, which some editors write.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

#[cfg(test)]
mod tests;
