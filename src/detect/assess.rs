//! One subject, right now: every channel's Z, and S.

use smallvec::SmallVec;

use super::channel::bytes::{self, BytesScore};
use super::channel::combine::{Combined, LEAST_ACTIVE, Offsets, combine};
use super::host::Host;
use super::record::Record;
use super::{BaselineState, Channel, Settings};
use crate::baseline::{Network, Priors, ScalePriors, Scales, Sums};

/// The view of a subject that is scored. Explanations score the same view with something changed, so that they cannot tell another story
/// than the decision.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) network: &'a Network,
    pub(super) hour: Sums,
    pub(super) day: Sums,
    pub(super) record: Option<&'a Record>,
    /// Channels taken as zero.
    pub(super) without: Option<Channel>,
    pub(super) age_days: f64,
    pub(super) host: &'a Host,
    pub(super) settings: &'a Settings,
    pub(super) priors: &'a Priors,
}

/// What the channels say.
#[derive(Debug, Clone)]
pub(super) struct Assessment {
    /// The channels that score sums, in the order of [`Channel`].
    pub(super) bytes: SmallVec<[(Channel, BytesScore); 2]>,
    /// Z of every channel, in the order of [`Channel`]; none below zero.
    pub(super) z: SmallVec<[(Channel, f64); 6]>,
    /// Their sum; S capped at [`MOST_SCORE`].
    pub(super) combined: Combined,
}

impl View<'_> {
    /// Scores it.
    pub(super) fn assess(&self) -> Assessment {
        let mut assessment = Assessment {
            bytes: SmallVec::new(),
            z: SmallVec::new(),
            combined: Combined { score: 0.0, counted: super::channel::combine::ChannelSet::default() },
        };
        for channel in byte_channels(self.settings) {
            let score = self.score(channel);
            assessment.bytes.push((channel, score));
            assessment.z.push((channel, self.unless_without(channel, score.z)));
        }
        assessment.z.extend(self.news());
        assessment.z.sort_unstable_by_key(|(channel, _)| *channel);
        assessment.combined = combine(&assessment.z, &self.offsets());
        assessment.combined.score = assessment.combined.score.min(MOST_SCORE);
        assessment
    }

    /// Whether it cannot reach the threshold, from what is known without looking into a histogram: bytes that are quiet for their stream are
    /// taken for as rare as they could be. Most updates end here.
    pub(super) fn is_quiet(&self) -> bool {
        if self.settings.bytes_in || self.settings.fan_out {
            return false;
        }
        let (Some(volume), Some(destination)) =
            (self.at_most(Channel::Volume), self.at_most(Channel::Destination))
        else {
            return false;
        };
        let [protocol, initiator] = self.news();
        let z = [(Channel::Volume, volume), (Channel::Destination, destination), protocol, initiator];
        combine(&z, &self.offsets()).score < self.settings.threshold()
    }

    /// Z of what was new lately.
    fn news(&self) -> [(Channel, f64); 2] {
        let now = self.host.clock.age();
        let protocol = self.record.and_then(|record| record.protocol(now)).map_or(0.0, |novelty| novelty.z);
        let initiator = self.record.and_then(|record| record.initiator(now)).map_or(0.0, |novelty| {
            // The rate of new pairs is the Mac's, so it is not divided among the subjects.
            novelty.z + libm::log10(f64::from(self.host.active.max(LEAST_ACTIVE)))
        });
        [(Channel::Protocol, protocol), (Channel::Initiator, initiator)]
            .map(|(channel, z)| (channel, self.unless_without(channel, z)))
    }

    /// What is taken off the sum.
    pub(super) fn offsets(&self) -> Offsets {
        let optional = u32::from(self.settings.bytes_in) + u32::from(self.settings.fan_out);
        Offsets {
            channels: CHANNELS + optional,
            active: self.host.active,
            trim: self.host.budget.trim(),
            first_day: self.network.out.day.windows == 0,
        }
    }

    /// The sums of one channel: histograms, priors, and the open hour and day in bits.
    pub(super) fn stream(
        &self,
        channel: Channel,
    ) -> (Option<&Scales>, &ScalePriors, Option<f64>, Option<f64>) {
        let optional = self.network.optional.as_deref();
        let (hour, day) = (&self.hour, &self.day);
        match channel {
            Channel::Destination => {
                (Some(&self.network.new), &self.priors.new_destinations, hour.new_bits(), day.new_bits())
            }
            Channel::Received => {
                (optional.map(|o| &o.received), &self.priors.out, hour.received_bits(), day.received_bits())
            }
            Channel::FanOut => {
                (optional.map(|o| &o.flows), &self.priors.out, hour.flows_bits(), day.flows_bits())
            }
            _ => (Some(&self.network.out), &self.priors.out, hour.volume_bits(), day.volume_bits()),
        }
    }

    fn score(&self, channel: Channel) -> BytesScore {
        let empty = Scales::default();
        let (scales, priors, hour, day) = self.stream(channel);
        let mut score = bytes::score(scales.unwrap_or(&empty), priors, hour, day, self.age_days);
        if !self.is_above_floor(channel) {
            score.z = 0.0;
        }
        if self.is_incomparable() {
            score.z = score.z.min(-libm::log10(self.priors.least_between_images()));
        }
        score
    }

    /// Whether sums can be compared with those of images in general only, and that of a subject that may have been there for years: it has no
    /// closed day, and the Mac learns. All its subjects are such then, the backup client among them; what a subject does that appears later is
    /// rarer by how seldom one appears, for which nothing is added.
    fn is_incomparable(&self) -> bool {
        self.network.out.day.windows == 0 && self.host.state(self.settings) == BaselineState::Learning
    }

    /// The most that Z of a channel can be; `None` where its bytes are not quiet.
    fn at_most(&self, channel: Channel) -> Option<f64> {
        if !self.is_above_floor(channel) {
            return Some(0.0);
        }
        let (scales, _, hour, day) = self.stream(channel);
        bytes::at_most(scales?, hour, day, self.age_days)
    }

    fn is_above_floor(&self, channel: Channel) -> bool {
        match channel {
            Channel::Volume => self.day.out >= self.settings.floor_bytes,
            Channel::Destination => self.day.new >= self.settings.floor_bytes,
            Channel::Received => self.day.received >= self.settings.floor_bytes,
            _ => true,
        }
    }

    fn unless_without(&self, channel: Channel, z: f64) -> f64 {
        if self.without == Some(channel) { 0.0 } else { z.max(0.0) }
    }
}

impl Assessment {
    /// Whether what was sent in the open hour is by itself unusual: the day's sum stays high for the rest of the day, whatever comes.
    pub(super) fn hour_is_unusual(&self) -> bool {
        self.bytes.iter().any(|(channel, score)| {
            self.combined.counted.contains(*channel) && score.hour_z() >= UNUSUAL_HOUR
        })
    }
}

/// The channels over sums that are switched on.
fn byte_channels(settings: &Settings) -> impl Iterator<Item = Channel> {
    [
        (Channel::Volume, true),
        (Channel::Destination, true),
        (Channel::Received, settings.bytes_in),
        (Channel::FanOut, settings.fan_out),
    ]
    .into_iter()
    .filter_map(|(channel, on)| on.then_some(channel))
}

/// An hour such as comes once in ten days, in powers of ten of days.
const UNUSUAL_HOUR: f64 = 1.0;
/// Channels that are always scored: volume, new destinations, protocol, initiator.
const CHANNELS: u32 = 4;
/// A score above this is not told from it: a million days (METHOD.md 2).
pub(super) const MOST_SCORE: f64 = 6.0;
