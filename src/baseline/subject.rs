//! Everything that is known about one subject.

use serde::{Deserialize, Serialize};

use super::clock::{Age, ObservedClock};
use super::network::Network;
use super::presence::Presence;
use crate::observation::Timestamp;

/// The baseline of one subject: its age, and what it does on the network once it has used it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubjectBaseline {
    /// When it was first seen, by the wall clock: for people only.
    pub first_seen: Nanoseconds,
    /// When it was first seen, in observed time.
    pub first: Age,
    /// When it was last seen, in observed time.
    pub latest: Age,
    /// The cdhash that this history belongs to, where the image's identity is only a path that a user can write to.
    pub cdhash: Option<[u8; 20]>,
    /// When it ran, with or without a socket.
    pub runs: Presence,
    /// What it does on the network.
    pub network: Option<Box<Network>>,
}

/// A [`Timestamp`] as a number, so that it is stored in few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanoseconds(i64);

impl From<Timestamp> for Nanoseconds {
    fn from(time: Timestamp) -> Self {
        Self(time.as_nanos())
    }
}

impl From<Nanoseconds> for Timestamp {
    fn from(nanos: Nanoseconds) -> Self {
        Self::from_nanos(nanos.0)
    }
}

impl SubjectBaseline {
    /// A subject that is seen for the first time.
    pub fn new(time: Timestamp, clock: &ObservedClock) -> Self {
        Self {
            first_seen: time.into(),
            first: clock.age(),
            latest: clock.age(),
            cdhash: None,
            runs: Presence::default(),
            network: None,
        }
    }

    /// Moves every age by this much: `seconds` of age, `aged_days` for decay, `days` in the numbering of windows.
    pub fn shift(&mut self, seconds: u32, aged_days: u32, days: u32) {
        let later = |age: &mut Age| *age = age.after_seconds(seconds);
        later(&mut self.first);
        later(&mut self.latest);
        self.runs.latest_day = self.runs.latest_day.saturating_add(days);
        let Some(network) = self.network.as_deref_mut() else { return };
        later(&mut network.first);
        later(&mut network.latest);
        network.activity.latest_day = network.activity.latest_day.saturating_add(days);
        for window in [&mut network.hour, &mut network.day] {
            window.aged_day = window.aged_day.saturating_add(aged_days);
        }
        network.day.number = network.day.number.saturating_add(days);
        network.protocols.shift(days);
        network.destinations.shift(aged_days);
        for lesson in &mut network.lessons {
            lesson.aged_day = lesson.aged_day.saturating_add(aged_days);
        }
        for stream in network.streams() {
            stream.histogram.set_day(stream.histogram.day().saturating_add(aged_days));
        }
    }

    /// Adds what another Mac, or another folder, knows of the same subject. Commutative. Both must count ages from the same now.
    ///
    /// Windows and active days add up while the age is that of the older one, so that a baseline merged from many Macs expects activity more
    /// often than one Mac has it: scores come out lower rather than higher.
    pub fn merge(&mut self, other: &Self, half_life_days: f64) {
        self.first_seen = self.first_seen.min(other.first_seen);
        self.first = self.first.min(other.first);
        self.latest = self.latest.max(other.latest);
        self.cdhash = self.cdhash.max(other.cdhash);
        self.runs.merge(&other.runs);
        match (&mut self.network, &other.network) {
            (Some(ours), Some(theirs)) => ours.merge(theirs, half_life_days),
            (None, Some(theirs)) => self.network = Some(theirs.clone()),
            (_, None) => {}
        }
    }
}
