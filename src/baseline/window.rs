//! The hour and the day that are open: what passed in them, and how they are to be learnt.

use serde::{Deserialize, Serialize};

use super::histogram::bits;

/// A window that is open.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Window {
    /// The number of its hour or day.
    pub(super) number: u32,
    /// The day for decay.
    pub(super) aged_day: u32,
    /// What passed in it.
    pub sums: Sums,
    /// How it is to be learnt.
    pub lesson: Learning,
}

/// What passed in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Bytes out.
    pub out: u64,
    /// Bytes out to destinations that were never used before the day.
    pub new: u64,
    /// Bytes in.
    pub received: u64,
    /// Flows that began.
    pub flows: u32,
}

/// How a window is learnt when it closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Learning {
    /// In full.
    #[default]
    Full,
    /// With a tenth of the weight (`DISCOUNTED_TENTHS`): it was over the alert threshold, and nobody has said what it was.
    Discounted,
    /// In full, whatever its score: an analyst or an exception says that it is normal.
    Accepted,
    /// Not at all: an analyst says that it was an attack.
    Rejected,
}

impl Learning {
    /// The weight.
    pub fn weight(self) -> f64 {
        f64::from(self.tenths()) / 10.0
    }

    /// The weight in tenths.
    pub(super) fn tenths(self) -> u32 {
        match self {
            Self::Full | Self::Accepted => 10,
            Self::Discounted => DISCOUNTED_TENTHS,
            Self::Rejected => 0,
        }
    }

    /// The window was over the alert threshold.
    pub fn discount(&mut self) {
        if *self == Self::Full {
            *self = Self::Discounted;
        }
    }

    /// Somebody said what the window was.
    pub fn settle(&mut self, benign: bool) {
        if *self != Self::Full {
            *self = if benign { Self::Accepted } else { Self::Rejected };
        }
    }
}

impl Window {
    /// The later of two windows; two of the same hour or day become one.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.number > self.number {
            *self = *other;
        } else if other.number == self.number {
            self.aged_day = self.aged_day.max(other.aged_day);
            self.lesson = self.lesson.max(other.lesson);
            let (sums, theirs) = (&mut self.sums, &other.sums);
            sums.out = sums.out.saturating_add(theirs.out);
            sums.new = sums.new.saturating_add(theirs.new);
            sums.received = sums.received.saturating_add(theirs.received);
            sums.flows = sums.flows.saturating_add(theirs.flows);
        }
    }
}

impl Sums {
    /// What the volume channel learns and scores, in bits: bytes out, tilted by the imbalance. With `out` and `in` in bytes it is
    /// log2(1 + out) + ¼ log2((1 + out)/(1 + in)), the second part between 0 and `MOST_TILT_BITS`: `out · max(1, out/in)^0.25`, which
    /// gained 2 to 3 points of recall (METHOD.md 3.4). `None` where nothing was sent.
    pub fn volume_bits(&self) -> Option<f64> {
        (self.out > 0).then(|| tilted(self.out, self.received))
    }

    /// Bytes to new destinations, in bits; `None` where there were none.
    pub fn new_bits(&self) -> Option<f64> {
        (self.new > 0).then(|| bits(self.new))
    }

    /// Bytes in, in bits.
    pub fn received_bits(&self) -> Option<f64> {
        (self.received > 0).then(|| bits(self.received))
    }

    /// New flows, in bits.
    pub fn flows_bits(&self) -> Option<f64> {
        (self.flows > 0).then(|| bits(u64::from(self.flows) * FLOW_UNIT))
    }

    /// Bytes out over bytes in; `None` where nothing came in.
    pub fn imbalance(&self) -> Option<f64> {
        (self.received > 0).then(|| self.out as f64 / self.received as f64)
    }
}

/// Bytes out with the imbalance as tie-breaker, in bits.
pub fn tilted(out: u64, received: u64) -> f64 {
    let sent = bits(out);
    sent + (TILT * (sent - bits(received))).clamp(0.0, MOST_TILT_BITS)
}

/// Weight, in tenths, of a window over the alert threshold that nobody has judged (METHOD.md 8: repeat attacks stay visible at 0.55 to 1.00
/// against 0.05 to 0.65 for learning in full, while never learning doubles the false alerts).
const DISCOUNTED_TENTHS: u32 = 1;
/// The exponent of the imbalance (METHOD.md 3.4).
const TILT: f64 = 0.25;
/// The most that imbalance adds, in bits: a flow without any answer is not evidence without end.
const MOST_TILT_BITS: f64 = 3.0;
/// Bytes that a flow is taken for: 2^8, so that one flow stands in the middle of the lower bins.
pub const FLOW_UNIT: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_weighs_more_than_a_download_of_the_same_bytes_out() {
        let upload = Sums { out: 10_000_000, received: 50_000, ..Sums::default() };
        let download = Sums { out: 10_000_000, received: 90_000_000, ..Sums::default() };
        assert!(upload.volume_bits() > download.volume_bits());
        let silent = Sums { out: 10_000_000, ..Sums::default() };
        assert!(silent.volume_bits().unwrap() <= bits(10_000_000) + MOST_TILT_BITS);
    }
}
