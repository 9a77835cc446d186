//! The live wiring: threads at the source, one thread for the engine, tokio at the sink.
//!
//! ```text
//!  source thread ──bounded──► engine thread ──bounded──► sink (tokio)
//!                     ▲
//!  SIGTERM, SIGINT ───┘ stop
//! ```
//!
//! Both channels are bounded. A recorded source waits where the engine is behind: nothing is lost. On a signal the engine takes what is
//! already queued before it, tells what its flows still hold, and the sink writes every alert that was made before the process ends.

mod stop;

pub use stop::StopSignal;

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::engine::{Engine, Tally, Verdict};
use crate::observation::Observation;
use crate::sink::{FileSink, SinkError};

/// Why the daemon ended otherwise than by a signal or the end of its source.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// A thread could not be started, or signals not be caught.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// Alerts cannot be written; those not yet written are counted in the message.
    #[error("{error}; {unwritten} alerts were not written")]
    Sink {
        /// Why.
        error: SinkError,
        /// How many.
        unwritten: u64,
    },
    /// A part of the daemon failed in a way that is a mistake in the program.
    #[error("the {part} thread panicked")]
    Panicked {
        /// Which.
        part: &'static str,
    },
}

/// What passes from the source, or from a signal, to the engine.
enum Message {
    Observed(Box<Observation>),
    Stop,
}

/// Observations that may wait for the engine.
const OBSERVATIONS_QUEUED: usize = 4_096;
/// Alerts that may wait for the sink.
const ALERTS_QUEUED: usize = 1_024;

/// Runs until the source ends or a signal says stop; gives what was seen. Alerts are appended to a file, else they go to standard
/// output.
///
/// # Errors
/// Where a part cannot start or fails.
pub fn run(
    source: impl Iterator<Item = Observation> + Send + 'static,
    engine: Engine,
    alerts: Option<&Path>,
) -> Result<Tally, DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(source, engine, alerts))
}

async fn supervise(
    source: impl Iterator<Item = Observation> + Send + 'static,
    engine: Engine,
    file: Option<&Path>,
) -> Result<Tally, DaemonError> {
    let mut sink = match file {
        Some(path) => {
            FileSink::open(path).await.map_err(|error| DaemonError::Sink { error, unwritten: 0 })?
        }
        None => FileSink::stdout(),
    };
    let (to_engine, observed) = sync_channel(OBSERVATIONS_QUEUED);
    let (to_sink, mut alerts) = mpsc::channel(ALERTS_QUEUED);
    let stop = to_engine.clone();
    stop_on_signals(stop)?;
    // The source thread is not waited for: it may stand in a read that never returns, and it owns nothing that must be saved.
    thread::Builder::new().name("source".to_owned()).spawn(move || feed(source, &to_engine))?;
    let engine =
        thread::Builder::new().name("engine".to_owned()).spawn(move || walk(engine, &observed, &to_sink))?;
    tracing::info!("running");
    let mut failed: Option<SinkError> = None;
    let mut unwritten = 0;
    while let Some(line) = alerts.recv().await {
        if failed.is_some() {
            unwritten += 1;
        } else if let Err(error) = sink.deliver(&line).await {
            tracing::error!(%error, "alerts cannot be written");
            failed = Some(error);
            unwritten += 1;
            // No more is taken in; what was made already is counted.
            alerts.close();
        }
    }
    let tally = engine.join().map_err(|_| DaemonError::Panicked { part: "engine" })?;
    match failed {
        Some(error) => Err(DaemonError::Sink { error, unwritten }),
        None => Ok(tally),
    }
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

/// Walks observations down the road until it is told to stop, or nobody takes alerts any more.
fn walk(mut engine: Engine, observed: &Receiver<Message>, to_sink: &mpsc::Sender<String>) -> Tally {
    let mut verdicts = Vec::new();
    let deliver = |verdicts: &mut Vec<Verdict>| {
        verdicts.drain(..).all(|verdict| match verdict {
            Verdict::Alert(alert) => to_sink.blocking_send(alert.to_json()).is_ok(),
            Verdict::Suppressed(_) | Verdict::Digest(_) => true,
        })
    };
    while let Ok(Message::Observed(observation)) = observed.recv() {
        engine.observe(&observation, &mut verdicts);
        if !deliver(&mut verdicts) {
            return engine.tally().clone();
        }
    }
    engine.finish(&mut verdicts);
    deliver(&mut verdicts);
    engine.tally().clone()
}

#[cfg(test)]
mod simulated_kernel;
