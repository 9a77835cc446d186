//! Everything that is known about one subject.

use serde::{Deserialize, Serialize};

use super::clock::{Age, ObservedClock};
use super::destinations::{Destinations, Fingerprint};
use super::histogram::{Histogram, bits};
use super::protocols::Protocols;
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

/// In how many hours and days something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Presence {
    /// Days in which it was seen.
    pub days: u32,
    /// Clock hours in which it was seen.
    pub hours: u32,
    latest_day: u32,
    latest_hour: u32,
}

/// A subject's traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its first flow.
    pub first: Age,
    /// Its latest activity.
    pub latest: Age,
    /// When it was active, the open hour and day included.
    pub activity: Presence,
    /// The clock hour that is open.
    pub hour: Window,
    /// The day that is open.
    pub day: Window,
    /// Bytes out.
    pub out: Scales,
    /// Bytes out to destinations that it never used.
    pub new: Scales,
    /// The channels that are off by default.
    pub optional: Option<Box<OptionalStreams>>,
    /// The protocols that it spoke.
    pub protocols: Protocols,
    /// The destinations that it used.
    pub destinations: Destinations,
    /// Windows learnt with little weight, which an analyst may still confirm or take back; latest last.
    pub lessons: Vec<Lesson>,
}

/// Bytes in and new flows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OptionalStreams {
    /// Bytes in.
    pub received: Scales,
    /// New flows, each taken as [`FLOW_UNIT`] bytes so that one histogram serves.
    pub flows: Scales,
}

/// One stream on its two time scales.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scales {
    /// Sums of clock hours.
    pub hour: Stream,
    /// Sums of days.
    pub day: Stream,
}

/// The closed windows of one stream on one scale.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Stream {
    /// Their sums.
    pub histogram: Histogram,
    /// W: how many there were, without decay.
    pub windows: u32,
}

/// A window that is open.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Window {
    /// The number of its hour or day.
    number: u32,
    /// The day for decay.
    aged_day: u32,
    /// What passed in it.
    pub sums: Sums,
    /// How it is to be learnt.
    pub lesson: Learning,
}

/// What passed in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Bytes out.
    pub out: u64,
    /// Bytes out to destinations that were never used before the day.
    pub new: u64,
    /// Bytes in.
    pub received: u64,
    /// Flows that began.
    pub flows: u32,
}

/// How a window is learnt when it closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Learning {
    /// In full.
    #[default]
    Full,
    /// With a tenth of the weight (`DISCOUNT`): it was over the alert threshold, and nobody has said what it was.
    Discounted,
    /// In full, whatever its score: an analyst or an exception says that it is normal.
    Accepted,
    /// Not at all: an analyst says that it was an attack.
    Rejected,
}

impl Learning {
    /// The weight.
    pub fn weight(self) -> f64 {
        match self {
            Self::Full | Self::Accepted => 1.0,
            Self::Discounted => DISCOUNT,
            Self::Rejected => 0.0,
        }
    }

    /// The window was over the alert threshold.
    pub fn discount(&mut self) {
        if *self == Self::Full {
            *self = Self::Discounted;
        }
    }

    /// Somebody said what the window was.
    pub fn settle(&mut self, benign: bool) {
        if *self != Self::Full {
            *self = if benign { Self::Accepted } else { Self::Rejected };
        }
    }
}

/// A window that was learnt with little weight.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lesson {
    aged_day: u32,
    scale: Scale,
    out: Option<u8>,
    new: Option<u8>,
    /// Fingerprints of destinations that were new.
    destinations: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Scale {
    Hour,
    Day,
}

/// What one update adds to the open windows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Growth {
    /// Bytes sent.
    pub out: u64,
    /// Bytes received.
    pub received: u64,
    /// Whether a flow began.
    pub began: bool,
    /// Where to.
    pub destination: Option<Fingerprint>,
}

impl Presence {
    /// Notes that it was seen in this hour of this day.
    pub fn note(&mut self, clock: &ObservedClock) {
        if self.days == 0 || self.latest_day != clock.day() {
            self.days = self.days.saturating_add(1);
            self.latest_day = clock.day();
        }
        if self.hours == 0 || self.latest_hour != clock.hour() {
            self.hours = self.hours.saturating_add(1);
            self.latest_hour = clock.hour();
        }
    }

    fn merge(&mut self, other: &Self) {
        self.days = self.days.saturating_add(other.days);
        self.hours = self.hours.saturating_add(other.hours);
        self.latest_day = self.latest_day.max(other.latest_day);
        self.latest_hour = self.latest_hour.max(other.latest_hour);
    }

    /// √(days · hours): the effective number of units of activity for novelty. Days alone favour what runs seldom, hours alone what runs
    /// always (METHOD.md 5.1).
    pub fn units(&self) -> f64 {
        (f64::from(self.days) * f64::from(self.hours)).sqrt()
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
}

impl SubjectBaseline {
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

    /// Brings what is not stored up to date after a load; `false` where the value is not sound.
    pub fn make_whole(&mut self) -> bool {
        let Some(network) = self.network.as_deref_mut() else { return true };
        let mut sound = true;
        for stream in network.streams() {
            stream.histogram.sum_up();
            sound &= stream.histogram.is_sound();
        }
        sound
    }
}

impl Network {
    /// A subject's first use of the network.
    pub fn new(clock: &ObservedClock) -> Self {
        let window = |number| Window { number, aged_day: clock.aged_days(), ..Window::default() };
        Self {
            first: clock.age(),
            latest: clock.age(),
            activity: Presence::default(),
            hour: window(clock.hour()),
            day: window(clock.day()),
            out: Scales::default(),
            new: Scales::default(),
            optional: None,
            protocols: Protocols::default(),
            destinations: Destinations::default(),
            lessons: Vec::new(),
        }
    }

    /// Closes the windows that ended, and learns them.
    pub fn roll(&mut self, clock: &ObservedClock, half_life_days: f64) {
        if self.hour.number != clock.hour() {
            self.close(Scale::Hour, half_life_days);
            self.hour = Window { number: clock.hour(), aged_day: clock.aged_days(), ..Window::default() };
        }
        if self.day.number != clock.day() {
            self.close(Scale::Day, half_life_days);
            self.protocols.learn_day(self.day.number, self.day.lesson.weight());
            self.destinations.close_day(self.day.aged_day);
            self.day = Window { number: clock.day(), aged_day: clock.aged_days(), ..Window::default() };
        }
    }

    /// Adds one update to the open windows; `true` where its destination is new today.
    pub fn grow(&mut self, growth: Growth, clock: &ObservedClock) -> bool {
        self.latest = clock.age();
        self.activity.note(clock);
        let new = growth.destination.is_some_and(|to| self.destinations.meet(to, clock.aged_days()));
        for window in [&mut self.hour, &mut self.day] {
            let sums = &mut window.sums;
            sums.out = sums.out.saturating_add(growth.out);
            sums.received = sums.received.saturating_add(growth.received);
            sums.flows = sums.flows.saturating_add(u32::from(growth.began));
            if new {
                sums.new = sums.new.saturating_add(growth.out);
            }
        }
        new
    }

    /// The open windows were over the alert threshold.
    pub fn discount(&mut self) {
        self.hour.lesson.discount();
        self.day.lesson.discount();
    }

    /// An analyst's word on what was over the threshold: learnt in full, or taken back. `false` where nothing is remembered.
    pub fn settle(&mut self, benign: bool, half_life_days: f64) -> bool {
        let open = self.hour.lesson != Learning::Full || self.day.lesson != Learning::Full;
        self.hour.lesson.settle(benign);
        self.day.lesson.settle(benign);
        let unsure = self.protocols.iter().any(|spoken| spoken.weight < super::KNOWN_WEIGHT);
        self.protocols.settle(benign);
        if !benign && open {
            self.destinations.distrust_today();
        }
        let lessons = std::mem::take(&mut self.lessons);
        let change = if benign { 1.0 - DISCOUNT } else { -DISCOUNT };
        for lesson in &lessons {
            let (out, new) = match lesson.scale {
                Scale::Hour => (&mut self.out.hour, &mut self.new.hour),
                Scale::Day => (&mut self.out.day, &mut self.new.day),
            };
            for (stream, bin) in [(out, lesson.out), (new, lesson.new)] {
                if let Some(bin) = bin {
                    let days = f64::from(stream.histogram.day().saturating_sub(lesson.aged_day));
                    stream.histogram.add(bin, change * libm::exp2(-days / half_life_days));
                }
            }
            if !benign {
                self.destinations.distrust(&lesson.destinations);
            }
        }
        open || unsure || !lessons.is_empty()
    }

    /// Every stream that there is.
    fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        let optional = self.optional.as_deref_mut().map(|o| [&mut o.received, &mut o.flows]);
        let scales = [&mut self.out, &mut self.new].into_iter().chain(optional.into_iter().flatten());
        scales.flat_map(|scales| [&mut scales.hour, &mut scales.day])
    }

    fn merge(&mut self, other: &Self, half_life_days: f64) {
        self.first = self.first.min(other.first);
        self.latest = self.latest.max(other.latest);
        self.activity.merge(&other.activity);
        self.hour.merge(&other.hour);
        self.day.merge(&other.day);
        self.out.merge(&other.out, half_life_days);
        self.new.merge(&other.new, half_life_days);
        match (&mut self.optional, &other.optional) {
            (Some(ours), Some(theirs)) => {
                ours.received.merge(&theirs.received, half_life_days);
                ours.flows.merge(&theirs.flows, half_life_days);
            }
            (None, Some(theirs)) => self.optional = Some(theirs.clone()),
            (_, None) => {}
        }
        self.protocols.merge(&other.protocols);
        self.destinations.merge(&other.destinations);
        self.lessons.extend(other.lessons.iter().cloned());
        self.lessons.sort_unstable();
        let surplus = self.lessons.len().saturating_sub(MOST_LESSONS);
        self.lessons.drain(..surplus);
    }

    fn close(&mut self, scale: Scale, half_life_days: f64) {
        let window = match scale {
            Scale::Hour => self.hour,
            Scale::Day => self.day,
        };
        let weight = window.lesson.weight();
        let out = window.sums.volume_bits();
        let new = window.sums.new_bits();
        learn(self.out.at(scale), out, weight, window.aged_day, half_life_days);
        learn(self.new.at(scale), new, weight, window.aged_day, half_life_days);
        if let Some(optional) = &mut self.optional {
            let (received, flows) = (window.sums.received_bits(), window.sums.flows_bits());
            learn(optional.received.at(scale), received, weight, window.aged_day, half_life_days);
            learn(optional.flows.at(scale), flows, weight, window.aged_day, half_life_days);
        }
        if window.lesson == Learning::Discounted {
            if self.lessons.len() >= MOST_LESSONS {
                self.lessons.remove(0);
            }
            let destinations = match scale {
                Scale::Hour => Vec::new(),
                Scale::Day => self.destinations.new_today(LESSON_DESTINATIONS),
            };
            let bin = |bits: Option<f64>| bits.map(Histogram::bin);
            self.lessons.push(Lesson {
                scale,
                aged_day: window.aged_day,
                out: bin(out),
                new: bin(new),
                destinations,
            });
        }
    }
}

impl Window {
    /// The later of two windows; two of the same hour or day become one.
    fn merge(&mut self, other: &Self) {
        if other.number > self.number {
            *self = *other;
        } else if other.number == self.number {
            self.aged_day = self.aged_day.max(other.aged_day);
            self.lesson = self.lesson.max(other.lesson);
            let (sums, theirs) = (&mut self.sums, &other.sums);
            sums.out = sums.out.saturating_add(theirs.out);
            sums.new = sums.new.saturating_add(theirs.new);
            sums.received = sums.received.saturating_add(theirs.received);
            sums.flows = sums.flows.saturating_add(theirs.flows);
        }
    }
}

impl Scales {
    fn merge(&mut self, other: &Self, half_life_days: f64) {
        for (ours, theirs) in [(&mut self.hour, &other.hour), (&mut self.day, &other.day)] {
            ours.histogram.merge(&theirs.histogram, half_life_days);
            ours.windows = ours.windows.saturating_add(theirs.windows);
        }
    }

    fn at(&mut self, scale: Scale) -> &mut Stream {
        match scale {
            Scale::Hour => &mut self.hour,
            Scale::Day => &mut self.day,
        }
    }
}

impl Sums {
    /// What the volume channel learns and scores, in bits: bytes out, tilted by the imbalance. With `out` and `in` in bytes it is
    /// log2(1 + out) + ¼ log2((1 + out)/(1 + in)), the second part between 0 and `MOST_TILT_BITS`: `out · max(1, out/in)^0.25`, which
    /// gained 2 to 3 points of recall (METHOD.md 3.4). `None` where nothing was sent.
    pub fn volume_bits(&self) -> Option<f64> {
        (self.out > 0).then(|| tilted(self.out, self.received))
    }

    /// Bytes to new destinations, in bits; `None` where there were none.
    pub fn new_bits(&self) -> Option<f64> {
        (self.new > 0).then(|| bits(self.new))
    }

    /// Bytes in, in bits.
    pub fn received_bits(&self) -> Option<f64> {
        (self.received > 0).then(|| bits(self.received))
    }

    /// New flows, in bits.
    pub fn flows_bits(&self) -> Option<f64> {
        (self.flows > 0).then(|| bits(u64::from(self.flows) * FLOW_UNIT))
    }

    /// Bytes out over bytes in; `None` where nothing came in.
    pub fn imbalance(&self) -> Option<f64> {
        (self.received > 0).then(|| self.out as f64 / self.received as f64)
    }
}

/// Bytes out with the imbalance as tie-breaker, in bits.
pub fn tilted(out: u64, received: u64) -> f64 {
    let sent = bits(out);
    sent + (TILT * (sent - bits(received))).clamp(0.0, MOST_TILT_BITS)
}

fn learn(stream: &mut Stream, bits: Option<f64>, weight: f64, day: u32, half_life_days: f64) {
    if let Some(bits) = bits {
        stream.windows = stream.windows.saturating_add(1);
        if weight > 0.0 {
            stream.histogram.learn(bits, weight, day, half_life_days);
        }
    }
}

/// Weight of a window over the alert threshold that nobody has judged (METHOD.md 8: repeat attacks stay visible at 0.55 to 1.00 against
/// 0.05 to 0.65 for learning in full, while never learning doubles the false alerts).
const DISCOUNT: f64 = 0.1;
/// The exponent of the imbalance (METHOD.md 3.4).
const TILT: f64 = 0.25;
/// The most that imbalance adds, in bits: a flow without any answer is not evidence without end.
const MOST_TILT_BITS: f64 = 3.0;
/// Bytes that a flow is taken for: 2^8, so that one flow stands in the middle of the lower bins.
pub const FLOW_UNIT: u64 = 256;
/// Lessons kept a subject.
const MOST_LESSONS: usize = 8;
/// New destinations kept with a day's lesson.
const LESSON_DESTINATIONS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::ZoneOffset;

    fn clock_at(clock: &mut ObservedClock, hour: i64) {
        clock.tick(Timestamp::from_seconds(hour * 3_600, 0), ZoneOffset(0), None);
    }

    fn sent(out: u64) -> Growth {
        Growth { out, ..Growth::default() }
    }

    #[test]
    fn an_hour_is_learnt_when_it_closes_and_not_before() {
        let mut clock = ObservedClock::default();
        clock_at(&mut clock, 0);
        let mut network = Network::new(&clock);
        network.grow(sent(1_000), &clock);
        network.roll(&clock, 30.0);
        assert!(network.out.hour.histogram.is_empty());
        clock_at(&mut clock, 1);
        network.roll(&clock, 30.0);
        assert_eq!((network.out.hour.windows, network.out.day.windows), (1, 0));
        assert_eq!(network.day.sums.out, 1_000);
    }

    #[test]
    fn a_window_without_traffic_is_not_learnt() {
        let mut clock = ObservedClock::default();
        clock_at(&mut clock, 0);
        let mut network = Network::new(&clock);
        network.grow(sent(0), &clock);
        clock_at(&mut clock, 30);
        network.roll(&clock, 30.0);
        assert_eq!((network.out.hour.windows, network.out.day.windows), (0, 0));
    }

    #[test]
    fn what_was_over_the_threshold_is_learnt_by_a_tenth_until_somebody_speaks() {
        let learnt = |verdict: Option<bool>| {
            let mut clock = ObservedClock::default();
            clock_at(&mut clock, 0);
            let mut network = Network::new(&clock);
            network.grow(sent(1_000_000), &clock);
            network.discount();
            clock_at(&mut clock, 1);
            network.roll(&clock, 30.0);
            if let Some(benign) = verdict {
                assert!(network.settle(benign, 30.0));
            }
            network.out.hour.histogram.total()
        };
        assert!((learnt(None) - 0.1).abs() < 1e-12);
        assert!((learnt(Some(true)) - 1.0).abs() < 1e-12);
        assert!(learnt(Some(false)).abs() < 1e-12);
    }

    #[test]
    fn an_upload_weighs_more_than_a_download_of_the_same_bytes_out() {
        let upload = Sums { out: 10_000_000, received: 50_000, ..Sums::default() };
        let download = Sums { out: 10_000_000, received: 90_000_000, ..Sums::default() };
        assert!(upload.volume_bits() > download.volume_bits());
        let silent = Sums { out: 10_000_000, ..Sums::default() };
        assert!(silent.volume_bits().unwrap() <= bits(10_000_000) + MOST_TILT_BITS);
    }
}
