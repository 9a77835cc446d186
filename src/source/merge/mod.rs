//! Several inputs as one stream, by time.
//!
//! Each input is put in order within a bounded look ahead (the `Window`), then the inputs are merged by time, among equal times by their
//! rank, and within an input by their place in it. Inputs rank by their first times, those with equal ones in the order given, so that
//! it does not matter how a shell sorts their names. An input is opened for a moment at the start, to learn its first time, closed, and
//! opened anew when that time is due: a thousand rotated captures are open one after the other. What can be read only once (standard
//! input, a FIFO) stays open. An input that holds nothing but headers comes right before the one given after it.
//!
//! The parts of a recording that was split anywhere give the same stream as the whole: where one part was read to its end before the
//! next one is opened, the next goes on in its [`Sequence`], and a loss at the cut is found as any other. (In a recording that is itself
//! out of order this holds for parts longer than the disorder.)

mod input;
mod window;

pub use input::{Input, Origins};

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use self::window::Window;
use super::{OpenError, Position, Sequence, SourceReport};
use crate::observation::{Observation, Origin, Timestamp};

/// Several inputs as one stream of observations, by time.
pub struct Merged {
    /// The inputs in the order given, each with its account; while an input is read, the account in its window counts.
    inputs: Vec<(Input, SourceReport)>,
    /// Inputs that are not due, the next one last.
    waiting: Vec<Waiting>,
    /// The input that is read at the moment: the one with the earliest observation.
    current: Option<Live>,
    /// The other inputs that are due.
    live: BinaryHeap<Reverse<Live>>,
    /// The place up to which `current` is read without a look at the other inputs; `None`: to its end.
    horizon: Option<Place>,
    succession: Succession,
    host: Option<(Origin, Arc<str>)>,
    warnings: Vec<String>,
    failures: Vec<OpenError>,
}

/// A place in the stream: a time, and the rank of an input among equal times.
type Place = (Timestamp, usize);

/// An input that waits for its first time.
struct Waiting {
    place: Place,
    index: usize,
    /// Where it cannot be opened twice.
    window: Option<Window>,
}

/// An input that is being read.
struct Live {
    /// The place of its next observation.
    place: Place,
    index: usize,
    origin: Origin,
    window: Window,
    /// Its source has nothing more, and whoever goes on from there knows it.
    succeeded: bool,
}

impl Merged {
    /// Merges these inputs. Each is looked at; one that cannot be opened is left out and told of in [`Merged::failures`].
    pub fn new(inputs: Vec<Input>) -> Self {
        let mut merged = Self {
            inputs: Vec::with_capacity(inputs.len()),
            waiting: Vec::new(),
            current: None,
            live: BinaryHeap::new(),
            horizon: None,
            succession: Succession::default(),
            host: None,
            warnings: Vec::new(),
            failures: Vec::new(),
        };
        let mut timeless = Vec::new();
        for (index, mut input) in inputs.into_iter().enumerate() {
            let mut report = SourceReport::new(input.name());
            match input.look() {
                Ok(mut window) => match window.head() {
                    Some(first) => {
                        timeless.push(window.is_timeless());
                        let window = (!input.can_reopen()).then_some(window);
                        merged.waiting.push(Waiting { place: (first, index), index, window });
                    }
                    None => report = window.report(),
                },
                Err(error) => merged.failures.push(note(&mut report, error)),
            }
            merged.inputs.push((input, report));
        }
        let mut following = Timestamp::MAX;
        for (waiting, timeless) in merged.waiting.iter_mut().zip(timeless).rev() {
            if timeless {
                waiting.place.0 = following;
            }
            following = waiting.place.0;
        }
        merged.waiting.sort_by_key(|waiting| waiting.place);
        for (rank, waiting) in merged.waiting.iter_mut().enumerate() {
            waiting.place.1 = rank;
        }
        merged.waiting.reverse();
        merged
    }

    /// The accounts of the inputs so far, in the order given.
    pub fn reports(&self) -> Vec<SourceReport> {
        let mut reports: Vec<SourceReport> = self.inputs.iter().map(|(_, report)| report.clone()).collect();
        for live in self.live.iter().map(|Reverse(live)| live).chain(&self.current) {
            if let Some(report) = reports.get_mut(live.index) {
                *report = live.window.report();
            }
        }
        reports
    }

    /// The inputs that could not be opened.
    pub fn failures(&self) -> &[OpenError] {
        &self.failures
    }

    /// What is odd about the inputs taken together, as sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the current input may be read on without a look at the others.
    fn is_within_horizon(&self) -> bool {
        match (&self.current, self.horizon) {
            (Some(current), Some(horizon)) => current.place < horizon,
            (current, _) => current.is_some(),
        }
    }

    /// Makes the input with the earliest observation the current one, if any input has one.
    fn turn(&mut self) {
        loop {
            let live = self.live.peek().map(|Reverse(live)| live.place);
            let waiting = self.waiting.last().map(|waiting| waiting.place);
            self.horizon = live.into_iter().chain(waiting).min();
            if self.horizon.is_none() || self.is_within_horizon() {
                return;
            }
            self.live.extend(self.current.take().map(Reverse));
            if self.horizon == waiting {
                self.open_next();
            }
            self.current = self.live.pop().map(|Reverse(live)| live);
        }
    }

    /// Opens the waiting input that is due.
    fn open_next(&mut self) {
        let Some(Waiting { place, index, window }) = self.waiting.pop() else {
            return;
        };
        let Some((input, report)) = self.inputs.get_mut(index) else {
            return;
        };
        let origin = input.origin();
        let sequence = self.succession.sequence(origin, self.live.iter().map(|Reverse(live)| live));
        match window.map_or_else(|| input.open(sequence), Ok) {
            Ok(mut window) => match window.head() {
                Some(time) => {
                    let mut live = Live { place: (time, place.1), index, origin, window, succeeded: false };
                    self.succession.see(&mut live);
                    self.live.push(Reverse(live));
                }
                None => *report = window.report(),
            },
            Err(error) => self.failures.push(note(report, error)),
        }
    }

    /// Warns where one road has hosts of two names.
    fn compare_host(&mut self, index: usize, origin: Origin, host: &Arc<str>) {
        if let Some((known, name)) = &self.host
            && *known == origin
            && name != host
            && self.warnings.len() < SourceReport::KEPT_FAULTS
        {
            let input =
                self.inputs.get(index).map(|(_, report)| Arc::clone(&report.name)).unwrap_or_default();
            self.warnings.push(format!(
                "{input} was recorded on {host} and what stands before it on {name}: two Macs are taken for one"
            ));
        }
        self.host = Some((origin, Arc::clone(host)));
    }
}

impl Iterator for Merged {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        if !self.is_within_horizon() {
            self.turn();
        }
        let live = self.current.as_mut()?;
        let observation = live.window.pop();
        let (index, origin) = (live.index, live.origin);
        if let Some(time) = live.window.head() {
            live.place.0 = time;
            self.succession.see(live);
        } else if let Some(mut live) = self.current.take() {
            self.succession.see(&mut live);
            if let Some((_, report)) = self.inputs.get_mut(index) {
                *report = live.window.report();
            }
        }
        if let Some(Observation::Recording(header)) = &observation
            && let Some(host) = &header.host
        {
            self.compare_host(index, origin, host);
        }
        observation
    }
}

/// What the inputs that were read to their end expected to come next.
#[derive(Default)]
struct Succession {
    origin: Origin,
    ended: Sequence,
}

impl Succession {
    /// Takes note of an input when its source has nothing more.
    fn see(&mut self, live: &mut Live) {
        if live.window.is_read() && !live.succeeded {
            live.succeeded = true;
            if self.origin != live.origin {
                *self = Self { origin: live.origin, ended: Sequence::default() };
            }
            self.ended.absorb(live.window.expectation());
        }
    }

    /// What an input on the road `origin` is to expect. Nothing while another one with such numbers is being read: those two run side by
    /// side, and neither goes on where the other ends. (Two that overlap by less than the look ahead are taken for parts of one.)
    fn sequence<'l>(&self, origin: Origin, live: impl IntoIterator<Item = &'l Live>) -> Sequence {
        let side_by_side = live.into_iter().any(|live| {
            live.origin == origin && !live.window.is_read() && !live.window.expectation().is_unread()
        });
        if side_by_side || self.origin != origin { Sequence::default() } else { self.ended.inherited() }
    }
}

/// Puts a failure into an account.
fn note(report: &mut SourceReport, error: OpenError) -> OpenError {
    report.end_early(Position::Byte(0), error.to_string());
    error
}

impl Ord for Live {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

impl PartialOrd for Live {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Live {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Live {}

#[cfg(test)]
mod tests;
