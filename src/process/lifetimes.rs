//! Which process had a number when.
//!
//! Numbers are used again, exits are missed and flows are reported late, so a number leads to a list of processes, each with its
//! lifetime. Live processes are bounded by dropping the one that was longest without any sign of life, ended ones by age and number.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::facts::Who;
use super::image::Image;
use crate::observation::{ProcessKey, Timestamp};

/// One process from fork to exit.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Process {
    serial: u64,
    pub(super) pid: i32,
    /// Its images, oldest first; never empty.
    images: Vec<Image>,
    /// When it was forked; [`Timestamp::MIN`] where it ran already when it was first heard of.
    pub(super) started: Timestamp,
    /// The kernel's word on that.
    pub(super) start_time: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    touched: u64,
}

/// Names one process for as long as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Handle {
    pid: i32,
    serial: u64,
}

/// All processes by number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Lifetimes {
    /// Oldest first; at most the last one lives.
    by_pid: HashMap<i32, SmallVec<[Process; 1]>>,
    next_serial: u64,
    /// Counts signs of life.
    tick: u64,
    live: usize,
    ended: usize,
    /// Live processes by their last sign of life.
    recency: BTreeMap<u64, Handle>,
    endings: VecDeque<(Timestamp, Handle)>,
}

impl Process {
    /// The image with this generation; the latest where the generation is not known.
    pub(super) fn image(&self, pidversion: Option<i32>) -> Option<&Image> {
        match pidversion {
            None => self.images.last(),
            version => self.images.iter().rev().find(|image| image.pidversion == version),
        }
    }

    /// The same, to be changed.
    pub(super) fn image_mut(&mut self, pidversion: Option<i32>) -> Option<&mut Image> {
        match pidversion {
            None => self.images.last_mut(),
            version => self.images.iter_mut().rev().find(|image| image.pidversion == version),
        }
    }

    /// The latest image.
    pub(super) fn latest(&self) -> Option<&Image> {
        self.images.last()
    }

    /// The image before this one in the same process.
    pub(super) fn before(&self, pidversion: Option<i32>) -> Option<&Image> {
        let at = match pidversion {
            None => self.images.len().checked_sub(1),
            version => self.images.iter().rposition(|image| image.pidversion == version),
        };
        at?.checked_sub(1).and_then(|at| self.images.get(at))
    }

    /// The image behind which one of this generation stands, or would stand.
    pub(super) fn preceding(&self, pidversion: Option<i32>) -> Option<&Image> {
        let older = |image: &&Image| match (image.pidversion, pidversion) {
            (Some(known), Some(version)) => is_newer(version, known),
            _ => true,
        };
        self.images.iter().rev().find(older)
    }

    /// When it was forked, where that is known.
    pub(super) fn known_start(&self) -> Option<Timestamp> {
        Some(self.started).filter(|start| *start != Timestamp::MIN)
    }

    /// Who an image of it is.
    pub(super) fn who(&self, image: &Image) -> Arc<Who> {
        image.who(self.pid, self.known_start())
    }

    /// The image that it had at a time: the first one where that was earlier.
    pub(super) fn image_at(&self, time: Timestamp) -> Option<&Image> {
        self.images.iter().rev().find(|image| image.since <= time).or_else(|| self.images.first())
    }

    /// All its images, oldest first.
    pub(super) fn images(&self) -> &[Image] {
        &self.images
    }

    /// Puts better words in the place of all images.
    pub(super) fn replace_images(&mut self, images: Vec<Image>) {
        debug_assert_eq!(images.len(), self.images.len(), "the same images, told anew");
        self.images = images;
    }

    /// Adds an image in the order of generations. The first and the latest are always kept.
    pub(super) fn push(&mut self, image: Image) {
        let newer = |known: &Image| match (known.pidversion, image.pidversion) {
            (Some(known), Some(version)) => is_newer(known, version),
            _ => false,
        };
        let at = self.images.iter().rposition(|known| !newer(known)).map_or(0, |last| last + 1);
        // Most processes have two images, the fork's and the program's, and there may be tens of thousands of processes.
        self.images.reserve_exact(1);
        self.images.insert(at, image);
        if self.images.len() > MOST_IMAGES {
            self.images.remove(1);
        }
    }
}

impl Lifetimes {
    /// A process that begins. Whoever lived under its number has ended.
    pub(super) fn begin(
        &mut self,
        pid: i32,
        image: Image,
        started: Timestamp,
        start_time: Option<Timestamp>,
    ) -> Handle {
        let handle = Handle { pid, serial: self.next_serial };
        self.next_serial += 1;
        self.tick += 1;
        let images = vec![image];
        let touched = self.tick;
        self.by_pid.entry(pid).or_default().push(Process {
            serial: handle.serial,
            pid,
            images,
            started,
            start_time,
            ended: None,
            touched,
        });
        self.live += 1;
        self.recency.insert(touched, handle);
        handle
    }

    /// A process ended. Nothing where it had already.
    pub(super) fn end(&mut self, handle: Handle, time: Timestamp) {
        if let Some(process) = self.get_mut(handle)
            && process.ended.is_none()
        {
            process.ended = Some(time);
            let touched = process.touched;
            self.recency.remove(&touched);
            self.live -= 1;
            self.ended += 1;
            self.endings.push_back((time, handle));
        }
    }

    /// Every live process ended: the Mac was started again.
    pub(super) fn end_all(&mut self, time: Timestamp) {
        let mut live: Vec<Handle> = self.iter().filter(|p| p.ended.is_none()).map(Process::handle).collect();
        live.sort_unstable();
        for handle in live {
            self.end(handle, time);
        }
    }

    /// The process with this handle.
    pub(super) fn get(&self, handle: Handle) -> Option<&Process> {
        self.by_pid.get(&handle.pid)?.iter().find(|process| process.serial == handle.serial)
    }

    /// The process with this handle, to be changed.
    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Process> {
        self.by_pid.get_mut(&handle.pid)?.iter_mut().find(|process| process.serial == handle.serial)
    }

    /// A sign of life.
    pub(super) fn touch(&mut self, handle: Handle) {
        self.tick += 1;
        let tick = self.tick;
        if let Some(process) = self.get_mut(handle)
            && process.ended.is_none()
        {
            let before = std::mem::replace(&mut process.touched, tick);
            self.recency.remove(&before);
            self.recency.insert(tick, handle);
        }
    }

    /// The start of a process that was first heard of when it ran already: not before the last holder of its number ended.
    pub(super) fn earliest_start(&self, pid: i32, told: Option<Timestamp>) -> Timestamp {
        let last_end =
            self.by_pid.get(&pid).and_then(|processes| processes.last()).and_then(|process| process.ended);
        told.max(last_end).unwrap_or(Timestamp::MIN)
    }

    /// Who lives under a number.
    pub(super) fn living(&self, pid: i32) -> Option<&Process> {
        self.by_pid.get(&pid)?.last().filter(|process| process.ended.is_none())
    }

    /// The process that had this key; the live one where the generation is not known.
    pub(super) fn find(&self, key: ProcessKey) -> Option<&Process> {
        match key.pidversion {
            None => self.living(key.pid),
            version => {
                self.by_pid.get(&key.pid)?.iter().rev().find(|process| process.image(version).is_some())
            }
        }
    }

    /// Who had a number at a time. A process that had ended still counts for `grace`, since reports are late, and one that began
    /// a moment later does too, since two clocks are compared.
    pub(super) fn at(&self, pid: i32, time: Timestamp, grace: Duration) -> Option<&Process> {
        let processes = self.by_pid.get(&pid)?;
        let begun = |process: &&Process| process.started <= time;
        match processes.iter().rev().find(begun) {
            Some(process) => match process.ended {
                Some(ended) if time.since(ended) > grace => None,
                _ => Some(process),
            },
            None => processes.iter().find(|process| process.started.since(time) <= CLOCK_SKEW),
        }
    }

    /// Every process, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.by_pid.values().flatten()
    }

    /// Live and ended processes.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.live, self.ended)
    }

    /// Drops live processes down to `most`: those that gave no sign of life for the longest time. Returns how many.
    pub(super) fn evict_live(&mut self, most: usize) -> u64 {
        let mut evicted = 0;
        while self.live > most
            && let Some((_, handle)) = self.recency.pop_first()
        {
            self.remove(handle);
            self.live -= 1;
            evicted += 1;
        }
        evicted
    }

    /// Forgets processes that ended more than `grace` away from `now` (a clock that jumps back must not keep them for ever), and more where
    /// there are over `most`. Returns how many of these.
    pub(super) fn expire(&mut self, now: Timestamp, grace: Duration, most: usize) -> u64 {
        let mut evicted = 0;
        while let Some((ended, handle)) = self.endings.front().copied() {
            let old = now.since(ended).max(ended.since(now)) > grace;
            if !old && self.ended <= most {
                break;
            }
            self.endings.pop_front();
            self.remove(handle);
            self.ended -= 1;
            evicted += u64::from(!old);
        }
        evicted
    }

    fn remove(&mut self, handle: Handle) {
        if let Some(processes) = self.by_pid.get_mut(&handle.pid) {
            processes.retain(|process| process.serial != handle.serial);
            if processes.is_empty() {
                self.by_pid.remove(&handle.pid);
            }
        }
    }
}

impl Process {
    /// Its handle.
    pub(super) fn handle(&self) -> Handle {
        Handle { pid: self.pid, serial: self.serial }
    }
}

/// Whether one generation is later than another. The counter is a C `int` that wraps.
pub(super) fn is_newer(version: i32, than: i32) -> bool {
    version.wrapping_sub(than) > 0
}

/// A process seldom has more than five images; one that executes itself for ever must not fill the memory.
const MOST_IMAGES: usize = 16;
/// A packet's time and an event's time come from two clocks of one kernel and differ by milliseconds; a report's start may be rounded
/// down to the second.
const CLOCK_SKEW: Duration = Duration::from_secs(2);
