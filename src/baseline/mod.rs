//! What is usual for a subject: how much it sends, where to, in which protocols; how old that knowledge is; and the store that keeps it.
//!
//! A subject's bytes are added up by clock hour and by day. When an hour or a day closes, its sum is learnt into a decaying
//! [`Histogram`], from which [`volume`] predicts how probable a sum at least as large is. Beside the sums stand the destinations and the
//! protocols that the subject ever used. Nothing here judges; `detect` asks and judges.

mod clock;
mod destinations;
mod histogram;
mod priors;
mod protocols;
mod store;
mod subject;
pub mod volume;

pub use clock::{Age, Closed, ObservedClock, SECONDS_PER_DAY};
pub use destinations::{Destinations, Fingerprint};
pub use histogram::{Histogram, bits};
pub use priors::{Priors, PriorsError, ScalePriors, UNSEEN_PREVALENCE};
pub use protocols::{KNOWN_WEIGHT, PortClass, ProtocolUse, Protocols, Spoken, hazard, recurrence};
pub use store::{Checkpoint, Opened, Saved, Store, StoreError};
pub use subject::{
    FLOW_UNIT, Growth, Learning, Lesson, Nanoseconds, Network, OptionalStreams, Presence, Scales, Stream,
    SubjectBaseline, Sums, Window, tilted,
};
