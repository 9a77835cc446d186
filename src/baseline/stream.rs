//! What the closed hours and days of a subject were, one histogram a stream and scale.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;

/// One stream on its two time scales.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scales {
    /// Sums of clock hours.
    pub hour: Stream,
    /// Sums of days.
    pub day: Stream,
}

/// The closed windows of one stream on one scale.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Stream {
    /// Their sums.
    pub histogram: Histogram,
    /// W: how many there were, without decay.
    pub windows: u32,
}

/// Bytes in and new flows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OptionalStreams {
    /// Bytes in.
    pub received: Scales,
    /// New flows, each taken as [`FLOW_UNIT`] bytes so that one histogram serves.
    pub flows: Scales,
}

/// A time scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Scale {
    Hour,
    Day,
}

impl Scales {
    pub(super) fn merge(&mut self, other: &Self, half_life_days: f64) {
        for (ours, theirs) in [(&mut self.hour, &other.hour), (&mut self.day, &other.day)] {
            ours.histogram.merge(&theirs.histogram, half_life_days);
            ours.windows = ours.windows.saturating_add(theirs.windows);
        }
    }

    pub(super) fn at(&mut self, scale: Scale) -> &mut Stream {
        match scale {
            Scale::Hour => &mut self.hour,
            Scale::Day => &mut self.day,
        }
    }
}

impl OptionalStreams {
    pub(super) fn merge(&mut self, other: &Self, half_life_days: f64) {
        self.received.merge(&other.received, half_life_days);
        self.flows.merge(&other.flows, half_life_days);
    }
}

impl Stream {
    /// Learns the sum of a window that closed, in bits, if anything passed in it.
    pub(super) fn learn(&mut self, bits: Option<f64>, weight: f64, day: u32, half_life_days: f64) {
        if let Some(bits) = bits {
            self.windows = self.windows.saturating_add(1);
            if weight > 0.0 {
                self.histogram.learn(bits, weight, day, half_life_days);
            }
        }
    }
}
