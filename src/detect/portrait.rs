//! The state of the detector for people: one Mac in a few numbers, one subject in full.

use serde::Serialize;

use super::budget::NOISY_TRIM;
use super::entry::Entry;
use super::explain::subject_state;
use super::{BaselineState, Detector};
use crate::baseline::volume::{self, Prior};
use crate::baseline::{Histogram, ScalePriors, Scales, Stream};
use crate::observation::Timestamp;
use crate::process::Subject;

/// The Mac in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Whether it learns, settles, or its baselines are in force.
    pub state: BaselineState,
    /// Days in which it was awake and observed.
    pub observed_days: u32,
    /// The latest observation.
    pub latest: Option<Timestamp>,
    /// Subjects known.
    pub subjects: u32,
    /// Subjects that used the network.
    pub networked: u32,
    /// Subjects active in the last 24 hours.
    pub active: u32,
    /// The least score that alerts.
    pub threshold: f64,
    /// What alerts above the budget have added to every threshold, in powers of ten.
    pub trim: f64,
    /// The trim is above half a power of ten: the Mac is noisier than its budget, a health event.
    pub noisy: bool,
    /// Findings that stayed on the Mac while it learnt.
    pub held_while_learning: u32,
    /// Findings that wait for the end of settling.
    pub held_while_settling: u32,
    /// Subjects that made room for others.
    pub evicted: u64,
}

/// One subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Portrait {
    /// Whose.
    pub subject: Subject,
    /// Its state.
    pub state: BaselineState,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Age in observed days.
    pub age_days: f64,
    /// Observed days since it was last seen.
    pub idle_days: f64,
    /// Days and hours in which it ran.
    pub run_days: u32,
    /// Hours in which it ran.
    pub run_hours: u32,
    /// Days in which it used the network.
    pub active_days: u32,
    /// Hours in which it used the network.
    pub active_hours: u32,
    /// Bytes out by hour.
    pub hour: Option<Distribution>,
    /// Bytes out by day.
    pub day: Option<Distribution>,
    /// Bytes to new destinations by day.
    pub new_destinations_day: Option<Distribution>,
    /// Its protocols.
    pub protocols: Vec<SpokenProtocol>,
    /// Destinations that were ever new.
    pub destinations: u32,
    /// Alerts that left.
    pub alerts: u32,
    /// Findings held back since the latest of them.
    pub held_back: u32,
}

/// What one stream's sums were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// Closed windows, without decay.
    pub windows: u32,
    /// The median that is expected, in bytes.
    pub median: u64,
    /// The value that is expected in one of a hundred windows, in bytes.
    pub p99: u64,
    /// Occupied bins: lower edge in bytes and weight, in ascending order.
    pub bins: Vec<(u64, f64)>,
}

/// A protocol of a subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpokenProtocol {
    /// `tls/well-known`.
    pub protocol: String,
    /// Days on which it was used.
    pub days: u32,
    /// Whether it is learnt, or waits for somebody's word.
    pub known: bool,
}

impl Detector {
    /// The Mac in a few numbers.
    pub fn summary(&self) -> Summary {
        let networked = self.subjects.values().filter(|entry| entry.baseline.network.is_some()).count();
        let trim = self.host.budget.trim();
        Summary {
            state: self.host.state(&self.settings),
            observed_days: self.host.clock.aged_days(),
            latest: self.host.clock.latest(),
            subjects: u32::try_from(self.subjects.len()).unwrap_or(u32::MAX),
            networked: u32::try_from(networked).unwrap_or(u32::MAX),
            active: self.host.active,
            threshold: self.settings.threshold(),
            trim,
            noisy: trim > NOISY_TRIM,
            held_while_learning: self.host.learning.count(),
            held_while_settling: self.host.settling.count(),
            evicted: self.host.evicted,
        }
    }

    /// Every subject that is known, sorted.
    pub fn subjects(&self) -> Vec<&Subject> {
        let mut subjects: Vec<&Subject> = self.subjects.keys().collect();
        subjects.sort_unstable();
        subjects
    }

    /// One subject in full.
    pub fn portrait(&self, subject: &Subject) -> Option<Portrait> {
        self.subjects.get(subject).map(|entry| self.paint(subject, entry))
    }

    fn paint(&self, subject: &Subject, entry: &Entry) -> Portrait {
        let (baseline, now) = (&entry.baseline, self.host.clock.age());
        let network = baseline.network.as_deref();
        let scale = |scales: fn(&crate::baseline::Network) -> &Scales, day: bool, priors: &ScalePriors| {
            let scales = scales(network?);
            let (stream, prior) = if day { (&scales.day, &priors.day) } else { (&scales.hour, &priors.hour) };
            Some(distribution(stream, prior))
        };
        Portrait {
            subject: subject.clone(),
            state: network.map_or(BaselineState::Learning, subject_state),
            first_seen: baseline.first_seen.into(),
            age_days: now.days_since(baseline.first),
            idle_days: now.days_since(baseline.latest),
            run_days: baseline.runs.days,
            run_hours: baseline.runs.hours,
            active_days: network.map_or(0, |n| n.activity.days),
            active_hours: network.map_or(0, |n| n.activity.hours),
            hour: scale(|n| &n.out, false, &self.priors.out),
            day: scale(|n| &n.out, true, &self.priors.out),
            new_destinations_day: scale(|n| &n.new, true, &self.priors.new_destinations),
            protocols: network.map_or_else(Vec::new, |n| {
                let spoken = n.protocols.iter().map(|s| SpokenProtocol {
                    protocol: s.protocol.to_string(),
                    days: s.days,
                    known: s.is_known(),
                });
                spoken.collect()
            }),
            destinations: network.map_or(0, |n| n.destinations.count()),
            alerts: entry.record.as_ref().map_or(0, |record| record.alerts),
            held_back: entry.record.as_ref().map_or(0, |record| record.held_back),
        }
    }
}

fn distribution(stream: &Stream, prior: &Prior) -> Distribution {
    let point = |p| super::channel::bytes::round_bytes(volume::quantile(&stream.histogram, prior, p));
    let mut bins: Vec<(u64, f64)> = stream
        .histogram
        .descending()
        .map(|(bin, weight)| {
            let edge = Histogram::LOW + Histogram::WIDTH * bin as f64;
            (super::channel::bytes::round_bytes(edge), super::channel::bytes::round(weight))
        })
        .collect();
    bins.reverse();
    Distribution { windows: stream.windows, median: point(0.5), p99: point(0.01), bins }
}
