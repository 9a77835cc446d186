//! Bayes-POT: how probable is a sum at least as large as this one?
//!
//! The histogram of a subject's sums is mixed with a prior worth [`PRIOR_WINDOWS`] windows. Above the edge that cuts off the top tenth
//! of that mixture, the excess in bits is taken as exponential (in bytes: Pareto) with a Gamma prior on its rate, which gives the
//! predictive distribution in closed form (Lomax). Below the edge the mixture speaks for itself. METHOD.md section 2 has the formulas
//! and section 3 the measurements; the test vectors in `tests/vectors` come from its reference.

use super::histogram::{Histogram, edge, position};

/// What a histogram of one stream and scale looks like for images in general.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// Probability of each bin.
    bins: [f64; Histogram::BINS],
    /// Probability of each bin and all above it.
    above: [f64; Histogram::BINS + 1],
}

/// The predictive tail for one histogram: what every probability of it is computed from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Lower edge of the tail, in bits.
    pub edge: f64,
    /// Weight in the tail, prior included.
    pub mass: f64,
    /// Weight of everything, prior included.
    pub total: f64,
    /// Shape α of the predictive tail.
    pub shape: f64,
    /// Scale β of the predictive tail, in bits.
    pub scale: f64,
}

/// A prior needs one weight a bin, none negative, not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prior needs {} bins with weights that are finite, not negative and not all zero", Histogram::BINS)]
pub struct InvalidPrior;

impl Prior {
    /// From the weights of the bins. They are used as they are: the reference does not normalise either.
    ///
    /// # Errors
    /// Where the number of bins is wrong or a weight is no weight.
    pub fn new(weights: &[f64]) -> Result<Self, InvalidPrior> {
        let bins: [f64; Histogram::BINS] = weights.try_into().map_err(|_| InvalidPrior)?;
        let sound = bins.iter().all(|w| w.is_finite() && *w >= 0.0) && bins.iter().any(|w| *w > 0.0);
        if !sound {
            return Err(InvalidPrior);
        }
        let mut above = [0.0; Histogram::BINS + 1];
        let mut sum = 0.0;
        for (slot, weight) in above.iter_mut().rev().skip(1).zip(bins.iter().rev()) {
            sum += weight;
            *slot = sum;
        }
        Ok(Self { bins, above })
    }

    /// Probability of a value at or above this one, in bits; linear within a bin.
    pub fn survival(&self, bits: f64) -> f64 {
        let Some((bin, share)) = position(bits) else { return 0.0 };
        let own = self.bins.get(bin).copied().unwrap_or(0.0);
        share * own + self.above.get(bin + 1).copied().unwrap_or(0.0)
    }
}

impl Tail {
    /// The tail of a histogram under a prior: the lowest edge above which lies at most a tenth of the weight. The topmost occupied bin
    /// is always in the tail.
    pub fn of(histogram: &Histogram, prior: &Prior) -> Self {
        let total = histogram.total() + PRIOR_WINDOWS;
        let most = TAIL_SHARE * total;
        let mut own = histogram.descending().peekable();
        let (mut mass, mut first, mut moment) = (0.0, Histogram::BINS, 0.0);
        for (bin, q) in prior.bins.iter().enumerate().rev() {
            let learnt = own.next_if(|&(at, _)| at == bin).map_or(0.0, |(_, weight)| weight);
            let weight = learnt + PRIOR_WINDOWS * q;
            if mass > 0.0 && mass + weight > most {
                break;
            }
            mass += weight;
            moment += weight * (edge(bin) + Histogram::WIDTH / 2.0);
            first = bin;
            if mass > most {
                break;
            }
        }
        let edge = edge(first);
        let excess = moment - mass * edge;
        Self { edge, mass, total, shape: PRIOR_SHAPE + mass, scale: PRIOR_SHAPE * PRIOR_EXCESS_BITS + excess }
    }
}

/// log10 of the probability of a value at least as large as `bits`, from −60 to 0.
pub fn log10_p(histogram: &Histogram, prior: &Prior, bits: f64) -> f64 {
    log10_p_under(&Tail::of(histogram, prior), histogram, prior, bits)
}

fn log10_p_under(tail: &Tail, histogram: &Histogram, prior: &Prior, bits: f64) -> f64 {
    let log_p = if bits > tail.edge {
        let reach = libm::log10(tail.scale) - libm::log10(tail.scale + bits - tail.edge);
        libm::log10(tail.mass / tail.total) + tail.shape * reach
    } else {
        let own = (histogram.survival(bits) + PRIOR_WINDOWS * prior.survival(bits)) / tail.total;
        libm::log10(own.max(tail.mass / tail.total).clamp(LEAST_P, 1.0))
    };
    let floor = FLOOR_WEIGHT * prior.survival(bits) / (histogram.total() + FLOOR_WEIGHT);
    log_p.max(libm::log10(floor.max(LEAST_P))).max(LEAST_LOG10_P)
}

/// log10 of the probability of a value at least as large as `bits`, from −60 to 0: [`log10_p`], but no less than what ranks alone say.
///
/// Of N windows that could have come in any order the next is larger than all with probability 1/(N + 1), whatever their distribution. Where a
/// subject's topmost windows lie in one bin and are more than a tenth of all, as with few windows or even ones, the tail of [`log10_p`] begins above
/// that bin and holds next to nothing but the prior: a subject that sends much would be measured, just above its own largest value, by what images in
/// general send. From the edge of the tail on the bound falls as the tail does. Windows that were over the alert threshold and that nobody judged have
/// no rank: what comes again and again stays as rare as the tail says until somebody calls it benign.
pub fn log10_p_by_rank(histogram: &Histogram, prior: &Prior, bits: f64) -> f64 {
    let tail = Tail::of(histogram, prior);
    let p = log10_p_under(&tail, histogram, prior, bits);
    // The tail ends at the bin that is too heavy for it.
    let below = histogram.descending().find(|&(bin, _)| edge(bin + 1) <= tail.edge);
    let heavy = below.filter(|&(bin, _)| edge(bin + 1) >= tail.edge).map_or(0.0, |(_, weight)| weight);
    let weight = (heavy - histogram.unjudged()).min(1.0);
    if weight <= 0.0 {
        return p;
    }
    let beyond = (bits - tail.edge).max(0.0);
    let fall = tail.shape * (libm::log10(tail.scale) - libm::log10(tail.scale + beyond));
    p.max(libm::log10(weight / (histogram.total() + 1.0)) + fall)
}

/// A value, in bits, up to which [`log10_p`] is at least −[`QUIET`]: with fewer a window is no news for its subject, whatever else there is.
/// Above the edge of the tail it is the closed form turned round; the floor only makes values more probable.
pub fn quiet_up_to(histogram: &Histogram, prior: &Prior) -> f64 {
    let tail = Tail::of(histogram, prior);
    let reach = libm::exp10((libm::log10(tail.mass / tail.total) + QUIET) / tail.shape);
    if reach > 1.0 { tail.edge + tail.scale * (reach - 1.0) - QUIET_SLACK_BITS } else { 0.0 }
}

/// The value, in bits, that is exceeded with probability `p`: for explanations (median, 99 % point).
pub fn quantile(histogram: &Histogram, prior: &Prior, p: f64) -> f64 {
    let target = libm::log10(p);
    let (mut low, mut high) = (0.0, QUANTILE_CEILING_BITS);
    for _ in 0..QUANTILE_STEPS {
        let middle = f64::midpoint(low, high);
        if log10_p_by_rank(histogram, prior, middle) > target { low = middle } else { high = middle }
    }
    high
}

/// m: how many windows the prior is worth (METHOD.md 2).
pub const PRIOR_WINDOWS: f64 = 3.0;
/// τ: the share of the weight that is the tail.
const TAIL_SHARE: f64 = 0.1;
/// a0: shape of the Gamma prior on the tail's rate. NAB: 10 scores 56.0, 3 scores 55.9 (METHOD.md 3.6).
const PRIOR_SHAPE: f64 = 10.0;
/// θ0: the mean excess in bits that the Gamma prior expects.
const PRIOR_EXCESS_BITS: f64 = 1.2;
/// Weight of the prior's own survival as a lower bound: never more certain than this.
const FLOOR_WEIGHT: f64 = 0.5;
/// −log10 of the probability down to which a window is quiet: 99 of 100 windows are.
pub const QUIET: f64 = 2.0;
/// Taken off a quiet value for the rounding of its computation.
const QUIET_SLACK_BITS: f64 = 1e-3;
/// Below this a probability is not told from nothing.
const LEAST_P: f64 = 1e-16;
/// The least logarithm given out.
const LEAST_LOG10_P: f64 = -60.0;
/// A quantile is looked for up to here: 2^50 bytes, a petabyte.
const QUANTILE_CEILING_BITS: f64 = 50.0;
/// Halvings of the search for a quantile: 50 bits to a millionth of one.
const QUANTILE_STEPS: u32 = 26;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::histogram::bits;
    use super::*;
    use crate::baseline::Priors;

    fn learnt(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &value in values {
            histogram.learn(bits(value), 1.0, 0, 30.0);
        }
        histogram
    }

    #[test]
    fn a_steady_history_makes_the_same_burst_rarer() {
        let priors = Priors::builtin();
        let prior = &priors.out.hour;
        let burst = bits(100_000_000);
        let steady = learnt(&[20_000; 400]);
        let wild = learnt(&(0..400).map(|n| 2_000u64 << (n % 17)).collect::<Vec<_>>());
        assert!(log10_p(&steady, prior, burst) < log10_p(&wild, prior, burst) - 1.0);
    }

    #[test]
    fn the_median_lies_where_half_of_the_history_lies() {
        let priors = Priors::builtin();
        let history = learnt(&[1_000, 30_000, 1_000_000].repeat(100));
        let median = quantile(&history, &priors.out.hour, 0.5);
        assert!((median - bits(30_000)).abs() < 1.0, "{median}");
    }

    #[test]
    fn what_is_usual_is_quiet_and_a_thousandfold_is_not() {
        let priors = Priors::builtin();
        // One hour of twenty is five times the others.
        let history = learnt(&[[20_000; 19].as_slice(), &[100_000]].concat().repeat(20));
        let quiet = quiet_up_to(&history, &priors.out.hour);
        assert!(quiet > bits(20_000) && quiet < bits(100_000_000), "{quiet}");
    }

    #[test]
    fn a_little_more_than_ever_is_as_probable_as_its_rank_says() {
        let priors = Priors::builtin();
        // Three backups of ten gigabytes; the prior has one such day in a thousand.
        let history = learnt(&[10_000_000_000; 3]);
        let p = |gigabytes: u64| log10_p_by_rank(&history, &priors.out.day, bits(gigabytes * 1_000_000_000));
        assert!(p(13) > -1.0 && log10_p(&history, &priors.out.day, bits(13_000_000_000)) < -2.0, "{}", p(13));
        assert!(p(1_000) < -2.0, "{}", p(1_000));
    }

    #[test]
    fn what_nobody_judged_has_no_rank() {
        let priors = Priors::builtin();
        let mut history = learnt(&[20_000; 5]);
        for _ in 0..20 {
            history.learn(bits(1_000_000_000), 0.1, 0, 30.0);
            history.doubt(0.1);
        }
        let again = |history: &Histogram| log10_p_by_rank(history, &priors.out.day, bits(2_000_000_000));
        assert!(again(&history) < -2.0, "{}", again(&history));
        history.judged(2.0);
        assert!(again(&history) > -1.5, "{}", again(&history));
    }

    #[test]
    fn weights_that_are_none_make_no_prior() {
        assert_eq!(Prior::new(&[1.0; 75]), Err(InvalidPrior));
        assert_eq!(Prior::new(&[0.0; 76]), Err(InvalidPrior));
        assert_eq!(Prior::new(&[f64::NAN; 76]), Err(InvalidPrior));
    }

    proptest! {
        #[test]
        fn what_is_quiet_is_no_rarer_than_one_in_a_hundred(values in prop::collection::vec(0u64..1 << 40, 0..60), share in 0.0..1.0f64) {
            let priors = Priors::builtin();
            let history = learnt(&values);
            let quiet = quiet_up_to(&history, &priors.out.hour);
            prop_assert!(log10_p(&history, &priors.out.hour, share * quiet) >= -QUIET);
        }

        #[test]
        fn a_larger_value_is_never_more_probable(values in prop::collection::vec(0u64..1 << 40, 0..60), low in 0.0..48.0f64, step in 0.0..5.0f64) {
            let priors = Priors::builtin();
            let history = learnt(&values);
            for log10_p in [log10_p, log10_p_by_rank] {
                let (p, q) = (log10_p(&history, &priors.out.day, low), log10_p(&history, &priors.out.day, low + step));
                prop_assert!(q <= p + 1e-9, "{p} then {q}");
                prop_assert!((-60.0..=0.0).contains(&q));
            }
        }
    }
}
