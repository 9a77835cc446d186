//! The detector: every baseline of one Mac in memory, and the rules that turn activity into findings.

use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::assess::View;
use super::entry::{Entry, mark};
use super::host::Host;
use super::steps::Steps;
use super::{
    Activity, BaselineState, Channel, Digest, Disposition, Finding, HeldReason, Settings, Severity, Verdict,
    explain,
};
use crate::baseline::{Fingerprint, Growth, Priors};
use crate::observation::{Timestamp, ZoneOffset};
use crate::process::{Identity, Role, Subject};

/// Owns the baselines of one Mac. Pure: no I/O, no clock of its own, the same calls give the same findings.
#[derive(Debug)]
pub struct Detector {
    pub(super) settings: Settings,
    pub(super) priors: Arc<Priors>,
    pub(super) host: Host,
    /// Boxed, since the map is half empty at times and an entry is not small.
    pub(super) subjects: Map<Subject, Box<Entry>>,
    /// How many subjects on the network each image has.
    pub(super) images: Map<Identity, u32>,
    /// Digests that nobody has taken yet.
    pub(super) digests: Vec<Digest>,
    /// Subjects that changed since the last checkpoint; an entry of it knows that it is here.
    pub(super) dirty: Vec<Subject>,
    /// Subjects forgotten since the last checkpoint.
    pub(super) forgotten: Vec<Subject>,
}

/// Hashed with a fixed seed: nothing depends on the order, and the seed keeps it the same all the same.
pub(super) type Map<K, V> = std::collections::HashMap<K, V, FixedState>;

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
        if settings.bytes_in || settings.fan_out {
            network.optional.get_or_insert_default();
        }
        network.roll(&host.clock, settings.half_life_days);
        news |= entry.speak(activity, age_days, host, settings, priors);
        let network = entry.baseline.network.as_deref_mut()?;
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
        network.know_quiet(&priors.out, &priors.new_destinations);
        judge(activity, age_days, entry, host, settings, priors)
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
}

/// Scores a subject, and decides what becomes of a finding.
fn judge(
    activity: &Activity<'_>,
    age_days: f64,
    entry: &mut Entry,
    host: &mut Host,
    settings: &Settings,
    priors: &Priors,
) -> Option<Finding> {
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
    if view.is_quiet() {
        debug_assert!(view.assess().combined.score < settings.threshold(), "what is quiet cannot alert");
        return None;
    }
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
    // The system changed, and its own parts with it.
    let part_of_system = activity.subject.image.is_apple() && !activity.role.tool;
    let repeats = entry.record.as_deref().is_some_and(|r| r.repeats(&assessment, severity, &host.clock));
    let held = match state {
        BaselineState::Learning if !urgent => Some(HeldReason::Learning),
        BaselineState::Settling if !urgent || part_of_system => Some(HeldReason::Settling),
        _ if repeats => Some(HeldReason::Repeated),
        _ if severity < Severity::High && host.budget.is_spent(settings) => Some(HeldReason::Capped),
        _ => None,
    };
    let finding = held.is_none().then(|| explain::finding(activity, &view, &entry.baseline, &assessment));
    if let Some(network) = entry.baseline.network.as_deref_mut() {
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
