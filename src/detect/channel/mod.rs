//! The channels: each says how many days apart such values are expected for this subject, as a power of ten (Z).
//!
//! [`bytes`] scores sums against histograms (volume, new destinations, and the two channels that are off by default), [`protocol`] scores
//! the first use of a protocol, [`initiator`] the first run of a tool by what never ran it. [`combine`] adds them up.

pub(super) mod bytes;
pub(super) mod combine;
pub(super) mod initiator;
pub(super) mod protocol;
