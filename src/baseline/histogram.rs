//! A histogram of byte counts that forgets.

use serde::{Deserialize, Serialize};

/// Weights of byte counts in bins of half a bit of log2(1 + bytes), from 2^4 to 2^42, halved every half-life.
///
/// Only occupied bins are stored: a subject's hours lie in 10 to 20 of the 76.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// Bit i says that bin i is occupied.
    occupied: u128,
    /// Weights of the occupied bins, in ascending order.
    weights: Vec<f64>,
    /// Sum of the weights in bin order, so that it is the same after a store and a load.
    #[serde(skip)]
    total: f64,
    /// The host day of the latest decay.
    day: u32,
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
        if day > self.day && self.occupied != 0 {
            let decay = libm::exp2(-f64::from(day - self.day) / half_life_days);
            self.weights.iter_mut().for_each(|weight| *weight *= decay);
            self.sum_up();
        }
        self.day = self.day.max(day);
    }

    /// Adds to a bin, or takes from it where `weight` is negative: never below nothing.
    pub fn add(&mut self, bin: u8, weight: f64) {
        let bit = 1u128 << (usize::from(bin).min(Self::BINS - 1));
        let index = (self.occupied & (bit - 1)).count_ones() as usize;
        if self.occupied & bit == 0 {
            if weight > 0.0 {
                self.occupied |= bit;
                self.weights.insert(index, weight);
            }
        } else if let Some(kept) = self.weights.get_mut(index) {
            *kept = (*kept + weight).max(0.0);
        }
        self.sum_up();
    }

    /// Brings the total up to date: after every change, and after a load.
    pub(super) fn sum_up(&mut self) {
        self.total = self.weights.iter().sum();
    }

    /// Sum of all weights: the effective number of windows.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Whether nothing was learnt.
    pub fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Occupied bins with their weights, from the highest down.
    pub fn descending(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let mut left = self.occupied;
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

    /// Whether the stored form holds what this type promises.
    pub(super) fn is_sound(&self) -> bool {
        self.occupied >> Self::BINS == 0
            && self.occupied.count_ones() as usize == self.weights.len()
            && self.weights.iter().all(|w| w.is_finite() && *w >= 0.0)
    }
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
        assert!((histogram.total() - 1.0).abs() < 1e-12);
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
        assert!(histogram.total().abs() < 1e-12 && histogram.is_sound());
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
            prop_assert!(histogram.is_sound());
        }
    }
}
