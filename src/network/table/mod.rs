//! The flow table: packets and reports in, updates of flows out.
//!
//! [`FlowTable`] keeps one entry for each live flow in a `Slab`; an `Index` finds it by its ends or its reported name, `Aging` knows which
//! one was silent for too long, `Connection` when TCP ends it, and `Fragments` where a packet without ports belongs. Growth is not told
//! packet by packet: it waits in the entry until the [`SPAN`] is over. An entry has two halves, since most packets need only counting:
//! what that takes is `Hot`, the flow itself and what identifies it is `Cold`.

mod aging;
mod ahead;
mod clock;
mod entry;
mod fragments;
mod index;
mod packets;
mod reports;
mod slab;
mod suspend;
mod tcp;

use self::aging::{Aging, Class};
use self::clock::Clock;
use self::entry::{Cold, CountedBy, Flows, Hot, start};
use self::fragments::Fragments;
use self::index::{Index, Key};
use self::slab::Slot;
use self::tcp::Sequences;
use super::flow::{Flow, FlowId, FlowUpdate, Phase};
use super::identify::Identifier;
use super::report::TableReport;
use crate::observation::Timestamp;

pub use self::ahead::LOOK_AHEAD;
pub use self::clock::SPAN;
pub use self::suspend::{Snapshot, Suspended};

/// Joins packets and reports into flows, and tells how each one grows.
///
/// `T` is the caller's own word on a flow, kept with it until it ends. The table does no I/O and knows no wall clock: time comes with
/// the packets and reports, which should come in time order (up to a minute late is taken to happen now; later than that, the clock
/// is taken to have been set back). All methods tell what happened through `tell`, at once and in an order that depends on the input
/// alone.
///
/// # Which flow a packet belongs to
///
/// Ends, transport, capture and owner make a flow. A packet without an owner, or with the kernel for one, joins the flow of its ends,
/// and a flow without an owner is adopted by the first process that is named for it. Where packets say which way they went, the Mac's end is part of it too: a
/// loopback packet passes twice, out of one process and into another, and each of the two has its own flow with its own local end.
/// A packet through a VPN passes twice as well; inside and outside of the tunnel it has other ends, or is known to be tunnelled, and
/// is counted once for the app and once for what carries it.
///
/// # When a flow ends
///
/// With its `closed` report, after the idle limit of its kind (TCP 2 h 05 min, unanswered attempts 2 min, after FIN or RST 30 s,
/// others 1 min), when a SYN begins another connection on the same ends, or when it must make room.
#[derive(Debug)]
pub struct FlowTable<T> {
    limits: Limits,
    clock: Clock,
    flows: Flows<T>,
    index: Index,
    aging: Aging,
    fragments: Fragments,
    identifier: Identifier,
    /// Flows with growth to tell at the end of the span, in the order in which they first grew. A place may be listed in vain, when its
    /// flow ended meanwhile.
    untold: Vec<Slot>,
    account: TableReport,
}

/// What a table may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Live flows; the least recently active one makes room for a new one. At least one.
    pub flows: u32,
    /// Seed of the hash that finds a flow. It changes no answer, only who can foresee collisions.
    pub hash_seed: u64,
}

impl Default for Limits {
    /// A busy Mac has some thousand sockets; 131,072 flows leave room for a scan of two whole /16 networks within the limit for
    /// unanswered attempts, in less than 64 MiB.
    fn default() -> Self {
        Self { flows: 131_072, hash_seed: 0x7469_6465_6d61_726b }
    }
}

impl<T: Default> FlowTable<T> {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            clock: Clock::default(),
            flows: Flows::default(),
            index: Index::new(limits.hash_seed),
            aging: Aging::default(),
            fragments: Fragments::default(),
            identifier: Identifier::default(),
            untold: Vec::new(),
            account: TableReport::default(),
        }
    }

    /// Moves time on: tells growth of a span that is over, and ends flows that were idle for too long.
    #[inline]
    pub fn advance(&mut self, now: Timestamp, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        if self.clock.advance(now) {
            self.tell_growth(tell);
        }
        if self.aging.may_be_due(self.clock.steady()) {
            while let Some(slot) = self.aging.due(self.clock.steady()) {
                self.end(slot, tell);
            }
        }
    }

    /// Ends every flow, in the order in which they began, and leaves the table ready for an unrelated input. The account goes on.
    pub fn finish(&mut self, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.tell_growth(tell);
        // Nothing is looked up any more, so that no flow has to be taken out on its own.
        self.index = Index::new(self.limits.hash_seed);
        self.aging = Aging::default();
        for slot in self.in_order_of_beginning() {
            self.conclude(slot, tell);
        }
        self.fragments.clear(&mut self.account.undecoded.orphan_fragment);
        self.clock = Clock::default();
    }

    /// The live flows, those that began first first.
    fn in_order_of_beginning(&self) -> Vec<Slot> {
        // Places alone, for this is when a table may be at its largest.
        let mut live = Vec::with_capacity(self.flows.len());
        live.extend(self.flows.iter().map(|(slot, _)| slot));
        live.sort_unstable_by_key(|slot| self.flows.cold(*slot).map(|cold| cold.flow.serial));
        live
    }

    /// How many flows are live.
    pub fn live(&self) -> usize {
        self.flows.len()
    }

    /// What was taken in so far, and what could not be.
    pub fn account(&self) -> &TableReport {
        &self.account
    }

    /// Makes room for a flow and lets it in.
    fn admit(
        &mut self,
        flow: Flow,
        client_is_local: bool,
        class: Class,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) -> Option<Slot> {
        let (key, _) = Key::new(flow.origin, flow.transport, flow.local, flow.remote);
        self.admit_under(key, flow, client_is_local, class, tell)
    }

    /// As [`FlowTable::admit`], under this key of its ends.
    fn admit_under(
        &mut self,
        key: Key,
        mut flow: Flow,
        client_is_local: bool,
        class: Class,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) -> Option<Slot> {
        if self.flows.len() >= usize::try_from(self.limits.flows.max(1)).unwrap_or(usize::MAX) {
            let oldest = self.aging.oldest()?;
            self.account.evicted = self.account.evicted.saturating_add(1);
            self.end(oldest, tell);
        }
        let (_, mut local_is_low) = Key::new(flow.origin, flow.transport, flow.local, flow.remote);
        if flow.local == flow.remote {
            // Nothing but the direction tells the two ends apart.
            local_is_low = client_is_local;
        }
        if let Some(crowded_out) = self.index.crowded_out(&self.flows, &key) {
            self.displace(crowded_out, tell);
        }
        self.account.flows = self.account.flows.saturating_add(1);
        flow.serial = self.account.flows;
        if let FlowId::Numbered(serial) = &mut flow.id {
            *serial = flow.serial;
        }
        let inspection = self.identifier.begin(&start(&flow, client_is_local), &mut flow.identified);
        let mut hot = Hot::new(key, &flow, class, local_is_low, client_is_local);
        hot.is_inspected = !inspection.is_done();
        let cold = Cold {
            flow,
            tag: T::default(),
            inspection,
            saw_payload: false,
            sequences: Sequences::default(),
            last_report: None,
        };
        let slot = self.flows.insert(hot, cold)?;
        self.index.insert(&mut self.flows, slot);
        self.aging.enter(&mut self.flows, slot, self.clock.steady());
        Some(slot)
    }

    /// Tells what cannot wait, and puts the rest off to the end of the span.
    #[inline]
    fn settle(
        &mut self,
        slot: Slot,
        class: Class,
        began: bool,
        identified: bool,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) {
        if began || identified {
            self.tell_news(slot, began, tell);
        }
        let steady = self.clock.steady();
        let Some(hot) = self.flows.hot_mut(slot) else { return };
        let waits_anew = !hot.awaits_telling && !hot.growth.is_zero();
        if waits_anew {
            hot.awaits_telling = true;
            self.untold.push(slot);
        }
        if !aging::is_in_place(hot, class, steady) {
            self.aging.touch(&mut self.flows, slot, class, steady);
        }
        if waits_anew && self.untold.len() > self.most_untold() {
            self.tell_growth(tell);
        }
    }

    /// Only an input that holds time still can have more: then its span is told in parts.
    fn most_untold(&self) -> usize {
        usize::try_from(self.limits.flows).unwrap_or(usize::MAX).saturating_mul(2)
    }

    /// Tells that a flow began, or that its protocol was found, or both: some protocols are known from the first packet on.
    fn tell_news(&mut self, slot: Slot, began: bool, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        let Some((hot, cold)) = self.flows.both_mut(slot) else { return };
        let now = hot.last;
        if began {
            cold.tell(hot, Phase::Began, now, tell);
        }
        if !began || cold.flow.identified.protocol.is_some() {
            cold.tell(hot, Phase::Identified, now, tell);
        }
    }

    fn tell_growth(&mut self, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        for slot in self.untold.drain(..) {
            let Some((hot, cold)) = self.flows.both_mut(slot) else { continue };
            hot.awaits_telling = false;
            if !hot.growth.is_zero() {
                cold.tell(hot, Phase::Grew, hot.last, tell);
            }
        }
    }

    /// Another flow takes this one's ends. What its producer counts goes on until the producer says that it ended, or its last report
    /// would be taken for a flow that began and ended unseen.
    fn displace(&mut self, slot: Slot, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        if self.flows.hot(slot).is_some_and(|hot| hot.counted_by != CountedBy::Packets) {
            self.index.remove(&mut self.flows, slot);
        } else {
            self.end(slot, tell);
        }
    }

    fn end(&mut self, slot: Slot, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.index.remove(&mut self.flows, slot);
        self.index.remove_name(&self.flows, slot);
        self.aging.leave(&self.flows, slot);
        self.conclude(slot, tell);
    }

    /// Tells the end of a flow that is not to be found any more, and makes its place vacant.
    fn conclude(&mut self, slot: Slot, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        let Some((hot, cold)) = self.flows.both_mut(slot) else { return };
        let now = self.clock.now();
        if cold.finish_inspection(hot, &mut self.identifier) {
            cold.tell(hot, Phase::Identified, now, tell);
        }
        cold.tell(hot, Phase::Ended, now, tell);
        self.account.cut_short = self.identifier.evicted();
        self.flows.remove(slot);
    }
}

#[cfg(test)]
mod tests;
