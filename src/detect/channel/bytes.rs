//! Volume and new destinations: sums of the hour and the day against what closed hours and days were.
//!
//! For each scale p is the probability of a sum at least as large ([`volume::log10_p_by_rank`]) and r = (W + 2)/(age in days + 2) the rate of active
//! windows a day, so Z = −log10(p · r) is log10 of the expected days between such windows. The two scales depend on each other, so their
//! harmonic-mean p counts: Z is log10 of the mean of 10^Z of hour and day. METHOD.md 2; running sums instead of closed ones cost no calibration
//! (0.71, 0.81, 0.73 at return periods of 100, 316 and 1000 days; METHOD.md 4).

use serde_json::{Value, json};

use crate::baseline::volume::{self, Prior};
use crate::baseline::{ScalePriors, Scales, Stream};

/// A channel's score with the numbers that it was computed from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::detect) struct BytesScore {
    pub(in crate::detect) z: f64,
    pub(in crate::detect) hour: WindowScore,
    pub(in crate::detect) day: WindowScore,
}

/// One scale's part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::detect) struct WindowScore {
    /// The sum, in bits; `None` where nothing passed.
    bits: Option<f64>,
    /// log10 of the probability of a sum at least as large.
    log10_p: f64,
    /// Active windows a day.
    rate: f64,
    z: f64,
    windows: u32,
}

/// Scores the sums of the open windows, given in bits.
pub(in crate::detect) fn score(
    scales: &Scales,
    priors: &ScalePriors,
    hour: Option<f64>,
    day: Option<f64>,
    age_days: f64,
) -> BytesScore {
    let hour = window(&scales.hour, &priors.hour, hour, age_days);
    let day = window(&scales.day, &priors.day, day, age_days);
    let mean = f64::midpoint(libm::exp10(hour.z), libm::exp10(day.z));
    BytesScore { z: libm::log10(mean).max(0.0), hour, day }
}

/// The most that Z can be where the sums of both open windows are quiet; `None` where one is not.
pub(in crate::detect) fn at_most(
    scales: &Scales,
    hour: Option<f64>,
    day: Option<f64>,
    age_days: f64,
) -> Option<f64> {
    let is_quiet = |stream: &Stream, bits: Option<f64>| bits.is_none_or(|bits| stream.is_quiet(bits));
    if !is_quiet(&scales.hour, hour) || !is_quiet(&scales.day, day) {
        return None;
    }
    let windows = scales.hour.windows.min(scales.day.windows);
    Some((volume::QUIET - libm::log10(rate(windows, age_days))).max(0.0))
}

impl BytesScore {
    /// What is usual: median and 99 % point of both scales, in bytes.
    pub(in crate::detect) fn expected(scales: &Scales, priors: &ScalePriors) -> Value {
        let points = |stream: &Stream, prior: &Prior| {
            let point = |p| round_bytes(volume::quantile(&stream.histogram, prior, p));
            json!({ "median": point(0.5), "p99": point(0.01) })
        };
        json!({
            "hour_bytes": points(&scales.hour, &priors.hour),
            "day_bytes": points(&scales.day, &priors.day),
            "hours": scales.hour.windows,
            "days": scales.day.windows,
        })
    }

    /// log10 of the expected days between clock hours like the open one.
    pub(in crate::detect) fn hour_z(&self) -> f64 {
        self.hour.z
    }

    /// The numbers behind the score.
    pub(in crate::detect) fn evidence(&self) -> Value {
        let part = |w: &WindowScore| {
            json!({
                "log10_p": round(w.log10_p),
                "windows_per_day": round(w.rate),
                "z": round(w.z),
                "windows": w.windows,
                "bits": w.bits.map(round),
            })
        };
        json!({ "hour": part(&self.hour), "day": part(&self.day) })
    }
}

fn window(stream: &Stream, prior: &Prior, bits: Option<f64>, age_days: f64) -> WindowScore {
    let rate = rate(stream.windows, age_days);
    let log10_p = bits.map_or(0.0, |bits| volume::log10_p_by_rank(&stream.histogram, prior, bits));
    WindowScore { bits, log10_p, rate, z: -(log10_p + libm::log10(rate)), windows: stream.windows }
}

/// r: active windows a day.
fn rate(windows: u32, age_days: f64) -> f64 {
    (f64::from(windows) + RATE_PRIOR) / (age_days + RATE_PRIOR)
}

/// Three decimals: what a reader can use, and the same text on any machine.
pub(in crate::detect) fn round(value: f64) -> f64 {
    libm::round(value * 1_000.0) / 1_000.0
}

/// Bytes from bits, to three significant digits: more would pretend.
pub(in crate::detect) fn round_bytes(bits: f64) -> u64 {
    let bytes = (libm::exp2(bits) - 1.0).max(0.0);
    let step = libm::exp10(libm::floor(libm::log10(bytes.max(1.0))) - 2.0).max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^50")]
    let rounded = (libm::round(bytes / step) * step) as u64;
    rounded
}

/// Windows, and days, that the rate begins with: one window a day until more is known (METHOD.md 2).
const RATE_PRIOR: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::{Priors, bits};

    #[test]
    fn the_same_sum_is_rarer_for_what_is_seldom_active() {
        let priors = Priors::builtin();
        let mut seldom = Scales::default();
        for day in 0..6 {
            seldom.hour.histogram.learn(bits(30_000), 1.0, day * 5, 30.0);
            seldom.hour.windows += 1;
        }
        let mut often = seldom.clone();
        often.hour.windows = 700;
        let z = |scales: &Scales| score(scales, &priors.out, Some(bits(50_000_000)), None, 30.0).hour.z;
        assert!(z(&seldom) > z(&often) + 1.0);
    }

    #[test]
    fn a_subject_without_history_scores_next_to_nothing() {
        let priors = Priors::builtin();
        let z =
            score(&Scales::default(), &priors.out, Some(bits(100_000_000)), Some(bits(100_000_000)), 0.0).z;
        assert!(z < 2.0, "{z}");
    }

    #[test]
    fn bytes_keep_three_digits() {
        assert_eq!(round_bytes(bits(123_456_789)), 123_000_000);
        assert_eq!(round_bytes(0.0), 0);
    }
}
