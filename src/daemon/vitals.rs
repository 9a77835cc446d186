//! How the daemon does, as one document: what `tidemark status`, the heartbeat and the metrics are made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::accepted::{Accepted, AcceptedStatus};
use super::history::History;
use super::intake::Lost;
use super::resources::{self, Usage};
use super::sinks::SinkStates;
use crate::detect::{Busy, Summary};
use crate::engine::{Coverage, Engine};
use crate::network::{Protocol, TableReport};
use crate::sink::spool::{SpoolStatus, SpoolWatch};
use crate::sink::{SinkState, SinkStatus};
use crate::source::live::{Condition, Effort, EffortCell, SourceState, SourceWatch};

/// How the daemon does.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// `tidemark.status/1`.
    pub schema: &'static str,
    /// When this was so (RFC 3339).
    pub time: String,
    /// Whether the daemon ended, and this is its last word.
    pub ended: bool,
    /// Of tidemark.
    pub version: &'static str,
    /// Its process.
    pub pid: u32,
    /// This Mac.
    pub host: String,
    /// Why a person should look; nothing where all is well.
    pub reasons: Vec<String>,
    /// Seconds since the daemon began.
    pub uptime_seconds: u64,
    /// What it uses of the machine.
    pub usage: Usage,
    /// Where observations come from, and what cannot be seen there.
    pub sources: Sources,
    /// How hard sources try, where they try less than they could or the budget is exceeded.
    pub strain: Option<Strain>,
    /// Packets that were not looked into since sources tried less.
    pub packets_passed_over: u64,
    /// Who could change what the daemon is and is told, or did, a sentence each.
    pub tampered: Vec<String>,
    /// When the configuration in force was taken (RFC 3339).
    pub configured: Option<String>,
    /// The spool.
    pub spool: SpoolStatus,
    /// Each sink.
    pub sinks: Vec<SinkStatus>,
    /// Events that could neither be spooled nor kept in memory.
    pub lost: u64,
    /// Events that wait in memory since the spool could not be written.
    pub held: u64,
    /// Flows that ended and that the disk did not take for `tidemark history`.
    pub history_left_out: u64,
    /// What the organisation has accepted.
    pub exceptions: AcceptedStatus,
    /// What the engine knows; `None` where it did not answer.
    pub engine: Option<Snapshot>,
}

/// Where observations come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// In words: `process events from eslogger, flows from the packet tap`, or the recording's name.
    pub rung: String,
    /// What could not be had, a sentence each.
    pub refused: Vec<String>,
    /// What cannot be seen, in words.
    pub blind_spots: Vec<String>,
    /// How each does that is begun anew when it ends, by name.
    pub each: BTreeMap<Arc<str>, SourceState>,
}

/// The daemon's budget is exceeded, or was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Strain {
    /// How hard sources try now.
    pub effort: Effort,
    /// Why the budget is exceeded; `None` where it is kept by now.
    pub excess: Option<String>,
}

/// What the engine knows at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// Observations of all kinds.
    pub observations: u64,
    /// Findings that stood.
    pub alerts: u64,
    /// Findings that an exception covered.
    pub suppressed: u64,
    /// Flows that are live.
    pub live_flows: u64,
    /// Findings that are open.
    pub open_findings: u64,
    /// Events that left this Mac so far.
    pub sequence: u64,
    /// Flows that made room for others, and the rest of what the flow table says of itself.
    pub evicted_flows: u64,
    /// The baselines.
    pub baselines: Summary,
    /// What was seen and what was not.
    pub coverage: Coverage,
    /// Flows that ended, by protocol.
    pub protocols: BTreeMap<Protocol, u64>,
    /// Exceptions that are read.
    pub exceptions: u64,
    /// The subjects to look at first.
    pub busiest: Vec<Busy>,
}

impl Snapshot {
    /// Of an engine, with at most so many subjects.
    pub(super) fn of(engine: &Engine, subjects: usize) -> Self {
        let tally = engine.tally();
        let TableReport { evicted, .. } = engine.flows();
        Self {
            observations: tally.observations,
            alerts: tally.subjects.values().map(|subject| subject.alerts).sum(),
            suppressed: tally.subjects.values().map(|subject| subject.suppressed).sum(),
            live_flows: engine.live_flows() as u64,
            open_findings: engine.lifecycle().len() as u64,
            sequence: engine.sequence(),
            evicted_flows: *evicted,
            baselines: engine.detector().summary(),
            coverage: engine.coverage().clone(),
            protocols: tally.protocols.clone(),
            exceptions: engine.exceptions().len() as u64,
            busiest: engine.detector().busiest(subjects),
        }
    }
}

/// What the status is made of, for whoever asks, from any thread.
#[derive(Clone)]
pub(super) struct Vitals {
    pub(super) began: Instant,
    pub(super) host: Arc<str>,
    pub(super) watch: SpoolWatch,
    pub(super) watched: SourceWatch,
    pub(super) effort: Option<EffortCell>,
    pub(super) sinks: SinkStates,
    pub(super) lost: Lost,
    pub(super) accepted: Accepted,
    pub(super) history: History,
    pub(super) notes: Arc<Mutex<Notes>>,
}

/// What other parts say of themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    pub(super) sources: Sources,
    pub(super) configured: Option<String>,
    /// Why the last reload was refused; none once one succeeds.
    pub(super) reload_error: Option<String>,
    /// Why sources try less, or would.
    pub(super) strain: Option<Strain>,
    /// Who could change what the daemon is and is told, or did.
    pub(super) tampered: Vec<String>,
    /// Whether the engine has ended, and the daemon with it.
    pub(super) ended: bool,
    /// Parts that failed, by name, with what was done about it.
    pub(super) failed: BTreeMap<String, String>,
}

impl Vitals {
    /// The status with what the engine said.
    pub(super) fn status(&self, engine: Option<Snapshot>) -> Status {
        let notes = self.notes().clone();
        let mut status = Status {
            schema: "tidemark.status/1",
            time: jiff::Timestamp::now().to_string(),
            ended: notes.ended,
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            host: self.host.to_string(),
            reasons: Vec::new(),
            uptime_seconds: self.began.elapsed().as_secs(),
            usage: resources::usage(),
            sources: Sources { each: self.watched.read(), ..notes.sources.clone() },
            strain: notes.strain.clone(),
            packets_passed_over: self.effort.as_ref().map_or(0, EffortCell::passed_over),
            tampered: notes.tampered.clone(),
            configured: notes.configured.clone(),
            spool: self.watch.status(),
            sinks: self.sinks.read(),
            lost: self.lost.count(),
            held: self.lost.held(),
            history_left_out: self.history.left_out(),
            exceptions: self.accepted.status(),
            engine,
        };
        status.reasons = reasons(&status, &notes);
        status
    }

    /// A part failed; what was done about it, or what follows.
    pub(super) fn failed(&self, part: &str, what: String) {
        tracing::error!(part, what, "a part of the daemon failed");
        self.notes().failed.insert(part.to_owned(), what);
    }

    /// Each note is right by itself, also after a panic of another thread.
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a person should look, the gravest first.
fn reasons(status: &Status, notes: &Notes) -> Vec<String> {
    let mut reasons = Vec::new();
    if status.lost > 0 {
        reasons.push(format!("{} events were lost: the spool could not be written", status.lost));
    }
    if status.held > 0 {
        reasons.push(format!("{} events wait in memory: the spool cannot be written", status.held));
    }
    for (name, queue) in &status.spool.queues {
        if queue.dropped > 0 {
            reasons
                .push(format!("{} events of {name} were dropped before every sink had them", queue.dropped));
        }
        if queue.damaged > 0 {
            reasons.push(format!("{} events of {name} were damaged on the disk", queue.damaged));
        }
    }
    for sink in &status.sinks {
        let why = sink.last_error.as_deref().unwrap_or("no reason given");
        match sink.state {
            SinkState::Refused => reasons.push(format!("sink {} is refused: {why}", sink.name)),
            SinkState::Waiting => reasons.push(format!("sink {} waits: {why}", sink.name)),
            SinkState::Idle | SinkState::Sending => {}
        }
    }
    for (name, source) in status.sources.each.iter().filter(|(_, source)| source.condition == Condition::Away)
    {
        let why = source.why.as_deref().unwrap_or("no reason given");
        reasons.push(format!("source {name} is away since {}: {why}", source.since));
    }
    reasons.extend(status.tampered.iter().cloned());
    if let Some(Strain { effort, excess }) = &status.strain {
        let why = excess.as_deref().unwrap_or("kept its budget only by this");
        reasons.push(format!("sources try less ({}): the daemon {why}", effort.reduced()));
    }
    if let Some(error) = &notes.reload_error {
        reasons.push(format!(
            "the configuration on the disk is refused, the last good one is in force: {error}"
        ));
    }
    reasons.extend(notes.failed.iter().map(|(part, what)| format!("{part}: {what}")));
    match &status.engine {
        None if status.ended => {}
        None => reasons.push("the engine did not answer".to_owned()),
        Some(engine) => {
            let coverage = &engine.coverage;
            if coverage.bytes.all >= ENOUGH_BYTES && coverage.attributed_share() < LEAST_ATTRIBUTED {
                let percent = coverage.attributed_share() * 100.0;
                reasons.push(format!("only {percent:.0} % of the bytes have a process"));
            }
            if engine.baselines.noisy {
                reasons.push("this Mac raises more alerts than its budget".to_owned());
            }
        }
    }
    reasons
}

/// Bytes before the share of those with a process says anything.
const ENOUGH_BYTES: u64 = 1_000_000;
/// A Mac whose processes are seen from the start attributes more than nine tenths; below this a source is missing.
const LEAST_ATTRIBUTED: f64 = 0.7;

/// A status with something in every part, for tests of what is made of it.
#[cfg(test)]
pub(super) fn sample() -> Status {
    use super::intake::Lost;
    use crate::engine::Settings;
    use crate::observation::{Gap, Observation, Timestamp};
    use crate::sink::spool::{Caps, Spool};

    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), Caps::default()).unwrap();
    let mut engine = Engine::new(Settings::default());
    let gap = Gap { time: Timestamp::from_seconds(1, 0), source: Arc::from("ntstat"), lost: Some(3) };
    engine.observe(&Observation::Gap(Box::new(gap)), &mut Vec::new());
    let vitals = Vitals {
        began: Instant::now(),
        host: Arc::from("mac-0123456789.example.com"),
        watch: spool.watch(),
        watched: SourceWatch::default(),
        effort: None,
        sinks: SinkStates::default(),
        lost: Lost::default(),
        accepted: Accepted::default(),
        history: History::default(),
        notes: Arc::default(),
    };
    vitals.status(Some(Snapshot::of(&engine, 10)))
}
