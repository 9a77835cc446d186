//! What one subject does on the network: its open windows, what closed ones taught, its protocols and destinations.

use serde::{Deserialize, Serialize};

use super::clock::{Age, ObservedClock};
use super::destinations::{Destinations, Fingerprint};
use super::histogram::Histogram;
use super::presence::Presence;
use super::priors::ScalePriors;
use super::protocols::Protocols;
use super::stream::{OptionalStreams, Scale, Scales, Stream};
use super::window::{Learning, Window};

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

/// A window that was learnt with little weight.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lesson {
    pub(super) aged_day: u32,
    scale: Scale,
    out: Option<u8>,
    new: Option<u8>,
    /// Fingerprints of destinations that were new.
    destinations: Vec<u32>,
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
            self.protocols.learn_day(self.day.number, self.day.lesson);
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

    /// Brings up to date what is quiet for its bytes.
    pub fn know_quiet(&mut self, out: &ScalePriors, new: &ScalePriors) {
        self.out.know_quiet(out);
        self.new.know_quiet(new);
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
        let unsure = self.protocols.iter().any(|spoken| !spoken.is_known());
        self.protocols.settle(benign);
        if !benign && open {
            self.destinations.distrust_today();
        }
        let lessons = std::mem::take(&mut self.lessons);
        let learnt = Learning::Discounted.weight();
        let change = if benign { 1.0 - learnt } else { -learnt };
        for lesson in &lessons {
            let (out, new) = match lesson.scale {
                Scale::Hour => (&mut self.out.hour, &mut self.new.hour),
                Scale::Day => (&mut self.out.day, &mut self.new.day),
            };
            for (stream, bin) in [(out, lesson.out), (new, lesson.new)] {
                if let Some(bin) = bin {
                    let days = f64::from(stream.histogram.day().saturating_sub(lesson.aged_day));
                    let left = libm::exp2(-days / half_life_days);
                    stream.correct(bin, change * left, learnt * left);
                }
            }
            if !benign {
                self.destinations.distrust(&lesson.destinations);
            }
        }
        open || unsure || !lessons.is_empty()
    }

    /// Every stream that there is.
    pub(super) fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        let optional = self.optional.as_deref_mut().map(|o| [&mut o.received, &mut o.flows]);
        let scales = [&mut self.out, &mut self.new].into_iter().chain(optional.into_iter().flatten());
        scales.flat_map(|scales| [&mut scales.hour, &mut scales.day])
    }

    pub(super) fn merge(&mut self, other: &Self, half_life_days: f64) {
        self.first = self.first.min(other.first);
        self.latest = self.latest.max(other.latest);
        self.activity.merge(&other.activity);
        self.hour.merge(&other.hour);
        self.day.merge(&other.day);
        self.out.merge(&other.out, half_life_days);
        self.new.merge(&other.new, half_life_days);
        match (&mut self.optional, &other.optional) {
            (Some(ours), Some(theirs)) => ours.merge(theirs, half_life_days),
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
        self.out.at(scale).learn(out, weight, window.aged_day, half_life_days);
        self.new.at(scale).learn(new, weight, window.aged_day, half_life_days);
        if let Some(optional) = &mut self.optional {
            let (received, flows) = (window.sums.received_bits(), window.sums.flows_bits());
            optional.received.at(scale).learn(received, weight, window.aged_day, half_life_days);
            optional.flows.at(scale).learn(flows, weight, window.aged_day, half_life_days);
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

/// Lessons kept a subject.
const MOST_LESSONS: usize = 8;
/// New destinations kept with a day's lesson.
const LESSON_DESTINATIONS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Timestamp, ZoneOffset};

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
        assert!((learnt(None) - 0.1).abs() < 1e-6);
        assert!((learnt(Some(true)) - 1.0).abs() < 1e-6);
        assert!(learnt(Some(false)).abs() < 1e-6);
    }
}
