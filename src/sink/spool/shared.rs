//! What the writer of a spool and its readers know together.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::Queue;
use super::segment::{Found, Segment};

/// What a spool holds and what it lost, by queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SpoolStatus {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Alerts, health, telemetry.
    pub queues: BTreeMap<&'static str, QueueStatus>,
    /// Lines of all queues that each sink has passed, sent or set aside.
    pub passed: BTreeMap<String, u64>,
}

/// One queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueueStatus {
    /// Lines that were ever appended.
    pub appended: u64,
    /// Lines that the slowest sink has still to pass.
    pub waiting: u64,
    /// Lines that a cap took before every sink had passed them.
    pub dropped: u64,
    /// Lines that a crash or a damaged disk took.
    pub damaged: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Counts changes, for readers that wait.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    queues: [QueueState; Queue::ALL.len()],
    /// Where each sink stands: the next line of each queue.
    cursors: BTreeMap<String, [u64; Queue::ALL.len()]>,
}

#[derive(Debug, Default)]
struct QueueState {
    segments: VecDeque<Segment>,
    /// The number of the next line.
    next: u64,
    dropped: u64,
    damaged: u64,
}

impl Default for Shared {
    fn default() -> Self {
        Self { state: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Shared {
    /// What was on the disk at the beginning.
    pub(super) fn found(&self, queue: Queue, found: Found) {
        let mut state = self.lock();
        let queue = state.queue(queue);
        queue.damaged = found.torn;
        queue.next = found.segments.last().map_or(0, |newest| newest.first + newest.lines);
        queue.segments = found.segments.into();
    }

    pub(super) fn next(&self, queue: Queue) -> u64 {
        self.lock().queue(queue).next
    }

    pub(super) fn newest(&self, queue: Queue) -> Option<Segment> {
        self.lock().queue(queue).segments.back().copied()
    }

    pub(super) fn oldest(&self, queue: Queue) -> Option<Segment> {
        self.lock().queue(queue).segments.front().copied()
    }

    /// The segment that holds a line, else the first one after it.
    pub(super) fn segment_of(&self, queue: Queue, line: u64) -> Option<Segment> {
        let mut state = self.lock();
        let segments = &state.queue(queue).segments;
        segments.iter().find(|segment| line < segment.first + segment.lines).copied()
    }

    /// A segment that stands, as it is now.
    pub(super) fn segment(&self, queue: Queue, first: u64) -> Option<Segment> {
        self.lock().queue(queue).segments.iter().find(|segment| segment.first == first).copied()
    }

    pub(super) fn begun(&self, queue: Queue, segment: Segment) {
        let mut state = self.lock();
        let segments = &mut state.queue(queue).segments;
        // A new segment of the same number takes the place of one that could not be opened and held no line.
        segments.retain(|old| old.first != segment.first);
        segments.push_back(segment);
    }

    /// Lines are on the disk; gives the number of the first.
    pub(super) fn appended(&self, queue: Queue, lines: u64, bytes: u64) -> u64 {
        let first = {
            let mut state = self.lock();
            let queue = state.queue(queue);
            let first = queue.next;
            queue.next += lines;
            if let Some(newest) = queue.segments.back_mut() {
                newest.lines += lines;
                newest.bytes += bytes;
            }
            first
        };
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
        first
    }

    /// The newest segment takes no more lines.
    pub(super) fn seal(&self, queue: Queue) {
        if let Some(newest) = self.lock().queue(queue).segments.back_mut() {
            newest.sealed = true;
        }
    }

    pub(super) fn damaged(&self, queue: Queue, lines: u64) {
        self.lock().queue(queue).damaged += lines;
    }

    /// A sink stands here.
    pub(super) fn passed(&self, sink: &str, next: [u64; Queue::ALL.len()]) {
        self.lock().cursors.insert(sink.to_owned(), next);
    }

    /// A sink is gone.
    pub(super) fn forget(&self, sink: &str) {
        self.lock().cursors.remove(sink);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lock().queues.iter().flat_map(|queue| &queue.segments).map(|segment| segment.bytes).sum()
    }

    /// Removes what every sink has passed. Where there is no sink, nothing is ever passed.
    pub(super) fn remove_sent(&self, folder: &Path) {
        let mut state = self.lock();
        for (index, queue) in Queue::ALL.into_iter().enumerate() {
            let Some(slowest) = state.slowest(index) else { return };
            let segments = &mut state.queue(queue).segments;
            // The newest stays: its name keeps the count of lines.
            while segments.len() > 1
                && let Some(oldest) = segments.front()
                && oldest.sealed
                && oldest.first + oldest.lines <= slowest
            {
                remove(&oldest.path(folder, queue));
                segments.pop_front();
            }
        }
    }

    /// Removes the oldest segment, sent or not; whether there was one with lines.
    pub(super) fn drop_oldest(&self, folder: &Path, queue: Queue) -> bool {
        let mut state = self.lock();
        let slowest =
            Queue::ALL.iter().position(|of| *of == queue).and_then(|index| state.slowest(index)).unwrap_or(0);
        let queued = state.queue(queue);
        let Some(oldest) = queued.segments.front().copied().filter(|oldest| oldest.lines > 0) else {
            return false;
        };
        queued.segments.pop_front();
        remove(&oldest.path(folder, queue));
        let unsent = (oldest.first + oldest.lines).saturating_sub(slowest.max(oldest.first));
        queued.dropped += unsent;
        if unsent > 0 {
            tracing::warn!(
                queue = queue.name(),
                lines = unsent,
                "the spool's cap took lines that were not sent"
            );
        }
        true
    }

    pub(super) fn status(&self) -> SpoolStatus {
        let mut status = SpoolStatus { bytes: self.bytes(), ..SpoolStatus::default() };
        let state = self.lock();
        for (index, (queue, queued)) in Queue::ALL.into_iter().zip(&state.queues).enumerate() {
            let oldest = queued.segments.front().map_or(queued.next, |oldest| oldest.first);
            let waiting = queued.next.saturating_sub(state.slowest(index).unwrap_or(0).max(oldest));
            let of = QueueStatus {
                appended: queued.next,
                waiting,
                dropped: queued.dropped,
                damaged: queued.damaged,
            };
            status.queues.insert(queue.name(), of);
        }
        status.passed = state.cursors.iter().map(|(sink, next)| (sink.clone(), next.iter().sum())).collect();
        status
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A thread that panicked while it held the lock left counters, each of which is right by itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue(&mut self, queue: Queue) -> &mut QueueState {
        let [alerts, health, telemetry] = &mut self.queues;
        match queue {
            Queue::Alerts => alerts,
            Queue::Health => health,
            Queue::Telemetry => telemetry,
        }
    }

    /// The line before which every sink has passed.
    fn slowest(&self, queue: usize) -> Option<u64> {
        self.cursors.values().filter_map(|next| next.get(queue).copied()).min()
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(segment = %path.display(), %error, "a spool segment could not be removed");
    }
}
