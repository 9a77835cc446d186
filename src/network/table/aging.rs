//! Which flow has been silent for longest, and which for too long.

use std::time::Duration;

use super::clock::nanos;
use super::entry::{Flows, Hot};
use super::slab::Slot;

/// How long a flow may be silent depends on what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A TCP connection that nobody has answered.
    TcpOpening,
    /// A TCP connection.
    TcpOpen,
    /// A TCP connection after both FINs, or an RST.
    TcpClosing,
    /// UDP.
    Udp,
    /// Any other IP protocol.
    Other,
    /// A flow whose producer says when it ends.
    Reported,
}

impl Class {
    /// In ascending order of nothing: the order in which flows that are due at the same time end.
    const ALL: [Self; 6] =
        [Self::TcpOpening, Self::TcpOpen, Self::TcpClosing, Self::Udp, Self::Other, Self::Reported];

    /// The idle limit.
    pub(super) const fn limit(self) -> Duration {
        match self {
            // macOS gives up a connection attempt after 75 s (`TCPTV_KEEP_INIT`, bsd/netinet/tcp_timer.h).
            Self::TcpOpening => Duration::from_secs(120),
            // A connection may be silent for as long as nobody probes it: 2 h by default (RFC 9293 section 3.8.4; `TCPTV_KEEP_IDLE`),
            // and the probes keep it. Ended too soon, what follows would be joined in its middle and its protocol lost.
            Self::TcpOpen => Duration::from_secs(2 * 3_600 + 300),
            // TIME_WAIT lasts 30 s on macOS (2 × `TCPTV_MSL`): until then late segments belong to the old connection.
            Self::TcpClosing => Duration::from_secs(30),
            // As Zeek (`udp_inactivity_timeout`) and Arkime (`udpTimeout`) have it. What keeps a UDP path open sends more often: STUN
            // every 15 s (RFC 8445 section 11), WireGuard every 25 s.
            Self::Udp | Self::Other => Duration::from_secs(60),
            // A backstop for producers that forget; an idle terminal session survives a long weekend.
            Self::Reported => Duration::from_secs(7 * 86_400),
        }
    }

    /// When a flow of this class that was queued at this steady time is due.
    fn due(self, queued: u64) -> u64 {
        queued.saturating_add(nanos(self.limit())).saturating_add(nanos(GRAIN))
    }
}

/// Neighbours in a queue.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    older: Option<Slot>,
    newer: Option<Slot>,
}

/// A queue for each class, linked by the places of the flows. As every flow of a class has the same limit, the one that was queued
/// first is due first, and no table needs to be searched.
///
/// A flow moves to the young end at most once a [`GRAIN`]; so the order is true to a grain, and a flow ends up to a grain late,
/// never early. The links lie close together, apart from the flows, so that moving one of them does not fetch its neighbours.
#[derive(Debug)]
pub(super) struct Aging {
    /// By place.
    links: Vec<Link>,
    queues: [Queue; Class::ALL.len()],
    /// No flow is due earlier.
    next_due: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Queue {
    oldest: Option<Slot>,
    newest: Option<Slot>,
    /// When the oldest was put here, so that nobody has to ask the flow.
    since: u64,
}

impl Default for Aging {
    fn default() -> Self {
        Self { links: Vec::new(), queues: [Queue::default(); Class::ALL.len()], next_due: u64::MAX }
    }
}

impl Aging {
    /// Whether [`Aging::due`] may have an answer.
    #[inline]
    pub(super) fn may_be_due(&self, steady: u64) -> bool {
        steady >= self.next_due
    }

    /// The flow that has been due for longest.
    pub(super) fn due(&mut self, steady: u64) -> Option<Slot> {
        let first = self.first_by(Class::due);
        self.next_due = first.map_or(u64::MAX, |(due, _)| due);
        first.filter(|(due, _)| *due <= steady).map(|(_, slot)| slot)
    }

    /// The flow that has been silent for longest.
    pub(super) fn oldest(&self) -> Option<Slot> {
        self.first_by(|_, queued| queued).map(|(_, slot)| slot)
    }

    fn first_by(&self, key: impl Fn(Class, u64) -> u64) -> Option<(u64, Slot)> {
        let heads = Class::ALL
            .into_iter()
            .zip(&self.queues)
            .filter_map(|(class, queue)| Some((key(class, queue.since), queue.oldest?)));
        heads.min_by_key(|(key, _)| *key)
    }

    /// Puts a flow that is in no queue at the young end of its class.
    pub(super) fn enter<T>(&mut self, flows: &mut Flows<T>, slot: Slot, steady: u64) {
        let Some(hot) = flows.hot_mut(slot) else { return };
        hot.queued = steady;
        let class = hot.class;
        let Some(queue) = self.queues.get_mut(class as usize) else { return };
        if slot.index() >= self.links.len() {
            self.links.resize(slot.index() + 1, Link::default());
        }
        let older = queue.newest.replace(slot);
        let link = Link { older, newer: None };
        if let Some(place) = self.links.get_mut(slot.index()) {
            *place = link;
        }
        if let Some(neighbour) = older.and_then(|older| self.links.get_mut(older.index())) {
            neighbour.newer = Some(slot);
        } else {
            (queue.oldest, queue.since) = (Some(slot), steady);
        }
        self.next_due = self.next_due.min(class.due(steady));
    }

    /// Takes a flow out of the queue of its class.
    pub(super) fn leave<T>(&mut self, flows: &Flows<T>, slot: Slot) {
        let Some(hot) = flows.hot(slot) else { return };
        let Some(queue) = self.queues.get_mut(hot.class as usize) else { return };
        let Some(Link { older, newer }) = self.links.get(slot.index()).copied() else { return };
        if let Some(neighbour) = older.and_then(|older| self.links.get_mut(older.index())) {
            neighbour.newer = newer;
        } else {
            queue.oldest = newer;
            queue.since = newer.and_then(|newer| flows.hot(newer)).map_or(0, |hot| hot.queued);
        }
        match newer.and_then(|newer| self.links.get_mut(newer.index())) {
            Some(neighbour) => neighbour.older = older,
            None => queue.newest = older,
        }
    }

    /// The flow was active, and belongs to this class now: it moves to the young end.
    pub(super) fn touch<T>(&mut self, flows: &mut Flows<T>, slot: Slot, class: Class, steady: u64) {
        self.leave(flows, slot);
        if let Some(hot) = flows.hot_mut(slot) {
            hot.class = class;
        }
        self.enter(flows, slot, steady);
    }
}

/// Whether a flow of this class that is active may stay where it is.
#[inline]
pub(super) fn is_in_place(hot: &Hot, class: Class, steady: u64) -> bool {
    hot.class == class && steady.saturating_sub(hot.queued) < nanos(GRAIN)
}

/// A flow that is active all the time moves in its queue this often.
const GRAIN: Duration = Duration::from_secs(1);
