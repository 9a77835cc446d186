//! The part that starts the others, watches them, and takes them down in order.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, interval_at};

use super::accepted::{Accepted, Calendar};
use super::checkpoint::Keeper;
use super::control::{self, Desk, ReloadRequest};
use super::engine_thread::walk;
use super::forget::{Renewal, Traces};
use super::health::{self, Occasion};
use super::history::History;
use super::intake::{Intake, Lost};
use super::mailbox::Mailbox;
use super::metrics;
use super::queue::{Queue, queue};
use super::service::Service;
use super::sinks::Sinks;
use super::vitals::{Notes, Vitals};
use super::{ARCHIVE_FOLDER, DaemonError, Learnt, SPOOL_FOLDER, Wiring};
use crate::engine::{Engine, Tally};
use crate::observation::Observation;
use crate::sink::Archive;
use crate::sink::spool::Spool;

pub(super) async fn supervise(
    source: impl Iterator<Item = Observation> + Send + 'static,
    engine: Engine,
    wiring: Wiring,
) -> Result<Tally, DaemonError> {
    let Wiring {
        state,
        configuration,
        store,
        learnt,
        checkpoint_every,
        host,
        journal,
        mut resumed,
        sources,
        watch,
        effort,
    } = wiring;
    let spool = Spool::open(&state.join(SPOOL_FOLDER), configuration.config().delivery.caps())?;
    let spool_watch = spool.watch();
    let spool = Arc::new(Mutex::new(spool));
    let lost = Lost::default();
    let accepted = Accepted::default();
    let mut sinks = Sinks::new(Arc::clone(&spool), state.join("dead-letters"), host.clone());
    sinks.apply(&configuration.config().delivery).await?;
    let history = History::new(journal, engine.privacy().clone())?;
    let configured = Some(jiff::Timestamp::now().to_string());
    let vitals = Vitals {
        began: Instant::now(),
        host: Arc::from(host.as_str()),
        watch: spool_watch,
        watched: watch,
        effort: effort.clone(),
        sinks: sinks.states(),
        lost: lost.clone(),
        accepted: accepted.clone(),
        history: history.clone(),
        notes: Arc::new(Mutex::new(Notes { sources, configured, ..Notes::default() })),
    };
    let (to_engine, observed) = queue(OBSERVATIONS_QUEUED);
    let (mailbox, questions) = Mailbox::new(to_engine.clone());
    let (findings, _) = broadcast::channel(FINDINGS_KEPT);
    let (reload, mut reloads) = mpsc::channel(1);
    let archive = Archive::open(&state.join(ARCHIVE_FOLDER))
        .inspect_err(|error| vitals.failed("findings", format!("cannot be kept on this Mac: {error}")))
        .ok()
        .map(|archive| Arc::new(Mutex::new(archive)));
    let renewal = Renewal::default();
    let traces = Traces {
        state: state.clone(),
        archive: archive.clone(),
        history: history.clone(),
        spool: Arc::clone(&spool),
        renewal: renewal.clone(),
    };
    let desk = Desk {
        vitals: vitals.clone(),
        mailbox,
        findings: findings.clone(),
        reload,
        spool: Arc::clone(&spool),
        traces,
    };
    listen(&state, configuration.config().daemon.metrics_address(), &desk).await;
    let mut service = Service::new(&state, Arc::clone(&spool), sinks, configuration, desk, effort);
    service.tell(&Occasion::Started);
    if learnt != Learnt::Kept {
        service.tell(&Occasion::BeganAnew(&learnt));
    }

    stop_on_signals(to_engine.clone())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // The source thread is not waited for: it may stand in a read that never returns, and it owns nothing that must be saved.
    let notes = vitals.clone();
    thread::Builder::new().name("source".to_owned()).spawn(move || feed(source, &to_engine, &notes))?;
    let calendar = Calendar::new(accepted.clone());
    let mut intake = Intake::new(spool, host, archive, accepted, lost, findings);
    intake.take(&mut resumed);
    let (ended, mut engine_ended) = oneshot::channel();
    let engine = thread::Builder::new().name("engine".to_owned()).spawn(move || {
        let walked = {
            let keeper = store.map(|store| Keeper::new(store, checkpoint_every, renewal));
            walk(engine, &observed, &questions, intake, keeper, calendar, &history)
        };
        // The receiver is gone only where the daemon failed already.
        let _ = ended.send(());
        walked
    })?;
    tracing::info!("running");
    look_after(&mut service, &vitals.host, &mut engine_ended, &mut hangup, &mut reloads).await;
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

/// Looks after the parts until the engine has ended.
async fn look_after(
    service: &mut Service,
    host: &str,
    engine_ended: &mut oneshot::Receiver<()>,
    hangup: &mut Signal,
    reloads: &mut mpsc::Receiver<ReloadRequest>,
) {
    service.look_for_changes().await;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first_heartbeat = HEARTBEAT.mul_f64(health::share_of_hour(host));
    let mut heartbeats = interval_at(tokio::time::Instant::now() + first_heartbeat, HEARTBEAT);
    loop {
        tokio::select! {
            _ = &mut *engine_ended => break,
            _ = ticks.tick() => service.look().await,
            _ = heartbeats.tick() => {
                service.look_for_changes().await;
                service.tell(&Occasion::Heartbeat);
            }
            _ = hangup.recv() => service.reload(None).await,
            Some(asked) = reloads.recv() => service.reload(Some(asked)).await,
        }
    }
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

/// Sends a stop to the engine at the first SIGTERM or SIGINT.
fn stop_on_signals(stop: Queue) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.close();
    });
    Ok(())
}

/// Reads the source to its end, then says stop. A source that panics is at its end: what it stood in cannot be trusted, and a daemon that runs on
/// without a source would be silent for ever. Launchd starts it anew.
fn feed(source: impl Iterator<Item = Observation>, to_engine: &Queue, vitals: &Vitals) {
    let read = AssertUnwindSafe(|| {
        for observation in source {
            if to_engine.push(observation).is_err() {
                return;
            }
        }
    });
    if catch_unwind(read).is_err() {
        vitals.failed("source", "it failed by a mistake in the program, and the daemon stops".to_owned());
    }
    to_engine.close();
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
