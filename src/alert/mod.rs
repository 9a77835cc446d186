//! The document: what an analyst reads and a SIEM stores.
//!
//! A [`Detection`] (a finding with everything around it at the moment it was made) becomes one internal [`Alert`], and pure functions
//! map that to each format. The native document, `tidemark.alert/1`, is the alert itself as JSON: it is what is stored and what
//! `tidemark replay` prints.

mod attack;
mod build;
mod document;
mod id;
mod risk;
mod words;

pub use attack::Attack;
pub use build::{Detection, Host, Losses, SuppressedBy};
pub use document::{
    Alert, BaselineSection, Context, Coverage, ExceptionSection, FlowSection, HostSection, ProcessSection,
    ReturnPeriod, SCHEMA, Sensor, SigningSection, UserSection,
};
pub use id::{FindingKey, event_id};
pub use risk::{Risk, RiskFactor};
pub use words::{bytes_in_words, return_period_in_words};
