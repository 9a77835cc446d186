//! What is remembered of a subject's findings.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::assess::Assessment;
use super::channel::combine::{ChannelSet, Combined};
use super::channel::initiator::InitiatorNovelty;
use super::channel::protocol::ProtocolNovelty;
use super::{Activity, Channel, Finding, Held, HeldReason, Severity};
use crate::baseline::{Age, ObservedClock, SECONDS_PER_DAY};

/// Novelties that still count, alerts that left, findings that did not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// The strongest first use of a protocol, and when it was.
    protocol: Option<(ProtocolNovelty, Age)>,
    /// The first run by this initiator, and when it was.
    initiator: Option<(InitiatorNovelty, Age)>,
    /// The latest alert.
    alerted: Option<LastAlert>,
    /// How many alerts left.
    pub(super) alerts: u32,
    /// Findings held back since the latest alert.
    pub(super) held_back: u32,
    /// The strongest of them.
    pub(super) held: Vec<Held>,
}

/// The latest alert of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct LastAlert {
    age: Age,
    hour: u32,
    day: u32,
    score: f64,
    severity: Severity,
    counted: ChannelSet,
    /// It moved the trim.
    spent: bool,
}

impl Record {
    /// The record without what was only news for a while and no longer is.
    pub(super) fn at(&self, now: Age) -> Cow<'_, Self> {
        let stale = (self.protocol.is_some() && self.protocol(now).is_none())
            || (self.initiator.is_some() && self.initiator(now).is_none());
        if !stale {
            return Cow::Borrowed(self);
        }
        let mut record = self.clone();
        record.forget_stale(now);
        Cow::Owned(record)
    }

    /// Drops what was only news for a while and no longer is.
    pub(super) fn forget_stale(&mut self, now: Age) {
        if self.protocol(now).is_none() {
            self.protocol = None;
        }
        if self.initiator(now).is_none() {
            self.initiator = None;
        }
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A first use of a protocol: the stronger of two counts.
    pub(super) fn protocol_is_new(&mut self, novelty: ProtocolNovelty, now: Age) {
        if self.protocol(now).is_none_or(|known| novelty.z >= known.z) {
            self.protocol = Some((novelty, now));
        }
    }

    /// The first run by this initiator.
    pub(super) fn initiator_is_new(&mut self, novelty: InitiatorNovelty, now: Age) {
        self.initiator = Some((novelty, now));
    }

    /// The score of the latest alert, where that is less than a day old.
    pub(super) fn latest_score(&self, now: Age) -> Option<f64> {
        self.alerted.filter(|last| now.seconds_since(last.age) < SECONDS_PER_DAY).map(|last| last.score)
    }

    /// The first use of a protocol that still counts.
    pub(super) fn protocol(&self, now: Age) -> Option<&ProtocolNovelty> {
        let (novelty, since) = self.protocol.as_ref()?;
        (now.seconds_since(*since) < PROTOCOL_SECONDS).then_some(novelty)
    }

    /// The new initiator that still counts.
    pub(super) fn initiator(&self, now: Age) -> Option<&InitiatorNovelty> {
        let (novelty, since) = self.initiator.as_ref()?;
        (now.seconds_since(*since) < SECONDS_PER_DAY).then_some(novelty)
    }

    /// Whether a finding only repeats an alert of the last 24 hours: neither a power of ten above it nor with a new channel, and not high
    /// or critical. Those leave again with a higher severity, and with bytes once in every clock hour that is unusual by itself, so that noise
    /// before them hides nothing and what was sent in the morning is not told all day.
    pub(super) fn repeats(&self, assessment: &Assessment, severity: Severity, clock: &ObservedClock) -> bool {
        let combined = &assessment.combined;
        let Some(last) = self.alerted.filter(|last| clock.age().seconds_since(last.age) < SECONDS_PER_DAY)
        else {
            return false;
        };
        let louder = combined.score >= last.score + LOUDER || combined.counted.exceeds(last.counted);
        let bytes =
            combined.counted.contains(Channel::Volume) || combined.counted.contains(Channel::Destination);
        let again = bytes && clock.hour() != last.hour && assessment.hour_is_unusual();
        let more = severity > last.severity || again;
        let grave = severity >= Severity::High && more;
        !louder && !grave
    }

    /// An alert left; `true` where it is the first of the day.
    pub(super) fn alert_left(
        &mut self,
        combined: &Combined,
        severity: Severity,
        spent: bool,
        clock: &ObservedClock,
    ) -> bool {
        let first_today = self.alerted.is_none_or(|last| last.day != clock.day());
        let spent = spent || self.alerted.is_some_and(|last| !first_today && last.spent);
        let (age, hour, day) = (clock.age(), clock.hour(), clock.day());
        self.alerted = Some(LastAlert {
            age,
            hour,
            day,
            score: combined.score,
            severity,
            counted: combined.counted,
            spent,
        });
        self.alerts = self.alerts.saturating_add(1);
        self.held_back = 0;
        self.held.clear();
        first_today
    }

    /// The latest alert was confirmed as an attack: whether it moved the trim, and if so whether today. It is asked once.
    pub(super) fn confirmed(&mut self, clock: &ObservedClock) -> Option<bool> {
        let last = self.alerted.as_mut().filter(|last| last.spent)?;
        last.spent = false;
        Some(last.day == clock.day())
    }

    /// A finding did not leave.
    pub(super) fn hold(&mut self, activity: &Activity<'_>, score: f64, reason: HeldReason) {
        self.held_back = self.held_back.saturating_add(1);
        let held = Held {
            time: activity.time,
            score,
            reason,
            destination: activity.destination.cloned(),
            command: command(activity),
        };
        // The same command to the same place is one line, with its highest score.
        let same = |known: &Held| known.command == held.command && known.destination == held.destination;
        match self.held.iter_mut().find(|known| same(known)) {
            Some(known) if known.score >= score => {}
            Some(known) => *known = held,
            None => self.held.push(held),
        }
        self.held.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.time.cmp(&b.time)));
        self.held.truncate(Finding::KEPT_HELD);
    }
}

/// Path and arguments in one line, bounded.
fn command(activity: &Activity<'_>) -> Option<Arc<str>> {
    let process = &activity.who?.process;
    let mut line = String::from(&*process.path);
    for argument in process.arguments.iter().skip(1) {
        if line.len() >= Held::COMMAND {
            break;
        }
        line.push(' ');
        line.push_str(argument);
    }
    let end = (0..=Held::COMMAND.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    line.truncate(end);
    Some(line.into())
}

/// How long a first use of a protocol counts, in seconds (METHOD.md 2: an hour).
const PROTOCOL_SECONDS: u32 = 3_600;
/// How much higher a finding must be to leave again within 24 hours, in powers of ten (METHOD.md 7).
const LOUDER: f64 = 1.0;
