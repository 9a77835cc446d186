//! What makes a source of a format's reader.

use super::account::{Account, Stop};
use crate::observation::Observation;
use crate::source::{Source, SourceReport};

/// A reader of one format.
pub(super) trait Records {
    /// Reads the next record, which may yield nothing.
    ///
    /// # Errors
    /// Where nothing more can be read.
    fn record(&mut self) -> Result<(), Stop>;

    /// How many bytes of the input lie behind.
    fn position(&self) -> u64;

    fn account(&self) -> &Account;

    fn account_mut(&mut self) -> &mut Account;
}

/// The observations that the records of a capture give.
pub(super) struct Observations<R>(pub(super) R);

impl<R: Records> Iterator for Observations<R> {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        let Self(records) = self;
        loop {
            if let Some(observation) = records.account_mut().next() {
                return Some(observation);
            }
            if records.account().report.ended_early.is_some() {
                return None;
            }
            let result = records.record();
            records.account_mut().report.bytes = records.position();
            if let Err(Stop) = result {
                return None;
            }
        }
    }
}

impl<R: Records> Source for Observations<R> {
    fn report(&self) -> &SourceReport {
        &self.0.account().report
    }
}
