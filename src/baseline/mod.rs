//! What is usual for a subject: how much it sends, where to, in which protocols; how old that knowledge is; and the store that keeps it.
//!
//! A subject's bytes are added up by clock hour and by day. When an hour or a day closes, its sum is learnt into a decaying
//! [`Histogram`], from which [`volume`] predicts how probable a sum at least as large is. Beside the sums stand the destinations and the
//! protocols that the subject ever used. Nothing here judges; `detect` asks and judges.

mod before;
mod clock;
mod destinations;
mod histogram;
mod network;
mod presence;
mod priors;
mod protocols;
mod spill;
mod store;
mod store_error;
mod stream;
mod subject;
pub mod volume;
mod window;

pub use before::{SubjectBaselineV2, SubjectBaselineV3};
pub use clock::{Age, Closed, ObservedClock, SECONDS_PER_DAY};
pub use destinations::{Destinations, Fingerprint};
pub use histogram::{Histogram, Unsound, bits};
pub use network::{Growth, Lesson, Network};
pub use presence::Presence;
pub use priors::{Priors, PriorsError, ScalePriors, UNSEEN_PREVALENCE};
pub use protocols::{PortClass, ProtocolUse, Protocols, Spoken, hazard, recurrence};
pub use spill::{Spill, Spilled};
pub use store::{Checkpoint, Opened, Saved, Store};
pub use store_error::StoreError;
pub use stream::{OptionalStreams, Scales, Stream};
pub use subject::{Nanoseconds, SubjectBaseline};
pub use window::{FLOW_UNIT, Learning, Sums, Window, tilted};
