//! How a flow is found: by its two ends, or by the name that its producer gave it.

use std::hash::{BuildHasher, Hash, Hasher};
use std::hint::select_unpredictable;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::entry::{Flows, Hot};
use super::slab::Slot;
use crate::network::flow::FlowId;
use crate::network::packet::End;
use crate::observation::{Direction, Origin, Transport};

/// Two ends in order, and what they speak over: the same for both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    low: u128,
    high: u128,
    /// Of the low end, then of the high one.
    ports: u32,
    origin: Origin,
    /// The transport's number, and above it [`TUNNELLED`].
    protocol: u64,
}

impl Key {
    /// The key, and whether the first of the two ends is the low one.
    #[inline]
    pub(super) fn new(
        origin: Origin,
        transport: Transport,
        first: impl Into<End>,
        second: impl Into<End>,
    ) -> (Self, bool) {
        let (first, second) = (first.into(), second.into());
        let (a, b) = (first.bits(), second.bits());
        let (a_port, b_port) = (u32::from(first.port()), u32::from(second.port()));
        #[allow(
            clippy::needless_bitwise_bool,
            reason = "a lazy operator is a branch, and packets go either way"
        )]
        let first_is_low = (a < b) | ((a == b) & (a_port <= b_port));
        let low = select_unpredictable(first_is_low, a, b);
        let ports = a_port << 16 | b_port;
        let ports = select_unpredictable(first_is_low, ports, ports.rotate_left(16));
        let protocol = u64::from(transport.number());
        (Self { low, high: a ^ b ^ low, ports, origin, protocol }, first_is_low)
    }

    /// The key of the same ends inside a tunnel. A Mac that tunnels shows each packet twice: on the tunnel's interface with its process,
    /// and inside of what leaves the Mac.
    #[inline]
    pub(super) fn tunnelled(self, tunnelled: bool) -> Self {
        Self { protocol: self.protocol | if tunnelled { TUNNELLED } else { 0 }, ..self }
    }
}

impl Hash for Key {
    /// In three words, where a derived one would take five steps for each packet.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { low, high, ports, origin, protocol } = *self;
        state.write_u128(low);
        state.write_u128(high);
        let rest = u64::from(ports) << 32 | u64::from(origin.0);
        state.write_u128(u128::from(rest) << 64 | u128::from(protocol));
    }
}

/// A packet or report on its way to its flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) key: Key,
    /// Which end of the key sent it.
    pub(super) source_is_low: bool,
    pub(super) direction: Option<Direction>,
    pub(super) pid: Option<i32>,
}

impl Sighting {
    /// Whether it goes away from the flow's local end.
    #[inline]
    pub(super) fn is_outward(&self, hot: &Hot) -> bool {
        self.source_is_low == hot.local_is_low
    }

    /// How well the flow suits; `None` where it is somebody else's.
    #[inline]
    fn suits(&self, hot: &Hot) -> Option<Suits> {
        let outward = self.direction.map(|direction| direction == Direction::Outbound);
        if outward.is_some_and(|outward| outward != self.is_outward(hot)) {
            return None;
        }
        match (self.pid, hot.pid()) {
            (Some(pid), Some(owner)) if pid == owner => Some(Suits::Owner),
            (Some(KERNEL) | None, _) | (_, Some(KERNEL) | None) => Some(Suits::Unowned),
            _ => None,
        }
    }
}

/// From worse to better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suits {
    /// The packet or the flow has no known owner, or the kernel for one.
    Unowned,
    /// They have the same.
    Owner,
}

/// The ways to a flow.
///
/// The table keeps places only; what they are keyed by stands in the flows. Flows of one 5-tuple (a loopback connection has two: each
/// end's own) form a short chain. Nothing is ever read out in hash order, so the seed shapes the cost and never an answer: it is fixed
/// for replay, and a daemon may draw one. Who knew it could choose ports and addresses that collide; then a look-up compares at most
/// as many flows as the table may hold.
#[derive(Debug)]
pub(super) struct Index {
    hasher: FixedState,
    tuples: HashTable<Slot>,
    names: HashTable<Slot>,
    /// Where the look-up before found its 5-tuple: packets come in runs. Void as soon as flows come or go.
    latest: Option<Slot>,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self { hasher, tuples: HashTable::new(), names: HashTable::new(), latest: None }
    }

    /// The flow that a packet or report belongs to: one of its owner where there is one, else one that has no owner yet; of several
    /// that are accepted the one that was active last.
    #[inline]
    pub(super) fn find<T>(
        &mut self,
        flows: &Flows<T>,
        sighting: &Sighting,
        accepts: impl Fn(&Hot) -> bool,
    ) -> Option<Slot> {
        let key = &sighting.key;
        let latest = self.latest.filter(|slot| flows.hot(*slot).is_some_and(|hot| hot.key == *key));
        let mut next = latest.or_else(|| self.head(flows, key));
        self.latest = next;
        let mut best = None;
        while let Some(slot) = next {
            let hot = flows.hot(slot)?;
            next = hot.same_tuple;
            if let Some(suits) = sighting.suits(hot).filter(|_| accepts(hot)) {
                let rank = (suits, hot.last);
                if best.is_none_or(|(other, _)| rank > other) {
                    best = Some((rank, slot));
                }
            }
        }
        best.map(|(_, slot)| slot)
    }

    /// The oldest flow of a 5-tuple that has as many as are kept.
    pub(super) fn crowded_out<T>(&self, flows: &Flows<T>, key: &Key) -> Option<Slot> {
        self.chain(flows, key).nth(SAME_TUPLE - 1)
    }

    #[inline]
    fn head<T>(&self, flows: &Flows<T>, key: &Key) -> Option<Slot> {
        let is_it = |slot: &Slot| flows.hot(*slot).is_some_and(|hot| hot.key == *key);
        self.tuples.find(self.hasher.hash_one(key), is_it).copied()
    }

    /// The flows of a 5-tuple, youngest first.
    fn chain<'a, T>(&self, flows: &'a Flows<T>, key: &Key) -> impl Iterator<Item = Slot> + 'a {
        std::iter::successors(self.head(flows, key), |slot| flows.hot(*slot)?.same_tuple)
    }

    /// Makes a flow findable by its ends.
    pub(super) fn insert<T>(&mut self, flows: &mut Flows<T>, slot: Slot) {
        let Some(key) = flows.hot(slot).map(|hot| hot.key) else { return };
        let Self { hasher, tuples, latest, .. } = self;
        *latest = None;
        let is_it = |slot: &Slot| flows.hot(*slot).is_some_and(|hot| hot.key == key);
        let hash = |slot: &Slot| flows.hot(*slot).map_or(0, |hot| hasher.hash_one(hot.key));
        let next = match tuples.entry(hasher.hash_one(key), is_it, hash) {
            Entry::Occupied(mut head) => Some(std::mem::replace(head.get_mut(), slot)),
            Entry::Vacant(place) => {
                place.insert(slot);
                None
            }
        };
        if let Some(hot) = flows.hot_mut(slot) {
            hot.same_tuple = next;
        }
    }

    /// A flow is no longer found by its ends.
    pub(super) fn remove<T>(&mut self, flows: &mut Flows<T>, slot: Slot) {
        self.latest = None;
        let Some(hot) = flows.hot_mut(slot) else { return };
        let next = hot.same_tuple.take();
        let key = hot.key;
        // Nearly always the only one of its ends.
        if let Ok(head) = self.tuples.find_entry(self.hasher.hash_one(key), |head| *head == slot) {
            match next {
                Some(next) => *head.into_mut() = next,
                None => drop(head.remove()),
            }
            return;
        }
        let before = self
            .chain(flows, &key)
            .find(|before| flows.hot(*before).is_some_and(|before| before.same_tuple == Some(slot)));
        if let Some(before) = before.and_then(|before| flows.hot_mut(before)) {
            before.same_tuple = next;
        }
    }

    /// The flow that reports call by this name.
    pub(super) fn named<T>(&self, flows: &Flows<T>, origin: Origin, name: &str) -> Option<Slot> {
        let is_called = |slot: &Slot| bears(flows, *slot) == Some((origin, name));
        self.names.find(self.hasher.hash_one((origin, name)), is_called).copied()
    }

    /// The flow that is likely to bear this name: found by a part of the name's hash alone, without a look at the flow.
    #[inline]
    pub(super) fn probably_named(&self, origin: Origin, name: &str) -> Option<Slot> {
        self.names.find(self.hasher.hash_one((origin, name)), |_| true).copied()
    }

    /// Makes a flow findable by the name that it bears.
    pub(super) fn insert_name<T>(&mut self, flows: &Flows<T>, slot: Slot) {
        let Self { hasher, names, .. } = self;
        let hash = |slot: &Slot| bears(flows, *slot).map_or(0, |name| hasher.hash_one(name));
        names.insert_unique(hash(&slot), slot, hash);
    }

    /// A flow is no longer found by its name.
    pub(super) fn remove_name<T>(&mut self, flows: &Flows<T>, slot: Slot) {
        let Some(name) = bears(flows, slot) else { return };
        if let Ok(entry) = self.names.find_entry(self.hasher.hash_one(name), |other| *other == slot) {
            entry.remove();
        }
    }
}

/// The name that reports gave a flow.
fn bears<T>(flows: &Flows<T>, slot: Slot) -> Option<(Origin, &str)> {
    let flow = &flows.cold(slot)?.flow;
    match &flow.id {
        FlowId::Reported(name) => Some((flow.origin, name.as_str())),
        FlowId::Numbered(_) => None,
    }
}

/// Set in [`Key`] for what came inside another IP packet; the numbers of transports end below.
const TUNNELLED: u64 = 1 << 8;

/// The number of `kernel_task`. The kernel works on the sockets of others (retransmission, teardown, a connection that is handed
/// over), so its name on a packet or report says no more than none.
pub(super) const KERNEL: i32 = 0;

/// Live flows of one 5-tuple. A loopback connection has two, a multicast socket one for each process that listens; beyond that
/// somebody invents owners.
const SAME_TUPLE: usize = 8;
