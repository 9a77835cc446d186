//! Chance that is the same in every run.

/// A seeded generator (`SplitMix64`). Each habit, day and occurrence has one of its own, so that a program more or less moves nothing else.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// A generator for what these parts name.
    pub(super) fn of(seed: u64, parts: &[&str]) -> Self {
        let start = seed.wrapping_mul(GOLDEN) ^ FNV_OFFSET;
        let hash = parts
            .iter()
            .flat_map(|part| part.bytes().chain([0]))
            .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        Self(hash)
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform from 0 to below 1.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A factor around 1 whose logarithm is normal; `spread` is the factor of one standard deviation, 1 for none.
    pub(super) fn factor(&mut self, spread: f64) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.share()));
        let normal = radius * libm::cos(std::f64::consts::TAU * self.share());
        libm::exp(normal * libm::log(spread.max(1.0)))
    }

    /// One of several.
    pub(super) fn one_of<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        let at = self.next() % u64::try_from(among.len()).ok().filter(|len| *len > 0)?;
        among.get(usize::try_from(at).ok()?)
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_factors_lie_above_one_and_two_thirds_within_the_spread() {
        let mut dice = Dice::of(1, &["test"]);
        let factors: Vec<f64> = (0..4_000).map(|_| dice.factor(2.0)).collect();
        let above = factors.iter().filter(|f| **f > 1.0).count();
        let within = factors.iter().filter(|f| (0.5..=2.0).contains(*f)).count();
        assert!((1_900..2_100).contains(&above) && (2_600..2_860).contains(&within), "{above} {within}");
    }

    #[test]
    fn what_has_another_name_has_other_dice() {
        assert_ne!(Dice::of(1, &["ab", "c"]).next(), Dice::of(1, &["a", "bc"]).next());
        assert_eq!(Dice::of(7, &["x"]).next(), Dice::of(7, &["x"]).next());
    }
}
