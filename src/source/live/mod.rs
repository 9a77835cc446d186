//! What live sources have in common: clocks, and the one stream that they come together in.
//!
//! Each source has a thread of its own; a bounded channel joins them ([`Live`]). What may wait does: a socket's or a device's own buffer
//! in the kernel is its queue, and the kernel counts what it had no room for. What may not wait, the handler of Endpoint Security, drops
//! what does not fit, and that is counted here and told as a gap ([`Outbox`]). What ends is begun anew ([`SourceWatch`] says how each does), so that
//! a source that fails or that says nothing holds up no other.

mod again;
mod clock;
mod command;
mod effort;
mod follow;
#[cfg(target_os = "macos")]
mod shell;

pub use again::{BoxedSource, Condition, SourceState, SourceWatch};
pub(crate) use clock::wall;
pub use clock::{Clock, Moment, SystemClock};
pub use command::{CommandSource, Output};
pub use effort::{Effort, EffortCell};
pub use follow::follow;
#[cfg(target_os = "macos")]
pub(crate) use shell::{awake, resident, system_text};

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use self::again::{Keeping, Pauses};
use super::{Source, SourceReport};
use crate::observation::{Clock as Tick, Gap, Observation, RecordingHeader, Timestamp, ZoneOffset};

/// Live sources as one stream. It ends when all of them have.
///
/// It begins with a header that names the Mac and its zone, and says so again when the zone changes. Where nothing happens for a second
/// it says that time passed.
pub struct Live {
    receiver: Receiver<Observation>,
    /// To make outboxes of; gone once reading has begun, so that the channel closes with the last source.
    sender: Option<SyncSender<Observation>>,
    overflows: Vec<Overflow>,
    watch: SourceWatch,
    effort: EffortCell,
    header: Option<RecordingHeader>,
    zone: Option<ZoneOffset>,
    /// When the zone was looked at last.
    zone_seen: Timestamp,
    held: Option<Observation>,
    report: SourceReport,
}

/// What did not fit into the channel, of one source.
struct Overflow {
    source: Arc<str>,
    lost: Arc<AtomicU64>,
    told: u64,
}

impl Live {
    /// A stream without sources yet.
    pub fn new() -> Self {
        let (sender, receiver) = sync_channel(CAPACITY);
        let header = header();
        Self {
            receiver,
            sender: Some(sender),
            overflows: Vec::new(),
            watch: SourceWatch::default(),
            effort: EffortCell::default(),
            zone: header.utc_offset_seconds,
            header: Some(header),
            zone_seen: wall(),
            held: None,
            report: SourceReport::new("live"),
        }
    }

    /// A way in for a source that cannot wait. `None` once reading has begun.
    pub fn outbox(&mut self, source: &str) -> Option<Outbox> {
        let sender = self.sender.clone()?;
        let lost = Arc::new(AtomicU64::new(0));
        self.overflows.push(Overflow { source: Arc::from(source), lost: Arc::clone(&lost), told: 0 });
        Some(Outbox { sender, lost })
    }

    /// How the sources do that [`Self::keep`] was given, also while the stream is read.
    pub fn watch(&self) -> SourceWatch {
        self.watch.clone()
    }

    /// How hard its sources are to try: those that can try less hold a copy and look at it.
    pub fn effort(&self) -> EffortCell {
        self.effort.clone()
    }

    /// Gives a source a thread of its own: reads `first`, then what `again` opens, each time it has ended, for as long as the stream is read.
    /// The absence is a gap.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn keep(
        &mut self,
        name: &str,
        first: Option<BoxedSource>,
        again: impl FnMut() -> Result<BoxedSource, String> + Send + 'static,
    ) -> io::Result<()> {
        let keeping = Keeping {
            name: Arc::from(name),
            sender: self.sender()?,
            watch: self.watch.clone(),
            pauses: Pauses::SERVICE,
        };
        thread::Builder::new().name(name.to_owned()).spawn(move || keeping.run(first, again))?;
        Ok(())
    }

    /// Gives an input that may end a thread of its own: a pipe from another program.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn feed_input(&mut self, mut source: BoxedSource) -> io::Result<()> {
        let sender = self.sender()?;
        let thread = thread::Builder::new().name(source.report().name.to_string());
        thread.spawn(move || {
            let read =
                AssertUnwindSafe(|| source.by_ref().all(|observation| sender.send(observation).is_ok()));
            if catch_unwind(read).is_err() {
                let name = Arc::clone(&source.report().name);
                tracing::error!(source = %name, "a live source panicked");
                // Nobody may read any more.
                let _ = sender.send(gap(wall(), name, None));
            }
        })?;
        Ok(())
    }

    fn sender(&self) -> io::Result<SyncSender<Observation>> {
        self.sender.clone().ok_or_else(|| io::Error::other("the stream is being read already"))
    }

    /// What was dropped since it was told last.
    fn overflow(&mut self) -> Option<Observation> {
        self.overflows.iter_mut().find_map(|overflow| {
            let lost = overflow.lost.load(Ordering::Relaxed);
            let untold = lost.checked_sub(overflow.told).filter(|untold| *untold > 0)?;
            overflow.told = lost;
            Some(gap(wall(), Arc::clone(&overflow.source), Some(untold)))
        })
    }

    /// A header, where the Mac is in another zone than before.
    fn zone_change(&mut self, now: Timestamp) -> Option<Observation> {
        if now.since(self.zone_seen) < LOOK_AT_ZONE {
            return None;
        }
        self.zone_seen = now;
        let zone = Some(zone());
        if zone == self.zone {
            return None;
        }
        self.zone = zone;
        let header = RecordingHeader { utc_offset_seconds: zone, ..RecordingHeader::default() };
        Some(Observation::Recording(Box::new(header)))
    }

    fn wait(&mut self) -> Option<Observation> {
        self.sender = None;
        let observation = match self.receiver.recv_timeout(TICK) {
            Ok(observation) => observation,
            Err(RecvTimeoutError::Timeout) => Observation::Clock(Tick { time: wall(), awake: awake_time() }),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let change = observation.time().and_then(|time| self.zone_change(time));
        match change {
            Some(change) => {
                self.held = Some(observation);
                Some(change)
            }
            None => Some(observation),
        }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Iterator for Live {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        let header = self.header.take().map(|header| Observation::Recording(Box::new(header)));
        let observation =
            header.or_else(|| self.overflow()).or_else(|| self.held.take()).or_else(|| self.wait())?;
        self.report.observations = self.report.observations.saturating_add(1);
        Some(observation)
    }
}

impl Source for Live {
    fn report(&self) -> &SourceReport {
        &self.report
    }
}

/// A way into the stream that never waits.
#[derive(Debug, Clone)]
pub struct Outbox {
    sender: SyncSender<Observation>,
    lost: Arc<AtomicU64>,
}

impl Outbox {
    /// Hands an observation over. Where there is no room it is dropped, counted, and told as a gap when there is.
    pub fn send(&self, observation: Observation) {
        match self.sender.try_send(observation) {
            // Nobody reads any more when the daemon stops: nothing is lost that anybody misses.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => self.lose(1),
        }
    }

    /// Counts observations that were lost before they came here.
    pub fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }
}

/// Who and where we are.
fn header() -> RecordingHeader {
    RecordingHeader {
        host: host_name().map(Arc::from),
        os_version: os_version().map(Arc::from),
        utc_offset_seconds: Some(zone()),
        producer: Some(Arc::from(concat!("tidemark ", env!("CARGO_PKG_VERSION")))),
        ..RecordingHeader::default()
    }
}

fn zone() -> ZoneOffset {
    ZoneOffset(jiff::tz::TimeZone::system().to_offset(jiff::Timestamp::now()).seconds())
}

#[cfg(target_os = "macos")]
fn host_name() -> Option<String> {
    system_text(c"kern.hostname")
}

#[cfg(target_os = "macos")]
fn os_version() -> Option<String> {
    system_text(c"kern.osproductversion")
}

#[cfg(target_os = "macos")]
fn awake_time() -> Option<Duration> {
    awake()
}

#[cfg(not(target_os = "macos"))]
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

#[cfg(not(target_os = "macos"))]
fn os_version() -> Option<String> {
    None
}

#[cfg(not(target_os = "macos"))]
fn awake_time() -> Option<Duration> {
    None
}

pub(crate) fn gap(time: Timestamp, source: Arc<str>, lost: Option<u64>) -> Observation {
    Observation::Gap(Box::new(Gap { time, source, lost }))
}

/// Observations that may wait to be read: a second of a build that starts a thousand processes, each with a fork, an exec and an exit,
/// and packets beside it. At most some 16 MiB, since a packet has 2 KiB and an exec about as much.
const CAPACITY: usize = 8_192;
/// Silence after which time is said to pass.
const TICK: Duration = Duration::from_secs(1);
/// How often the zone is looked at.
const LOOK_AT_ZONE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(seconds: i64) -> Observation {
        Observation::Clock(Tick { time: Timestamp::from_seconds(seconds, 0), awake: None })
    }

    #[test]
    fn it_begins_with_who_and_where_we_are() {
        let mut live = Live::new();
        let Some(Observation::Recording(header)) = live.next() else { panic!("no header") };
        assert!(header.host.is_some() && header.utc_offset_seconds.is_some());
        assert!(live.next().is_none());
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_told_as_a_gap() {
        let mut live = Live::new();
        let outbox = live.outbox("endpoint_security").unwrap();
        for number in 0..CAPACITY + 5 {
            outbox.send(tick(i64::try_from(number).unwrap()));
        }
        outbox.lose(2);
        drop(outbox);
        let seen: Vec<Observation> = live.by_ref().collect();
        let gaps = seen.iter().filter_map(|seen| match seen {
            Observation::Gap(gap) => Some((&*gap.source, gap.lost)),
            _ => None,
        });
        assert_eq!(gaps.collect::<Vec<_>>(), [("endpoint_security", Some(7))]);
        assert_eq!(seen.len(), 1 + 1 + CAPACITY);
        assert!(live.outbox("late").is_none());
    }

    /// A source with a mistake in it.
    struct Faulty(SourceReport);

    impl Iterator for Faulty {
        type Item = Observation;

        fn next(&mut self) -> Option<Observation> {
            panic!("a mistake")
        }
    }

    impl Source for Faulty {
        fn report(&self) -> &SourceReport {
            &self.0
        }
    }

    #[test]
    fn a_source_that_panics_has_ended_and_is_told_as_a_gap() {
        let mut live = Live::new();
        live.feed_input(Box::new(Faulty(SourceReport::new("faulty")))).unwrap();
        let seen: Vec<Observation> = live.collect();
        // A panic takes its time to be told, and meanwhile a second may pass.
        let told = seen.iter().any(
            |seen| matches!(seen, Observation::Gap(gap) if &*gap.source == "faulty" && gap.lost.is_none()),
        );
        assert!(told, "{seen:?}");
    }
}
