//! What an engine must know to go on in another run.

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::judge::Tag;
use super::surroundings::Memory;
use super::{Engine, Settings, Verdict};
use crate::alert::{Host, Lifecycle, Losses};
use crate::baseline::{Checkpoint, Saved};
use crate::detect::{Detector, StateError};
use crate::network::{FlowTable, Limits, Suspended};
use crate::observation::{Timestamp, ZoneOffset};
use crate::process::Processes;

/// Everything but the baselines: processes, flows that are still counted, the zone, what was lost, how many alerts were given out.
#[derive(Serialize, Deserialize)]
struct Road {
    version: u32,
    host: Host,
    zone: ZoneOffset,
    losses: Losses,
    sequence: u64,
    #[serde(default)]
    lifecycle: Lifecycle,
    #[serde(default)]
    memory: Memory,
    awake: Option<Duration>,
    now: Option<Timestamp>,
    told: Option<Timestamp>,
    processes: Processes,
    flows: Suspended<Tag>,
}

const VERSION: u32 = 1;
/// A state is read only up to this size, in bytes: both caps of the process tree full take some tens of megabytes.
const MOST_BYTES: u64 = 512 << 20;

/// A state cannot be used.
#[derive(Debug, Error)]
pub enum ResumeError {
    /// The baselines.
    #[error(transparent)]
    Baselines(#[from] StateError),
    /// The rest.
    #[error("the state of processes and flows cannot be read: {0}")]
    Road(String),
    /// A newer tidemark wrote it.
    #[error("the state of processes and flows has version {found}, and this tidemark knows up to {VERSION}")]
    Newer {
        /// Its version.
        found: u32,
    },
}

impl Engine {
    /// An engine that goes on where another was suspended: the same observations in two runs give the same alerts as in one, as far as flows
    /// that their producer counts are concerned; flows of packets end with a run.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn resume(settings: Settings, saved: &Saved, out: &mut Vec<Verdict>) -> Result<Self, ResumeError> {
        let mut engine = Self::new(settings.clone());
        engine.detector = Detector::restore(settings.detection, settings.priors, saved)?;
        let Some(bytes) = saved.road.as_deref() else { return Ok(engine) };
        let road = read(bytes)?;
        engine.host = road.host;
        engine.zone = road.zone;
        engine.losses = road.losses;
        engine.sequence = road.sequence;
        engine.lifecycle = road.lifecycle;
        engine.memory = road.memory;
        engine.awake = road.awake;
        engine.now = road.now;
        engine.told = road.told;
        engine.processes = road.processes.with_settings(settings.processes);
        let (_, mut judge) = engine.split(out);
        let flows = FlowTable::resume(settings.flows, road.flows, &mut |update| judge.update(update));
        engine.flows = flows;
        Ok(engine)
    }

    /// Ends the run and gives what the next one needs. Verdicts on flows that end with the run are appended to `out`. What was seen stays
    /// readable; the engine itself is empty afterwards.
    ///
    /// # Errors
    /// Where the state cannot be written as bytes; nothing that observations say makes it so.
    pub fn suspend(&mut self, out: &mut Vec<Verdict>) -> Result<Checkpoint, ResumeError> {
        let flows = std::mem::replace(&mut self.flows, FlowTable::new(Limits::default()));
        let (_, mut judge) = self.split(out);
        let flows = flows.suspend(&mut |update| judge.update(update));
        let mut checkpoint = self.detector.checkpoint();
        let road = Road {
            version: VERSION,
            host: self.host.clone(),
            zone: self.zone,
            losses: self.losses.clone(),
            sequence: self.sequence,
            lifecycle: self.lifecycle.clone(),
            memory: std::mem::take(&mut self.memory),
            awake: self.awake,
            now: self.now,
            told: self.told,
            processes: std::mem::take(&mut self.processes),
            flows,
        };
        checkpoint.road = Some(write(&road)?);
        Ok(checkpoint)
    }
}

fn read(bytes: &[u8]) -> Result<Road, ResumeError> {
    /// Only the version: the rest of a newer state may be anything.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let wrong = |error: &dyn std::fmt::Display| ResumeError::Road(error.to_string());
    let mut json = Vec::new();
    GzDecoder::new(bytes).take(MOST_BYTES).read_to_end(&mut json).map_err(|error| wrong(&error))?;
    let Version { version } = serde_json::from_slice(&json).map_err(|error| wrong(&error))?;
    if version > VERSION {
        return Err(ResumeError::Newer { found: version });
    }
    serde_json::from_slice(&json).map_err(|error| wrong(&error))
}

fn write(road: &Road) -> Result<Vec<u8>, ResumeError> {
    let wrong = |error: &dyn std::fmt::Display| ResumeError::Road(error.to_string());
    let json = serde_json::to_vec(road).map_err(|error| wrong(&error))?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&json).map_err(|error| wrong(&error))?;
    gzip.finish().map_err(|error| wrong(&error))
}
