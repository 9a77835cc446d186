//! A histogram of byte counts that forgets.

use serde::{Deserialize, Serialize, Serializer};

/// Weights of byte counts in bins of half a bit of log2(1 + bytes), from 2^4 to 2^42, halved every half-life.
///
/// Only occupied bins are kept: a subject's hours lie in 10 to 20 of the 76. Every weight is a whole number of units, in memory as on disk, so
/// that a weight takes four bytes and a Mac that was restored goes on from exactly what it had. The unit is one for the whole histogram, and as
/// fine as its largest weight allows (`COARSEST_UNIT`): each day's decay rounds, and the roundings of years add up.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Histogram {
    /// Bit i says that bin i is occupied: bins 0 to 63.
    low: u64,
    /// The same for bins 64 to 75. Two words rather than one of 128 bits, whose alignment would cost 16 bytes a histogram.
    high: u16,
    /// How often the coarsest unit is halved.
    halvings: u8,
    /// The host day of the latest decay.
    day: u32,
    /// How much of all weights, in units, nobody has judged ([`Histogram::doubt`]).
    unjudged: u32,
    /// Weights of the occupied bins in units, in ascending order.
    quanta: Box<[u32]>,
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
            self.change(decay, None);
        }
        self.day = self.day.max(day);
    }

    /// Adds to a bin, or takes from it where `weight` is negative: never below nothing.
    pub fn add(&mut self, bin: u8, weight: f64) {
        let bit = 1u128 << (usize::from(bin).min(Self::BINS - 1));
        let occupied = self.occupied();
        let index = (occupied & (bit - 1)).count_ones() as usize;
        if occupied & bit == 0 {
            if weight <= 0.0 {
                return;
            }
            self.occupy(occupied | bit);
            let mut quanta = Vec::with_capacity(self.quanta.len() + 1);
            quanta.extend_from_slice(&self.quanta);
            quanta.insert(index, 0);
            self.quanta = quanta.into_boxed_slice();
        }
        self.change(1.0, Some((index, weight)));
    }

    /// Of what was learnt, this weight was over the alert threshold, and nobody has said what it was.
    pub fn doubt(&mut self, weight: f64) {
        self.unjudged = self.unjudged.saturating_add(rounded(weight / self.unit()));
    }

    /// Somebody has said what this weight was.
    pub fn judged(&mut self, weight: f64) {
        self.unjudged = self.unjudged.saturating_sub(rounded(weight / self.unit()));
    }

    /// How much weight nobody has judged.
    pub fn unjudged(&self) -> f64 {
        f64::from(self.unjudged) * self.unit()
    }

    /// Sum of all weights: the effective number of windows.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Whether nothing was learnt.
    pub fn is_empty(&self) -> bool {
        self.quanta.is_empty()
    }

    /// Occupied bins with their weights, from the highest down.
    pub fn descending(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let unit = self.unit();
        self.bins().map(move |(bin, quanta)| (bin, f64::from(quanta) * unit))
    }

    fn bins(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let mut left = self.occupied();
        self.quanta.iter().rev().map(move |&quanta| {
            let bin = 127u32.saturating_sub(left.leading_zeros());
            left &= !(1u128 << bin);
            (bin as usize, quanta)
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

    /// Adds another histogram of the same stream, both decayed to the later of their days. Commutative. Where a bin would hold more than a
    /// bin can, as after merging hundreds of Macs, all weights are lowered alike: the whole counts as fewer windows of the same shape.
    pub fn merge(&mut self, other: &Self, half_life_days: f64) {
        let mut theirs = other.clone();
        theirs.decay_to(self.day, half_life_days);
        self.decay_to(theirs.day, half_life_days);
        let mut sums = [0.0f64; Self::BINS];
        // Exact, and so the same in either order: weights have at most 32 bits, and their units lie at most 2^5 apart.
        for (bin, weight) in self.descending().chain(theirs.descending()) {
            if let Some(sum) = sums.get_mut(bin) {
                *sum += weight;
            }
        }
        let largest = sums.iter().copied().fold(0.0, f64::max);
        let share = if largest > MOST_WEIGHT { MOST_WEIGHT / largest } else { 1.0 };
        let unjudged = (self.unjudged() + theirs.unjudged()) * share;
        let occupied = self.occupied() | theirs.occupied();
        let of_bin = |(bin, sum): (usize, &f64)| (occupied >> bin & 1 == 1).then_some(*sum * share);
        self.occupy(occupied);
        self.keep(&sums.iter().enumerate().filter_map(of_bin).collect::<Vec<_>>());
        self.unjudged = rounded(unjudged / self.unit());
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

    /// The unit of the weights.
    fn unit(&self) -> f64 {
        unit(self.halvings)
    }

    /// Multiplies every weight, adds to the one at a place among the occupied bins, and brings all to whole units.
    fn change(&mut self, decay: f64, added: Option<(usize, f64)>) {
        let before = self.unit();
        let changed = |(at, quanta): (usize, u32)| {
            let more = added.filter(|&(place, _)| place == at).map_or(0.0, |(_, weight)| weight);
            (f64::from(quanta) * before * decay + more).max(0.0)
        };
        self.halvings = halvings(self.quanta.iter().copied().enumerate().map(changed).fold(0.0, f64::max));
        let after = self.unit();
        for (at, quanta) in self.quanta.iter_mut().enumerate() {
            *quanta = rounded(changed((at, *quanta)) / after);
        }
        self.unjudged = rounded(f64::from(self.unjudged) * before * decay / after);
        self.sum_up();
    }

    /// Takes the weights of the occupied bins, in ascending order.
    fn keep(&mut self, weights: &[f64]) {
        self.halvings = halvings(weights.iter().copied().fold(0.0, f64::max));
        let unit = self.unit();
        self.quanta = weights.iter().map(|weight| rounded(weight / unit)).collect();
        self.sum_up();
    }

    fn sum_up(&mut self) {
        let sum: u64 = self.quanta.iter().copied().map(u64::from).sum();
        self.total = sum as f64 * self.unit();
    }

    /// From occupied bins and their weights, which are brought to whole units.
    pub(super) fn from_parts(occupied: u128, weights: &[f64], day: u32) -> Result<Self, Unsound> {
        let sound = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
        if !sound || occupied >> Self::BINS != 0 || occupied.count_ones() as usize != weights.len() {
            return Err(Unsound);
        }
        let mut histogram = Self { day, ..Self::default() };
        histogram.occupy(occupied);
        histogram.keep(weights);
        Ok(histogram)
    }
}

/// What is stored: which bins are occupied, their weights in units, the day.
#[derive(Deserialize)]
struct Stored {
    /// One bit a bin; above them the halvings of the unit, in 4 bits, and the unjudged weight, in 32. Before version 4 of a subject both were zero:
    /// the coarsest unit, and nothing known of what was judged.
    occupied: u128,
    quanta: Box<[u32]>,
    day: u32,
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let beside = u128::from(self.unjudged) << HALVINGS_BITS | u128::from(self.halvings);
        let occupied = beside << Self::BINS | self.occupied();
        (occupied, &self.quanta, self.day).serialize(serializer)
    }
}

impl TryFrom<Stored> for Histogram {
    type Error = Unsound;

    fn try_from(stored: Stored) -> Result<Self, Unsound> {
        let Stored { occupied, quanta, day } = stored;
        let beside = occupied >> Self::BINS;
        let unjudged = u32::try_from(beside >> HALVINGS_BITS).map_err(|_| Unsound)?;
        let halvings = u8::try_from(beside & ((1 << HALVINGS_BITS) - 1)).map_err(|_| Unsound)?;
        let occupied = occupied & ((1 << Self::BINS) - 1);
        if halvings > MOST_HALVINGS || occupied.count_ones() as usize != quanta.len() {
            return Err(Unsound);
        }
        let mut histogram = Self { halvings, day, unjudged, quanta, ..Self::default() };
        histogram.occupy(occupied);
        histogram.sum_up();
        Ok(histogram)
    }
}

/// A stored histogram that is none: a bin beyond the last, or bins and weights that do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored histogram contradicts itself")]
pub struct Unsound;

/// The nearest whole number of units, at most what a bin holds. Rounding is exact arithmetic: the same on every machine.
fn rounded(units: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    let rounded = libm::round(units) as u32;
    rounded
}

/// The coarsest unit, halved this often.
fn unit(halvings: u8) -> f64 {
    COARSEST_UNIT / f64::from(1u32 << halvings.min(MOST_HALVINGS))
}

/// How often the coarsest unit can be halved so that a weight still is less than 2^32 of it.
fn halvings(weight: f64) -> u8 {
    (0..=MOST_HALVINGS)
        .rev()
        .find(|halvings| weight > 0.0 && weight < unit(*halvings) * UNITS_OF_A_BIN)
        .unwrap_or(0)
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

/// The coarsest unit of a weight, 2^−22 of a window: a bin then holds up to 1,023 windows, and all hours of a program that never rests come to
/// 1,050 in all its bins.
const COARSEST_UNIT: f64 = 1.0 / 4_194_304.0;
/// How often the unit is halved where the weights are small, as most are: a unit of 2^−27 holds up to 32 windows a bin. Against the reference, on
/// histories of 3,000 values, the coarsest unit alone moved log10 of a probability by up to 7.8 · 10^−6, this by 1.9 · 10^−7, where 10^−6 is asked for
/// (`scripts/volume_vectors.py`).
const MOST_HALVINGS: u8 = 5;
/// Bits that the halvings take where they are stored.
const HALVINGS_BITS: u32 = 4;
/// How many units a bin holds, 2^32.
const UNITS_OF_A_BIN: f64 = 4_294_967_296.0;
/// The most that a bin holds, in windows.
const MOST_WEIGHT: f64 = (UNITS_OF_A_BIN - 1.0) * COARSEST_UNIT;

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
        assert!((histogram.total() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn values_beyond_the_ends_count_as_the_ends() {
        let histogram = of(&[(0, 0), (u64::MAX, 0)]);
        assert_eq!(histogram.descending().map(|(bin, _)| bin).collect::<Vec<_>>(), [75, 0]);
    }

    #[test]
    fn a_merge_beyond_what_a_bin_holds_keeps_the_shape() {
        let many = Histogram::from_parts(0b11, &[900.0, 90.0], 0).unwrap();
        let mut merged = many.clone();
        merged.merge(&many, 30.0);
        let weights: Vec<f64> = merged.descending().map(|(_, weight)| weight).collect();
        assert!(
            (weights[1] - 1_024.0).abs() < 1e-3 && (weights[1] / weights[0] - 10.0).abs() < 1e-3,
            "{weights:?}"
        );
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
        let one = |occupied, weights: &[f64]| Histogram::from_parts(occupied, weights, 0);
        assert!(one(1, &[1.0]).is_ok());
        for (occupied, weights) in [(1, &[][..]), (1 << 76, &[1.0]), (1, &[-1.0]), (1, &[f64::NAN])] {
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
