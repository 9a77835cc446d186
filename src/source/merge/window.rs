//! Puts the observations of one input in order, as far as a bounded look ahead can.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use crate::observation::{Observation, Timestamp};
use crate::source::{Sequence, Source, SourceReport};

/// How far ahead an input is read at most, in observations.
const WINDOW_OBSERVATIONS: usize = 4_096;

/// How far ahead an input is read at most, in nanoseconds of its own time. Sources that write late (a flow's counters polled once a second,
/// packets of several queues) are late by less.
const WINDOW_NANOS: i64 = 5_000_000_000;

/// How far ahead an input is read at most, in bytes of packets and arguments: what lies between reading and use should still be in a
/// processor's cache.
const WINDOW_BYTES: usize = 256 << 10;

/// One input, its next observations held back until it is known that none belongs before them.
///
/// In an input that is sorted an observation is appended and taken off at the other end, nothing else. One that is late is put aside
/// into a heap. Equal times keep the order of the input. What is too late for the window is given out as soon as it is met, and
/// counted. A recording's header has no time of its own: it stays right before the observation that follows it.
pub(super) struct Window {
    source: Box<dyn Source + Send>,
    /// Observations that came in order.
    sorted: VecDeque<Held>,
    /// Observations that came late.
    late: BinaryHeap<Reverse<Held>>,
    /// Headers that wait for the observation that they precede.
    headers: Vec<Observation>,
    serial: u64,
    bytes: usize,
    /// The latest time met.
    newest: Option<Timestamp>,
    /// The latest time given out.
    given: Timestamp,
    reordered: u64,
    out_of_order: u64,
    ended: bool,
}

/// An observation with its place.
struct Held {
    time: Timestamp,
    serial: u64,
    observation: Observation,
}

impl Window {
    pub(super) fn new(source: Box<dyn Source + Send>) -> Self {
        Self {
            source,
            sorted: VecDeque::new(),
            late: BinaryHeap::new(),
            headers: Vec::new(),
            serial: 0,
            bytes: 0,
            newest: None,
            given: Timestamp::MIN,
            reordered: 0,
            out_of_order: 0,
            ended: false,
        }
    }

    /// The time of the next observation; a header has the time of the observation that follows it, else of the one before, else the
    /// earliest of all. `None` at the end.
    pub(super) fn head(&mut self) -> Option<Timestamp> {
        loop {
            let head = self.first();
            if self.ended || head.is_some_and(|head| self.is_far_enough(head)) {
                return head;
            }
            self.read_ahead();
        }
    }

    /// Takes the next observation, whose time [`Window::head`] told.
    pub(super) fn pop(&mut self) -> Option<Observation> {
        let late_first = match (self.sorted.front(), self.late.peek()) {
            (Some(sorted), Some(Reverse(late))) => late < sorted,
            (None, Some(_)) => true,
            _ => false,
        };
        let held =
            if late_first { self.late.pop().map(|Reverse(held)| held) } else { self.sorted.pop_front() }?;
        self.bytes = self.bytes.saturating_sub(weight(&held.observation));
        self.given = self.given.max(held.time);
        Some(held.observation)
    }

    /// Whether nothing that was read so far has a time.
    pub(super) fn is_timeless(&self) -> bool {
        self.newest.is_none()
    }

    /// Whether the input was read to its end, though what was read ahead may not have been given out.
    pub(super) fn is_read(&self) -> bool {
        self.ended
    }

    /// What the input expects to come next.
    pub(super) fn expectation(&self) -> Sequence {
        self.source.expectation()
    }

    /// The source's account, with what the window knows of its order.
    pub(super) fn report(&self) -> SourceReport {
        SourceReport {
            reordered: self.reordered,
            out_of_order: self.out_of_order,
            ..self.source.report().clone()
        }
    }

    fn first(&self) -> Option<Timestamp> {
        let sorted = self.sorted.front().map(|held| held.time);
        let late = self.late.peek().map(|Reverse(held)| held.time);
        match (sorted, late) {
            (Some(sorted), Some(late)) => Some(sorted.min(late)),
            (sorted, late) => sorted.or(late),
        }
    }

    fn is_far_enough(&self, head: Timestamp) -> bool {
        let newest = self.newest.unwrap_or(head);
        newest.as_nanos().saturating_sub(head.as_nanos()) >= WINDOW_NANOS
            || self.sorted.len() + self.late.len() + self.headers.len() >= WINDOW_OBSERVATIONS
            || self.bytes >= WINDOW_BYTES
    }

    fn read_ahead(&mut self) {
        let Some(observation) = self.source.next() else {
            self.ended = true;
            self.release_headers(self.newest.unwrap_or(Timestamp::MIN));
            return;
        };
        if let Some(time) = observation.time() {
            self.release_headers(time);
            self.hold(time, observation);
        } else {
            self.headers.push(observation);
            // So many headers and nothing else: they go where the input stands.
            if self.headers.len() >= WINDOW_OBSERVATIONS {
                self.release_headers(self.newest.unwrap_or(Timestamp::MIN));
            }
        }
    }

    fn release_headers(&mut self, time: Timestamp) {
        if !self.headers.is_empty() {
            for header in std::mem::take(&mut self.headers) {
                self.place(time, header);
            }
        }
    }

    fn hold(&mut self, time: Timestamp, observation: Observation) {
        self.bytes = self.bytes.saturating_add(weight(&observation));
        if self.newest.is_none_or(|newest| newest <= time) {
            self.newest = Some(time);
        } else if time < self.given {
            // Nothing earlier is held, so it goes out next.
            self.out_of_order = self.out_of_order.saturating_add(1);
        } else {
            self.reordered = self.reordered.saturating_add(1);
        }
        self.place(time, observation);
    }

    fn place(&mut self, time: Timestamp, observation: Observation) {
        let held = Held { time, serial: self.serial, observation };
        self.serial = self.serial.saturating_add(1);
        if self.sorted.back().is_none_or(|last| last.time <= time) {
            self.sorted.push_back(held);
        } else {
            self.late.push(Reverse(held));
        }
    }
}

/// Bytes that an observation holds beyond its own size, where they may be many.
fn weight(observation: &Observation) -> usize {
    let texts = |texts: &[Arc<str>]| texts.iter().map(|text| text.len()).sum();
    match observation {
        Observation::Packet(packet) => packet.data.len(),
        Observation::Exec(exec) => texts(&exec.arguments),
        Observation::Running(running) => texts(&running.arguments),
        _ => 0,
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.serial).cmp(&(other.time, other.serial))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}
