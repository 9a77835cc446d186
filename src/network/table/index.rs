//! How a flow is found: by its two ends, or by the name that its producer gave it.

use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::entry::Entry;
use super::slab::{Slab, Slot};
use crate::network::flow::FlowId;
use crate::observation::{Direction, Origin, Transport};

/// Two ends and what they speak over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuple {
    pub(super) origin: Origin,
    pub(super) transport: Transport,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
}

/// A packet or report on its way to its flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) tuple: Tuple,
    pub(super) direction: Option<Direction>,
    pub(super) pid: Option<i32>,
}

impl Sighting {
    /// The Mac's end, where the direction says so.
    fn local(&self) -> Option<SocketAddr> {
        self.direction.map(|direction| match direction {
            Direction::Outbound => self.tuple.source,
            Direction::Inbound => self.tuple.destination,
        })
    }

    /// How well the flow suits; `None` where it is somebody else's.
    fn suits<T>(&self, entry: &Entry<T>) -> Option<Suits> {
        if self.local().is_some_and(|local| local != entry.flow.local) {
            return None;
        }
        match (self.pid, entry.flow.owner.process) {
            (Some(pid), Some(owner)) if pid == owner.pid => Some(Suits::Owner),
            (Some(_), Some(_)) => None,
            _ => Some(Suits::Unowned),
        }
    }
}

/// From worse to better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suits {
    /// The packet or the flow has no known owner.
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
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), tuples: HashTable::new(), names: HashTable::new() }
    }

    /// The flow that a packet or report belongs to: one of its owner where there is one, else one that has no owner yet; of several
    /// that are accepted the one that was active last.
    #[inline]
    pub(super) fn find<T>(
        &self,
        flows: &Slab<Entry<T>>,
        sighting: &Sighting,
        accepts: impl Fn(&Entry<T>) -> bool,
    ) -> Option<Slot> {
        let candidates = self.chain(flows, &sighting.tuple).filter_map(|slot| {
            let entry = flows.get(slot).filter(|entry| accepts(entry))?;
            Some(((sighting.suits(entry)?, entry.flow.last), slot))
        });
        candidates.max_by_key(|(rank, _)| *rank).map(|(_, slot)| slot)
    }

    /// The oldest flow of a 5-tuple that has as many as are kept.
    pub(super) fn crowded_out<T>(&self, flows: &Slab<Entry<T>>, tuple: &Tuple) -> Option<Slot> {
        self.chain(flows, tuple).nth(SAME_TUPLE - 1)
    }

    /// The flows of a 5-tuple, youngest first.
    fn chain<'a, T>(&self, flows: &'a Slab<Entry<T>>, tuple: &Tuple) -> impl Iterator<Item = Slot> + 'a {
        let head = self.tuples.find(self.tuple_hash(tuple), |slot| is_between(flows, *slot, tuple)).copied();
        std::iter::successors(head, |slot| flows.get(*slot)?.same_tuple)
    }

    /// Makes a flow findable by its ends.
    pub(super) fn insert<T>(&mut self, flows: &mut Slab<Entry<T>>, slot: Slot) {
        let Some(entry) = flows.get(slot) else { return };
        let tuple = entry_tuple(entry);
        let hash = self.tuple_hash(&tuple);
        let next = self.tuples.find_mut(hash, |head| is_between(flows, *head, &tuple));
        let next = next.map(|head| std::mem::replace(head, slot));
        if next.is_none() {
            let hasher = self.hasher.clone();
            self.tuples.insert_unique(hash, slot, |slot| {
                flows.get(*slot).map_or(0, |entry| hash_tuple(&hasher, &entry_tuple(entry)))
            });
        }
        if let Some(entry) = flows.get_mut(slot) {
            entry.same_tuple = next;
        }
    }

    /// A flow is no longer found by its ends.
    pub(super) fn remove<T>(&mut self, flows: &mut Slab<Entry<T>>, slot: Slot) {
        let Some(entry) = flows.get_mut(slot) else { return };
        let next = entry.same_tuple.take();
        let tuple = entry_tuple(entry);
        let hash = self.tuple_hash(&tuple);
        let mut before = self.chain(flows, &tuple).take_while(|before| *before != slot).last();
        if let Some(before) = before.as_mut().and_then(|before| flows.get_mut(*before)) {
            if before.same_tuple == Some(slot) {
                before.same_tuple = next;
            }
        } else if let Ok(head) = self.tuples.find_entry(hash, |head| *head == slot) {
            match next {
                Some(next) => *head.into_mut() = next,
                None => drop(head.remove()),
            }
        }
    }

    /// The flow that reports call by this name.
    pub(super) fn named<T>(&self, flows: &Slab<Entry<T>>, origin: Origin, name: &str) -> Option<Slot> {
        let is_called = |slot: &Slot| flows.get(*slot).and_then(entry_name) == Some((origin, name));
        self.names.find(hash_name(&self.hasher, origin, name), is_called).copied()
    }

    /// Makes a flow findable by the name that it bears.
    pub(super) fn insert_name<T>(&mut self, flows: &Slab<Entry<T>>, slot: Slot) {
        let hasher = &self.hasher;
        let hash = |slot: &Slot| {
            let name = flows.get(*slot).and_then(entry_name);
            name.map_or(0, |(origin, name)| hash_name(hasher, origin, name))
        };
        self.names.insert_unique(hash(&slot), slot, hash);
    }

    /// A flow is no longer found by its name.
    pub(super) fn remove_name<T>(&mut self, flows: &Slab<Entry<T>>, slot: Slot) {
        let Some((origin, name)) = flows.get(slot).and_then(entry_name) else { return };
        if let Ok(entry) =
            self.names.find_entry(hash_name(&self.hasher, origin, name), |other| *other == slot)
        {
            entry.remove();
        }
    }

    fn tuple_hash(&self, tuple: &Tuple) -> u64 {
        hash_tuple(&self.hasher, tuple)
    }
}

fn entry_tuple<T>(entry: &Entry<T>) -> Tuple {
    let flow = &entry.flow;
    Tuple { origin: flow.origin, transport: flow.transport, source: flow.local, destination: flow.remote }
}

fn entry_name<T>(entry: &Entry<T>) -> Option<(Origin, &str)> {
    match &entry.flow.id {
        FlowId::Reported(name) => Some((entry.flow.origin, name)),
        FlowId::Numbered { .. } => None,
    }
}

#[inline]
fn is_between<T>(flows: &Slab<Entry<T>>, slot: Slot, tuple: &Tuple) -> bool {
    flows.get(slot).is_some_and(|entry| {
        let flow = &entry.flow;
        flow.transport == tuple.transport
            && flow.origin == tuple.origin
            && ((flow.local == tuple.source && flow.remote == tuple.destination)
                || (flow.local == tuple.destination && flow.remote == tuple.source))
    })
}

/// The same for both directions.
#[inline]
fn hash_tuple(hasher: &FixedState, tuple: &Tuple) -> u64 {
    let Tuple { origin, transport, source, destination } = *tuple;
    let mut state = hasher.build_hasher();
    let (low, high) = if source <= destination { (source, destination) } else { (destination, source) };
    for end in [low, high] {
        match end {
            SocketAddr::V4(end) => {
                state.write_u64(u64::from(end.ip().to_bits()) << 16 | u64::from(end.port()));
            }
            SocketAddr::V6(end) => {
                state.write_u128(end.ip().to_bits());
                state.write_u16(end.port());
            }
        }
    }
    state.write_u64(u64::from(origin.0) << 8 | u64::from(transport.number()));
    state.finish()
}

fn hash_name(hasher: &FixedState, origin: Origin, name: &str) -> u64 {
    hasher.hash_one((origin, name))
}

/// Live flows of one 5-tuple. A loopback connection has two, a multicast socket one for each process that listens; beyond that
/// somebody invents owners.
const SAME_TUPLE: usize = 8;
