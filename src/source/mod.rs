//! Where observations come from.
//!
//! A source only observes. It is an iterator of [`Observation`]s over a reader, streaming and in bounded memory, and everything
//! that it could not read is counted in its [`SourceReport`] with the place where it stood: a bad line or packet is skipped, said and
//! counted, and what follows it is still read. Nothing in this room panics on foreign bytes.

pub mod capture;
pub mod packet_tap;
mod report;

pub use report::{Fault, Position, SourceReport};

use crate::observation::Observation;

/// A stream of observations and the account of what could not be read.
pub trait Source: Iterator<Item = Observation> {
    /// What was read so far, and what was not.
    fn report(&self) -> &SourceReport;
}
