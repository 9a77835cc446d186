//! What is kept of one subject: its baseline, and what is remembered of its findings.

use super::Activity;
use super::Settings;
use super::channel::{initiator, protocol};
use super::detector::Map;
use super::host::Host;
use super::record::Record;
use crate::baseline::{Fingerprint, Network, Presence, Priors, SubjectBaseline};
use crate::process::{Identity, Subject};

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
    pub(super) fn follow_image(&mut self, cdhash: Option<[u8; 20]>) {
        if let Some(hash) = cdhash {
            if self.baseline.cdhash.is_some_and(|known| known != hash) {
                self.baseline.network = None;
                self.baseline.runs = Presence::default();
                self.baseline.first = self.baseline.latest;
            }
            self.baseline.cdhash = Some(hash);
        }
    }

    /// Notes the protocol of an update, and scores it where it is not known. `true` where there is something to score.
    pub(super) fn speak(
        &mut self,
        activity: &Activity<'_>,
        age_days: f64,
        host: &mut Host,
        settings: &Settings,
        priors: &Priors,
    ) -> bool {
        let Self { baseline, record, .. } = self;
        let (Some(network), Some(spoken)) = (baseline.network.as_deref_mut(), activity.protocol) else {
            return false;
        };
        let spoken = spoken.family();
        let prevalence = host.prevalence.among(activity.role.tool);
        let known = network.protocols.of(spoken).copied();
        let unsure = known.is_none_or(|k| !k.is_known() && k.last_day != host.clock.day());
        if unsure {
            let silent = network.activity.days == 0;
            let history = protocol::History {
                protocols: &network.protocols,
                activity: if silent { baseline.runs } else { network.activity },
                age_days,
                silent,
                expected: settings.expects_sockets(activity.subject.image.as_str()),
                scripting_host: activity.role.scripting_host,
                tool: activity.role.tool,
                newcomer: network.out.day.windows == 0
                    && !activity.role.tool
                    && activity.volatile_cdhash.is_none(),
            };
            let novelty = protocol::score(spoken, &history, priors, prevalence);
            record.get_or_insert_default().protocol_is_new(novelty, host.clock.age());
        }
        if known.is_none() {
            prevalence.spoke(spoken);
        }
        network.protocols.spoke(spoken, host.clock.day());
        unsure
    }

    /// The subject's first flow: counts the image, scores the initiator. `true` where there is something to score.
    pub(super) fn join_network(
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
        self.baseline.network = Some(Box::new(Network::new(&host.clock)));
        self.tool = activity.role.tool;
        host.prevalence.among(activity.role.tool).joined();
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

/// Notes that a subject changed.
pub(super) fn mark(entry: &mut Entry, subject: &Subject, dirty: &mut Vec<Subject>) {
    if !entry.dirty {
        entry.dirty = true;
        dirty.push(subject.clone());
    }
}
