//! What else an analyst asks about the time around a finding: since when this is known, what changed lately, where it sends otherwise.
//!
//! None of it moves a score. All of it is bounded, and goes with the engine's state from run to run.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::alert::{Losses, Surroundings, TopDestination};
use crate::observation::{Clock, Gap, Timestamp};
use crate::process::{Identity, Script, ScriptSource, Subject, Who};

/// What the engine remembers beside the baselines.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    images: Seen<Identity, Timestamp>,
    /// By path: one identity may have several files (`python3`, its stub and its app) with code of their own.
    code: Seen<Arc<str>, Code>,
    scripts: Seen<Arc<str>, Timestamp>,
    destinations: Seen<Subject, Vec<TopDestination>>,
    /// The private networks that the Mac is on or reaches, and since when.
    private: Seen<Arc<str>, Timestamp>,
    clock: Option<Clock>,
    woke: Option<Timestamp>,
    system: Option<Arc<str>>,
    system_updated: Option<Timestamp>,
    gaps: VecDeque<(Timestamp, u64)>,
}

/// The code of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Code {
    cdhash: [u8; 20],
    changed: Option<Timestamp>,
    /// Who vouched for it; `None` in a state of an earlier version.
    #[serde(default)]
    signer: Option<Signer>,
}

/// Who vouches for a file, and what it is called under that signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signer {
    platform: bool,
    team: Option<Arc<str>>,
    identity: Identity,
}

impl Signer {
    fn of(who: &Who) -> Self {
        let signing = &who.process.signing;
        Self {
            platform: signing.is_platform_binary,
            team: signing.team_id.clone(),
            identity: who.process.identity.clone(),
        }
    }

    /// Whether another one vouches for the file. Under one signer a file may have several names (the stand-ins of Xcode's tools).
    fn is_another(&self, other: &Self) -> bool {
        self.identity != other.identity && (self.platform, &self.team) != (other.platform, &other.team)
    }
}

impl Memory {
    /// A process's image ran. Gives what the file was called until now, where it has another signer since.
    pub(super) fn ran(&mut self, who: &Who, time: Timestamp) -> Option<Identity> {
        let mut before = None;
        self.images.entry(&who.process.identity, time, || time);
        if let Some(cdhash) = who.process.signing.cdhash {
            let signer = Signer::of(who);
            let new = || Code { cdhash, changed: None, signer: Some(signer.clone()) };
            let code = self.code.entry(&who.process.path, time, new);
            if code.cdhash != cdhash {
                before = code.signer.take().filter(|before| before.is_another(&signer)).map(|b| b.identity);
                *code = Code { cdhash, changed: Some(time), signer: Some(signer) };
            }
        }
        if let Some(name) = who.process.script.as_ref().and_then(script_key) {
            self.scripts.entry(name, time, || time);
        }
        before
    }

    /// A subject sent to a destination.
    pub(super) fn sent(&mut self, subject: &Subject, destination: &Arc<str>, bytes: u64, time: Timestamp) {
        let known = self.destinations.entry(subject, time, Vec::new);
        let mut at = if let Some(at) = known.iter().position(|entry| entry.name == *destination) {
            at
        } else {
            // The last is the smallest.
            known.truncate(DESTINATIONS_KEPT - 1);
            known.push(TopDestination { name: destination.clone(), bytes_out: 0, first_seen: time });
            known.len().saturating_sub(1)
        };
        if let Some(entry) = known.get_mut(at) {
            entry.bytes_out = entry.bytes_out.saturating_add(bytes);
        }
        while let Some(above) = at.checked_sub(1)
            && let Some([larger, entry]) = known.get_mut(above..=at)
            && entry.bytes_out > larger.bytes_out
        {
            std::mem::swap(larger, entry);
            at = above;
        }
    }

    /// Something was sent into a private network. Whether it is one that the Mac knows since yesterday or longer: then it is where the Mac lives,
    /// and no program's new destination.
    pub(super) fn at_home(&mut self, network: &Arc<str>, time: Timestamp) -> bool {
        let since = *self.private.entry(network, time, || time);
        time.since(since) >= AT_HOME
    }

    /// The system's version is known.
    pub(super) fn system(&mut self, version: &Arc<str>, now: Option<Timestamp>) {
        if self.system.as_ref().is_some_and(|known| known != version) {
            self.system_updated = now;
        }
        self.system = Some(version.clone());
    }

    /// Time passed; where more of it passed on the wall than awake, the Mac slept.
    pub(super) fn clock(&mut self, clock: &Clock) {
        if let (Some(before), Some(awake)) = (self.clock, clock.awake)
            && let Some(awake_before) = before.awake
        {
            let passed = clock.time.since(before.time);
            if passed.saturating_sub(awake.saturating_sub(awake_before)) >= A_SLEEP {
                self.woke = Some(clock.time);
            }
        }
        self.clock = Some(*clock);
    }

    /// Something was lost.
    pub(super) fn lost(&mut self, gap: &Gap) {
        if self.gaps.len() >= GAPS_KEPT {
            self.gaps.pop_front();
        }
        self.gaps.push_back((gap.time, gap.lost.unwrap_or(0)));
    }

    /// The running totals, with what was lost in the last hour.
    pub(super) fn losses(&self, totals: &Losses, now: Timestamp) -> Losses {
        let recent = self.gaps.iter().filter(|(time, _)| now.since(*time) < GAP_WINDOW);
        let (gaps, lost) = recent.fold((0_u64, 0_u64), |(gaps, lost), (_, more)| {
            (gaps.saturating_add(1), lost.saturating_add(*more))
        });
        Losses { gaps_last_hour: gaps, lost_last_hour: lost, ..totals.clone() }
    }

    /// What held around a finding.
    pub(super) fn around(&self, who: &Who, destination: &str, now: Timestamp) -> Surroundings {
        let within = |time: Option<Timestamp>, span: Duration| time.filter(|time| now.since(*time) < span);
        let code = self.code.peek(&who.process.path);
        let script =
            who.process.script.as_ref().and_then(script_key).and_then(|name| self.scripts.peek(name));
        let destinations = self.destinations.peek(&who.subject).map_or(&[][..], Vec::as_slice);
        Surroundings {
            woke: within(self.woke, JUST_WOKE),
            system_updated: within(self.system_updated, JUST_UPDATED),
            image_changed: within(code.and_then(|code| code.changed), JUST_UPDATED),
            image_seen: self.images.peek(&who.process.identity).copied(),
            script_seen: script.copied(),
            destination_seen: destinations.iter().find(|d| *d.name == *destination).map(|d| d.first_seen),
            top_destinations: destinations.iter().take(DESTINATIONS_TOLD).cloned().collect(),
        }
    }
}

/// What names a script: its hash where it is inline, else its path or module. Standard input names nothing.
fn script_key(script: &Script) -> Option<&Arc<str>> {
    match script.source {
        ScriptSource::File | ScriptSource::Module => Some(&script.name),
        ScriptSource::Inline => script.sha256.as_ref(),
        ScriptSource::Stdin => None,
    }
}

/// A bounded table; what was not used for longest goes first, a sixteenth at a time. Nothing depends on the order of its map.
#[derive(Debug)]
struct Seen<K, V> {
    entries: HashMap<K, (Timestamp, V), FixedState>,
}

impl<K, V> Default for Seen<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::default() }
    }
}

impl<K: Hash + Ord + Clone + Serialize, V: Serialize> Serialize for Seen<K, V> {
    /// As a list in the order of the keys, which may be more than text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<(&K, &(Timestamp, V))> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        serializer.collect_seq(entries)
    }
}

impl<'de, K: Hash + Eq + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Seen<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<(K, (Timestamp, V))>::deserialize(deserializer)?;
        Ok(Self { entries: entries.into_iter().collect() })
    }
}

impl<K: Hash + Ord + Clone, V> Seen<K, V> {
    fn entry(&mut self, key: &K, time: Timestamp, new: impl FnOnce() -> V) -> &mut V {
        if self.entries.len() >= KEPT && !self.entries.contains_key(key) {
            self.make_room();
        }
        let (used, value) = self.entries.entry(key.clone()).or_insert_with(|| (time, new()));
        *used = (*used).max(time);
        value
    }

    fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    fn make_room(&mut self) {
        let mut order: Vec<(Timestamp, K)> =
            self.entries.iter().map(|(key, (used, _))| (*used, key.clone())).collect();
        order.sort_unstable();
        for (_, key) in order.into_iter().take(KEPT / 16) {
            self.entries.remove(&key);
        }
    }
}

/// Images, scripts and subjects that are remembered: a busy developer's Mac has 2,000 subjects.
const KEPT: usize = 4_096;
/// From when on a private network is where the Mac lives.
const AT_HOME: Duration = Duration::from_secs(86_400);
/// Destinations that are counted a subject.
const DESTINATIONS_KEPT: usize = 16;
/// Destinations that an alert names.
const DESTINATIONS_TOLD: usize = 5;
/// Gaps whose times are remembered.
const GAPS_KEPT: usize = 256;
/// How far back an alert counts losses.
const GAP_WINDOW: Duration = Duration::from_secs(3_600);
/// How much more must pass on the wall than awake for a sleep: clocks are set by seconds, sleeps last longer.
const A_SLEEP: Duration = Duration::from_secs(30);
/// How long a Mac has just woken: what waits for the network then runs at once.
const JUST_WOKE: Duration = Duration::from_secs(15 * 60);
/// How long a change of code explains what is new.
const JUST_UPDATED: Duration = Duration::from_secs(7 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds, 0)
    }

    #[test]
    fn destinations_are_told_by_bytes_and_bounded() {
        let mut memory = Memory::default();
        let subject = Subject { image: Identity::new("curl"), initiator: None };
        for n in 0..40_u64 {
            memory.sent(&subject, &Arc::from(format!("{n}.example")), n, at(0));
            memory.sent(&subject, &Arc::from("big.example"), 1_000, at(1));
        }
        let known = memory.destinations.peek(&subject).unwrap();
        assert_eq!(known.len(), DESTINATIONS_KEPT);
        assert_eq!(
            (&*known[0].name, known[0].bytes_out, known[0].first_seen),
            ("big.example", 40_000, at(1))
        );
    }

    #[test]
    fn a_sleep_is_time_on_the_wall_that_was_not_awake() {
        let mut memory = Memory::default();
        let clock = |time, awake| Clock { time: at(time), awake: Some(Duration::from_secs(awake)) };
        memory.clock(&clock(0, 0));
        memory.clock(&clock(60, 60));
        assert_eq!(memory.woke, None);
        memory.clock(&clock(3_660, 61));
        assert_eq!(memory.woke, Some(at(3_660)));
    }

    #[test]
    fn losses_of_the_last_hour_stand_beside_the_totals() {
        let mut memory = Memory::default();
        for (time, lost) in [(0, 5), (3_000, 7)] {
            memory.lost(&Gap { time: at(time), source: Arc::from("s"), lost: Some(lost) });
        }
        let losses = memory.losses(&Losses { lost: 12, ..Losses::default() }, at(3_600));
        assert_eq!((losses.lost, losses.gaps_last_hour, losses.lost_last_hour), (12, 1, 7));
    }

    #[test]
    fn a_table_forgets_what_was_not_used_for_longest() {
        let mut seen: Seen<u64, ()> = Seen::default();
        for n in 0..=KEPT as u64 {
            seen.entry(&n, at(i64::try_from(n).unwrap()), || ());
        }
        assert!(seen.entries.len() <= KEPT && seen.peek(&0).is_none() && seen.peek(&(KEPT as u64)).is_some());
    }
}
