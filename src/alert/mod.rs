//! The document: what an analyst reads and a SIEM stores.
//!
//! A [`Detection`] (a finding with everything around it at the moment it was made) becomes one internal [`Alert`], and pure functions
//! map that to each format. The native document, `tidemark.alert/1`, is the alert itself as JSON: it is what is stored and what
//! `tidemark replay` prints. `ocsf` and `ecs` say the same in the words of two standards, `slim` as much of it as fits a syslog message, and
//! [`Alert::read`] takes all of them back. `lifecycle` decides which alerts leave as the creation, an update or the end of a finding.

mod attack;
mod build;
mod document;
mod ecs;
mod format;
mod id;
mod lifecycle;
mod ocsf;
mod person;
mod privacy;
mod read;
mod risk;
mod runbook;
mod slim;
#[cfg(test)]
mod tests;
mod words;

#[cfg(test)]
pub(crate) mod samples;

pub use attack::Attack;
pub use build::{Detection, Host, Losses, Surroundings};
pub use document::{
    Alert, BaselineSection, Context, Coverage, ExceptionSection, FirstSeen, FlowSection, HostSection,
    ProcessSection, ReturnPeriod, SCHEMA, Schema, Sensor, SigningSection, TopDestination, UserSection,
};
pub use format::{Format, SLIM_BYTES};
pub use id::{FindingKey, event_id};
pub use lifecycle::{Activity, Closed, FORGET_AFTER, Lifecycle, Stage, UPDATE_EVERY};
pub use person::Person;
pub use privacy::{Mode as PrivacyMode, Privacy, Settings as PrivacySettings};
pub use read::ReadError;
pub(crate) use read::native;
pub use risk::{Risk, RiskFactor};
pub use words::{bytes_in_words, return_period_in_words};
