//! The live wiring: threads at the source, one thread for the engine, tokio at the sinks, and the spool between.
//!
//! ```text
//!  source thread ──bounded──► engine thread ──► spool (on the disk) ──► a task a sink ──► receivers
//!                     ▲                             ▲
//!  SIGTERM, SIGINT ───┘ stop          heartbeat ────┘
//! ```
//!
//! The channel is bounded: a recorded source waits where the engine is behind, and nothing is lost. An alert is in the spool before anything
//! else knows of it; receivers may be slow, away or full, and the engine does not wait for them. On a signal the engine takes what is
//! already queued before it and tells what its flows still hold; then the sinks get some seconds to deliver. What they do not deliver
//! stays in the spool for the next start.

mod accepted;
mod checkpoint;
mod health;
mod intake;
mod stop;

pub use accepted::AcceptedStatus;
pub use health::{Status, test_event};
pub use stop::StopSignal;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alert::Format;
use crate::baseline::{Store, StoreError};
use crate::engine::{Engine, ResumeError, Tally, Verdict};
use crate::observation::Observation;
use crate::sink::spool::{Queue, Spool, SpoolError, SpoolWatch};
use crate::sink::{
    self, Archive, Course, DeadLetters, Delivery, Receiver as EventReceiver, Retry, SinkError, SinkSettings,
    SinkState, StatusCell, StdoutSettings,
};
use accepted::{Accepted, Calendar};
use checkpoint::Keeper;
use health::Occasion;
use intake::{Intake, Lost};

/// Why the daemon ended otherwise than by a signal or the end of its source.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// A thread could not be started, or signals not be caught.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// A sink is not usable as it is configured.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// What was learnt cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine's state cannot be written.
    #[error(transparent)]
    State(#[from] ResumeError),
    /// The disk took alerts neither while they were made nor at the end.
    #[error("{0} alerts could not be spooled and are lost")]
    Lost(u64),
    /// A part of the daemon failed in a way that is a mistake in the program.
    #[error("the {part} thread panicked")]
    Panicked {
        /// Which.
        part: &'static str,
    },
}

/// What the daemon works with.
#[derive(Debug)]
pub struct Wiring {
    /// The state's folder: the spool is in `spool/`, what was found in `findings/`, dead letters in `dead-letters/`, the status in `status.json`.
    pub state: PathBuf,
    /// Where events go.
    pub delivery: sink::Settings,
    /// Where the engine's state goes, now and then and at the end.
    pub store: Option<Store>,
    /// How often the engine's state goes there while something is observed.
    pub checkpoint_every: Duration,
    /// The name of this Mac in events of the daemon's own.
    pub host: String,
    /// What resuming the engine gave.
    pub resumed: Vec<Verdict>,
}

/// What passes from the source, or from a signal, to the engine.
enum Message {
    Observed(Box<Observation>),
    Stop,
}

/// Observations that may wait for the engine.
const OBSERVATIONS_QUEUED: usize = 4_096;
/// How long sinks may deliver after the engine has ended; launchd kills after 20 seconds.
const DRAIN: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_mins(15);
/// How often the status is written and the spool's caps are looked at.
const TICK: Duration = Duration::from_secs(5);
/// How soon the disk is asked again where it did not take alerts.
const DISK_AGAIN: Duration = Duration::from_secs(1);
/// The name of the spool's folder in the state's folder.
pub const SPOOL_FOLDER: &str = "spool";
/// The name of the folder in the state's folder where findings are kept.
pub const ARCHIVE_FOLDER: &str = "findings";
/// The name of the status file in the state's folder.
pub const STATUS_FILE: &str = "status.json";

/// Runs until the source ends or a signal says stop; gives what was seen.
///
/// # Errors
/// Where a part cannot start or fails.
pub fn run(
    source: impl Iterator<Item = Observation> + Send + 'static,
    engine: Engine,
    wiring: Wiring,
) -> Result<Tally, DaemonError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SINK_THREADS)
        .thread_name("sink")
        .enable_all()
        .build()?;
    let done = runtime.block_on(supervise(source, engine, wiring));
    // A task may stand in a write to a pipe that nobody reads: it is not waited for.
    runtime.shutdown_background();
    done
}

/// Sinks wait most of the time; two threads let a slow disk under one not hold up another.
const SINK_THREADS: usize = 2;

async fn supervise(
    source: impl Iterator<Item = Observation> + Send + 'static,
    engine: Engine,
    wiring: Wiring,
) -> Result<Tally, DaemonError> {
    let spool = Spool::open(&wiring.state.join(SPOOL_FOLDER), wiring.delivery.caps())?;
    let (go, course) = watch::channel(Course::Go);
    let (mut tasks, sinks) = start_sinks(&spool, &wiring, &course)?;
    let lost = Lost::default();
    let accepted = Accepted::default();
    let mut monitor = Monitor {
        began: Instant::now(),
        path: wiring.state.join(STATUS_FILE),
        host: wiring.host.clone(),
        watch: spool.watch(),
        spool: Arc::new(Mutex::new(spool)),
        refused: vec![false; sinks.len()],
        sinks,
        lost: lost.clone(),
        accepted: accepted.clone(),
    };
    monitor.tell(Occasion::Started);

    let (to_engine, observed) = sync_channel(OBSERVATIONS_QUEUED);
    stop_on_signals(to_engine.clone())?;
    // The source thread is not waited for: it may stand in a read that never returns, and it owns nothing that must be saved.
    thread::Builder::new().name("source".to_owned()).spawn(move || feed(source, &to_engine))?;
    let archive = Archive::open(&wiring.state.join(ARCHIVE_FOLDER))
        .inspect_err(|error| tracing::error!(%error, "findings cannot be kept on this Mac"))
        .ok();
    let calendar = Calendar::new(accepted.clone());
    let mut intake = Intake::new(Arc::clone(&monitor.spool), wiring.host, archive, accepted, lost);
    let mut resumed = wiring.resumed;
    intake.take(&mut resumed);
    tracing::info!("running");
    let (ended, mut engine_ended) = tokio::sync::oneshot::channel();
    let engine = thread::Builder::new().name("engine".to_owned()).spawn(move || {
        let keeper = wiring.store.map(|store| Keeper::new(store, wiring.checkpoint_every));
        let walked = walk(engine, &observed, intake, keeper, calendar);
        // The receiver is gone only where the daemon failed already.
        let _ = ended.send(());
        walked
    })?;
    tracing::info!("running");
    let mut ticks = tokio::time::interval(TICK);
    let mut heartbeats = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        tokio::select! {
            _ = &mut engine_ended => break,
            _ = ticks.tick() => monitor.look(),
            _ = heartbeats.tick() => monitor.tell(Occasion::Heartbeat),
        }
    }
    let walked = engine.join().map_err(|_| DaemonError::Panicked { part: "engine" })?;
    monitor.tell(Occasion::Stopping);
    drain(&go, &mut tasks).await;
    monitor.look();
    let waiting = monitor.watch.status().queues.values().map(|queue| queue.waiting).sum::<u64>();
    if waiting > 0 {
        tracing::warn!(waiting, "events were not delivered; they stay in the spool for the next start");
    }
    walked
}

/// One task a sink; standard output where none is configured.
fn start_sinks(
    spool: &Spool,
    wiring: &Wiring,
    course: &watch::Receiver<Course>,
) -> Result<(JoinSet<()>, Vec<StatusCell>), DaemonError> {
    let stdout = [SinkSettings::Stdout(StdoutSettings {
        name: "stdout".to_owned(),
        format: Format::Native,
        send: vec![Queue::Alerts],
    })];
    let settings = if wiring.delivery.sinks.is_empty() { stdout.as_slice() } else { &wiring.delivery.sinks };
    // Every reader stands before the first task runs: none may miss what another has passed.
    let mut deliveries = Vec::with_capacity(settings.len());
    for sink in settings {
        let receiver = EventReceiver::new(sink)?;
        let dead_letters = DeadLetters::new(&wiring.state.join("dead-letters"), sink.name());
        let retry = Retry::of(&wiring.host, sink.name());
        deliveries.push(Delivery::new(sink, receiver, spool.reader(sink.name())?, dead_letters, retry));
    }
    let sinks = deliveries.iter().map(Delivery::status).collect();
    let mut tasks = JoinSet::new();
    for delivery in deliveries {
        tasks.spawn(delivery.run(course.clone()));
    }
    Ok((tasks, sinks))
}

/// Lets the sinks deliver what is spooled, for a bounded time.
async fn drain(go: &watch::Sender<Course>, tasks: &mut JoinSet<()>) {
    // No sink is left to hear it where every one has ended.
    let _ = go.send(Course::Drain);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tasks.abort_all();
    }
}

/// Watches the delivery, and speaks of it in the status file and in health events.
struct Monitor {
    began: Instant,
    path: PathBuf,
    host: String,
    spool: Arc<Mutex<Spool>>,
    watch: SpoolWatch,
    sinks: Vec<StatusCell>,
    /// Which sinks were refused when last looked at.
    refused: Vec<bool>,
    lost: Lost,
    accepted: Accepted,
}

impl Monitor {
    fn status(&self) -> Status {
        Status {
            uptime_seconds: self.began.elapsed().as_secs(),
            spool: self.watch.status(),
            sinks: self.sinks.iter().map(StatusCell::read).collect(),
            lost: self.lost.count(),
            exceptions: self.accepted.status(),
        }
    }

    fn tell(&self, occasion: Occasion<'_>) {
        let event = health::event(occasion, &self.status(), &self.host, jiff::Timestamp::now());
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = spool.append(Queue::Health, &[event]) {
            tracing::warn!(%error, "a health event cannot be spooled");
        }
    }

    fn look(&mut self) {
        let status = self.status();
        let now: Vec<_> = status.sinks.iter().map(|sink| sink.state == SinkState::Refused).collect();
        for ((sink, was), is) in status.sinks.iter().zip(&self.refused).zip(&now) {
            if *is && !was {
                self.tell(Occasion::Refused(&sink.name));
            }
        }
        self.refused = now;
        let ticked = self.spool.lock().unwrap_or_else(PoisonError::into_inner).tick();
        if let Err(error) = ticked.map_err(|error| error.to_string()).and_then(|()| {
            write_whole(&self.path, &serde_json::to_vec(&status).unwrap_or_default())
                .map_err(|error| error.to_string())
        }) {
            tracing::warn!(error, "the status cannot be written");
        }
    }
}

/// Writes a file that a reader finds whole, the old or the new.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, bytes)?;
    std::fs::rename(&next, path)
}

/// Sends a stop to the engine at the first SIGTERM or SIGINT.
fn stop_on_signals(stop: SyncSender<Message>) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        // The channel may be full, and the engine gone: neither may hold up the other tasks.
        let _ = tokio::task::spawn_blocking(move || stop.send(Message::Stop)).await;
    });
    Ok(())
}

/// Reads the source to its end, then says stop.
fn feed(source: impl Iterator<Item = Observation>, to_engine: &SyncSender<Message>) {
    for observation in source {
        if to_engine.send(Message::Observed(Box::new(observation))).is_err() {
            return;
        }
    }
    let _ = to_engine.send(Message::Stop);
}

/// Walks observations down the road until it is told to stop. Alerts are spooled in groups while more observations wait, and at once where
/// none does. What was learnt is kept only after the alerts that it led to.
fn walk(
    mut engine: Engine,
    observed: &Receiver<Message>,
    mut intake: Intake,
    mut keeper: Option<Keeper>,
    mut calendar: Calendar,
) -> Result<Tally, DaemonError> {
    let mut verdicts = Vec::new();
    loop {
        match next(observed, &mut intake, keeper.as_ref().and_then(Keeper::due_in)) {
            Next::Observed(observation) => {
                engine.observe(&observation, &mut verdicts);
                if let Some(now) = engine.now()
                    && let Some(due) = calendar.look(now, engine.exceptions())
                {
                    intake.due(&due, now);
                }
                intake.take(&mut verdicts);
                if let Some(keeper) = &mut keeper {
                    keeper.observed();
                }
            }
            Next::Due => {}
            Next::Stop => break,
        }
        if let Some(keeper) = keeper.as_mut().filter(|keeper| keeper.is_due()) {
            intake.commit();
            if !intake.has_unspooled() {
                keeper.keep(&mut engine)?;
            }
        }
    }
    let checkpoint = if keeper.is_some() {
        Some(engine.suspend(&mut verdicts)?)
    } else {
        engine.finish(&mut verdicts);
        None
    };
    intake.take(&mut verdicts);
    intake.commit();
    let lost = intake.give_up();
    if let (Some(keeper), Some(checkpoint)) = (keeper, checkpoint) {
        keeper.finish(checkpoint)?;
    }
    if lost > 0 { Err(DaemonError::Lost(lost)) } else { Ok(engine.tally().clone()) }
}

/// What the engine's thread does next.
enum Next {
    Observed(Box<Observation>),
    /// A checkpoint is due.
    Due,
    Stop,
}

/// The next message; before the engine would wait for one, what it said is spooled. It waits no longer than until the next checkpoint.
fn next(observed: &Receiver<Message>, intake: &mut Intake, due: Option<Duration>) -> Next {
    let of = |message| match message {
        Message::Observed(observation) => Next::Observed(observation),
        Message::Stop => Next::Stop,
    };
    match observed.try_recv() {
        Ok(message) => return of(message),
        Err(TryRecvError::Disconnected) => return Next::Stop,
        Err(TryRecvError::Empty) => {}
    }
    loop {
        if intake.is_waiting() {
            intake.commit();
        }
        let patience = match (intake.is_waiting(), due) {
            (false, None) => return observed.recv().map_or(Next::Stop, of),
            (false, Some(due)) => due,
            (true, due) => due.unwrap_or(DISK_AGAIN).min(DISK_AGAIN),
        };
        match observed.recv_timeout(patience) {
            Ok(message) => return of(message),
            Err(RecvTimeoutError::Disconnected) => return Next::Stop,
            Err(RecvTimeoutError::Timeout) if !intake.is_waiting() => return Next::Due,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

#[cfg(test)]
mod simulated_kernel;
