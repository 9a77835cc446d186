//! The one place that walks an observation down the road.
//!
//! The [`Engine`] is a state machine: an [`Observation`] goes in, [`Verdict`]s come out. It does no I/O, starts no thread and asks no
//! clock: time comes with the observations, and the same observations give the same verdicts to the byte. A live daemon is a replay
//! that does not end.
//!
//! It walks the whole road up to the document, exceptions included, since a finding that the organisation has accepted is learnt
//! otherwise than one that stands.

mod coverage;
mod ended;
mod judge;
mod owners;
mod state;
mod surroundings;
mod tally;

pub use coverage::{A_SILENCE, Coverage, Lost, Seen, Shares};
pub use ended::Ended;
pub use state::ResumeError;
pub use tally::{SubjectTally, Tally};

use std::sync::Arc;
use std::time::Duration;

use crate::alert::{Alert, FindingKey, Host, Lifecycle, Losses, Person, Privacy};
use crate::baseline::Priors;
use crate::detect::{self, Detector, Digest};
use crate::exceptions::{Exceptions, Ledger};
use crate::network::{Destinations, FlowTable, Limits, TableReport};
use crate::observation::{Observation, RecordingHeader, Timestamp, ZoneOffset};
use crate::process::{self, Processes};
use judge::{Judge, Tag};
use surroundings::Memory;

/// The settings of every room on the road.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The process tree.
    pub processes: process::Settings,
    /// The flow table.
    pub flows: Limits,
    /// The detectors.
    pub detection: detect::Settings,
    /// What is usual on any Mac.
    pub priors: Arc<Priors>,
    /// What the organisation has accepted.
    pub exceptions: Arc<Exceptions>,
    /// How much of people alerts tell.
    pub privacy: Privacy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            processes: process::Settings::default(),
            flows: Limits::default(),
            detection: detect::Settings::default(),
            priors: Arc::new(Priors::builtin()),
            exceptions: Arc::default(),
            privacy: Privacy::default(),
        }
    }
}

/// What comes out.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// An event of a finding that no exception covers: it opens, goes on or is closed.
    Alert(Box<Alert>),
    /// A finding that an exception covers: counted and kept, not delivered.
    Suppressed(Box<Alert>),
    /// What was held back, told once.
    Digest(Box<Digest>),
}

/// The road as a state machine.
pub struct Engine {
    processes: Processes,
    flows: FlowTable<Tag>,
    detector: Detector,
    destinations: Destinations,
    exceptions: Arc<Exceptions>,
    privacy: Privacy,
    /// Bytes of the hour under exceptions that have a limit.
    ledger: Ledger,
    host: Host,
    zone: ZoneOffset,
    losses: Losses,
    tally: Tally,
    coverage: Coverage,
    memory: Memory,
    /// The findings that are open.
    lifecycle: Lifecycle,
    /// Flows that ended and that nobody took yet; `None` where nobody wants them.
    ended: Option<Vec<Ended>>,
    /// Counts the events that left this host.
    sequence: u64,
    /// Time awake since boot, where the source says it.
    awake: Option<Duration>,
    /// The latest time seen.
    now: Option<Timestamp>,
    /// When the flow table and the detector were last told that time passes.
    told: Option<Timestamp>,
}

/// How often the rooms are told that time passes, in event time: often enough for an idle limit of seconds, seldom enough to cost nothing.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            processes: Processes::new(settings.processes),
            flows: FlowTable::new(settings.flows),
            detector: Detector::new(settings.detection, settings.priors),
            destinations: Destinations::default(),
            exceptions: settings.exceptions,
            privacy: settings.privacy,
            host: Host { name: Arc::from("unknown"), ..Host::default() },
            ledger: Ledger::default(),
            zone: ZoneOffset::default(),
            losses: Losses::default(),
            tally: Tally::default(),
            coverage: Coverage::default(),
            memory: Memory::default(),
            lifecycle: Lifecycle::default(),
            ended: None,
            sequence: 0,
            awake: None,
            now: None,
            told: None,
        }
    }

    /// How many events left so far; [`Engine::suspend`] stores it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The findings that are open; [`Engine::suspend`] stores them.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// An analyst called the behaviour of an open finding normal: closes it. The baseline is told through the detector.
    pub fn learned(&mut self, finding: &FindingKey, time: Timestamp, out: &mut Vec<Verdict>) {
        let mut events = Vec::new();
        self.lifecycle.learned(finding, time, &mut events);
        self.leave(events, out);
    }

    /// Fetches from memory what the next [`LOOK_AHEAD`](crate::network::LOOK_AHEAD) observations will need: worth its while for a batch that goes down the road one by one. It changes nothing.
    pub fn look_ahead(&self, coming: &[Observation]) {
        self.flows.look_ahead(coming.iter().filter_map(|observation| match observation {
            Observation::Flow(report) => Some(&**report),
            _ => None,
        }));
    }

    /// Walks one observation down the road; verdicts are appended to `out`.
    pub fn observe(&mut self, observation: &Observation, out: &mut Vec<Verdict>) {
        if let Some(time) = observation.time() {
            self.pass_time(time, out);
            self.tally.saw(observation, time);
            if let Observation::Clock(clock) = observation {
                self.coverage.clock(clock);
            }
            self.coverage.saw(observation, time);
        }
        match observation {
            Observation::Recording(header) => self.begin_recording(header),
            Observation::Exec(exec) => {
                if let Some(who) = self.processes.exec(exec) {
                    if let Some(before) = self.memory.ran(&who, exec.message.time) {
                        self.detector.succeeds(&who.subject, &before);
                    }
                    self.detector.image_seen(exec.message.time, self.zone, &who.subject, who.role);
                }
            }
            Observation::Fork(fork) => self.processes.fork(fork),
            Observation::Exit(exit) => self.processes.exit(exit),
            Observation::Running(running) => self.processes.running(running),
            Observation::Packet(packet) => {
                let (flows, mut judge) = self.split(out);
                flows.packet(packet, &mut |update| judge.update(update));
            }
            Observation::Flow(report) => {
                let (flows, mut judge) = self.split(out);
                flows.report(report, &mut |update| judge.update(update));
            }
            Observation::Gap(gap) => {
                self.losses.gaps = self.losses.gaps.saturating_add(1);
                self.losses.lost = self.losses.lost.saturating_add(gap.lost.unwrap_or(0));
                self.coverage.lost(gap);
                self.memory.lost(gap);
            }
            Observation::Clock(clock) => {
                self.awake = clock.awake.or(self.awake);
                self.memory.clock(clock);
            }
        }
    }

    /// The observations ended: what the flow table still holds is told.
    pub fn finish(&mut self, out: &mut Vec<Verdict>) {
        let (flows, mut judge) = self.split(out);
        flows.finish(&mut |update| judge.update(update));
        let mut events = Vec::new();
        self.lifecycle.finish(&mut events);
        self.leave(events, out);
    }

    /// Forgets a person: the login name, and open findings that tell of one; how many.
    pub fn forget_person(&mut self, person: &Person) -> u64 {
        self.host.users.retain(|uid, name| !person.has(*uid) && !person.is_named(name));
        self.lifecycle.forget(|alert| person.is_in_line(&alert.to_json()))
    }

    /// How much of people is told.
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    /// What the organisation has accepted.
    pub fn exceptions(&self) -> &Exceptions {
        &self.exceptions
    }

    /// The latest time seen.
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// What was seen so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was seen and what was not since this engine began.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The settings in force, as far as they may change while it runs.
    pub fn settings(&self) -> Settings {
        Settings {
            detection: self.detector.settings().clone(),
            exceptions: Arc::clone(&self.exceptions),
            privacy: self.privacy.clone(),
            ..Settings::default()
        }
    }

    /// Changes settings and exceptions from here on; what was learnt, what runs and what is open stay.
    pub fn set_settings(&mut self, settings: Settings) {
        self.detector.set_settings(settings.detection);
        self.exceptions = settings.exceptions;
        self.privacy = settings.privacy;
    }

    /// The Mac's baselines.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The Mac's baselines, for an analyst's word on them.
    pub fn detector_mut(&mut self) -> &mut Detector {
        &mut self.detector
    }

    /// How many flows are live.
    pub fn live_flows(&self) -> usize {
        self.flows.live()
    }

    /// What was lost so far.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// What the flow table took in, and what it could not.
    pub fn flows(&self) -> &TableReport {
        self.flows.account()
    }

    fn begin_recording(&mut self, header: &RecordingHeader) {
        if let Some(name) = &header.host {
            self.host.name = name.clone();
        }
        if let Some(version) = &header.os_version {
            self.detector.system_seen(version);
            self.memory.system(version, self.now);
            self.host.os_version = Some(version.clone());
        }
        // A later header that only changes the zone names nothing else.
        for (known, named) in [
            (&mut self.host.os_build, &header.os_build),
            (&mut self.host.serial_number, &header.serial_number),
            (&mut self.host.hardware_uuid, &header.hardware_uuid),
        ] {
            if named.is_some() {
                known.clone_from(named);
            }
        }
        if !header.users.is_empty() {
            self.host.users.clone_from(&header.users);
        }
        if let Some(zone) = header.utc_offset_seconds {
            self.zone = zone;
        }
    }

    /// Time only runs forward; an observation that is late is judged at the latest time seen.
    fn pass_time(&mut self, time: Timestamp, out: &mut Vec<Verdict>) {
        let now = self.now.map_or(time, |now| now.max(time));
        self.now = Some(now);
        if self.told.is_some_and(|told| now.since(told) < TELL_EVERY) {
            return;
        }
        self.told = Some(now);
        let (flows, mut judge) = self.split(out);
        flows.advance(now, &mut |update| judge.update(update));
        let mut events = Vec::new();
        self.lifecycle.advance(now, &mut events);
        self.leave(events, out);
        let digests = self.detector.advance(now, self.zone, self.awake);
        out.extend(digests.into_iter().map(|digest| Verdict::Digest(Box::new(digest))));
    }

    /// Numbers events and lets them go.
    fn leave(&mut self, events: Vec<Alert>, out: &mut Vec<Verdict>) {
        judge::leave(&mut self.sequence, events, out);
    }

    /// The flow table on one side, what judges its updates on the other.
    fn split<'a>(&'a mut self, out: &'a mut Vec<Verdict>) -> (&'a mut FlowTable<Tag>, Judge<'a>) {
        let judge = Judge {
            processes: &mut self.processes,
            detector: &mut self.detector,
            destinations: &self.destinations,
            exceptions: &self.exceptions,
            privacy: &self.privacy,
            ledger: &mut self.ledger,
            host: &self.host,
            zone: self.zone,
            losses: &mut self.losses,
            tally: &mut self.tally,
            coverage: &mut self.coverage,
            memory: &mut self.memory,
            lifecycle: &mut self.lifecycle,
            ended: self.ended.as_mut(),
            sequence: &mut self.sequence,
            out,
        };
        (&mut self.flows, judge)
    }
}
