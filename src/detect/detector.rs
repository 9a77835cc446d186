//! The detector: every baseline of one Mac in memory, and the rules that turn activity into findings.

use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::assess::View;
use super::channel::{initiator, protocol};
use super::host::Host;
use super::record::Record;
use super::{
    Activity, BaselineState, Channel, Digest, Disposition, Finding, HeldReason, Settings, Severity, Verdict,
    explain,
};
use crate::baseline::{
    Fingerprint, Growth, KNOWN_WEIGHT, Network, OptionalStreams, Priors, SECONDS_PER_DAY, SubjectBaseline,
};
use crate::observation::{Timestamp, ZoneOffset};
use crate::process::{Identity, Role, Subject};

/// Owns the baselines of one Mac. Pure: no I/O, no clock of its own, the same calls give the same findings.
#[derive(Debug)]
pub struct Detector {
    pub(super) settings: Settings,
    pub(super) priors: Arc<Priors>,
    pub(super) host: Host,
    pub(super) subjects: Map<Subject, Entry>,
    /// How many subjects on the network each image has.
    pub(super) images: Map<Identity, u32>,
    /// Digests that nobody has taken yet.
    digests: Vec<Digest>,
    /// Subjects that changed since the last checkpoint; an entry of it knows that it is here.
    pub(super) dirty: Vec<Subject>,
    /// Subjects forgotten since the last checkpoint.
    pub(super) forgotten: Vec<Subject>,
}

/// Hashed with a fixed seed: nothing depends on the order, and the seed keeps it the same all the same.
pub(super) type Map<K, V> = std::collections::HashMap<K, V, FixedState>;

/// What is kept of a subject.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) baseline: SubjectBaseline,
    pub(super) record: Option<Box<Record>>,
    /// Keys the fingerprints of its destinations.
    pub(super) key: u64,
    pub(super) dirty: bool,
    /// The image is a network tool or an interpreter.
    pub(super) tool: bool,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings, priors: Arc<Priors>) -> Self {
        Self {
            settings,
            priors,
            host: Host::default(),
            subjects: Map::default(),
            images: Map::default(),
            digests: Vec::new(),
            dirty: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings from here on; what was learnt stays.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// An image ran, with or without a socket: gives its subject a history.
    pub fn image_seen(&mut self, time: Timestamp, zone: ZoneOffset, subject: &Subject, role: Role) {
        let _ = role;
        self.tick(time, zone, None);
        self.admit(time, subject);
        let Self { host, subjects, dirty, .. } = self;
        let Some(entry) = subjects.get_mut(subject) else { return };
        entry.baseline.latest = host.clock.age();
        entry.baseline.runs.note(&host.clock);
        mark(entry, subject, dirty);
    }

    /// Takes one update of a flow. A finding that comes back has passed deduplication, budget and cap and is to leave: whoever asked the
    /// exceptions says what became of it through [`Detector::dispose`], else it counts for nothing and comes again.
    pub fn observe(&mut self, activity: &Activity<'_>) -> Option<Finding> {
        self.tick(activity.time, activity.zone, None);
        self.admit(activity.time, activity.subject);
        let Self { settings, priors, host, subjects, images, dirty, .. } = self;
        let entry = subjects.get_mut(activity.subject)?;
        mark(entry, activity.subject, dirty);
        entry.baseline.latest = host.clock.age();
        entry.follow_image(activity.volatile_cdhash);
        let age_days = host.clock.age().days_since(entry.baseline.first);

        let mut news = entry.join_network(activity, host, images, settings, priors);
        let network = entry.baseline.network.as_deref_mut()?;
        network.roll(&host.clock, settings.half_life_days);
        if let Some(spoken) = activity.protocol.map(crate::baseline::ProtocolUse::family) {
            let known = network.protocols.of(spoken).copied();
            let unsure = known.is_none_or(|k| k.weight < KNOWN_WEIGHT && k.last_day != host.clock.day());
            if unsure {
                let silent = network.activity.days == 0;
                let history = protocol::History {
                    protocols: &network.protocols,
                    activity: if silent { entry.baseline.runs } else { network.activity },
                    age_days,
                    silent,
                    expected: settings.expects_sockets(activity.subject.image.as_str()),
                    scripting_host: activity.role.scripting_host,
                    tool: activity.role.tool,
                    newcomer: network.out.day.windows == 0
                        && !activity.role.tool
                        && activity.volatile_cdhash.is_none(),
                };
                let novelty =
                    protocol::score(spoken, &history, priors, host.prevalence_among(activity.role.tool));
                entry.record.get_or_insert_default().protocol_is_new(novelty, host.clock.age());
                news = true;
            }
            if known.is_none() {
                host.prevalence_among(activity.role.tool).spoke(spoken);
            }
            network.protocols.spoke(spoken, host.clock.day());
        }

        let before = Steps::of(network, settings);
        let growth = Growth {
            out: activity.bytes_out,
            received: activity.bytes_in,
            began: activity.began,
            destination: activity.destination.map(|to| Fingerprint::of(to, entry.key)),
        };
        network.grow(growth, &host.clock);
        if !news && before == Steps::of(network, settings) {
            return None;
        }
        self.judge(activity, age_days)
    }

    /// Says what became of a finding.
    pub fn dispose(&mut self, finding: &Finding, disposition: Disposition) {
        let Self { host, subjects, dirty, .. } = self;
        let Some(entry) = subjects.get_mut(&finding.subject) else { return };
        mark(entry, &finding.subject, dirty);
        match disposition {
            Disposition::Alerted => {
                let spent = host.clock.aged_days() >= self.settings.learn_days;
                let record = entry.record.get_or_insert_default();
                let first_today =
                    record.alert_left(&finding.combined(), finding.severity, spent, &host.clock);
                host.budget.spend(first_today && spent, finding.severity < Severity::High);
            }
            Disposition::Suppressed { learn: false } => {}
            Disposition::Suppressed { learn: true } => {
                if let Some(network) = entry.baseline.network.as_deref_mut() {
                    network.hour.lesson.settle(true);
                    network.day.lesson.settle(true);
                }
            }
        }
    }

    /// Time passed: closes hours and days, and hands over what was held back. `awake` is the Mac's monotonic time since boot without sleep,
    /// where the source has it.
    pub fn advance(&mut self, time: Timestamp, zone: ZoneOffset, awake: Option<Duration>) -> Vec<Digest> {
        self.tick(time, zone, awake);
        std::mem::take(&mut self.digests)
    }

    /// The system's build or version became known; another one than before makes the Mac settle.
    pub fn system_seen(&mut self, version: &str) {
        self.host.system_is(version, &self.settings);
    }

    /// An analyst's word on the findings of a subject. `false` where nothing of it is remembered.
    pub fn feedback(&mut self, subject: &Subject, verdict: Verdict) -> bool {
        let Self { host, subjects, dirty, settings, .. } = self;
        let Some(entry) = subjects.get_mut(subject) else { return false };
        mark(entry, subject, dirty);
        let benign = verdict == Verdict::Benign;
        let network = entry.baseline.network.as_deref_mut();
        let learnt = network.is_some_and(|network| network.settle(benign, settings.half_life_days));
        let Some(record) = entry.record.as_deref_mut() else { return learnt };
        if !benign && let Some(today) = record.confirmed(&host.clock) {
            host.budget.refund(today);
        }
        learnt || record.alerts > 0
    }

    /// The file that ran as `before` is now `subject`'s, with another signer: it is measured by what the file did until now. Without that, whoever
    /// takes the place of a program would begin with a history as blank as that of something newly installed.
    pub fn succeeds(&mut self, subject: &Subject, before: &Identity) {
        let predecessor = Subject { image: before.clone(), initiator: subject.initiator.clone() };
        let Some(known) = self.subjects.get(&predecessor).filter(|_| !self.subjects.contains_key(subject))
        else {
            return;
        };
        let mut entry = Entry { record: None, dirty: false, ..known.clone() };
        entry.baseline.cdhash = None;
        self.make_room();
        if let Some(network) = entry.baseline.network.as_deref() {
            let prevalence = self.host.prevalence_among(entry.tool);
            prevalence.joined();
            network.protocols.iter().for_each(|spoken| prevalence.spoke(spoken.protocol));
            let subjects = self.images.entry(subject.image.clone()).or_default();
            *subjects = subjects.saturating_add(1);
        }
        mark(&mut entry, subject, &mut self.dirty);
        self.subjects.insert(subject.clone(), entry);
    }

    /// Scores a subject, and decides what becomes of a finding.
    fn judge(&mut self, activity: &Activity<'_>, age_days: f64) -> Option<Finding> {
        let Self { settings, priors, host, subjects, .. } = self;
        let entry = subjects.get_mut(activity.subject)?;
        let network = entry.baseline.network.as_deref()?;
        let view = View {
            network,
            hour: network.hour.sums,
            day: network.day.sums,
            record: entry.record.as_deref(),
            without: None,
            age_days,
            host,
            settings,
            priors,
        };
        let assessment = view.assess();
        let score = assessment.combined.score;
        if score < settings.threshold() {
            return None;
        }
        let severity = Severity::of(score);
        let state = host.state(settings);
        // What must not wait for a Mac that learns or settles: the scripting host that starts a network tool, and what is grave.
        let script = activity.role.scripted && activity.role.tool;
        let urgent = severity >= Severity::High || script;
        // On its first day, on a Mac that learns, a subject has nothing to be compared with but what Macs do in general: however high the score,
        // it may be what happens every night. It waits, and is learnt in full, since nobody was told who could say that it is normal.
        let incomparable = state == BaselineState::Learning && network.out.day.windows == 0 && !script;
        // The system changed, and its own parts with it.
        let part_of_system = activity.subject.image.is_apple() && !activity.role.tool;
        let repeats = entry.record.as_deref().is_some_and(|r| r.repeats(&assessment, severity, &host.clock));
        let held = match state {
            BaselineState::Learning if !urgent || incomparable => Some(HeldReason::Learning),
            BaselineState::Settling if !urgent || part_of_system => Some(HeldReason::Settling),
            _ if repeats => Some(HeldReason::Repeated),
            _ if severity < Severity::High && host.budget.is_spent(settings) => Some(HeldReason::Capped),
            _ => None,
        };
        let finding = held.is_none().then(|| explain::finding(activity, &view, &entry.baseline, &assessment));
        if let Some(network) = entry.baseline.network.as_deref_mut().filter(|_| !incomparable) {
            network.discount();
        }
        if let Some(reason) = held {
            match reason {
                HeldReason::Learning => host.learning.add(activity.subject, score),
                HeldReason::Settling => host.settling.add(activity.subject, score),
                HeldReason::Capped => host.budget.hold(activity.subject, score),
                HeldReason::Repeated => {}
            }
            entry.record.get_or_insert_default().hold(activity, score, reason);
        }
        finding
    }

    /// Moves the clock, and does what the end of an hour and of a day ask for.
    fn tick(&mut self, time: Timestamp, zone: ZoneOffset, awake: Option<Duration>) {
        let closed = self.host.clock.tick(time, zone, awake);
        if closed.hour {
            let now = self.host.clock.age();
            let networks = self.subjects.values().filter_map(|entry| entry.baseline.network.as_deref());
            let active = networks.filter(|n| now.seconds_since(n.latest) < SECONDS_PER_DAY).count();
            self.host.active = u32::try_from(active).unwrap_or(u32::MAX);
            if self.host.settled() {
                self.digests.extend(self.host.settling.tell(time, HeldReason::Settling));
            }
        }
        if closed.day {
            let in_force = self.host.state(&self.settings) != BaselineState::Learning;
            self.digests.extend(self.host.budget.close_day(time, &self.settings, in_force));
            self.host.close_day();
            self.forget_idle();
        }
    }

    /// Takes in a subject that is not known.
    fn admit(&mut self, time: Timestamp, subject: &Subject) {
        if !self.subjects.contains_key(subject) {
            self.make_room();
            let entry = Entry::new(subject, SubjectBaseline::new(time, &self.host.clock));
            self.subjects.insert(subject.clone(), entry);
        }
    }

    /// Forgets subjects that were idle for too long.
    fn forget_idle(&mut self) {
        let now = self.host.clock.age();
        let limit = f64::from(self.settings.forget_after_days);
        let idle = |entry: &Entry| now.days_since(entry.baseline.latest) > limit;
        let mut gone: Vec<Subject> = self
            .subjects
            .iter()
            .filter(|(_, entry)| idle(entry))
            .map(|(subject, _)| subject.clone())
            .collect();
        gone.sort_unstable();
        for subject in gone {
            self.forget(&subject);
        }
    }

    /// Makes room for one more subject: those without a socket go first, then those idle for longest, a sixteenth at a time.
    fn make_room(&mut self) {
        let most = self.settings.subjects as usize;
        if self.subjects.len() < most {
            return;
        }
        let mut order: Vec<_> = self
            .subjects
            .iter()
            .map(|(subject, entry)| {
                (entry.baseline.network.is_some(), entry.baseline.latest, subject.clone())
            })
            .collect();
        order.sort_unstable();
        for (_, _, subject) in order.into_iter().take((most / 16).max(1)) {
            self.forget(&subject);
            self.host.evicted = self.host.evicted.saturating_add(1);
        }
    }

    /// Notes that a subject changed.
    pub(super) fn touch(&mut self, subject: &Subject) {
        if let Some(entry) = self.subjects.get_mut(subject) {
            mark(entry, subject, &mut self.dirty);
        }
    }

    /// Forgets one subject; `false` where it is not known.
    pub fn forget(&mut self, subject: &Subject) -> bool {
        let Some(entry) = self.subjects.remove(subject) else { return false };
        if let Some(network) = entry.baseline.network {
            self.host
                .prevalence_among(entry.tool)
                .left(network.protocols.iter().map(|spoken| spoken.protocol));
            if let Some(count) = self.images.get_mut(&subject.image) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.images.remove(&subject.image);
                }
            }
        }
        self.forgotten.push(subject.clone());
        true
    }
}

impl Entry {
    pub(super) fn new(subject: &Subject, baseline: SubjectBaseline) -> Self {
        Self {
            baseline,
            record: None,
            key: Fingerprint::key(subject.image.as_str()),
            dirty: false,
            tool: false,
        }
    }

    /// An image whose identity is only a path that a user can write to is another program once its code changed: its history begins anew.
    fn follow_image(&mut self, cdhash: Option<[u8; 20]>) {
        if let Some(hash) = cdhash {
            if self.baseline.cdhash.is_some_and(|known| known != hash) {
                self.baseline.network = None;
                self.baseline.runs = crate::baseline::Presence::default();
                self.baseline.first = self.baseline.latest;
            }
            self.baseline.cdhash = Some(hash);
        }
    }

    /// The subject's first flow: counts the image, scores the initiator. `true` where there is something to score.
    fn join_network(
        &mut self,
        activity: &Activity<'_>,
        host: &mut Host,
        images: &mut Map<Identity, u32>,
        settings: &Settings,
        priors: &Priors,
    ) -> bool {
        if self.baseline.network.is_some() {
            return false;
        }
        let mut network = Network::new(&host.clock);
        if settings.bytes_in || settings.fan_out {
            network.optional = Some(Box::<OptionalStreams>::default());
        }
        self.baseline.network = Some(Box::new(network));
        self.tool = activity.role.tool;
        host.prevalence_among(activity.role.tool).joined();
        let subjects = images.entry(activity.subject.image.clone()).or_default();
        if *subjects == 0 {
            host.image_is_new(settings);
        }
        *subjects = subjects.saturating_add(1);
        let Some(by) = activity.subject.initiator.as_ref().filter(|_| activity.role.tool) else {
            return false;
        };
        if !activity.initiator_seen {
            return false;
        }
        let mac_days = f64::from(host.clock.aged_days());
        let scripting_host = activity.role.scripted;
        let novelty = initiator::score(by.as_str(), scripting_host, host.recent_pairs(), mac_days, priors);
        host.pair_is_new();
        self.record.get_or_insert_default().initiator_is_new(novelty, host.clock.age());
        true
    }
}

/// The half-bit steps on which the running sums stand: a subject is scored again only when one of them is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps([u32; 6], bool);

impl Steps {
    fn of(network: &Network, settings: &Settings) -> Self {
        let (hour, day) = (&network.hour.sums, &network.day.sums);
        let received = if settings.bytes_in { half_bits(hour.received) } else { 0 };
        let flows = if settings.fan_out { half_bits(u64::from(hour.flows)) } else { 0 };
        let steps = [
            half_bits(hour.out),
            half_bits(day.out),
            half_bits(hour.new),
            half_bits(day.new),
            received,
            flows,
        ];
        Self(steps, day.out >= settings.floor_bytes)
    }
}

/// 2 · log2(1 + bytes), rounded down, without a logarithm.
fn half_bits(bytes: u64) -> u32 {
    let value = bytes.saturating_add(1);
    let shift = value.leading_zeros();
    2 * (63 - shift) + u32::from(value << shift >= SQRT_2_SCALED)
}

/// √2 · 2^63, rounded up.
const SQRT_2_SCALED: u64 = 0xb504_f333_f9de_6485;

/// Notes that a subject changed.
fn mark(entry: &mut Entry, subject: &Subject, dirty: &mut Vec<Subject>) {
    if !entry.dirty {
        entry.dirty = true;
        dirty.push(subject.clone());
    }
}

impl Finding {
    /// Score and counted channels, as the decision had them.
    fn combined(&self) -> super::channel::combine::Combined {
        let counted = self.channels.iter().filter(|c| c.counted);
        let set = counted.fold(super::channel::combine::ChannelSet::default(), |set, c| set.with(c.name));
        super::channel::combine::Combined { score: self.score, counted: set }
    }

    /// Whether a channel adds to its score.
    pub fn counts(&self, channel: Channel) -> bool {
        self.channels.iter().any(|c| c.counted && c.name == channel)
    }
}
