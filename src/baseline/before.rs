//! Baselines as earlier versions stored them: read only, each becomes the present form.
//!
//! Up to version 2 weights were stored as floating-point numbers and fingerprints as numbers of varying length; in version 3 weights were numbers of varying
//! length, whole numbers of 2^−22 of a window. A weight that is read is brought to the nearest whole unit, which is where it would stand had it been learnt so.

use serde::Deserialize;

use super::clock::Age;
use super::destinations::{Destinations, DestinationsV2};
use super::histogram::{Histogram, Unsound};
use super::network::{Lesson, Network};
use super::presence::Presence;
use super::protocols::{ProtocolUse, Protocols, Spoken};
use super::stream::{OptionalStreams, Scales, Stream};
use super::subject::{Nanoseconds, SubjectBaseline};
use super::window::Window;

/// A [`SubjectBaseline`] of versions 1 and 2.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct SubjectBaselineV2(OldSubject<HistogramV2, Vec<SpokenV2>, DestinationsV2>);

/// A [`SubjectBaseline`] of version 3.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct SubjectBaselineV3(OldSubject<HistogramV3, Protocols, Destinations>);

/// A [`SubjectBaseline`] whose histograms, protocols and destinations were stored otherwise.
#[derive(Deserialize)]
struct OldSubject<H, P, D> {
    first_seen: Nanoseconds,
    first: Age,
    latest: Age,
    cdhash: Option<[u8; 20]>,
    runs: Presence,
    network: Option<Box<OldNetwork<H, P, D>>>,
}

#[derive(Deserialize)]
struct OldNetwork<H, P, D> {
    first: Age,
    latest: Age,
    activity: Presence,
    hour: Window,
    day: Window,
    out: OldScales<H>,
    new: OldScales<H>,
    optional: Option<Box<OldOptional<H>>>,
    protocols: P,
    destinations: D,
    lessons: Vec<Lesson>,
}

#[derive(Deserialize)]
struct OldOptional<H> {
    received: OldScales<H>,
    flows: OldScales<H>,
}

#[derive(Deserialize)]
struct OldScales<H> {
    hour: OldStream<H>,
    day: OldStream<H>,
}

#[derive(Deserialize)]
struct OldStream<H> {
    histogram: H,
    windows: u32,
}

#[derive(Deserialize)]
struct HistogramV3 {
    occupied: u128,
    quanta: Vec<u32>,
    day: u32,
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

    fn try_from(SubjectBaselineV2(old): SubjectBaselineV2) -> Result<Self, Unsound> {
        old.present()
    }
}

impl TryFrom<SubjectBaselineV3> for SubjectBaseline {
    type Error = Unsound;

    fn try_from(SubjectBaselineV3(old): SubjectBaselineV3) -> Result<Self, Unsound> {
        old.present()
    }
}

impl<H, P, D> OldSubject<H, P, D>
where
    Histogram: TryFrom<H, Error = Unsound>,
    Protocols: From<P>,
    Destinations: From<D>,
{
    fn present(self) -> Result<SubjectBaseline, Unsound> {
        let Self { first_seen, first, latest, cdhash, runs, network } = self;
        let network = network.map(|network| network.present().map(Box::new)).transpose()?;
        Ok(SubjectBaseline { first_seen, first, latest, cdhash, runs, network })
    }
}

impl<H, P, D> OldNetwork<H, P, D>
where
    Histogram: TryFrom<H, Error = Unsound>,
    Protocols: From<P>,
    Destinations: From<D>,
{
    fn present(self) -> Result<Network, Unsound> {
        Ok(Network {
            first: self.first,
            latest: self.latest,
            activity: self.activity,
            hour: self.hour,
            day: self.day,
            out: self.out.present()?,
            new: self.new.present()?,
            optional: self.optional.map(|optional| optional.present().map(Box::new)).transpose()?,
            protocols: self.protocols.into(),
            destinations: self.destinations.into(),
            lessons: self.lessons,
        })
    }
}

impl<H> OldOptional<H>
where
    Histogram: TryFrom<H, Error = Unsound>,
{
    fn present(self) -> Result<OptionalStreams, Unsound> {
        Ok(OptionalStreams { received: self.received.present()?, flows: self.flows.present()? })
    }
}

impl<H> OldScales<H>
where
    Histogram: TryFrom<H, Error = Unsound>,
{
    fn present(self) -> Result<Scales, Unsound> {
        let stream = |old: OldStream<H>| Ok(Stream::new(old.histogram.try_into()?, old.windows));
        Ok(Scales { hour: stream(self.hour)?, day: stream(self.day)? })
    }
}

impl TryFrom<HistogramV2> for Histogram {
    type Error = Unsound;

    fn try_from(old: HistogramV2) -> Result<Self, Unsound> {
        Self::from_parts(old.occupied, &old.weights, old.day)
    }
}

impl TryFrom<HistogramV3> for Histogram {
    type Error = Unsound;

    fn try_from(old: HistogramV3) -> Result<Self, Unsound> {
        let weights: Vec<f64> = old.quanta.iter().map(|quanta| f64::from(*quanta) * QUANTUM_V3).collect();
        Self::from_parts(old.occupied, &weights, old.day)
    }
}

impl From<Vec<SpokenV2>> for Protocols {
    fn from(old: Vec<SpokenV2>) -> Self {
        old.into_iter().map(Spoken::from).collect()
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

/// The unit of a weight in version 3, 2^−22 of a window.
const QUANTUM_V3: f64 = 1.0 / 4_194_304.0;
