//! A finding's life: created, updated while it goes on, closed.
//!
//! A SIEM that gets one event for each time that a behaviour is seen drowns; one that gets only the first never learns how much it became.
//! So a finding is *created* once, *updated* while it goes on (at most once in [`UPDATE_EVERY`], with counters, but at once where a channel
//! joins or the severity rises, which is news) and *closed* when an analyst calls it normal or an exception comes to cover it.
//!
//! [`Lifecycle`] is a state machine without a clock: it is told of alerts and of time, and says what leaves. It is bounded, and can be
//! stored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Alert, FindingKey};
use crate::detect::{Channel, Severity};
use crate::observation::Timestamp;

/// Where an event stands in its finding's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What this event does to the finding.
    pub activity: Activity,
    /// The finding's first event.
    pub first_time: Timestamp,
    /// The latest time that the behaviour was seen.
    pub last_time: Timestamp,
    /// How many times it was found since the first event, this one included.
    pub count: u64,
    /// Why it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// What an event does to its finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Opens it.
    Create,
    /// It goes on.
    Update,
    /// Ends it.
    Close,
}

/// Why a finding was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// An analyst called it normal, and it was learnt.
    Learned,
    /// An exception covers it.
    Excepted,
    /// It was not seen for [`FORGET_AFTER`], or made room for others.
    Quiet,
}

/// The findings of one Mac that are open.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lifecycle {
    open: BTreeMap<FindingKey, Open>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    stage: Stage,
    /// When an event of it last left.
    told: Timestamp,
    /// The highest severity that was told.
    severity: Severity,
    /// The channels that were told.
    channels: Vec<Channel>,
    /// The last event, for the one that closes the finding; replaced by what waits.
    latest: Box<Alert>,
    /// `latest` has not left yet.
    waits: bool,
}

impl Lifecycle {
    /// Forgets open findings, which are not closed by an event; how many.
    pub fn forget(&mut self, is_to_go: impl Fn(&Alert) -> bool) -> u64 {
        let before = self.open.len();
        self.open.retain(|_, open| !is_to_go(&open.latest));
        before.saturating_sub(self.open.len()) as u64
    }

    /// A finding stands: gives the event that leaves, if one does now.
    pub fn found(&mut self, mut alert: Alert, out: &mut Vec<Alert>) {
        let time = alert.time;
        let Some(open) = self.open.get_mut(&alert.finding) else {
            self.make_room(time, out);
            alert.stage = Stage {
                activity: Activity::Create,
                first_time: time,
                last_time: time,
                count: 1,
                closed: None,
            };
            self.open.insert(alert.finding.clone(), Open::told(alert.clone()));
            out.push(alert);
            return;
        };
        open.stage.activity = Activity::Update;
        open.stage.last_time = open.stage.last_time.max(time);
        open.stage.count = open.stage.count.saturating_add(1);
        alert.stage = open.stage.clone();
        let channels = counted(&alert);
        let news = alert.severity > open.severity || channels.iter().any(|c| !open.channels.contains(c));
        open.severity = open.severity.max(alert.severity);
        for channel in channels {
            if !open.channels.contains(&channel) {
                open.channels.push(channel);
            }
        }
        *open.latest = alert;
        open.waits = true;
        if news || time.since(open.told) >= UPDATE_EVERY {
            out.extend(open.tell(time));
        }
    }

    /// An exception covers the behaviour now: closes the finding where it is open.
    pub fn excepted(&mut self, finding: &FindingKey, time: Timestamp, out: &mut Vec<Alert>) {
        out.extend(self.close(finding, time, Closed::Excepted));
    }

    /// An analyst called the behaviour normal, and it was learnt: closes the open findings whose last event is meant.
    pub fn learned(&mut self, is_meant: impl Fn(&Alert) -> bool, time: Timestamp, out: &mut Vec<Alert>) {
        let meant = self.open.iter().filter(|(_, open)| is_meant(&open.latest));
        let meant: Vec<FindingKey> = meant.map(|(key, _)| key.clone()).collect();
        out.extend(meant.iter().filter_map(|key| self.close(key, time, Closed::Learned)));
    }

    /// Time passed: what waited long enough leaves, and what was quiet for long is closed.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        let mut quiet = Vec::new();
        for (key, open) in &mut self.open {
            if open.waits && now.since(open.told) >= UPDATE_EVERY {
                out.extend(open.tell(now));
            }
            if now.since(open.stage.last_time) >= FORGET_AFTER {
                quiet.push(key.clone());
            }
        }
        for key in quiet {
            out.extend(self.close(&key, now, Closed::Quiet));
        }
    }

    /// Observation ends: what waits leaves now. Findings stay open.
    pub fn finish(&mut self, out: &mut Vec<Alert>) {
        for open in self.open.values_mut().filter(|open| open.waits) {
            let time = open.latest.time;
            out.extend(open.tell(time));
        }
    }

    /// An event left in a run whose end this lifecycle does not know of: its finding stands as the event says.
    pub fn left(&mut self, alert: Alert) {
        if alert.stage.activity == Activity::Close {
            self.open.remove(&alert.finding);
        } else if self.open.len() < MOST_OPEN || self.open.contains_key(&alert.finding) {
            self.open.insert(alert.finding.clone(), Open::told(alert));
        }
    }

    /// How many findings are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn close(&mut self, finding: &FindingKey, time: Timestamp, why: Closed) -> Option<Alert> {
        let mut open = self.open.remove(finding)?;
        open.stage.activity = Activity::Close;
        open.stage.closed = Some(why);
        let mut alert = *open.latest;
        alert.stage = open.stage;
        alert.time = alert.time.max(time);
        Some(alert)
    }

    /// The finding that was quiet for longest makes room.
    fn make_room(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        if self.open.len() < MOST_OPEN {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(key, open)| (open.stage.last_time, *key));
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            out.extend(self.close(&key, now, Closed::Quiet));
        }
    }
}

impl Open {
    /// As it stands when this event has just left.
    fn told(alert: Alert) -> Self {
        Self {
            stage: alert.stage.clone(),
            told: alert.time,
            severity: alert.severity,
            channels: counted(&alert),
            latest: Box::new(alert),
            waits: false,
        }
    }

    fn tell(&mut self, now: Timestamp) -> Option<Alert> {
        self.told = now;
        std::mem::take(&mut self.waits).then(|| (*self.latest).clone())
    }
}

fn counted(alert: &Alert) -> Vec<Channel> {
    alert.channels.iter().filter(|c| c.counted).map(|c| c.name).collect()
}

/// The least time between two updates of one finding that bring no news.
pub const UPDATE_EVERY: Duration = Duration::from_secs(15 * 60);
/// A finding that was not seen for so long is closed.
pub const FORGET_AFTER: Duration = Duration::from_secs(30 * 86_400);
/// Findings that are kept open: at a budget of a few alerts a month, years of them.
const MOST_OPEN: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::samples;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_780_000_000 + seconds, 0)
    }

    /// The same finding at another time.
    fn again(seconds: i64) -> Alert {
        Alert { time: at(seconds), ..samples::plain() }
    }

    fn told(life: &mut Lifecycle, alert: Alert) -> Vec<(Activity, u64)> {
        let mut out = Vec::new();
        life.found(alert, &mut out);
        out.iter().map(|a| (a.stage.activity, a.stage.count)).collect()
    }

    #[test]
    fn it_is_created_once_and_updated_after_a_quarter_of_an_hour() {
        let mut life = Lifecycle::default();
        assert_eq!(told(&mut life, again(0)), [(Activity::Create, 1)]);
        assert_eq!(told(&mut life, again(60)), []);
        assert_eq!(told(&mut life, again(899)), []);
        let mut out = Vec::new();
        life.advance(at(900), &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!((out[0].stage.count, out[0].stage.last_time), (3, at(899)));
        life.advance(at(5_000), &mut out);
        assert_eq!(out.len(), 1, "nothing new happened");
    }

    #[test]
    fn a_rising_severity_and_a_joining_channel_do_not_wait() {
        let mut life = Lifecycle::default();
        told(&mut life, again(0));
        let graver = Alert { severity: Severity::Critical, ..again(1) };
        assert_eq!(told(&mut life, graver.clone()), [(Activity::Update, 2)]);
        assert_eq!(told(&mut life, Alert { time: at(2), ..graver }), []);
        let mut joined = again(3);
        joined.channels.push(samples::channel(Channel::FanOut));
        assert_eq!(told(&mut life, joined), [(Activity::Update, 4)]);
    }

    #[test]
    fn an_exception_and_an_analyst_close_it_and_it_may_open_again() {
        for (why, close) in [
            (
                Closed::Excepted,
                Lifecycle::excepted as fn(&mut Lifecycle, &FindingKey, Timestamp, &mut Vec<Alert>),
            ),
            (Closed::Learned, |life, finding, time, out| {
                life.learned(|alert| alert.finding == *finding, time, out);
            }),
        ] {
            let mut life = Lifecycle::default();
            told(&mut life, again(0));
            let mut out = Vec::new();
            close(&mut life, &again(0).finding, at(10), &mut out);
            assert_eq!(out.iter().map(|a| a.stage.closed).collect::<Vec<_>>(), [Some(why)]);
            close(&mut life, &again(0).finding, at(11), &mut out);
            assert_eq!(out.len(), 1, "what is closed is not closed again");
            assert_eq!(told(&mut life, again(20)), [(Activity::Create, 1)]);
        }
    }

    #[test]
    fn what_waits_leaves_at_the_end_and_what_was_stored_goes_on() {
        let mut life = Lifecycle::default();
        told(&mut life, again(0));
        told(&mut life, again(5));
        let stored = serde_json::to_string(&life).unwrap();
        let mut life: Lifecycle = serde_json::from_str(&stored).unwrap();
        let mut out = Vec::new();
        life.finish(&mut out);
        life.finish(&mut out);
        assert_eq!(
            out.iter().map(|a| (a.stage.activity, a.stage.count)).collect::<Vec<_>>(),
            [(Activity::Update, 2)]
        );
    }

    #[test]
    fn what_left_in_a_run_that_was_killed_is_known() {
        let mut life = Lifecycle::default();
        told(&mut life, again(0));
        let mut killed: Lifecycle = serde_json::from_str(&serde_json::to_string(&life).unwrap()).unwrap();
        let graver = Alert { severity: Severity::Critical, ..again(30) };
        assert_eq!(told(&mut killed, graver), [(Activity::Update, 2)]);
        let mut out = Vec::new();
        killed.finish(&mut out);
        let event = killed.open.values().next().unwrap().latest.clone();
        life.left(*event);
        assert_eq!(life, killed);
        killed.learned(|alert| alert.finding == again(0).finding, at(60), &mut out);
        life.left(out.pop().unwrap());
        assert!(life.is_empty());
    }

    proptest! {
        #[test]
        fn updates_without_news_are_a_quarter_of_an_hour_apart(gaps in prop::collection::vec(0i64..2_000, 1..60)) {
            let mut life = Lifecycle::default();
            let (mut now, mut out) = (0, Vec::new());
            let mut left = Vec::new();
            for gap in &gaps {
                now += gap;
                life.advance(at(now), &mut out);
                life.found(again(now), &mut out);
                left.extend(out.drain(..).map(|alert| (now, alert.stage)));
            }
            for pair in left.windows(2) {
                prop_assert!(pair[1].0 - pair[0].0 >= 900);
                prop_assert!(pair[1].1.count > pair[0].1.count);
            }
            life.finish(&mut out);
            let last = out.last().map_or(left.last().map(|(_, stage)| stage.count), |a| Some(a.stage.count));
            prop_assert_eq!(last, Some(gaps.len() as u64), "every time is counted");
        }

        #[test]
        fn the_number_of_open_findings_is_bounded(names in prop::collection::vec("[a-z]{1,12}", 0..700)) {
            let mut life = Lifecycle::default();
            let mut out = Vec::new();
            for (seconds, name) in names.iter().enumerate() {
                life.found(samples::named(name, at(i64::try_from(seconds).unwrap())), &mut out);
            }
            prop_assert!(life.len() <= MOST_OPEN);
            let created = out.iter().filter(|a| a.stage.activity == Activity::Create).count();
            let closed = out.iter().filter(|a| a.stage.activity == Activity::Close).count();
            prop_assert_eq!(created - closed, life.len());
        }
    }
}
