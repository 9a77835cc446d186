//! What time does to the detector: hours and days close, what is idle or too much is forgotten.

use std::time::Duration;

use super::detector::Detector;
use super::entry::{Entry, mark};
use super::{BaselineState, HeldReason};
use crate::baseline::{SECONDS_PER_DAY, SubjectBaseline};
use crate::observation::{Timestamp, ZoneOffset};
use crate::process::{Identity, Subject};

impl Detector {
    /// Moves the clock, and does what the end of an hour and of a day ask for.
    pub(super) fn tick(&mut self, time: Timestamp, zone: ZoneOffset, awake: Option<Duration>) {
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
            self.forget_stale_news();
            self.forget_idle();
        }
    }

    /// Takes in a subject that is not known.
    pub(super) fn admit(&mut self, time: Timestamp, subject: &Subject) {
        if !self.subjects.contains_key(subject) {
            self.make_room();
            let entry = Entry::new(subject, SubjectBaseline::new(time, &self.host.clock));
            self.subjects.insert(subject.clone(), Box::new(entry));
        }
    }

    /// The file that ran as `before` is now `subject`'s, with another signer: it is measured by what the file did until now. Without that, whoever
    /// takes the place of a program would begin with a history as blank as that of something newly installed.
    pub fn succeeds(&mut self, subject: &Subject, before: &Identity) {
        let predecessor = Subject { image: before.clone(), initiator: subject.initiator.clone() };
        let Some(known) = self.subjects.get(&predecessor).filter(|_| !self.subjects.contains_key(subject))
        else {
            return;
        };
        let mut entry = Entry { record: None, dirty: false, ..Entry::clone(known) };
        entry.baseline.cdhash = None;
        self.make_room();
        if let Some(network) = entry.baseline.network.as_deref() {
            let prevalence = self.host.prevalence.among(entry.tool);
            prevalence.joined();
            network.protocols.iter().for_each(|spoken| prevalence.spoke(spoken.protocol));
            let subjects = self.images.entry(subject.image.clone()).or_default();
            *subjects = subjects.saturating_add(1);
        }
        mark(&mut entry, subject, &mut self.dirty);
        self.subjects.insert(subject.clone(), Box::new(entry));
    }

    /// Drops what was only news for a while: most subjects then have no record at all.
    fn forget_stale_news(&mut self) {
        let now = self.host.clock.age();
        for entry in self.subjects.values_mut() {
            if let Some(record) = entry.record.as_deref_mut() {
                record.forget_stale(now);
                if record.is_empty() {
                    entry.record = None;
                }
            }
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
                .prevalence
                .among(entry.tool)
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
