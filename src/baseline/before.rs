//! Baselines as earlier versions stored them: read only, each becomes the present form.
//!
//! Up to version 2 weights were stored as floating-point numbers and fingerprints as numbers of varying length. A weight that is read
//! is brought to the nearest whole quantum, which is where it would stand had it been learnt so.

use serde::Deserialize;

use super::clock::Age;
use super::destinations::{Destinations, DestinationsV2};
use super::histogram::{Histogram, Unsound};
use super::network::{Lesson, Network};
use super::presence::Presence;
use super::protocols::{ProtocolUse, Spoken};
use super::stream::{OptionalStreams, Scales, Stream};
use super::subject::{Nanoseconds, SubjectBaseline};
use super::window::Window;

/// A [`SubjectBaseline`] of versions 1 and 2.
#[derive(Deserialize)]
pub struct SubjectBaselineV2 {
    first_seen: Nanoseconds,
    first: Age,
    latest: Age,
    cdhash: Option<[u8; 20]>,
    runs: Presence,
    network: Option<Box<NetworkV2>>,
}

#[derive(Deserialize)]
struct NetworkV2 {
    first: Age,
    latest: Age,
    activity: Presence,
    hour: Window,
    day: Window,
    out: ScalesV2,
    new: ScalesV2,
    optional: Option<Box<OptionalV2>>,
    protocols: Vec<SpokenV2>,
    destinations: DestinationsV2,
    lessons: Vec<Lesson>,
}

#[derive(Deserialize)]
struct OptionalV2 {
    received: ScalesV2,
    flows: ScalesV2,
}

#[derive(Deserialize)]
struct ScalesV2 {
    hour: StreamV2,
    day: StreamV2,
}

#[derive(Deserialize)]
struct StreamV2 {
    histogram: HistogramV2,
    windows: u32,
}

#[derive(Deserialize)]
struct HistogramV2 {
    occupied: u128,
    weights: Vec<f64>,
    day: u32,
}

#[derive(Deserialize)]
struct SpokenV2 {
    protocol: ProtocolUse,
    days: u32,
    weight: f64,
    last_day: u32,
}

impl TryFrom<SubjectBaselineV2> for SubjectBaseline {
    type Error = Unsound;

    fn try_from(old: SubjectBaselineV2) -> Result<Self, Unsound> {
        let SubjectBaselineV2 { first_seen, first, latest, cdhash, runs, network } = old;
        let network = network.map(|network| Network::try_from(*network).map(Box::new)).transpose()?;
        Ok(Self { first_seen, first, latest, cdhash, runs, network })
    }
}

impl TryFrom<NetworkV2> for Network {
    type Error = Unsound;

    fn try_from(old: NetworkV2) -> Result<Self, Unsound> {
        let optional = old.optional.map(|optional| {
            let OptionalV2 { received, flows } = *optional;
            Ok(Box::new(OptionalStreams { received: received.try_into()?, flows: flows.try_into()? }))
        });
        Ok(Self {
            first: old.first,
            latest: old.latest,
            activity: old.activity,
            hour: old.hour,
            day: old.day,
            out: old.out.try_into()?,
            new: old.new.try_into()?,
            optional: optional.transpose()?,
            protocols: old.protocols.into_iter().map(Spoken::from).collect(),
            destinations: Destinations::from(old.destinations),
            lessons: old.lessons,
        })
    }
}

impl TryFrom<ScalesV2> for Scales {
    type Error = Unsound;

    fn try_from(old: ScalesV2) -> Result<Self, Unsound> {
        let stream = |StreamV2 { histogram, windows }| {
            let HistogramV2 { occupied, weights, day } = histogram;
            Ok(Stream::new(Histogram::from_parts(occupied, &weights, day)?, windows))
        };
        Ok(Self { hour: stream(old.hour)?, day: stream(old.day)? })
    }
}

impl From<SpokenV2> for Spoken {
    fn from(old: SpokenV2) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of a float saturates"
        )]
        let tenths = libm::round(old.weight * 10.0) as u32;
        Self { protocol: old.protocol, days: old.days, tenths, last_day: old.last_day }
    }
}
