//! Initiator novelty: a tool run by what never ran it on this Mac.
//!
//! Z = −log10(rate · tail): how often a new (tool, initiator) pair comes up on this Mac, times which share of pairs has an initiator at
//! most as common ([`Priors::initiator_tail`]); the offset for active subjects is added back in the combination, since the rate is that of
//! the Mac and not of the subject (METHOD.md 2). Kept for 24 hours, so that volume that follows combines with it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bytes::round;
use crate::baseline::Priors;

/// A new pair, with the numbers that its score was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(in crate::detect) struct InitiatorNovelty {
    /// Without the offset for active subjects.
    pub(in crate::detect) z: f64,
    /// New pairs a day on this Mac.
    rate: f64,
    tail: f64,
    new_pairs: u32,
}

/// Scores a new pair. `new_pairs` counts those of the last 30 days, `age_days` is the Mac's.
pub(in crate::detect) fn score(
    initiator: &str,
    scripting_host: bool,
    new_pairs: u32,
    age_days: f64,
    priors: &Priors,
) -> InitiatorNovelty {
    let tail = priors.initiator_tail(initiator, scripting_host);
    let per_day = (f64::from(new_pairs) + PAIR_PRIOR) / (age_days.min(PAIR_DAYS) + DAY_PRIOR);
    let rate = per_day.min(MOST_PAIRS_PER_DAY);
    InitiatorNovelty { z: -libm::log10(rate * tail), rate, tail, new_pairs }
}

impl InitiatorNovelty {
    /// The numbers behind the score.
    pub(in crate::detect) fn evidence(&self) -> Value {
        json!({
            "new_pairs_per_day": round(self.rate),
            "log10_tail": round(libm::log10(self.tail)),
            "new_pairs_in_30_days": self.new_pairs,
        })
    }
}

/// Days over which new pairs are counted.
pub(in crate::detect) const PAIR_DAYS: f64 = 30.0;
/// Half a pair, and 5 days, that the rate begins with (METHOD.md 2).
const PAIR_PRIOR: f64 = 0.5;
const DAY_PRIOR: f64 = 5.0;
/// In a Mac's first days every pair is new: a backlog, not news. The rate is not taken for more than this.
const MOST_PAIRS_PER_DAY: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripting_host_is_news_even_on_the_first_day() {
        let first_day = score("apple:com.apple.osascript", true, 40, 0.0, &Priors::builtin());
        assert!(first_day.z > 2.5, "{first_day:?}");
    }

    #[test]
    fn a_terminal_is_not_and_a_stranger_is_in_between() {
        let priors = Priors::builtin();
        let z = |initiator, scripting| score(initiator, scripting, 2, 30.0, &priors).z;
        let (terminal, stranger, osascript) =
            (z("apple:com.apple.Terminal", false), z("ABCDE12345:com.example.New", false), z("x", true));
        assert!(terminal < stranger && stranger < osascript);
    }
}
