//! Where observations come from.
//!
//! A source only observes. It is an iterator of [`Observation`]s over a reader, streaming and in bounded memory, and everything
//! that it could not read is counted in its [`SourceReport`] with the place where it stood: a bad line or packet is skipped, said and
//! counted, and what follows it is still read. Nothing in this room panics on foreign bytes.

pub mod capture;
pub mod endpoint_security;
mod eslogger;
pub mod ladder;
mod lines;
pub mod live;
mod merge;
pub mod network_statistics;
mod open;
pub mod packet_tap;
mod process_monitor;
pub mod recording;
mod report;
pub mod running;
mod text;
pub mod unified_log;
mod users;

pub use eslogger::Sequence;
pub use merge::{Input, Merged, Origins};
pub use open::{OpenError, OpenOptions, open, open_reader};
pub use recording::{RecordingReader, RecordingWriter};
pub use report::{Fault, Position, SourceReport};
pub use users::{WithUsers, login_name};

use crate::observation::Observation;

/// A stream of observations and the account of what could not be read.
pub trait Source: Iterator<Item = Observation> {
    /// What was read so far, and what was not.
    fn report(&self) -> &SourceReport;

    /// The sequence numbers that this source expects next, for the source that goes on where this one ends.
    fn expectation(&self) -> Sequence {
        Sequence::default()
    }

    /// Goes on where another source ended. To be said before the first observation is taken.
    fn expect(&mut self, _sequence: Sequence) {}
}
