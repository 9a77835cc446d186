//! What the closed hours and days of a subject were, one histogram a stream and scale.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::priors::ScalePriors;
use super::volume::{self, Prior};

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
    #[serde(skip)]
    quiet: Quiet,
}

/// What is quiet for a stream ([`volume::quiet_up_to`]), once it was asked since the stream last learnt. It follows from the rest, so two
/// streams do not differ by it.
#[derive(Debug, Clone, Copy, Default)]
struct Quiet(Option<f32>);

impl PartialEq for Quiet {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Bytes in and new flows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OptionalStreams {
    /// Bytes in.
    pub received: Scales,
    /// New flows, each taken as `FLOW_UNIT` bytes so that one histogram serves.
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
            ours.quiet = Quiet::default();
        }
    }

    pub(super) fn at(&mut self, scale: Scale) -> &mut Stream {
        match scale {
            Scale::Hour => &mut self.hour,
            Scale::Day => &mut self.day,
        }
    }
}

impl Scales {
    /// Brings up to date what is quiet on both scales.
    pub(super) fn know_quiet(&mut self, priors: &ScalePriors) {
        self.hour.know_quiet(&priors.hour);
        self.day.know_quiet(&priors.day);
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
                if weight < 1.0 {
                    self.histogram.doubt(weight);
                }
                self.quiet = Quiet::default();
            }
        }
    }

    /// Changes what was learnt of a bin, of which this much is now judged.
    pub(super) fn correct(&mut self, bin: u8, weight: f64, judged: f64) {
        self.histogram.add(bin, weight);
        self.histogram.judged(judged);
        self.quiet = Quiet::default();
    }

    /// A stream that was stored or merged.
    pub(super) fn new(histogram: Histogram, windows: u32) -> Self {
        Self { histogram, windows, quiet: Quiet::default() }
    }

    /// Brings up to date what is quiet.
    fn know_quiet(&mut self, prior: &Prior) {
        if self.quiet.0.is_none() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "some bits between 0 and some hundreds; rounded down below"
            )]
            let bits = volume::quiet_up_to(&self.histogram, prior) as f32;
            self.quiet = Quiet(Some(bits - QUIET_ROUNDING_BITS));
        }
    }

    /// Whether the sum of a window, in bits, is quiet; `false` where that is not known.
    pub fn is_quiet(&self, bits: f64) -> bool {
        self.quiet.0.is_some_and(|quiet| bits <= f64::from(quiet))
    }
}

/// Taken off what is quiet, for keeping it as an `f32`: more than half a unit in the last place of a value below 2^10.
const QUIET_ROUNDING_BITS: f32 = 1e-3;
