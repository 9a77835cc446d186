//! One score from several channels.
//!
//! S = max over subsets J of (Σ Z_c − 0.9(|J| − 1)) − log10(channels) − log10(active subjects) − trim (METHOD.md 2 and 6). A channel beyond
//! the strongest pays for itself where its Z is above 0.9, so the best subset is the strongest channel and every other above 0.9.

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
    let (mut sum, mut counted) = (z, ChannelSet::default().with(first));
    for &(channel, z) in channels {
        if channel != first && z > JOINING_COST {
            sum += z - JOINING_COST;
            counted = counted.with(channel);
        }
    }
    Combined { score: sum - offsets.sum(), counted }
}

/// λ: what each further channel costs. 0.5 finds more and 1.3 fewer; 0.9 held in all four simulated worlds (METHOD.md 6).
const JOINING_COST: f64 = 0.9;
/// The offset never assumes fewer active subjects: an idle Mac is not a reason to alert.
pub(in crate::detect) const LEAST_ACTIVE: u32 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Channel; 4] = [Channel::Volume, Channel::Destination, Channel::Protocol, Channel::Initiator];
    const NONE: Offsets = Offsets { channels: 4, active: 30, trim: 0.0 };

    /// The definition: the best of all subsets.
    fn by_definition(z: [f64; 4]) -> f64 {
        (1u32..16)
            .map(|subset| {
                let chosen = z.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
                chosen.map(|(_, z)| z).sum::<f64>() - 0.9 * f64::from(subset.count_ones() - 1)
            })
            .fold(f64::NEG_INFINITY, f64::max)
    }

    proptest! {
        #[test]
        fn the_short_way_finds_the_best_subset(z in prop::array::uniform4(0.0..8.0f64)) {
            let channels: Vec<_> = ALL.into_iter().zip(z).collect();
            let expected = by_definition(z) - 4f64.log10() - 30f64.log10();
            prop_assert!((combine(&channels, &NONE).score - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn few_active_subjects_count_as_ten() {
        let of = |active| combine(&[(Channel::Volume, 3.0)], &Offsets { active, ..NONE }).score;
        assert!((of(1) - of(10)).abs() < 1e-12 && of(10) > of(11));
    }
}
