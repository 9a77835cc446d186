//! Moves bytes between a socket and a session.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::SOURCE_NAME;
use super::session::{Account, Action, Lookup, Session};
use crate::observation::{Observation, Origin};
use crate::source::live::{Clock, EffortCell};
use crate::source::{Position, Source, SourceReport};

/// A control socket of `com.apple.network.statistics`, or what stands for it in a test.
pub trait KernelSocket {
    /// Sends one request.
    ///
    /// # Errors
    /// What the system says.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;

    /// Waits at most so long for one datagram.
    ///
    /// # Errors
    /// Where the socket fails: nothing more will come.
    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<Received>;

    /// Opens and closes another socket of the kind ([`Action::Nudge`]).
    ///
    /// # Errors
    /// What the system says.
    fn nudge(&mut self) -> io::Result<()>;
}

/// What waiting for a datagram gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A datagram of this length.
    Datagram(usize),
    /// Nothing came.
    Nothing,
    /// The socket's buffer was full, and the kernel threw messages away (`ENOBUFS`).
    Overrun,
}

/// The statistics as a source. It ends where the socket fails or the session cannot go on; its report says why.
pub struct Reader<S, L, C> {
    socket: S,
    session: Session,
    effort: EffortCell,
    lookup: L,
    clock: C,
    buffer: Vec<u8>,
    ready: VecDeque<Observation>,
    report: SourceReport,
}

impl<S: KernelSocket, L: Lookup, C: Clock> Reader<S, L, C> {
    /// A reader of this socket; `prefix` stands in front of every flow's id.
    pub fn new(socket: S, lookup: L, mut clock: C, prefix: impl Into<String>, origin: Origin) -> Self {
        let session = Session::new(prefix, origin, clock.now());
        Self {
            socket,
            session,
            effort: EffortCell::default(),
            lookup,
            clock,
            buffer: vec![0; LONGEST_DATAGRAM],
            ready: VecDeque::new(),
            report: SourceReport::new(SOURCE_NAME),
        }
    }

    /// Keeps to this effort: polls as often as it says.
    #[must_use]
    pub fn with_effort(mut self, effort: EffortCell) -> Self {
        self.effort = effort;
        self
    }

    /// What was taken in.
    pub fn account(&self) -> Account {
        self.session.account()
    }

    /// Does what is due, and listens until something comes or something is due again.
    fn turn(&mut self) -> io::Result<()> {
        let mut seen = Vec::new();
        self.session.poll_every(self.effort.read().polling());
        while let Some(action) = self.session.next_action(self.clock.now(), &mut seen) {
            match action {
                Action::Send(request) => self.socket.send(&request.encode())?,
                Action::Nudge => self.socket.nudge()?,
            }
        }
        let patience = self.session.patience(self.clock.now());
        let received = self.socket.receive(&mut self.buffer, patience)?;
        let now = self.clock.now();
        match received {
            Received::Datagram(length) => {
                let datagram = self.buffer.get(..length).unwrap_or(&self.buffer);
                self.report.bytes = self.report.bytes.saturating_add(length as u64);
                self.session.receive(datagram, now, &mut self.lookup, &mut seen);
            }
            Received::Overrun => self.session.overran(now, &mut seen),
            Received::Nothing => {}
        }
        self.ready.extend(seen);
        Ok(())
    }
}

impl<S: KernelSocket, L: Lookup, C: Clock> Iterator for Reader<S, L, C> {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        while self.ready.is_empty() {
            if self.report.ended_early.is_some() {
                return None;
            }
            let turned = self.turn().map_err(|error| error.to_string());
            self.report.malformed = self.session.account().malformed;
            let refused = self.session.refusal().map(|refusal| refusal.to_string());
            if let Some(why) = turned.err().or(refused) {
                self.report.end_early(Position::Byte(self.report.bytes), why);
            }
        }
        self.report.observations = self.report.observations.saturating_add(1);
        self.ready.pop_front()
    }
}

impl<S: KernelSocket, L: Lookup, C: Clock> Source for Reader<S, L, C> {
    fn report(&self) -> &SourceReport {
        &self.report
    }
}

/// The most that one `recv` may give, in bytes: a message states its length in 16 bits.
pub(super) const LONGEST_DATAGRAM: usize = 1 << 16;
