//! The flow table: packets and reports in, updates of flows out.
//!
//! [`FlowTable`] keeps one entry for each live flow in a `Slab`; an `Index` finds it by its ends or its reported name, `Aging` knows which
//! one was silent for too long, `Connection` when TCP ends it, and `Fragments` where a packet without ports belongs. Growth is not told
//! packet by packet: it waits in the entry until the [`SPAN`] is over.

mod aging;
mod clock;
mod entry;
mod fragments;
mod index;
mod reports;
mod slab;
mod tcp;

use self::aging::{Aging, Class};
use self::clock::Clock;
use self::entry::Entry;
use self::fragments::{Fragmented, Fragments, Home, Waiting};
use self::index::{Index, Sighting, Tuple};
use self::slab::{Slab, Slot};
use self::tcp::Connection;
use super::flow::{Counters, Flow, FlowId, FlowOwner, FlowUpdate, Phase};
use super::identify::{Identified, Identifier, Segment, Start};
use super::packet::{Datagram, LaterFragment, TcpFlags, Walk, walk};
use super::report::TableReport;
use crate::observation::{Direction, Packet, ProcessKey, Timestamp, Transport};

pub use self::clock::SPAN;

/// Joins packets and reports into flows, and tells how each one grows.
///
/// `T` is the caller's own word on a flow, kept with it until it ends. The table does no I/O and knows no wall clock: time comes with
/// the packets and reports, which should come in time order (up to a minute late is taken to happen now; later than that, the clock
/// is taken to have been set back). All methods tell what happened through `tell`, at once and in an order that depends on the input
/// alone.
///
/// # Which flow a packet belongs to
///
/// Ends, transport, capture and owner make a flow. A packet without an owner joins the flow of its ends, and a flow without an owner
/// is adopted by the first process that is named for it. Where packets say which way they went, the Mac's end is part of it too: a
/// loopback packet passes twice, out of one process and into another, and each of the two has its own flow with its own local end.
///
/// # When a flow ends
///
/// With its `closed` report, after the idle limit of its kind (TCP 2 h 05 min, unanswered attempts 2 min, after FIN or RST 30 s,
/// others 1 min), when a SYN begins another connection on the same ends, or when it must make room.
#[derive(Debug)]
pub struct FlowTable<T> {
    limits: Limits,
    clock: Clock,
    flows: Slab<Entry<T>>,
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
            flows: Slab::default(),
            index: Index::new(limits.hash_seed),
            aging: Aging::default(),
            fragments: Fragments::default(),
            identifier: Identifier::default(),
            untold: Vec::new(),
            account: TableReport::default(),
        }
    }

    /// Takes a packet.
    pub fn packet(&mut self, packet: &Packet, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.advance(packet.time, tell);
        let wire = u64::from(packet.wire_length);
        self.account.packets = self.account.packets.saturating_add(1);
        self.account.wire_bytes = self.account.wire_bytes.saturating_add(wire);
        match walk(packet.link_type, &packet.data, packet.wire_length) {
            Ok(Walk::Datagram(datagram)) => self.datagram(packet, &datagram, tell),
            Ok(Walk::LaterFragment(fragment)) => self.later_fragment(packet, fragment, tell),
            Err(reason) => self.account.undecoded.of(reason).add(1, wire),
        }
    }

    /// Moves time on: tells growth of a span that is over, and ends flows that were idle for too long.
    #[inline]
    pub fn advance(&mut self, now: Timestamp, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        if self.clock.advance(now) {
            self.tell_growth(tell);
        }
        if self.aging.may_be_due(self.clock.steady()) {
            while let Some(slot) = self.aging.due(&self.flows, self.clock.steady()) {
                self.end(slot, tell);
            }
        }
    }

    /// Ends every flow, in the order in which they began, and leaves the table ready for an unrelated input. The account goes on.
    pub fn finish(&mut self, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.tell_growth(tell);
        let mut live: Vec<_> = self.flows.iter().map(|(slot, entry)| (entry.flow.serial, slot)).collect();
        live.sort_unstable_by_key(|(serial, _)| *serial);
        for (_, slot) in live {
            self.end(slot, tell);
        }
        self.fragments.clear(&mut self.account.undecoded.orphan_fragment);
        self.clock = Clock::default();
    }

    /// How many flows are live.
    pub fn live(&self) -> usize {
        self.flows.len()
    }

    /// What was taken in so far, and what could not be.
    pub fn account(&self) -> &TableReport {
        &self.account
    }

    fn datagram(
        &mut self,
        packet: &Packet,
        datagram: &Datagram<'_>,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) {
        let sighting = sighting(packet, datagram);
        let (slot, began) = if let Some(slot) = self.flow_of(&sighting, datagram, tell) {
            (slot, false)
        } else if let Some(slot) = self.begin(packet, datagram, &sighting, tell) {
            (slot, true)
        } else {
            return;
        };
        let Some(entry) = self.flows.get_mut(slot) else { return };
        let outward = is_outward(&entry.flow, &sighting);
        let from_client = outward == entry.client_is_local;
        let mut passed = Waiting::one(datagram.wire_payload, packet.wire_length).going(outward);
        if let Some(key) = datagram.fragment {
            let of = Fragmented { origin: packet.origin, direction: packet.direction, key };
            let home = Home { slot, serial: entry.flow.serial, outward };
            let lost = &mut self.account.undecoded.orphan_fragment;
            passed += self.fragments.first(of, home, self.clock.steady(), lost).going(outward);
        }
        entry.flow.last = self.clock.now();
        entry.count_packets(passed);
        entry.adopt(packet);
        if let Some(header) = datagram.tcp {
            entry.connection.observe(from_client, header);
        }
        let identified = entry.inspect(&mut self.identifier, from_client, datagram);
        let class = entry.class_now();
        self.settle(slot, class, began, identified, tell);
    }

    fn later_fragment(
        &mut self,
        packet: &Packet,
        fragment: LaterFragment,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) {
        let of = Fragmented { origin: packet.origin, direction: packet.direction, key: fragment.key };
        let counts = Waiting::one(fragment.wire_payload, packet.wire_length);
        let lost = &mut self.account.undecoded.orphan_fragment;
        let Some(home) = self.fragments.later(of, counts, self.clock.steady(), lost) else { return };
        match self.flows.get_mut(home.slot).filter(|entry| entry.flow.serial == home.serial) {
            Some(entry) => {
                entry.flow.last = self.clock.now();
                entry.count_packets(counts.going(home.outward));
                let class = entry.class;
                self.settle(home.slot, class, false, false, tell);
            }
            None => lost.add(1, u64::from(packet.wire_length)),
        }
    }

    /// The live flow that a packet belongs to; a SYN that begins another connection takes its place.
    #[inline]
    fn flow_of(
        &mut self,
        sighting: &Sighting,
        datagram: &Datagram<'_>,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) -> Option<Slot> {
        let slot = self.index.find(&self.flows, sighting, |_| true)?;
        if let Some(header) = datagram.tcp.filter(|header| header.flags.opens()) {
            let entry = self.flows.get(slot)?;
            let from_client = is_outward(&entry.flow, sighting) == entry.client_is_local;
            if entry.connection.is_followed_by(from_client, header) {
                self.displace(slot, tell);
                return None;
            }
        }
        Some(slot)
    }

    fn begin(
        &mut self,
        packet: &Packet,
        datagram: &Datagram<'_>,
        sighting: &Sighting,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) -> Option<Slot> {
        let flags = datagram.tcp.map(|header| header.flags);
        let answers = flags.is_some_and(|flags| flags.any(TcpFlags::SYN) && flags.any(TcpFlags::ACK));
        let midstream = flags.is_some_and(|flags| !flags.any(TcpFlags::SYN));
        // An answer to a SYN shows who sent it; else the end that sends first is the client.
        let outward = match sighting.direction {
            Some(direction) => direction == Direction::Outbound,
            None => !answers,
        };
        let (local, remote) = if outward {
            (datagram.source, datagram.destination)
        } else {
            (datagram.destination, datagram.source)
        };
        let client_is_local = outward != answers;
        let initiator = if client_is_local { Direction::Outbound } else { Direction::Inbound };
        let now = self.clock.now();
        let flow = Flow {
            id: FlowId::Numbered { origin: packet.origin, serial: 0 },
            serial: 0,
            origin: packet.origin,
            owner: FlowOwner::default(),
            transport: datagram.transport,
            local,
            remote,
            direction: (!midstream).then_some(initiator),
            interface: packet.interface.clone(),
            counters: Counters::default(),
            unwindowed: Counters::default(),
            start: now,
            last: now,
            midstream,
            attempted: false,
            identified: Identified::default(),
        };
        let class = match datagram.transport {
            Transport::Tcp => Class::TcpOpen,
            Transport::Udp => Class::Udp,
            _ => Class::Other,
        };
        self.admit(flow, client_is_local, class, tell)
    }

    /// Makes room for a flow and lets it in.
    fn admit(
        &mut self,
        mut flow: Flow,
        client_is_local: bool,
        class: Class,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) -> Option<Slot> {
        if self.flows.len() >= usize::try_from(self.limits.flows.max(1)).unwrap_or(usize::MAX) {
            let oldest = self.aging.oldest(&self.flows)?;
            self.account.evicted = self.account.evicted.saturating_add(1);
            self.end(oldest, tell);
        }
        let tuple = Tuple {
            origin: flow.origin,
            transport: flow.transport,
            source: flow.local,
            destination: flow.remote,
        };
        if let Some(crowded_out) = self.index.crowded_out(&self.flows, &tuple) {
            self.displace(crowded_out, tell);
        }
        self.account.flows = self.account.flows.saturating_add(1);
        flow.serial = self.account.flows;
        if let FlowId::Numbered { serial, .. } = &mut flow.id {
            *serial = flow.serial;
        }
        let (client, server) =
            if client_is_local { (flow.local, flow.remote) } else { (flow.remote, flow.local) };
        let start = Start {
            origin: flow.origin,
            transport: flow.transport,
            client,
            server,
            midstream: flow.midstream,
        };
        let inspection = self.identifier.begin(start, &mut flow.identified);
        let slot = self.flows.insert(Entry {
            flow,
            tag: T::default(),
            growth: Counters::default(),
            inspection,
            inspected: false,
            connection: Connection::default(),
            last_report: None,
            class,
            link: aging::Link::default(),
            same_tuple: None,
            client_is_local,
            awaits_telling: false,
        })?;
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
        let Some(entry) = self.flows.get_mut(slot) else { return };
        if began {
            entry.tell(Phase::Began, entry.flow.last, tell);
        }
        if identified {
            entry.tell(Phase::Identified, entry.flow.last, tell);
        }
        let waits_anew = !entry.awaits_telling && !entry.growth.is_zero();
        if waits_anew {
            entry.awaits_telling = true;
            self.untold.push(slot);
        }
        self.aging.touch(&mut self.flows, slot, class, self.clock.steady());
        if waits_anew && self.untold.len() > self.most_untold() {
            self.tell_growth(tell);
        }
    }

    /// Only an input that holds time still can have more: then its span is told in parts.
    fn most_untold(&self) -> usize {
        usize::try_from(self.limits.flows).unwrap_or(usize::MAX).saturating_mul(2)
    }

    fn tell_growth(&mut self, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        for slot in self.untold.drain(..) {
            let Some(entry) = self.flows.get_mut(slot) else { continue };
            entry.awaits_telling = false;
            if !entry.growth.is_zero() {
                entry.tell(Phase::Grew, entry.flow.last, tell);
            }
        }
    }

    /// Another flow takes this one's ends. What its producer counts goes on until the producer says that it ended, or its last report
    /// would be taken for a flow that began and ended unseen.
    fn displace(&mut self, slot: Slot, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        if self.flows.get(slot).is_some_and(|entry| entry.last_report.is_some()) {
            self.index.remove(&mut self.flows, slot);
        } else {
            self.end(slot, tell);
        }
    }

    fn end(&mut self, slot: Slot, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.index.remove(&mut self.flows, slot);
        self.index.remove_name(&self.flows, slot);
        self.aging.leave(&mut self.flows, slot);
        let Some(mut entry) = self.flows.remove(slot) else { return };
        if entry.finish_inspection(&mut self.identifier) {
            entry.tell(Phase::Identified, entry.flow.last, tell);
        }
        entry.tell(Phase::Ended, self.clock.now(), tell);
    }
}

impl<T> Entry<T> {
    /// Counts packets; where a producer counts the flow, only what it does not count.
    #[inline]
    fn count_packets(&mut self, passed: Counters) {
        let passed = match self.last_report.as_deref() {
            None => passed,
            Some(report) if report.counts_wire => return,
            Some(_) => Counters {
                wire_bytes_out: passed.wire_bytes_out,
                wire_bytes_in: passed.wire_bytes_in,
                ..Counters::default()
            },
        };
        self.add(passed);
    }

    /// Takes the owner that a packet names, where none is known.
    #[inline]
    fn adopt(&mut self, packet: &Packet) {
        let owner = &mut self.flow.owner;
        if owner.process.is_none()
            && let Some(pid) = packet.owner.pid
        {
            owner.process = Some(ProcessKey { pid, pidversion: None });
            owner.name.clone_from(&packet.owner.name);
        }
        if owner.effective_pid.is_none() {
            owner.effective_pid = packet.owner.effective_pid;
        }
    }

    #[inline]
    fn inspect(&mut self, identifier: &mut Identifier, from_client: bool, datagram: &Datagram<'_>) -> bool {
        if self.inspection.is_done() {
            return false;
        }
        let flags = datagram.tcp.map(|header| header.flags).unwrap_or_default();
        let syn = flags.any(TcpFlags::SYN);
        let end = flags.any(TcpFlags::FIN.and(TcpFlags::RST));
        if datagram.wire_payload == 0 && !syn && !end {
            return false;
        }
        self.inspected |= datagram.wire_payload > 0;
        let segment = Segment {
            time: self.flow.last,
            from_client,
            sequence: datagram.tcp.map_or(0, |header| header.sequence.wrapping_add(u32::from(syn))),
            syn,
            end,
            payload: datagram.payload,
            wire_payload: datagram.wire_payload,
        };
        identifier.segment(&mut self.inspection, segment, &mut self.flow.identified)
    }

    /// Gives the inspection back. Where only reports were seen, it knows nothing that they do not.
    fn finish_inspection(&mut self, identifier: &mut Identifier) -> bool {
        let inspection = std::mem::take(&mut self.inspection);
        if self.last_report.is_some() && !self.inspected {
            identifier.finish(inspection, &mut self.flow.identified.clone());
            return false;
        }
        identifier.finish(inspection, &mut self.flow.identified)
    }

    #[inline]
    fn class_now(&self) -> Class {
        match self.class {
            Class::TcpOpening | Class::TcpOpen | Class::TcpClosing => self.connection.class(),
            other => other,
        }
    }
}

fn sighting(packet: &Packet, datagram: &Datagram<'_>) -> Sighting {
    Sighting {
        tuple: Tuple {
            origin: packet.origin,
            transport: datagram.transport,
            source: datagram.source,
            destination: datagram.destination,
        },
        direction: packet.direction,
        pid: packet.owner.pid,
    }
}

/// Whether what was sighted goes away from the flow's local end. Where both ends are the same, only the capture can say.
#[inline]
fn is_outward(flow: &Flow, sighting: &Sighting) -> bool {
    if flow.local == flow.remote {
        sighting.direction != Some(Direction::Inbound)
    } else {
        sighting.tuple.source == flow.local
    }
}

#[cfg(test)]
mod tests;
