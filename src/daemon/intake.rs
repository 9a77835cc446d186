//! From the engine to the spool: what the engine says is on the disk before anything else knows of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use super::health;
use crate::engine::Verdict;
use crate::sink::spool::{Queue, Spool, SpoolError};

/// Takes verdicts and spools them in groups, each with one flush to the disk.
pub(super) struct Intake {
    spool: Arc<Mutex<Spool>>,
    host: String,
    /// Not on the disk yet; none of it has been counted or told to anybody.
    pending: VecDeque<(Queue, String)>,
    /// Observations since the first of them came.
    observed: usize,
    lost: Lost,
    /// Whoever follows findings hears of them here, once they are on the disk.
    followers: broadcast::Sender<Arc<str>>,
}

/// Events that found no room in memory while the spool could not be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost(Arc<AtomicU64>);

impl Lost {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intake {
    pub(super) fn new(
        spool: Arc<Mutex<Spool>>,
        host: String,
        lost: Lost,
        followers: broadcast::Sender<Arc<str>>,
    ) -> Self {
        Self { spool, host, pending: VecDeque::new(), observed: 0, lost, followers }
    }

    /// Takes what one observation gave, and spools a group that is full or has waited long enough.
    pub(super) fn take(&mut self, verdicts: &mut Vec<Verdict>) {
        for verdict in verdicts.drain(..) {
            match verdict {
                Verdict::Alert(alert) => self.hold(Queue::Alerts, alert.to_json()),
                Verdict::Digest(digest) => self.hold(Queue::Telemetry, health::digest(&digest, &self.host)),
                // The organisation has accepted it: counted by the engine, and no event.
                Verdict::Suppressed(_) => {}
            }
        }
        if self.pending.is_empty() {
            return;
        }
        self.observed += 1;
        if self.pending.len() >= GROUP || self.observed >= WAIT {
            self.commit();
        }
    }

    /// Whether something waits for the disk.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Spools everything that waits. What can't be written stays for the next time, up to a bound, and is counted beyond it.
    pub(super) fn commit(&mut self) {
        self.observed = 0;
        if let Err(error) = self.write() {
            tracing::error!(%error, waiting = self.pending.len(), "alerts cannot be spooled; they wait in memory");
        }
    }

    /// The end: what still waits is lost. Gives all that was lost.
    pub(super) fn give_up(self) -> u64 {
        let left = self.pending.len() as u64;
        self.lost.0.fetch_add(left, Ordering::Relaxed);
        self.lost.count()
    }

    fn write(&mut self) -> Result<(), SpoolError> {
        // Counters in the spool are each right by themselves, also after a panic of another thread.
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in Queue::ALL {
            let lines: Vec<&str> =
                self.pending.iter().filter(|(of, _)| *of == queue).map(|(_, line)| line.as_str()).collect();
            if !lines.is_empty() {
                spool.append(queue, &lines)?;
                if self.followers.receiver_count() > 0 {
                    for line in &lines {
                        // The last of them may have gone just now.
                        let _ = self.followers.send(Arc::from(*line));
                    }
                }
                self.pending.retain(|(of, _)| *of != queue);
            }
        }
        Ok(())
    }

    fn hold(&mut self, queue: Queue, line: String) {
        if self.pending.len() < MOST_HELD {
            self.pending.push_back((queue, line));
        } else {
            self.lost.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Events in one flush: at 5 ms a flush on a slow disk, 10 µs an event.
const GROUP: usize = 512;
/// Observations after which a group is flushed though it is not full: a tenth of a second on a busy Mac. On a quiet one it is flushed at once.
const WAIT: usize = 1_024;
/// Events that wait while the disk is full: about 16 MB at most.
const MOST_HELD: usize = 2_048;
