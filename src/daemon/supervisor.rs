//! The part that starts the others, watches them, and takes them down in order.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval, interval_at};

use super::accepted::{Accepted, Calendar};
use super::checkpoint::Keeper;
use super::control::{self, Desk, ReloadRequest};
use super::engine_thread::walk;
use super::health::{self, Occasion};
use super::intake::{Intake, Lost};
use super::mailbox::Mailbox;
use super::metrics;
use super::reload::Configuration;
use super::sinks::Sinks;
use super::vitals::{Notes, Snapshot, Vitals};
use super::{ARCHIVE_FOLDER, DaemonError, Learnt, Message, SPOOL_FOLDER, STATUS_FILE, Wiring};
use crate::engine::{Engine, Tally};
use crate::observation::Observation;
use crate::sink::Archive;
use crate::sink::spool::{Queue, Spool};

pub(super) async fn supervise(
    source: impl Iterator<Item = Observation> + Send + 'static,
    engine: Engine,
    wiring: Wiring,
) -> Result<Tally, DaemonError> {
    let Wiring { state, configuration, store, learnt, checkpoint_every, host, mut resumed, sources } = wiring;
    let spool = Spool::open(&state.join(SPOOL_FOLDER), configuration.config().delivery.caps())?;
    let watch = spool.watch();
    let spool = Arc::new(Mutex::new(spool));
    let lost = Lost::default();
    let accepted = Accepted::default();
    let mut sinks = Sinks::new(Arc::clone(&spool), state.join("dead-letters"), host.clone());
    sinks.apply(&configuration.config().delivery).await?;
    let configured = Some(jiff::Timestamp::now().to_string());
    let vitals = Vitals {
        began: Instant::now(),
        host: Arc::from(host.as_str()),
        watch,
        sinks: sinks.states(),
        lost: lost.clone(),
        accepted: accepted.clone(),
        notes: Arc::new(Mutex::new(Notes { sources, configured, ..Notes::default() })),
    };
    let (to_engine, observed) = sync_channel(OBSERVATIONS_QUEUED);
    let (mailbox, questions) = Mailbox::new(to_engine.clone());
    let (findings, _) = broadcast::channel(FINDINGS_KEPT);
    let (reload, mut reloads) = mpsc::channel(1);
    let desk = Desk {
        vitals: vitals.clone(),
        mailbox,
        findings: findings.clone(),
        reload,
        spool: Arc::clone(&spool),
    };
    listen(&state, configuration.config().daemon.metrics_address(), &desk).await;
    let mut service = Service {
        status: state.join(STATUS_FILE),
        spool: Arc::clone(&spool),
        sinks,
        configuration,
        desk,
        refused: Vec::new(),
        latest: None,
        written: None,
    };
    service.tell(&Occasion::Started);
    if learnt != Learnt::Kept {
        service.tell(&Occasion::BeganAnew(&learnt));
    }

    stop_on_signals(to_engine.clone())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // The source thread is not waited for: it may stand in a read that never returns, and it owns nothing that must be saved.
    let notes = vitals.clone();
    thread::Builder::new().name("source".to_owned()).spawn(move || feed(source, &to_engine, &notes))?;
    let archive = Archive::open(&state.join(ARCHIVE_FOLDER))
        .inspect_err(|error| vitals.failed("findings", format!("cannot be kept on this Mac: {error}")))
        .ok();
    let calendar = Calendar::new(accepted.clone());
    let mut intake = Intake::new(spool, host, archive, accepted, lost, findings);
    intake.take(&mut resumed);
    let (ended, mut engine_ended) = tokio::sync::oneshot::channel();
    let engine = thread::Builder::new().name("engine".to_owned()).spawn(move || {
        let walked = {
            let keeper = store.map(|store| Keeper::new(store, checkpoint_every));
            walk(engine, &observed, &questions, intake, keeper, calendar)
        };
        // The receiver is gone only where the daemon failed already.
        let _ = ended.send(());
        walked
    })?;
    tracing::info!("running");
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first_heartbeat = HEARTBEAT.mul_f64(health::share_of_hour(&vitals.host));
    let mut heartbeats = interval_at(tokio::time::Instant::now() + first_heartbeat, HEARTBEAT);
    loop {
        tokio::select! {
            _ = &mut engine_ended => break,
            _ = ticks.tick() => service.look().await,
            _ = heartbeats.tick() => service.tell(&Occasion::Heartbeat),
            _ = hangup.recv() => service.reload(None).await,
            Some(asked) = reloads.recv() => service.reload(Some(asked)).await,
        }
    }
    let walked = engine.join().map_err(|_| DaemonError::Panicked { part: "engine" });
    if let Err(error) = &walked {
        service.tell(&Occasion::Failed { part: "engine", what: error });
    }
    service.tell(&Occasion::Stopping);
    service.sinks.drain(DRAIN).await;
    service.write_status();
    let waiting = vitals.watch.status().queues.values().map(|queue| queue.waiting).sum::<u64>();
    if waiting > 0 {
        tracing::warn!(waiting, "events were not delivered; they stay in the spool for the next start");
    }
    walked?
}

/// Opens the sockets by which others ask. Neither is worth a daemon that does not observe.
async fn listen(state: &Path, metrics_address: Option<SocketAddr>, desk: &Desk) {
    match control::bind(&state.join(control::SOCKET)) {
        Ok(listener) => drop(tokio::spawn(control::serve(listener, desk.clone()))),
        Err(error) => desk.vitals.failed("control socket", format!("cannot be opened: {error}")),
    }
    match control::bind(&state.join(metrics::SOCKET)) {
        Ok(listener) => drop(tokio::spawn(metrics::serve(listener, desk.clone()))),
        Err(error) => desk.vitals.failed("metrics socket", format!("cannot be opened: {error}")),
    }
    if let Some(address) = metrics_address {
        match TcpListener::bind(address).await {
            Ok(listener) => drop(tokio::spawn(metrics::serve_loopback(listener, desk.clone()))),
            Err(error) => {
                desk.vitals.failed("metrics address", format!("{address} cannot be opened: {error}"));
            }
        }
    }
}

/// What the supervisor does again and again.
struct Service {
    /// The status file.
    status: PathBuf,
    spool: Arc<Mutex<Spool>>,
    sinks: Sinks,
    configuration: Configuration,
    desk: Desk,
    /// The sinks that were refused when last looked at.
    refused: Vec<String>,
    /// What the engine said last.
    latest: Option<Snapshot>,
    /// When the status file was written, and why a person should have looked then.
    written: Option<(Instant, Vec<String>)>,
}

impl Service {
    /// Looks after everything: configuration, sinks, spool, status.
    async fn look(&mut self) {
        if self.configuration.has_changed() {
            self.reload(None).await;
        }
        for sink in self.sinks.fallen() {
            self.tell(&Occasion::Failed { part: &sink, what: &"the sink's task failed and is begun anew" });
            let delivery = self.configuration.config().delivery.clone();
            if let Err(error) = self.sinks.apply(&delivery).await {
                self.desk.vitals.failed(&sink, error.to_string());
            }
        }
        let refused = self.desk.vitals.sinks.refused();
        for sink in refused.iter().filter(|sink| !self.refused.contains(sink)) {
            self.tell(&Occasion::Refused(sink));
        }
        self.refused = refused;
        self.latest = self.desk.mailbox.ask(|engine| Snapshot::of(engine, SUBJECTS_TOLD)).await;
        let reasons = self.desk.vitals.status(self.latest.clone()).reasons;
        let due = self
            .written
            .as_ref()
            .is_none_or(|(when, told)| when.elapsed() >= WRITE_STATUS || *told != reasons);
        if due {
            self.write_status();
            self.written = Some((Instant::now(), reasons));
        }
    }

    fn write_status(&self) {
        let status = self.desk.vitals.status(self.latest.clone());
        let ticked = self.spool.lock().unwrap_or_else(PoisonError::into_inner).tick();
        let written = write_whole(&self.status, &serde_json::to_vec(&status).unwrap_or_default());
        if let Err(error) =
            ticked.map_err(|error| error.to_string()).and(written.map_err(|error| error.to_string()))
        {
            tracing::warn!(error, "the status cannot be written");
        }
    }

    /// Puts the configuration on the disk in force, whole or not at all, and says which it was.
    async fn reload(&mut self, asked: Option<ReloadRequest>) {
        let done = self.take_configuration().await;
        match &done {
            Ok(changed) => {
                tracing::info!(?changed, "the configuration was read anew");
                self.desk.vitals.notes().reload_error = None;
                self.tell(&Occasion::Reloaded(changed));
            }
            Err(why) => {
                tracing::error!(why, "the configuration is refused; the last good one stays in force");
                self.desk.vitals.notes().reload_error = Some(why.clone());
                self.tell(&Occasion::ReloadRefused(why));
            }
        }
        if let Some(asked) = asked {
            // Whoever asked may have gone.
            let _ = asked.send(done);
        }
    }

    async fn take_configuration(&mut self) -> Result<Vec<String>, String> {
        let candidate = self.configuration.candidate()?;
        // Sinks first: they alone may still refuse, and then nothing has changed.
        self.sinks.apply(&candidate.config().delivery).await.map_err(|error| error.to_string())?;
        let settings = candidate.engine.clone();
        let taken = self.desk.mailbox.change(move |engine, _| engine.set_settings(settings)).await;
        taken.ok_or("the engine did not answer")?;
        let changed = self.configuration.accept(candidate);
        self.desk.vitals.notes().configured = Some(jiff::Timestamp::now().to_string());
        Ok(changed)
    }

    fn tell(&self, occasion: &Occasion<'_>) {
        let status = self.desk.vitals.status(self.latest.clone());
        let event = health::event(occasion, &status, jiff::Timestamp::now());
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = spool.append(Queue::Health, &[event]) {
            tracing::warn!(%error, "a health event cannot be spooled");
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

/// Reads the source to its end, then says stop. A source that panics is at its end: what it stood in cannot be trusted, and a daemon that runs on
/// without a source would be silent for ever. Launchd starts it anew.
fn feed(source: impl Iterator<Item = Observation>, to_engine: &SyncSender<Message>, vitals: &Vitals) {
    let read = AssertUnwindSafe(|| {
        for observation in source {
            if to_engine.send(Message::Observed(Box::new(observation))).is_err() {
                return;
            }
        }
    });
    if catch_unwind(read).is_err() {
        vitals.failed("source", "it failed by a mistake in the program, and the daemon stops".to_owned());
    }
    // The engine may have gone before.
    let _ = to_engine.send(Message::Stop);
}

/// Observations that may wait for the engine.
const OBSERVATIONS_QUEUED: usize = 4_096;
/// Lines that wait for a client that follows findings; a slower one is told how many it missed.
const FINDINGS_KEPT: usize = 256;
/// How long sinks may deliver after the engine has ended; launchd kills after 20 seconds.
const DRAIN: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_hours(1);
/// How often everything is looked after: seldom enough to let the machine sleep, often enough for a person who waits for a reload.
const TICK: Duration = Duration::from_secs(5);
/// How often the status file is written where nothing changed that a person should look at: a page or two an hour would do, and once a minute is
/// 12 MB a day.
const WRITE_STATUS: Duration = Duration::from_mins(1);
/// Subjects in the status file.
const SUBJECTS_TOLD: usize = 10;
