//! The conversation with the kernel: what to ask, and what an answer means.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use thiserror::Error;

use super::flows::{Seen, Tracked};
use super::message::{Fault, Message, Messages, Provider, Request};
use super::{Counts, event};
use crate::observation::{FlowState, Gap, Observation, Origin, Timestamp};
use crate::source::live::Moment;
use crate::source::packet_tap::Names;

/// What the session wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A request goes to the kernel.
    Send(Request),
    /// A second control socket is opened and closed. The kernel keeps one mask of all events that any client asked for, looks at it before it
    /// looks at clients, and brings it up to date only when a client comes or goes, never when one asks: without this no event of
    /// ours may ever arrive (`nstat_control_connect` of XNU's `ntstat.c`).
    Nudge,
}

/// What the kernel knows besides, asked for where a flow needs it.
pub trait Lookup {
    /// The generation (`pidversion`) of a process, if the process that has the number now has this unique number too.
    fn generation(&mut self, pid: i32, unique_pid: u64) -> Option<i32>;

    /// The name of an interface.
    fn interface(&mut self, number: u32) -> Option<Arc<str>>;
}

/// The statistics cannot be used: the next source of flows has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The kernel refuses to tell of TCP connections.
    #[error("the kernel refuses its TCP statistics (error {0})")]
    Refused(u32),
    /// The kernel does not answer.
    #[error("the kernel does not answer requests for its statistics")]
    Silent,
    /// The kernel's messages have an unknown layout.
    #[error("the kernel's statistics have a layout that this version of tidemark does not know: {0}")]
    Layout(#[from] Fault),
}

/// What the session took in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Datagrams.
    pub datagrams: u64,
    /// Messages that could be read.
    pub messages: u64,
    /// Messages that could not.
    pub malformed: u64,
    /// Polls that were answered to the end.
    pub polls: u64,
    /// Sources whose last counts the kernel could not deliver.
    pub closed_after_drop: u64,
    /// Times that the socket's buffer overran.
    pub overruns: u64,
    /// Sources that came when as many as can be followed were.
    pub untracked: u64,
    /// Bytes of sources that went without ever having had a peer's address.
    pub unaddressed_bytes: u64,
}

/// The conversation, without the socket.
///
/// It begins with a request for the sources of each provider. When all are answered it nudges the kernel, then polls all sources once a second, part by part.
/// Sources that the first poll finds were there before: their flows are joined in the middle. Later ones begin.
#[derive(Debug)]
pub struct Session {
    /// Stands in front of every flow's id, so that two sessions of one recording do not share any.
    prefix: String,
    origin: Origin,
    actions: VecDeque<Action>,
    /// Providers that were asked for and have not answered, and since when.
    unanswered: Vec<Provider>,
    asked: Duration,
    poll: Poll,
    /// How long after an answer the next poll is due.
    poll_every: Duration,
    /// Whether all sources that were there at the beginning are known.
    is_listed: bool,
    sources: HashMap<u64, Tracked>,
    /// How many sources listen on a local port.
    listening: BTreeMap<u16, u32>,
    names: Names,
    untold_sources: u64,
    account: Account,
    refusal: Option<Refusal>,
}

/// Where polling stands.
#[derive(Debug, Clone, Copy)]
struct Poll {
    /// Of the latest poll.
    context: u64,
    /// Since when its answer is awaited.
    pending: Option<Duration>,
    /// When the next one is due.
    due: Duration,
}

impl Session {
    /// A session that has said nothing yet.
    pub fn new(prefix: impl Into<String>, origin: Origin, now: Moment) -> Self {
        let ask = |provider: Provider| Request::AddAll { context: u64::from(provider.number()), provider };
        Self {
            prefix: prefix.into(),
            origin,
            actions: Provider::FOLLOWED.into_iter().map(|provider| Action::Send(ask(provider))).collect(),
            unanswered: Provider::FOLLOWED.to_vec(),
            asked: now.steady,
            poll: Poll { context: FIRST_POLL, pending: None, due: now.steady },
            poll_every: POLL_EVERY,
            is_listed: false,
            sources: HashMap::new(),
            listening: BTreeMap::new(),
            names: Names::default(),
            untold_sources: 0,
            account: Account::default(),
            refusal: None,
        }
    }

    /// Polls so often from the next answer on.
    pub fn poll_every(&mut self, span: Duration) {
        self.poll_every = span;
    }

    /// The next thing to do; `None` where nothing is due.
    pub fn next_action(&mut self, now: Moment, out: &mut Vec<Observation>) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if !self.unanswered.is_empty() {
            if now.steady.saturating_sub(self.asked) >= PATIENCE {
                self.refusal.get_or_insert(Refusal::Silent);
            }
            return None;
        }
        if let Some(since) = self.poll.pending {
            if now.steady.saturating_sub(since) < PATIENCE {
                return None;
            }
            // The answer itself was lost.
            out.push(gap(now.wall, None));
        } else if now.steady < self.poll.due {
            return None;
        }
        self.poll.context = self.poll.context.wrapping_add(1).max(FIRST_POLL);
        self.poll.pending = Some(now.steady);
        Some(Action::Send(Request::Poll { context: self.poll.context }))
    }

    /// How long the kernel may be listened to before the next thing is due.
    pub fn patience(&self, now: Moment) -> Duration {
        if !self.actions.is_empty() {
            return Duration::ZERO;
        }
        let until = match (self.unanswered.is_empty(), self.poll.pending) {
            (false, _) => self.asked + PATIENCE,
            (true, Some(since)) => since + PATIENCE,
            (true, None) => self.poll.due,
        };
        until.saturating_sub(now.steady)
    }

    /// Takes a datagram; what it tells of is appended to `out`.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        now: Moment,
        lookup: &mut dyn Lookup,
        out: &mut Vec<Observation>,
    ) {
        self.account.datagrams = self.account.datagrams.saturating_add(1);
        for message in Messages::new(datagram) {
            match message {
                Ok(message) => {
                    self.account.messages = self.account.messages.saturating_add(1);
                    self.take(message, now, lookup, out);
                }
                Err(fault) => {
                    self.account.malformed = self.account.malformed.saturating_add(1);
                    tracing::debug!(%fault, "a message of the kernel's statistics cannot be read");
                    if matches!(fault, Fault::Layout { .. }) {
                        self.refusal.get_or_insert(fault.into());
                    }
                }
            }
        }
    }

    /// The socket's buffer overran: messages were lost, how many nobody knows. What still is there is asked for at once.
    pub fn overran(&mut self, now: Moment, out: &mut Vec<Observation>) {
        self.account.overruns = self.account.overruns.saturating_add(1);
        out.push(gap(now.wall, None));
        self.poll.pending = None;
        self.poll.due = now.steady;
    }

    /// Why the session cannot go on, if it cannot.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// What was taken in.
    pub fn account(&self) -> Account {
        self.account
    }

    /// How many sources are followed.
    pub fn followed(&self) -> usize {
        self.sources.len()
    }

    fn take(
        &mut self,
        message: Message<'_>,
        now: Moment,
        lookup: &mut dyn Lookup,
        out: &mut Vec<Observation>,
    ) {
        match message {
            Message::Success { context, is_partial } => self.succeeded(context, is_partial, now, out),
            Message::Error { context, errno } => self.failed(context, errno, now, out),
            Message::Update { source, is_closing, events, counts, provider, descriptor, domain } => {
                let began = self.is_listed || events & event::FLOW_STATE_OUTBOUND != 0;
                let seen = Seen { provider, counts: Some(counts), descriptor, domain, is_closing };
                self.see(source, began, &seen, now, lookup, out);
            }
            Message::Described { source, provider, descriptor } => {
                let seen = Seen { provider, counts: None, descriptor, domain: b"", is_closing: false };
                self.see(source, self.is_listed, &seen, now, lookup, out);
            }
            Message::Counts { source, counts } => {
                if let Some(tracked) = self.sources.get_mut(&source) {
                    tracked.count(counts);
                    out.extend(tracked.report(FlowState::Update, now.wall, self.origin));
                }
            }
            Message::Removed { source, after_drop } => self.removed(source, after_drop, now, out),
            Message::Added { .. } | Message::Other => {}
        }
    }

    fn succeeded(&mut self, context: u64, is_partial: bool, now: Moment, out: &mut Vec<Observation>) {
        if context < FIRST_POLL {
            self.answered(context);
        } else if context == self.poll.context && self.poll.pending.is_some() {
            if is_partial {
                self.poll.pending = Some(now.steady);
                self.actions.push_back(Action::Send(Request::Poll { context }));
                return;
            }
            self.poll.pending = None;
            self.poll.due = now.steady + self.poll_every;
            self.is_listed = true;
            self.account.polls = self.account.polls.saturating_add(1);
            let untold = std::mem::take(&mut self.untold_sources);
            if untold > 0 {
                out.push(gap(now.wall, Some(untold)));
            }
        }
    }

    fn failed(&mut self, context: u64, errno: u32, now: Moment, out: &mut Vec<Observation>) {
        if context < FIRST_POLL {
            let is_first = context == u64::from(Provider::TcpKernel.number());
            if is_first && errno != EALREADY {
                self.refusal.get_or_insert(Refusal::Refused(errno));
            }
            // Another kind of source may be missing: QUIC is younger than the interface.
            self.answered(context);
            return;
        }
        if context != self.poll.context || self.poll.pending.is_none() {
            return;
        }
        if errno != EAGAIN {
            // No memory for all of the answer: some of it was lost.
            out.push(gap(now.wall, None));
        }
        self.poll.pending = None;
        self.poll.due = now.steady + RETRY_AFTER;
    }

    /// A provider answered, well or not. When the last one has, the kernel is nudged, and the first poll is due.
    fn answered(&mut self, context: u64) {
        let before = self.unanswered.len();
        self.unanswered.retain(|provider| u64::from(provider.number()) != context);
        if before > 0 && self.unanswered.is_empty() {
            self.actions.push_back(Action::Nudge);
        }
    }

    fn see(
        &mut self,
        source: u64,
        began: bool,
        seen: &Seen<'_>,
        now: Moment,
        lookup: &mut dyn Lookup,
        out: &mut Vec<Observation>,
    ) {
        if !self.sources.contains_key(&source) {
            if self.sources.len() >= MOST_SOURCES {
                self.account.untracked = self.account.untracked.saturating_add(1);
                self.untold_sources = self.untold_sources.saturating_add(1);
                return;
            }
            let name = format!("{}{source:x}", self.prefix);
            self.sources.insert(source, Tracked::new(name, seen.provider, began));
        }
        let Some(tracked) = self.sources.get_mut(&source) else { return };
        let was_listening = tracked.listens_on();
        // A socket that talks to one peer after another is a flow for each.
        if tracked.changes_peer(seen) {
            out.extend(tracked.report(FlowState::Closed, now.wall, self.origin));
            tracked.turn_to_next_peer();
        }
        tracked.learn(seen, &mut self.names, lookup);
        let listening = tracked.listens_on();
        if was_listening != listening {
            note_listener(&mut self.listening, was_listening, listening);
        }
        tracked.guess_direction(&self.listening);
        let state = if seen.is_closing { FlowState::Closed } else { FlowState::Update };
        out.extend(tracked.report(state, now.wall, self.origin));
    }

    /// A source is gone. Where its last counts did not arrive, those known last have to do.
    fn removed(&mut self, source: u64, after_drop: bool, now: Moment, out: &mut Vec<Observation>) {
        if after_drop {
            self.account.closed_after_drop = self.account.closed_after_drop.saturating_add(1);
            out.push(gap(now.wall, Some(1)));
        }
        let Some(mut tracked) = self.sources.remove(&source) else { return };
        note_listener(&mut self.listening, tracked.listens_on(), None);
        out.extend(tracked.report(FlowState::Closed, now.wall, self.origin));
        if tracked.was_never_addressed() {
            let Counts { bytes_in, bytes_out, .. } = tracked.counts();
            let bytes = bytes_in.saturating_add(bytes_out);
            self.account.unaddressed_bytes = self.account.unaddressed_bytes.saturating_add(bytes);
        }
    }
}

/// Keeps count of the sockets that listen on a port.
fn note_listener(listening: &mut BTreeMap<u16, u32>, was: Option<u16>, is: Option<u16>) {
    if let Some(port) = was
        && let Some(count) = listening.get_mut(&port)
    {
        *count = count.saturating_sub(1);
        if *count == 0 {
            listening.remove(&port);
        }
    }
    if let Some(port) = is {
        let count = listening.entry(port).or_default();
        *count = count.saturating_add(1);
    }
}

fn gap(time: Timestamp, lost: Option<u64>) -> Observation {
    Observation::Gap(Box::new(Gap { time, source: Arc::from(super::SOURCE_NAME), lost }))
}

/// Contexts below this are the numbers of providers.
const FIRST_POLL: u64 = 1_000;
/// How often all sources are polled: the kernel walks the list of sources under a lock, and asks for no more than this.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How soon a poll that failed for want of memory is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// How long an answer is waited for: it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sources that are followed at most: four times the sockets that macOS allows all processes together by default
/// (`kern.ipc.maxsockets` bounds them well below).
const MOST_SOURCES: usize = 65_536;
/// `EAGAIN` of Darwin: a request with another context came in between.
const EAGAIN: u32 = 35;
/// `EALREADY` of Darwin: the sources of this provider were asked for before.
const EALREADY: u32 = 37;
