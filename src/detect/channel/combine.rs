//! One score from several channels.
//!
//! S = Z of the strongest + Σ g(`Z_c` − `λ_c`) over the others − log10(channels) − log10(active subjects) − trim, where g is zero below
//! zero, rises with slope 1 up to [`JOINING_FULL`] and with slope [`JOINING_SHARE`] beyond it. With g(x) = x and λ = 0.9 this is METHOD.md's
//! best subset, max over J of Σ `Z_c` − 0.9(|J| − 1), which is right where the channels are independent. They are not, and the further out
//! one looks, the more that costs: at one alert in 200 Mac-days METHOD.md's form made several times its budget, about half of it where volume and
//! new destinations rose together. So a further channel counts in full only near its cost, the weaker of volume and destination, which count
//! the same bytes, costs more ([`SAME_BYTES_COST`]), and on a subject's first day, when everything about it is new for one and the same
//! reason, every further channel does ([`FIRST_DAY_COST`]).

use crate::detect::Channel;

/// What is taken off the sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::detect) struct Offsets {
    /// How many channels are scored at all.
    pub(in crate::detect) channels: u32,
    /// Subjects active in the last 24 hours, at least [`LEAST_ACTIVE`].
    pub(in crate::detect) active: u32,
    /// The budget's trim.
    pub(in crate::detect) trim: f64,
    /// The subject has no closed day.
    pub(in crate::detect) first_day: bool,
}

/// A score and the channels that make it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::detect) struct Combined {
    /// S, not capped.
    pub(in crate::detect) score: f64,
    /// The channels that add up to it.
    pub(in crate::detect) counted: ChannelSet,
}

/// A set of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(in crate::detect) struct ChannelSet(u8);

impl ChannelSet {
    pub(in crate::detect) fn contains(self, channel: Channel) -> bool {
        self.0 & (1 << channel as u8) != 0
    }

    /// Whether `self` has a channel that `other` lacks.
    pub(in crate::detect) fn exceeds(self, other: Self) -> bool {
        self.0 & !other.0 != 0
    }

    #[must_use]
    pub(in crate::detect) fn with(self, channel: Channel) -> Self {
        Self(self.0 | 1 << channel as u8)
    }
}

impl Offsets {
    fn sum(&self) -> f64 {
        libm::log10(f64::from(self.channels))
            + libm::log10(f64::from(self.active.max(LEAST_ACTIVE)))
            + self.trim
    }
}

/// Adds up.
pub(in crate::detect) fn combine(channels: &[(Channel, f64)], offsets: &Offsets) -> Combined {
    let strongest = channels.iter().copied().fold(None, |best: Option<(Channel, f64)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    });
    let Some((first, z)) = strongest else {
        return Combined { score: -offsets.sum(), counted: ChannelSet::default() };
    };
    let weaker = weaker_of_same_bytes(channels);
    let (mut sum, mut counted) = (z, ChannelSet::default().with(first));
    for &(channel, z) in channels {
        let same_bytes = if weaker == Some(channel) { SAME_BYTES_COST } else { 0.0 };
        let first_day = if offsets.first_day { FIRST_DAY_COST } else { 0.0 };
        let cost = JOINING_COST + same_bytes + first_day;
        if channel != first && z > cost {
            let joined = z - cost;
            sum += joined.min(JOINING_FULL) + JOINING_SHARE * (joined - JOINING_FULL).max(0.0);
            counted = counted.with(channel);
        }
    }
    Combined { score: sum - offsets.sum(), counted }
}

/// Of volume and destination the one with the lower Z.
fn weaker_of_same_bytes(channels: &[(Channel, f64)]) -> Option<Channel> {
    let z = |wanted| channels.iter().find(|(channel, _)| *channel == wanted).map(|(_, z)| *z);
    let (volume, destination) = (z(Channel::Volume)?, z(Channel::Destination)?);
    Some(if volume < destination { Channel::Volume } else { Channel::Destination })
}

/// λ: what each further channel costs. 0.5 finds more and 1.3 fewer; 0.9 held in all four simulated worlds (METHOD.md 6).
const JOINING_COST: f64 = 0.9;
/// Up to this much beyond its cost a further channel counts in full. With the numbers below, false alerts were 1.21, 1.07 and 1.98 times
/// budgets of 0.05, 0.1 and 0.005 (80 simulated Macs, 3,032 Mac-days of world A, seeds 100 to 109). METHOD.md's form had made 1.9, 1.4 and
/// 6.2; part of that difference is the priors for tools and the weight of the fleet's table, which changed with it. The four numbers were
/// chosen on these same seeds; on seeds 200 to 207, which no choice had seen, it was 1.29, 1.11 and 2.64 times (2,425 Mac-days), so that the
/// tail at 0.005 is not right yet.
const JOINING_FULL: f64 = 0.7;
/// Which part of what lies further out counts.
const JOINING_SHARE: f64 = 0.15;
/// What the weaker of volume and destination costs beyond λ. Where they change places with rising Z, the score falls by no more than this.
pub(in crate::detect) const SAME_BYTES_COST: f64 = 0.3;
/// What every further channel costs beyond λ on a subject's first day.
const FIRST_DAY_COST: f64 = 0.9;
/// The offset never assumes fewer active subjects: an idle Mac is not a reason to alert.
pub(in crate::detect) const LEAST_ACTIVE: u32 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Offsets = Offsets { channels: 4, active: 30, trim: 0.0, first_day: false };

    fn score(z: [f64; 4], offsets: &Offsets) -> f64 {
        let all = [Channel::Volume, Channel::Destination, Channel::Protocol, Channel::Initiator];
        combine(&all.into_iter().zip(z).collect::<Vec<_>>(), offsets).score
    }

    proptest! {
        #[test]
        fn more_evidence_never_lowers_the_score(z in prop::array::uniform4(0.0..8.0f64), which in 0usize..4, more in 0.0..4.0f64) {
            let mut raised = z;
            raised[which] += more;
            // Where volume and destination change places, the cost of the same bytes changes with them.
            let swaps = (z[0] < z[1]) != (raised[0] < raised[1]);
            let slack = if swaps { SAME_BYTES_COST } else { 0.0 };
            prop_assert!(score(raised, &NONE) >= score(z, &NONE) - slack - 1e-9);
        }

        #[test]
        fn the_score_lies_between_the_strongest_and_the_sum(z in prop::array::uniform4(0.0..8.0f64)) {
            let strongest = z.iter().fold(0.0f64, |a, b| a.max(*b));
            let s = score(z, &NONE) + 4f64.log10() + 30f64.log10();
            prop_assert!(s >= strongest - 1e-9 && s <= z.iter().sum::<f64>() + 1e-9);
        }
    }

    #[test]
    fn on_the_first_day_what_joins_counts_for_less() {
        let z = [3.0, 3.0, 0.0, 0.0];
        assert!(score(z, &Offsets { first_day: true, ..NONE }) < score(z, &NONE));
    }

    #[test]
    fn few_active_subjects_count_as_ten() {
        let of = |active| combine(&[(Channel::Volume, 3.0)], &Offsets { active, ..NONE }).score;
        assert!((of(1) - of(10)).abs() < 1e-12 && of(10) > of(11));
    }
}
