//! How unusual: novelty, volume, imbalance; one calibrated score; the alert budget.
//!
//! Every update of an attributed flow enters as an [`Activity`]; a departure from the subject's baseline leaves as a [`Finding`], whose
//! score is the base-10 logarithm of the days until this Mac would show something like it again.

mod assess;
mod budget;
mod busiest;
mod channel;
mod detector;
mod entry;
mod explain;
mod finding;
mod host;
mod portrait;
mod record;
mod settings;
mod state;
mod steps;
mod transfer;
mod upkeep;

#[cfg(test)]
mod tests;

pub use crate::baseline::{PortClass, ProtocolUse};
pub use busiest::Busy;
pub use detector::Detector;
pub use finding::{
    Activity, BaselineState, BaselineSummary, Channel, ChannelScore, Condition, Counterfactual, Digest,
    Disposition, Finding, Held, HeldReason, Severity, Verdict,
};
pub use portrait::{Distribution, Portrait, SpokenProtocol, Summary};
pub use settings::{Fleet, InvalidSetting, Settings};
pub use state::StateError;
pub use transfer::{Imported, Transfer, TransferError};
