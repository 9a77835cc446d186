//! Who started a process whose start was not seen.

use super::Processes;
use super::image::{Actor, Image};
use super::lifetimes::Handle;
use crate::observation::{ProcessInfo, Timestamp};

/// A process whose parent was not known when it was first heard of.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) handle: Handle,
    pub(super) info: ProcessInfo,
}

/// What is known of a parent.
pub(super) enum Parent<'a> {
    Seen(&'a Image),
    Launchd,
    Unknown,
}

impl Processes {
    /// Who forked a process, from what the process itself says.
    pub(super) fn parent(&self, info: &ProcessInfo, time: Timestamp) -> Parent<'_> {
        if info.key.pid == LAUNCHD {
            return Parent::Launchd;
        }
        let began = info.start_time.unwrap_or(time);
        let number = info.original_ppid.unwrap_or(info.ppid);
        let key = info.parent.filter(|parent| parent.pid == number && parent.pidversion.is_some());
        let found = match key {
            Some(key) => self.lifetimes.find(key).and_then(|parent| parent.image(key.pidversion)),
            // The parent died and launchd took its place, or the source knows only numbers: who had the number when this process began?
            None => self
                .lifetimes
                .at(number, began, self.settings.grace)
                .and_then(|parent| parent.image_at(began)),
        };
        match found {
            Some(image) => Parent::Seen(image),
            None if number == LAUNCHD => Parent::Launchd,
            None => Parent::Unknown,
        }
    }

    /// The process that macOS holds responsible for another, where it is not that one itself.
    pub(super) fn responsible(&self, info: &ProcessInfo) -> Option<Actor> {
        let key = info.responsible.filter(|key| key.pid != info.key.pid)?;
        let process = self.lifetimes.find(key)?;
        process.image(key.pidversion).map(|image| image.actor.clone())
    }

    /// Asks again who the parents of orphans are, once others have come: a list of running processes stands in no order. A child waits for
    /// its parent, since what is said of it builds on that.
    pub(super) fn adopt_orphans(&mut self) {
        if !std::mem::take(&mut self.parents_came) {
            return;
        }
        let mut orphans = std::mem::take(&mut self.orphans);
        loop {
            let waiting: Vec<i32> = orphans.iter().map(|orphan| orphan.info.key.pid).collect();
            orphans.retain(|orphan| !self.adopt(orphan, &waiting));
            if orphans.len() == waiting.len() {
                break;
            }
        }
        self.orphans = orphans;
    }

    /// Whether an orphan needs no more asking: it found its parent, or is gone.
    fn adopt(&mut self, orphan: &Orphan, waiting: &[i32]) -> bool {
        let info = &orphan.info;
        let version = info.key.pidversion;
        let Some(image) = self.lifetimes.get(orphan.handle).and_then(|process| process.image(version)) else {
            return true;
        };
        if waiting.contains(&info.original_ppid.unwrap_or(info.ppid)) {
            return false;
        }
        let Parent::Seen(parent) = self.parent(info, image.since) else { return false };
        let adopted = image.adopted_by(parent);
        if let Some(image) =
            self.lifetimes.get_mut(orphan.handle).and_then(|process| process.image_mut(version))
        {
            *image = adopted;
        }
        true
    }
}

const LAUNCHD: i32 = 1;
