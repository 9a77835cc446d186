//! A histogram of byte counts that forgets.

use serde::{Deserialize, Serialize, Serializer};

/// Weights of byte counts in bins of half a bit of log2(1 + bytes), from 2^4 to 2^42, halved every half-life.
///
/// Only occupied bins are kept: a subject's hours lie in 10 to 20 of the 76. Every weight is a whole number of [`QUANTUM`]s, in memory as on
/// disk, so that a stored weight takes four or five bytes and a Mac that was restored goes on from exactly what it had.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Histogram {
    /// Bit i says that bin i is occupied: bins 0 to 63.
    low: u64,
    /// The same for bins 64 to 75. Two words rather than one of 128 bits, whose alignment would cost 16 bytes a histogram.
    high: u16,
    /// The host day of the latest decay.
    day: u32,
    /// Weights of the occupied bins, in ascending order.
    weights: Box<[f64]>,
    /// Sum of the weights in bin order, so that it is the same after a store and a load.
    total: f64,
}

impl Histogram {
    /// Number of bins.
    pub const BINS: usize = 76;
    /// Lower edge of the first bin, in bits.
    pub const LOW: f64 = 4.0;
    /// Width of a bin, in bits.
    pub const WIDTH: f64 = 0.5;

    /// The bin of a value in bits: what is below the first counts as the first, what is above the last as the last.
    pub fn bin(bits: f64) -> u8 {
        let position = ((bits - Self::LOW) / Self::WIDTH).clamp(0.0, (Self::BINS - 1) as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=75")]
        let bin = position as u8;
        bin
    }

    /// Learns one value with a weight, on a host day; what was learnt before decays by the days since.
    pub fn learn(&mut self, bits: f64, weight: f64, day: u32, half_life_days: f64) {
        self.decay_to(day, half_life_days);
        self.add(Self::bin(bits), weight);
    }

    /// Lets what was learnt decay to a host day.
    pub fn decay_to(&mut self, day: u32, half_life_days: f64) {
        if day > self.day && !self.is_empty() {
            let decay = libm::exp2(-f64::from(day - self.day) / half_life_days);
            self.weights.iter_mut().for_each(|weight| *weight = quantised(*weight * decay));
            self.sum_up();
        }
        self.day = self.day.max(day);
    }

    /// Adds to a bin, or takes from it where `weight` is negative: never below nothing.
    pub fn add(&mut self, bin: u8, weight: f64) {
        let weight = quantised(weight);
        let bit = 1u128 << (usize::from(bin).min(Self::BINS - 1));
        let occupied = self.occupied();
        let index = (occupied & (bit - 1)).count_ones() as usize;
        if occupied & bit == 0 {
            if weight > 0.0 {
                self.occupy(occupied | bit);
                let mut weights = Vec::with_capacity(self.weights.len() + 1);
                weights.extend_from_slice(&self.weights);
                weights.insert(index, weight.min(MOST_WEIGHT));
                self.weights = weights.into_boxed_slice();
            }
        } else if let Some(kept) = self.weights.get_mut(index) {
            *kept = (*kept + weight).clamp(0.0, MOST_WEIGHT);
        }
        self.sum_up();
    }

    /// Sum of all weights: the effective number of windows.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Whether nothing was learnt.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Occupied bins with their weights, from the highest down.
    pub fn descending(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let mut left = self.occupied();
        self.weights.iter().rev().map(move |&weight| {
            let bin = 127u32.saturating_sub(left.leading_zeros());
            left &= !(1u128 << bin);
            (bin as usize, weight)
        })
    }

    /// Mass at or above a value in bits, linear within a bin.
    pub fn survival(&self, bits: f64) -> f64 {
        let Some((bin, share)) = position(bits) else { return 0.0 };
        self.descending()
            .take_while(|&(at, _)| at >= bin)
            .map(|(at, weight)| if at == bin { share * weight } else { weight })
            .sum()
    }

    /// Adds another histogram of the same stream, both decayed to the later of their days. Commutative.
    pub fn merge(&mut self, other: &Self, half_life_days: f64) {
        let mut theirs = other.clone();
        theirs.decay_to(self.day, half_life_days);
        self.decay_to(theirs.day, half_life_days);
        for (bin, weight) in theirs.descending() {
            #[expect(clippy::cast_possible_truncation, reason = "a bin is below 76")]
            self.add(bin as u8, weight);
        }
    }

    /// The host day of the latest decay.
    pub fn day(&self) -> u32 {
        self.day
    }

    /// Moves the day of the latest decay, for a baseline that goes to a Mac with another count of days.
    pub fn set_day(&mut self, day: u32) {
        self.day = day;
    }

    fn occupied(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower and the upper part are meant; bit 75 is the highest"
    )]
    fn occupy(&mut self, occupied: u128) {
        self.low = occupied as u64;
        self.high = (occupied >> 64) as u16;
    }

    fn sum_up(&mut self) {
        self.total = self.weights.iter().sum();
    }
}

/// What is stored: which bins are occupied, their weights in quanta, the day.
#[derive(Deserialize)]
struct Stored {
    occupied: u128,
    quanta: Vec<u64>,
    day: u32,
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The weights as a sequence, without a copy of them.
        struct Quanta<'a>(&'a [f64]);
        impl Serialize for Quanta<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "whole quanta, at most 2^53"
                )]
                serializer.collect_seq(self.0.iter().map(|weight| (weight / QUANTUM) as u64))
            }
        }
        (self.occupied(), Quanta(&self.weights), self.day).serialize(serializer)
    }
}

impl TryFrom<Stored> for Histogram {
    type Error = Unsound;

    fn try_from(stored: Stored) -> Result<Self, Unsound> {
        let Stored { occupied, quanta, day } = stored;
        let weights = quanta.iter().map(|quanta| *quanta as f64 * QUANTUM);
        Self::from_parts(occupied, weights.collect(), day)
    }
}

impl Histogram {
    /// From occupied bins and their weights, which are brought to whole quanta.
    pub(super) fn from_parts(occupied: u128, weights: Box<[f64]>, day: u32) -> Result<Self, Unsound> {
        let sound = occupied >> Self::BINS == 0
            && occupied.count_ones() as usize == weights.len()
            && weights.iter().all(|weight| (0.0..=MOST_WEIGHT).contains(weight));
        if !sound {
            return Err(Unsound);
        }
        let mut histogram = Self { day, weights, ..Self::default() };
        histogram.weights.iter_mut().for_each(|weight| *weight = quantised(*weight));
        histogram.occupy(occupied);
        histogram.sum_up();
        Ok(histogram)
    }
}

/// A stored histogram that is none: a bin beyond the last, or bins and weights that do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored histogram contradicts itself")]
pub struct Unsound;

/// The nearest whole number of quanta. Rounding is exact arithmetic: the same on every machine.
fn quantised(weight: f64) -> f64 {
    libm::round(weight / QUANTUM) * QUANTUM
}

/// A byte count in bits: log2(1 + bytes).
pub fn bits(bytes: u64) -> f64 {
    libm::log2(1.0 + bytes as f64)
}

/// The lower edge of a bin, in bits.
pub(super) fn edge(bin: usize) -> f64 {
    Histogram::LOW + bin as f64 * Histogram::WIDTH
}

/// The bin of a value and the share of the bin that lies at or above it; `None` above the last bin.
pub(super) fn position(bits: f64) -> Option<(usize, f64)> {
    let position = ((bits - Histogram::LOW) / Histogram::WIDTH).max(0.0);
    let whole = libm::floor(position);
    if whole >= Histogram::BINS as f64 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 75")]
    let bin = whole as usize;
    Some((bin, 1.0 - (position - whole)))
}

/// The unit of a weight, 2^−24 of a window. A day's decay rounds each weight by at most half of it; over the 43 days that a half-life of
/// 30 days remembers, that adds up to some 10^−7 a bin, which moves log10 of a probability by less than 10^−6: the reference is met
/// to that (`tests/baseline_vectors.rs`). Coarser units are not: 2^−20 misses it.
const QUANTUM: f64 = 1.0 / 16_777_216.0;
/// A bin holds no more than this, so that its quanta stay whole numbers of an `f64`: 2^28 windows, 30,000 years of hours.
const MOST_WEIGHT: f64 = 268_435_456.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[(u64, u32)]) -> Histogram {
        let mut histogram = Histogram::default();
        for &(bytes, day) in values {
            histogram.learn(bits(bytes), 1.0, day, 30.0);
        }
        histogram
    }

    #[test]
    fn half_is_left_after_a_half_life() {
        let mut histogram = of(&[(1_000, 0), (1_000_000, 0)]);
        histogram.decay_to(30, 30.0);
        assert!((histogram.total() - 1.0).abs() < 1e-7);
    }

    #[test]
    fn values_beyond_the_ends_count_as_the_ends() {
        let histogram = of(&[(0, 0), (u64::MAX, 0)]);
        assert_eq!(histogram.descending().map(|(bin, _)| bin).collect::<Vec<_>>(), [75, 0]);
    }

    #[test]
    fn no_more_is_taken_than_there_is() {
        let mut histogram = of(&[(1_000, 0)]);
        histogram.add(Histogram::bin(bits(1_000)), -5.0);
        histogram.add(3, -1.0);
        assert!(histogram.total().abs() < 1e-12);
    }

    #[test]
    fn a_stored_histogram_that_contradicts_itself_is_refused() {
        let one = |occupied, weights: &[f64]| Histogram::from_parts(occupied, weights.into(), 0);
        assert!(one(1, &[1.0]).is_ok());
        for (occupied, weights) in
            [(1, &[][..]), (1 << 76, &[1.0]), (1, &[-1.0]), (1, &[f64::NAN]), (1, &[1e10])]
        {
            assert_eq!(one(occupied, weights), Err(Unsound), "{occupied} {weights:?}");
        }
    }

    proptest! {
        #[test]
        fn merging_commutes(a in prop::collection::vec((any::<u64>(), 0u32..90), 0..40), b in prop::collection::vec((any::<u64>(), 0u32..90), 0..40)) {
            let (a, b) = (of(&a), of(&b));
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(&b, 30.0);
            ba.merge(&a, 30.0);
            prop_assert_eq!(ab, ba);
        }

        #[test]
        fn survival_falls_from_everything_to_nothing(values in prop::collection::vec((any::<u64>(), 0u32..90), 1..40), low in 0.0..50.0f64, step in 0.0..10.0f64) {
            let histogram = of(&values);
            prop_assert!(histogram.survival(low) + 1e-9 >= histogram.survival(low + step));
            prop_assert!((histogram.survival(0.0) - histogram.total()).abs() < 1e-6);
        }

        #[test]
        fn a_stored_histogram_comes_back_to_the_bit(values in prop::collection::vec((any::<u64>(), 0u32..90), 0..40)) {
            let histogram = of(&values);
            let stored = postcard::to_stdvec(&histogram).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Histogram>(&stored).unwrap(), histogram);
        }
    }
}
