//! The loop that takes events from the spool to one receiver.
//!
//! A cursor moves only behind what the receiver has, or what it will never take and stands among the dead letters. So a crash at any
//! moment means that some events are sent twice, with the same id, and none is lost.
//!
//! A receiver dies, too, and most answer before they have written. So when one is gone, the cursor goes back by what it took in the last
//! seconds ([`Reader::step_back`]), and that is sent again.

use std::collections::VecDeque;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::dead_letters::DeadLetters;
use super::event::{Event, Rejected};
use super::outcome::{Fate, Outcome};
use super::receiver::Receiver;
use super::settings::SinkSettings;
use super::spool::{Batch, Queue, Reader};
use super::status::{SinkState, StatusCell};
use crate::alert::Format;

/// One sink at work.
#[derive(Debug)]
pub struct Delivery {
    name: String,
    receiver: Receiver,
    reader: Reader,
    dead_letters: DeadLetters,
    format: Format,
    send: Vec<Queue>,
    most_events: usize,
    most_bytes: usize,
    retry: Retry,
    /// Whether what the receiver took is in doubt until some time has passed.
    answers_early: bool,
    status: StatusCell,
}

/// How long to wait after failures: each time about twice as long, with jitter, so that a fleet does not come back in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Before the second attempt.
    pub first: Duration,
    /// The longest wait, jitter not counted.
    pub most: Duration,
    /// Between two attempts at a receiver that refuses this sensor.
    pub refused: Duration,
    /// Chooses the jitter.
    pub seed: u64,
}

/// What a delivery is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Wait for events, for ever.
    Go,
    /// End when the spool is empty, or the receiver lets nobody in.
    Drain,
}

impl Retry {
    /// From half a second to five minutes, and an hour where a person must act; the jitter is the host's and the sink's own.
    pub fn of(host: &str, sink: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(format!("{host}\0{sink}")).into();
        let seed = digest.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte));
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_mins(5),
            refused: Duration::from_hours(1),
            seed,
        }
    }

    fn delays(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.most)
            .without_max_times()
            .with_jitter()
            .with_jitter_seed(self.seed)
            .build()
    }
}

/// How a batch went.
#[derive(PartialEq, Eq)]
enum Progress {
    /// The receiver has it, or never will.
    Passed,
    /// The cursor went back: what comes next is read again.
    SteppedBack,
}

/// Why a batch was left before its end.
struct Ended;

impl Delivery {
    /// A delivery that has not begun.
    pub fn new(
        settings: &SinkSettings,
        receiver: Receiver,
        reader: Reader,
        dead_letters: DeadLetters,
        retry: Retry,
    ) -> Self {
        let (most_events, most_bytes) = match settings {
            SinkSettings::Hec(http) | SinkSettings::Elastic(http) | SinkSettings::Webhook(http) => {
                (http.batch_events, http.batch_kib.saturating_mul(1_024))
            }
            SinkSettings::File(_) | SinkSettings::Stdout(_) | SinkSettings::Syslog(_) => {
                (LOCAL_EVENTS, LOCAL_BYTES)
            }
        };
        Self {
            name: settings.name().to_owned(),
            receiver,
            reader,
            dead_letters,
            format: settings.format(),
            send: settings.send().to_vec(),
            most_events: usize::try_from(most_events).unwrap_or(usize::MAX),
            most_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
            retry,
            // With acknowledgements, Splunk answers when the indexer has the events.
            answers_early: !matches!(settings, SinkSettings::Hec(http) if http.ack_seconds > 0),
            status: StatusCell::new(settings.name()),
        }
    }

    /// Tells how it goes, from anywhere.
    pub fn status(&self) -> StatusCell {
        self.status.clone()
    }

    /// Delivers until the course says otherwise.
    pub async fn run(mut self, mut course: watch::Receiver<Course>) {
        let mut delays = self.retry.delays();
        loop {
            match self.reader.next(self.most_events, self.most_bytes) {
                Ok(Some(batch)) => {
                    if self.deliver(&batch, &mut course).await.is_err() {
                        return;
                    }
                    delays = self.retry.delays();
                }
                Ok(None) => {
                    self.status.state(SinkState::Idle);
                    if *course.borrow_and_update() == Course::Drain {
                        return;
                    }
                    tokio::select! {
                        () = self.reader.changed() => {}
                        changed = course.changed() => if changed.is_err() { return },
                    }
                }
                Err(error) => {
                    self.status.failed(&format!("the spool cannot be read: {error}"));
                    tokio::time::sleep(delays.next().unwrap_or(self.retry.most)).await;
                }
            }
        }
    }

    /// Brings a whole batch behind the cursor.
    async fn deliver(&mut self, batch: &Batch, course: &mut watch::Receiver<Course>) -> Result<(), Ended> {
        if self.send.contains(&batch.queue) {
            let (events, rejected) = Event::all(batch);
            for line in rejected {
                self.set_aside(&line);
            }
            let events = events.into_iter().map(|event| event.rendered(self.format)).collect();
            if self.deliver_events(events, course).await? == Progress::SteppedBack {
                return Ok(());
            }
        }
        if let Err(error) = self.reader.advance(batch) {
            // The cursor stands in memory. After a crash the receiver is sent these events again.
            tracing::warn!(sink = self.name, %error, "the cursor cannot be written");
        }
        Ok(())
    }

    async fn deliver_events(
        &mut self,
        events: Vec<Event>,
        course: &mut watch::Receiver<Course>,
    ) -> Result<Progress, Ended> {
        let mut delays = self.retry.delays();
        let mut parts = VecDeque::from([events]);
        while let Some(mut part) = parts.pop_front() {
            if part.is_empty() {
                continue;
            }
            self.status.state(SinkState::Sending);
            match self.receiver.deliver(&part).await {
                Outcome::Delivered => {
                    self.status.sent(part.len());
                    delays = self.retry.delays();
                }
                Outcome::Each(fates) => {
                    let (left, why) = self.part_by_fate(part, fates);
                    if let Some(why) = why {
                        parts.push_front(left);
                        self.wait(delays.next(), None, &why, course).await;
                    }
                }
                Outcome::Unfit(why) => {
                    if let [event] = part.as_slice() {
                        self.set_aside(&Rejected { line: event.line.clone(), why });
                    } else {
                        self.status.split();
                        let second = part.split_off(part.len() / 2);
                        parts.push_front(second);
                        parts.push_front(part);
                    }
                }
                Outcome::Later { why, after } => {
                    parts.push_front(part);
                    self.wait(delays.next(), after, &why, course).await;
                }
                Outcome::Gone(why) => {
                    parts.push_front(part);
                    self.wait(delays.next(), None, &why, course).await;
                    if self.step_back() {
                        return Ok(Progress::SteppedBack);
                    }
                }
                Outcome::Refused(why) => {
                    parts.push_front(part);
                    self.wait_for_a_person(&why, course).await?;
                }
            }
        }
        Ok(Progress::Passed)
    }

    /// The receiver went away. Whether the cursor went back, which it does once for each time that events were taken.
    fn step_back(&mut self) -> bool {
        if !self.answers_early {
            return false;
        }
        let again = self.reader.step_back().unwrap_or_else(|error| {
            tracing::warn!(sink = self.name, %error, "the cursor cannot be written");
            0
        });
        if again > 0 {
            tracing::info!(
                sink = self.name,
                again,
                "what the receiver took last is sent again: it may be lost with it"
            );
            self.status.repeated(again);
        }
        again > 0
    }

    /// Counts what is delivered and sets aside what never will be; gives what is left, and why.
    fn part_by_fate(&mut self, part: Vec<Event>, fates: Vec<Fate>) -> (Vec<Event>, Option<String>) {
        let (mut left, mut reason, mut delivered) = (Vec::new(), None, 0);
        for (event, fate) in part.into_iter().zip(fates) {
            match fate {
                Fate::Delivered => delivered += 1,
                Fate::Rejected(why) => self.set_aside(&Rejected { line: event.line, why }),
                Fate::Later(why) => {
                    left.push(event);
                    reason.get_or_insert(why);
                }
            }
        }
        self.status.sent(delivered);
        (left, reason)
    }

    /// Waits before the next attempt: as long as the receiver asked for, up to an hour, else by the schedule.
    async fn wait(
        &mut self,
        delay: Option<Duration>,
        asked: Option<Duration>,
        why: &str,
        course: &mut watch::Receiver<Course>,
    ) {
        let delay = delay.unwrap_or(self.retry.most);
        let delay = asked.map_or(delay, |asked| asked.min(MOST_RETRY_AFTER).max(self.retry.first));
        tracing::info!(sink = self.name, why, seconds = delay.as_secs_f64(), "not delivered; trying again");
        self.status.failed(why);
        // A change of course ends one wait early: the last attempt before the end may find the receiver back.
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            Ok(()) = course.changed() => {}
        }
    }

    /// The receiver lets this sensor not in. Trying on would fill its log and lock the account, so the sink stands still, and looks again
    /// seldom: a firewall's 403 passes, too.
    async fn wait_for_a_person(
        &mut self,
        why: &str,
        course: &mut watch::Receiver<Course>,
    ) -> Result<(), Ended> {
        tracing::error!(
            sink = self.name,
            why,
            "the receiver refuses this sensor: nothing is sent until that is mended"
        );
        self.status.refused(why);
        if *course.borrow_and_update() == Course::Drain {
            return Err(Ended);
        }
        tokio::select! {
            () = tokio::time::sleep(self.retry.refused) => Ok(()),
            changed = course.changed() => match changed {
                Ok(()) if *course.borrow() == Course::Go => Ok(()),
                _ => Err(Ended),
            },
        }
    }

    fn set_aside(&mut self, rejected: &Rejected) {
        tracing::warn!(sink = self.name, why = rejected.why, "an event was set aside");
        self.status.set_aside();
        if let Err(error) = self.dead_letters.add(rejected) {
            tracing::error!(sink = self.name, %error, line = rejected.line, "an event that was set aside cannot be kept");
        }
    }
}

/// A receiver that asks for more is busy with something else than this event.
const MOST_RETRY_AFTER: Duration = Duration::from_hours(1);
/// What a file or a line to a neighbour takes at once.
const LOCAL_EVENTS: u32 = 500;
const LOCAL_BYTES: u32 = 1 << 20;
