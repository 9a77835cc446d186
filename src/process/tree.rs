//! The process tree.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

use super::facts::Who;
use super::image::{Actor, ArgumentLimits, Details, Image, Seen, Word};
use super::initiator::Step;
use super::lifetimes::{Handle, Lifetimes, Process, is_newer};
use super::listing::{self, ProcessRow};
use super::parents::{Orphans, Parent};
use crate::observation::{Exec, Exit, Fork, Message, ProcessInfo, Running, Timestamp};

/// How much the tree keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long an ended process stays, in event time: flows are reported late. 60 s; ntstat reports a flow that ended within
    /// seconds, and a capture's flow ends after a minute without a packet.
    pub grace: Duration,
    /// Most processes that are taken to be alive: 16,384, above the limit that macOS sets for a Mac with 64 GB (`kern.maxproc`).
    pub live: usize,
    /// Most ended processes: 8,192, a minute of a build that starts 136 a second. At 500 a second, the most that the daemon promises to bear, it
    /// is 16 s, and twice as many would not leave it 100 MB.
    pub ended: usize,
    /// Most arguments kept of one image: 64.
    pub arguments: usize,
    /// Most bytes kept of one argument: 1,024.
    pub argument_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(60),
            live: 16_384,
            ended: 8_192,
            arguments: 64,
            argument_bytes: 1_024,
        }
    }
}

impl Settings {
    /// To print a whole recording's tree: nothing is dropped for its age, and a million processes are kept.
    pub fn keep_all() -> Self {
        Self { grace: Duration::MAX, live: 1_000_000, ended: 1_000_000, ..Self::default() }
    }
}

/// What the tree holds and what it had to let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Processes taken to be alive.
    pub live: usize,
    /// Ended processes still kept.
    pub ended: usize,
    /// Processes of which the tree first heard otherwise than by their own fork or exec.
    pub joined: u64,
    /// Processes whose end was not seen: their number was used again.
    pub reused: u64,
    /// Restarts of the Mac.
    pub restarts: u64,
    /// Live processes dropped because there were too many.
    pub evicted_live: u64,
    /// Ended processes dropped before their grace time was over because there were too many.
    pub evicted_ended: u64,
}

/// Every process that was seen, with the images it had.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Processes {
    #[serde(skip)]
    pub(super) settings: Settings,
    pub(super) lifetimes: Lifetimes,
    counts: Counts,
    /// Time and ticks of the latest event.
    latest: Option<(Timestamp, u64)>,
    pub(super) orphans: Orphans,
}

impl Processes {
    /// An empty tree.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// The same tree under these settings, which are no part of what is saved.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// An image was replaced. Returns who the process is now; `None` where the exec was denied or is told a second time.
    pub fn exec(&mut self, exec: &Exec) -> Option<Arc<Who>> {
        self.follow(&exec.message);
        let time = exec.message.time;
        let target = &exec.target;
        if !exec.denied
            && let Some(process) = self.lifetimes.find(target.key)
            && let Some(image) = process.image(target.key.pidversion)
            && image.seen == Seen::Event
            && (target.key.pidversion.is_some()
                || image.since == time && image.actor.facts.path == target.executable.path)
            && process.ended.is_none_or(|ended| time <= ended)
        {
            return None;
        }
        let actor = self.meet(&exec.actor, Details::default(), time, Seen::Mentioned);
        if exec.denied {
            return None;
        }
        let handle = match actor {
            Some(handle) => self.replace_image(handle, exec),
            None => self.meet(target, exec.into(), time, Seen::Event)?,
        };
        let process = self.lifetimes.get(handle)?;
        process.image(target.key.pidversion).map(|image| process.who(image))
    }

    /// A process was forked. Until it executes something it is its parent under another number.
    pub fn fork(&mut self, fork: &Fork) {
        self.follow(&fork.message);
        let time = fork.message.time;
        let key = fork.child.key;
        let told = self.lifetimes.find(key).is_some_and(|process| match key.pidversion {
            Some(_) => process.ended.is_none_or(|ended| time <= ended),
            None => process.started == time,
        });
        if told {
            return;
        }
        let parent = self.meet(&fork.parent, Details::default(), time, Seen::Mentioned);
        let image = parent
            .and_then(|parent| self.lifetimes.get(parent))
            .and_then(|parent| parent.image(fork.parent.key.pidversion))
            .map(|image| image.forked(key, time));
        match image {
            Some(image) => {
                self.end_unseen(key.pid, time);
                self.begin(key.pid, image, time, fork.child.start_time);
            }
            None => {
                self.meet(&fork.child, Details::default(), time, Seen::Event);
            }
        }
    }

    /// A process ended. It stays for the grace time.
    pub fn exit(&mut self, exit: &Exit) {
        self.follow(&exit.message);
        let time = exit.message.time;
        // The last event of a process that was never heard of still says who sent its last bytes.
        if let Some(handle) = self.meet(&exit.process, Details::default(), time, Seen::Mentioned) {
            let last =
                self.lifetimes.get(handle).and_then(Process::latest).and_then(|image| image.pidversion);
            if exit.process.key.pidversion.is_none() || last.is_none() || last == exit.process.key.pidversion
            {
                self.lifetimes.end(handle, time);
            }
        }
    }

    /// A process ran already when observation began. What an event said about it stands.
    pub fn running(&mut self, running: &Running) {
        self.meet(&running.process, running.into(), running.time, Seen::Listed);
    }

    /// What the tree holds.
    pub fn counts(&self) -> Counts {
        let (live, ended) = self.lifetimes.counts();
        Counts { live, ended, ..self.counts }
    }

    /// Every process in the tree, by start and then by number.
    pub fn rows(&self) -> Vec<ProcessRow> {
        listing::rows(self.lifetimes.iter())
    }

    /// Keeps up with time: what ended long ago goes, and a Mac whose clock of ticks began anew was started again.
    fn follow(&mut self, message: &Message) {
        if let Some(ticks) = message.mach_time {
            if let Some((time, before)) = self.latest
                && before > LEAST_UPTIME
                && ticks < before / 2
                && (message.time > time || time.since(message.time) >= SET_BACK)
            {
                self.counts.restarts += 1;
                self.lifetimes.end_all(time);
            }
            self.latest = Some((message.time, ticks));
        }
        let Settings { grace, ended, .. } = self.settings;
        self.counts.evicted_ended += self.lifetimes.expire(message.time, grace, ended);
    }

    /// Finds the process and the image that `info` describes, and adds what is not known yet. `None` where `info` is older than what
    /// is known: then it is a late word on something that is over.
    fn meet(
        &mut self,
        info: &ProcessInfo,
        details: Details<'_>,
        time: Timestamp,
        seen: Seen,
    ) -> Option<Handle> {
        let key = info.key;
        if let Some(process) = self.lifetimes.find(key) {
            let handle = process.handle();
            let poorer = process.image(key.pidversion).is_some_and(|image| image.seen < seen);
            if poorer && process.ended.is_none() {
                self.retell(handle, info, details, seen);
            }
            self.lifetimes.touch(handle);
            return Some(handle);
        }
        if info.executable.path.is_empty() {
            // A source that tells of one process only: the other one is a number.
            return None;
        }
        if let Some(living) = self.lifetimes.living(key.pid) {
            let handle = living.handle();
            let same_life = match (living.start_time, info.start_time) {
                (Some(known), Some(told)) => known == told,
                _ => true,
            };
            let latest = living.latest().and_then(|image| image.pidversion);
            let later = match (latest, key.pidversion) {
                (Some(latest), Some(told)) => is_newer(told, latest),
                _ => true,
            };
            if !later {
                return None;
            }
            if same_life {
                // An exec was missed: the number goes on under a later generation.
                self.push(handle, info, details, time, seen);
                return Some(handle);
            }
        }
        self.end_unseen(key.pid, info.start_time.unwrap_or(time));
        self.counts.joined += u64::from(seen != Seen::Event);
        let image = self.first_image(info, details, time, seen);
        let orphan = !image.rooted;
        let started = self.lifetimes.earliest_start(key.pid, info.start_time);
        let handle = self.begin(key.pid, image, started, info.start_time);
        if orphan {
            let (live, ended) = self.lifetimes.counts();
            let lifetimes = &self.lifetimes;
            self.orphans.wait(handle, info, live + ended, |handle| lifetimes.get(handle).is_some());
        }
        self.adopt_orphans(key.pid);
        Some(handle)
    }

    /// Puts the image that an exec brought behind the one that it replaced.
    fn replace_image(&mut self, handle: Handle, exec: &Exec) -> Handle {
        let target = &exec.target;
        let known = target.key.pidversion.is_some()
            && self
                .lifetimes
                .get(handle)
                .is_some_and(|process| process.image(target.key.pidversion).is_some());
        if known {
            self.retell(handle, target, exec.into(), Seen::Event);
        } else {
            self.push(handle, target, exec.into(), exec.message.time, Seen::Event);
        }
        handle
    }

    /// Adds an image to a process.
    fn push(
        &mut self,
        handle: Handle,
        info: &ProcessInfo,
        details: Details<'_>,
        time: Timestamp,
        seen: Seen,
    ) {
        let Some(process) = self.lifetimes.get(handle) else { return };
        let before = process.preceding(info.key.pidversion);
        let image = self.image(process, before, info, details, time, seen);
        if let Some(process) = self.lifetimes.get_mut(handle) {
            process.push(image);
        }
    }

    /// Replaces what was said about an image by a better word.
    fn retell(&mut self, handle: Handle, info: &ProcessInfo, details: Details<'_>, seen: Seen) {
        let version = info.key.pidversion;
        let Some(process) = self.lifetimes.get(handle) else { return };
        let Some(old) = process.image(version) else { return };
        let image = self.image(process, process.before(version), info, details, old.since, seen);
        if let Some(old) = self.lifetimes.get_mut(handle).and_then(|process| process.image_mut(version)) {
            *old = image;
        }
    }

    /// An image of a process that is known, with what made it run.
    fn image(
        &self,
        process: &Process,
        before: Option<&Image>,
        info: &ProcessInfo,
        details: Details<'_>,
        since: Timestamp,
        seen: Seen,
    ) -> Image {
        let Some(before) = before else { return self.first_image(info, details, since, seen) };
        let step = before.step_to(process.pid);
        let start = process.known_start().unwrap_or(since);
        self.unrelated_image(info, details, since, start, seen).following(before, step)
    }

    /// The first image that is known of a process: what made it run is asked of its parent.
    fn first_image(&self, info: &ProcessInfo, details: Details<'_>, since: Timestamp, seen: Seen) -> Image {
        let start = info.start_time.unwrap_or(since);
        let image = self.unrelated_image(info, details, since, start, seen);
        match self.parent(info, since) {
            Parent::Seen(parent) => image.following(parent, Step::Forked),
            Parent::Launchd => image.started_by_launchd(),
            Parent::Unknown => image,
        }
    }

    /// An image by itself.
    fn unrelated_image(
        &self,
        info: &ProcessInfo,
        details: Details<'_>,
        since: Timestamp,
        start: Timestamp,
        seen: Seen,
    ) -> Image {
        let limits = ArgumentLimits { number: self.settings.arguments, bytes: self.settings.argument_bytes };
        let word = Word { since, seen, label: details.label().cloned(), responsible: self.responsible(info) };
        Image::first(Actor::new(info, details, Some(start), limits), word)
    }

    /// The number is used again, so its last holder has ended, whoever failed to say so.
    fn end_unseen(&mut self, pid: i32, time: Timestamp) {
        if let Some(handle) = self.lifetimes.living(pid).map(Process::handle) {
            self.counts.reused += 1;
            self.lifetimes.end(handle, time);
        }
    }

    fn begin(&mut self, pid: i32, image: Image, started: Timestamp, start_time: Option<Timestamp>) -> Handle {
        let handle = self.lifetimes.begin(pid, image, started, start_time);
        self.counts.evicted_live += self.lifetimes.evict_live(self.settings.live);
        handle
    }
}

/// How much earlier an event must be than the one before to be no late one: a Mac with an empty battery starts in 1970.
const SET_BACK: Duration = Duration::from_secs(3_600);
/// Ticks below which a smaller count proves no restart: a minute at 24 MHz (Apple silicon), 1.4 s at 1 GHz (Intel).
const LEAST_UPTIME: u64 = 60 * 24_000_000;

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
