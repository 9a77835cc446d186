//! What an engine must know to go on in another run.

use std::collections::BTreeSet;
use std::io::{BufWriter, Read, Write};
use std::time::Duration;

use flate2::read::GzDecoder;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::judge::Tag;
use super::owners::{Met, Owners, SavedTag};
use super::surroundings::Memory;
use super::{Engine, Settings, Verdict};
use crate::alert::{Alert, Host, Lifecycle, Losses};
use crate::baseline::{Checkpoint, Saved};
use crate::detect::{Detector, StateError};
use crate::exceptions::Ledger;
use crate::network::{FlowTable, Limits, Suspended};
use crate::observation::{Timestamp, ZoneOffset};
use crate::process::Processes;

/// Everything but the baselines: processes, flows that are still counted, the zone, what was lost, how many alerts were given out.
#[derive(Deserialize)]
struct Road {
    host: Host,
    zone: ZoneOffset,
    losses: Losses,
    #[serde(default)]
    ledger: Ledger,
    sequence: u64,
    #[serde(default)]
    lifecycle: Lifecycle,
    #[serde(default)]
    memory: Memory,
    awake: Option<Duration>,
    now: Option<Timestamp>,
    told: Option<Timestamp>,
    processes: Processes,
    flows: Suspended<SavedTag>,
    /// Whose they are; with the flows themselves in version 1.
    #[serde(default)]
    owners: Owners,
}

/// A [`Road`] to be written, lent by the engine: with both tables full it is larger than everything else in the process.
#[derive(Serialize)]
struct LentRoad<'a, F> {
    version: u32,
    host: &'a Host,
    zone: ZoneOffset,
    losses: &'a Losses,
    ledger: &'a Ledger,
    sequence: u64,
    lifecycle: &'a Lifecycle,
    memory: &'a Memory,
    awake: Option<Duration>,
    now: Option<Timestamp>,
    told: Option<Timestamp>,
    processes: &'a Processes,
    flows: F,
    /// Filled while the flows are written, so it comes after them.
    owners: &'a Met<'a>,
}

const VERSION: u32 = 2;
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
    /// `left` are events that left in earlier runs, the latest first. Where the last run was killed, some of them left after its last
    /// checkpoint: their findings are open, and their numbers are not given again.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn resume(
        settings: Settings,
        saved: &Saved,
        left: impl IntoIterator<Item = Alert>,
        out: &mut Vec<Verdict>,
    ) -> Result<Self, ResumeError> {
        let mut engine = Self::new(settings.clone());
        engine.detector = Detector::restore(settings.detection, settings.priors, saved)?;
        let Some(bytes) = saved.road.as_deref() else {
            engine.catch_up(left);
            engine.close_settled(&saved.settled, out);
            return Ok(engine);
        };
        let road = read(bytes)?;
        engine.host = road.host;
        engine.zone = road.zone;
        engine.losses = road.losses;
        engine.ledger = road.ledger;
        engine.sequence = road.sequence;
        engine.lifecycle = road.lifecycle;
        engine.memory = road.memory;
        engine.awake = road.awake;
        engine.now = road.now;
        engine.told = road.told;
        engine.processes = road.processes.with_settings(settings.processes);
        // Before the flows, whose events are numbered after these.
        engine.catch_up(left);
        let (_, mut judge) = engine.split(out);
        let flows = road.flows.map(|tag| road.owners.read(tag));
        let flows = FlowTable::resume(settings.flows, flows, &mut |update| judge.update(update));
        engine.flows = flows;
        engine.close_settled(&saved.settled, out);
        Ok(engine)
    }

    /// Ends the run and gives what the next one needs. Verdicts on flows that end with the run are appended to `out`. What was seen stays
    /// readable; the engine has no flows afterwards.
    ///
    /// # Errors
    /// Where the state cannot be written as bytes; nothing that observations say makes it so.
    pub fn suspend(&mut self, out: &mut Vec<Verdict>) -> Result<Checkpoint, ResumeError> {
        let mut road = Vec::new();
        let checkpoint = self.suspend_to(&mut road, out)?;
        Ok(Checkpoint { road: Some(road), ..checkpoint })
    }

    /// As [`Engine::suspend`]; all but the baselines goes to `road` as it is made, for with a hundred thousand flows it is large.
    ///
    /// # Errors
    /// As [`Engine::suspend`], and where `road` fails.
    pub fn suspend_to(
        &mut self,
        road: impl Write,
        out: &mut Vec<Verdict>,
    ) -> Result<Checkpoint, ResumeError> {
        let mut flows = std::mem::replace(&mut self.flows, FlowTable::new(Limits::default()));
        let (_, mut judge) = self.split(out);
        flows.end_run(&mut |update| judge.update(update));
        self.write_road(&flows, road)?;
        Ok(self.detector.checkpoint())
    }

    /// What the next run needs if this one does not end in good order. The detector's part counts as written, as with
    /// [`Detector::checkpoint`].
    ///
    /// What it remembers must be on its way before it is stored: an event that is neither spooled nor made again would be lost.
    ///
    /// # Errors
    /// As [`Engine::suspend`].
    pub fn checkpoint(&mut self) -> Result<Checkpoint, ResumeError> {
        let mut road = Vec::new();
        let checkpoint = self.checkpoint_to(&mut road)?;
        Ok(Checkpoint { road: Some(road), ..checkpoint })
    }

    /// As [`Engine::checkpoint`]; all but the baselines goes to `road` as it is made.
    ///
    /// # Errors
    /// As [`Engine::suspend_to`].
    pub fn checkpoint_to(&mut self, road: impl Write) -> Result<Checkpoint, ResumeError> {
        // The part that may fail goes first: what the detector gives is given once.
        self.write_road(&self.flows, road)?;
        Ok(self.detector.checkpoint())
    }

    fn write_road(&self, flows: &FlowTable<Tag>, to: impl Write) -> Result<(), ResumeError> {
        let owners = Met::default();
        let road = LentRoad {
            version: VERSION,
            host: &self.host,
            zone: self.zone,
            losses: &self.losses,
            ledger: &self.ledger,
            sequence: self.sequence,
            lifecycle: &self.lifecycle,
            memory: &self.memory,
            awake: self.awake,
            now: self.now,
            told: self.told,
            processes: &self.processes,
            flows: flows.snapshot(|tag| owners.write(tag)),
            owners: &owners,
        };
        write(&road, to)
    }

    /// Closes the findings that an analyst called normal between the runs.
    fn close_settled(&mut self, settled: &[String], out: &mut Vec<Verdict>) {
        let is_meant = |alert: &Alert| {
            let subject = alert.subject.to_string();
            let names = [alert.finding.as_str(), alert.fleet_finding.as_str(), subject.as_str()];
            settled.iter().any(|settled| names.contains(&settled.as_str()))
        };
        // An event of a run that was killed tells its own time.
        let time = self.now.unwrap_or(Timestamp::from_nanos(0));
        self.learned(is_meant, time, out);
    }

    /// Takes note of what left after the checkpoint that this engine comes from.
    fn catch_up(&mut self, left: impl IntoIterator<Item = Alert>) {
        let known = self.sequence;
        let mut findings = BTreeSet::new();
        for alert in left.into_iter().take_while(|alert| alert.host.sequence > known) {
            self.sequence = self.sequence.max(alert.host.sequence);
            // The latest event of a finding says how it stands.
            if findings.insert(alert.finding.clone()) {
                self.lifecycle.left(alert);
            }
        }
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
    // The first states were compressed with gzip.
    if bytes.starts_with(&GZIP) {
        GzDecoder::new(bytes).take(MOST_BYTES).read_to_end(&mut json)
    } else {
        FrameDecoder::new(bytes).take(MOST_BYTES).read_to_end(&mut json)
    }
    .map_err(|error| wrong(&error))?;
    let Version { version } = serde_json::from_slice(&json).map_err(|error| wrong(&error))?;
    if version > VERSION {
        return Err(ResumeError::Newer { found: version });
    }
    serde_json::from_slice(&json).map_err(|error| wrong(&error))
}

/// Compressed on the way, since the text alone may take a hundred megabytes; with LZ4, since the engine waits for it.
fn write(road: &impl Serialize, to: impl Write) -> Result<(), ResumeError> {
    let wrong = |error: &dyn std::fmt::Display| ResumeError::Road(error.to_string());
    let mut text = BufWriter::with_capacity(BLOCK_BYTES, FrameEncoder::new(to));
    serde_json::to_writer(&mut text, road).map_err(|error| wrong(&error))?;
    let frame = text.into_inner().map_err(|error| wrong(&error))?;
    frame.finish().map(drop).map_err(|error| wrong(&error))
}

const BLOCK_BYTES: usize = 64 << 10;
/// RFC 1952, section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];
