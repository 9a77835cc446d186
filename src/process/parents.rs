//! Who started a process whose start was not seen.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::Processes;
use super::image::{Actor, Image};
use super::initiator::{Cause, Step};
use super::lifetimes::Handle;
use crate::observation::{ProcessInfo, Timestamp};

/// Processes whose chain has a hole, by the number of the parent that they wait for. Each is looked at again only when that parent comes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Orphans {
    by_parent: HashMap<i32, Vec<Orphan>>,
    count: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Orphan {
    handle: Handle,
    info: ProcessInfo,
}

impl Orphans {
    /// A process begins to wait. `known` says whether a process is still kept: of the waiting ones that are not, most are forgotten
    /// by and by.
    pub(super) fn wait(
        &mut self,
        handle: Handle,
        info: &ProcessInfo,
        kept: usize,
        known: impl Fn(Handle) -> bool,
    ) {
        self.by_parent.entry(first_parent(info)).or_default().push(Orphan { handle, info: info.clone() });
        self.count += 1;
        if self.count > kept.saturating_mul(2).max(LEAST_SWEEP) {
            self.by_parent.retain(|_, orphans| {
                orphans.retain(|orphan| known(orphan.handle));
                !orphans.is_empty()
            });
            self.count = self.by_parent.values().map(Vec::len).sum();
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn take(&mut self, parent: i32) -> Vec<Orphan> {
        let orphans = self.by_parent.remove(&parent).unwrap_or_default();
        self.count -= orphans.len();
        orphans
    }

    fn put_back(&mut self, parent: i32, orphans: Vec<Orphan>) {
        if !orphans.is_empty() {
            self.count += orphans.len();
            self.by_parent.insert(parent, orphans);
        }
    }
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
        let number = first_parent(info);
        if number == info.key.pid {
            return Parent::Unknown;
        }
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

    /// Tells the processes that wait for `parent` that it has come, and those that wait for them: a list of running processes stands in
    /// no order, and of most parents one hears after their children.
    pub(super) fn adopt_orphans(&mut self, parent: i32) {
        let mut came = vec![parent];
        while let Some(parent) = came.pop() {
            let mut waiting = self.orphans.take(parent);
            waiting.retain(|orphan| {
                let adoption = self.adopt(orphan);
                if matches!(adoption, Adoption::Rooted | Adoption::Closer) {
                    came.push(orphan.info.key.pid);
                }
                matches!(adoption, Adoption::Closer | Adoption::Waits)
            });
            self.orphans.put_back(parent, waiting);
        }
    }

    fn adopt(&mut self, orphan: &Orphan) -> Adoption {
        let Some(process) = self.lifetimes.get(orphan.handle) else { return Adoption::Gone };
        let Some(first) = process.images().first() else { return Adoption::Gone };
        let Parent::Seen(parent) = self.parent(&orphan.info, first.since) else { return Adoption::Waits };
        let adopted = first.anew(parent, Step::Forked);
        let (unknown, rooted) = (|image: &Image| matches!(image.cause, Cause::Unknown), adopted.rooted);
        if !rooted && unknown(first) == unknown(&adopted) {
            return Adoption::Waits;
        }
        // What the process became since then builds on its first image.
        let mut images = vec![adopted];
        for later in process.images().iter().skip(1) {
            if let Some(before) = images.last() {
                images.push(later.anew(before, before.step_to(process.pid)));
            }
        }
        if let Some(process) = self.lifetimes.get_mut(orphan.handle) {
            process.replace_images(images);
        }
        if rooted { Adoption::Rooted } else { Adoption::Closer }
    }
}

enum Adoption {
    /// The chain is whole now.
    Rooted,
    /// It is known what made it run; further up there is still a hole.
    Closer,
    /// Nothing is gained yet.
    Waits,
    /// The process is no longer kept.
    Gone,
}

/// The number of the process that forked this one, whoever is its parent now.
fn first_parent(info: &ProcessInfo) -> i32 {
    info.original_ppid.unwrap_or(info.ppid)
}

const LAUNCHD: i32 = 1;
/// Fewer waiting processes than this are not worth a sweep.
const LEAST_SWEEP: usize = 1_024;
