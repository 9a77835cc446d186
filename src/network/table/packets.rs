//! Flows as packets show them.

use super::FlowTable;
use super::aging::{self, Class};
use super::entry::{Hot, start};
use super::fragments::{Fragmented, Home, Waiting};
use super::index::{KERNEL, Key, Sighting};
use super::slab::Slot;
use crate::network::flow::{Counters, Flow, FlowId, FlowOwner, FlowUpdate};
use crate::network::identify::{Identified, Segment};
use crate::network::packet::{Datagram, LaterFragment, TcpFlags, Walk, walk};
use crate::observation::{Direction, Packet, ProcessKey, Transport};

impl<T: Default> FlowTable<T> {
    /// Takes a packet.
    pub fn packet(&mut self, packet: &Packet, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.advance(packet.time, tell);
        let wire = u64::from(packet.wire_length);
        self.account.packets = self.account.packets.saturating_add(1);
        self.account.wire_bytes = self.account.wire_bytes.saturating_add(wire);
        // By reference, here and below: moving what was just written costs more than writing it did.
        match &walk(packet.link_type, &packet.data, packet.wire_length) {
            Ok(Walk::Datagram(datagram)) if may_be_opened(packet, datagram) => {
                self.tunnel(packet, datagram, tell);
            }
            Ok(Walk::Datagram(datagram)) => self.datagram(packet, datagram, tell),
            Ok(Walk::LaterFragment(fragment)) => self.later_fragment(packet, *fragment, tell),
            Err(reason) => self.account.undecoded.of(*reason).add(1, wire),
        }
    }

    /// Counts what a tunnel over UDP carries, or else the tunnel.
    #[cold]
    fn tunnel(&mut self, packet: &Packet, datagram: &Datagram<'_>, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        match datagram.inside_udp_tunnel() {
            Some(Walk::Datagram(inside)) => self.datagram(packet, &inside, tell),
            Some(Walk::LaterFragment(inside)) => self.later_fragment(packet, inside, tell),
            None => self.datagram(packet, datagram, tell),
        }
    }

    /// Counts a datagram. Most packets do nothing else: their flow is known, and waits already to be told.
    #[inline]
    fn datagram(
        &mut self,
        packet: &Packet,
        datagram: &Datagram<'_>,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) {
        let sighting = sighting(packet, datagram);
        let found = self.flow_of(&sighting, datagram, tell);
        let began = found.is_none();
        let Some(slot) = found.or_else(|| self.begin(packet, datagram, &sighting, tell)) else { return };
        let now = self.clock.now();
        let Some(hot) = self.flows.hot_mut(slot) else { return };
        let outward = sighting.is_outward(hot);
        hot.last = now;
        hot.count(outward, 1, u64::from(datagram.wire_payload), u64::from(packet.wire_length));
        let from_client = outward == hot.client_is_local;
        let begins = datagram.tcp.is_some_and(|header| hot.connection.observe(from_client, header));
        let only_counts = hot.awaits_telling
            && !began
            && !begins
            && !hot.is_inspected
            && !hot.finds_owner(packet)
            && datagram.first_of.is_none()
            && aging::is_in_place(hot, hot.class_now(), self.clock.steady());
        if !only_counts {
            self.learn(slot, began, outward, packet, datagram, tell);
        }
    }

    /// Takes from a datagram what is more than counts.
    #[inline(never)]
    fn learn(
        &mut self,
        slot: Slot,
        began: bool,
        outward: bool,
        packet: &Packet,
        datagram: &Datagram<'_>,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) {
        if let Some(header) = datagram.tcp.filter(|header| header.flags.any(TcpFlags::SYN))
            && let Some((hot, cold)) = self.flows.both_mut(slot)
        {
            hot.connection.begin(&mut cold.sequences, outward == hot.client_is_local, header);
        }
        let Some(hot) = self.flows.hot(slot) else { return };
        let (class, finds_owner) = (hot.class_now(), hot.finds_owner(packet));
        if let Some(key) = datagram.fragments() {
            let of = Fragmented { origin: packet.origin, direction: packet.direction, key };
            self.first_fragment(of, slot, outward);
        }
        if finds_owner {
            self.adopt(slot, packet);
        }
        let identified = self.inspect(slot, outward, datagram);
        self.settle(slot, class, began, identified, tell);
    }

    fn first_fragment(&mut self, of: Fragmented, slot: Slot, outward: bool) {
        let Some(serial) = self.flows.cold(slot).map(|cold| cold.flow.serial) else { return };
        let home = Home { slot, serial, outward };
        let lost = &mut self.account.undecoded.orphan_fragment;
        let waited = self.fragments.first(of, home, self.clock.steady(), lost);
        if let Some(hot) = self.flows.hot_mut(slot) {
            hot.count(outward, waited.packets, waited.payload, waited.wire);
        }
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
        match self.flows.both_mut(home.slot).filter(|(_, cold)| cold.flow.serial == home.serial) {
            Some((hot, _)) => {
                hot.last = self.clock.now();
                hot.count(home.outward, counts.packets, counts.payload, counts.wire);
                let class = hot.class;
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
            let (hot, cold) = self.flows.both_mut(slot)?;
            let from_client = sighting.is_outward(hot) == hot.client_is_local;
            if hot.connection.is_followed_by(cold.sequences, from_client, header) {
                self.displace(slot, tell);
                return None;
            }
        }
        Some(slot)
    }

    #[inline(never)]
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
            id: FlowId::Numbered(0),
            serial: 0,
            origin: packet.origin,
            owner: FlowOwner::default(),
            transport: datagram.transport,
            local: local.into(),
            remote: remote.into(),
            direction: (!midstream).then_some(initiator),
            interface: packet.interface.clone(),
            counters: Counters::default(),
            unwindowed: None,
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
        self.admit_under(sighting.key, flow, client_is_local, class, tell)
    }

    /// Takes the owner that a packet names, where none is known.
    fn adopt(&mut self, slot: Slot, packet: &Packet) {
        let Some((hot, cold)) = self.flows.both_mut(slot) else { return };
        let owner = &mut cold.flow.owner;
        if hot.finds_process(packet) {
            owner.process = packet.owner.pid.map(|pid| ProcessKey { pid, pidversion: None });
            owner.name.clone_from(&packet.owner.name);
        }
        if hot.finds_effective(packet) {
            owner.effective_pid = packet.owner.effective_pid;
        }
        hot.note_owner(owner);
    }

    /// Shows a packet's payload to the identifier; `true` where it learnt something.
    #[inline]
    fn inspect(&mut self, slot: Slot, outward: bool, datagram: &Datagram<'_>) -> bool {
        let flags = datagram.tcp.map(|header| header.flags).unwrap_or_default();
        let (syn, end) = (flags.any(TcpFlags::SYN), flags.any(TcpFlags::FIN.and(TcpFlags::RST)));
        if !self.flows.hot(slot).is_some_and(|hot| hot.is_inspected)
            || (datagram.wire_payload == 0 && !syn && !end)
        {
            return false;
        }
        let Some((hot, cold)) = self.flows.both_mut(slot) else { return false };
        cold.saw_payload |= datagram.wire_payload > 0;
        let segment = Segment {
            time: hot.last,
            from_client: outward == hot.client_is_local,
            sequence: datagram.tcp.map_or(0, |header| header.sequence.wrapping_add(u32::from(syn))),
            syn,
            end,
            payload: datagram.payload,
            wire_payload: datagram.wire_payload,
        };
        let start = start(&cold.flow, hot.client_is_local);
        let learnt =
            self.identifier.segment(&mut cold.inspection, &start, segment, &mut cold.flow.identified);
        hot.is_inspected = !cold.inspection.is_done();
        learnt
    }
}

impl Hot {
    #[inline]
    fn class_now(&self) -> Class {
        match self.class {
            Class::TcpOpening | Class::TcpOpen | Class::TcpClosing => self.connection.class(),
            other => other,
        }
    }

    /// Whether a packet names an owner, or whom the owner acts for, where none is known.
    #[inline]
    fn finds_owner(&self, packet: &Packet) -> bool {
        self.finds_process(packet) || self.finds_effective(packet)
    }

    #[inline]
    fn finds_process(&self, packet: &Packet) -> bool {
        match self.pid() {
            None => packet.owner.pid.is_some(),
            Some(KERNEL) => packet.owner.pid.is_some_and(|pid| pid != KERNEL),
            Some(_) => false,
        }
    }

    #[inline]
    fn finds_effective(&self, packet: &Packet) -> bool {
        !self.knows_effective() && packet.owner.effective_pid.is_some()
    }
}

/// Whether this is a tunnel over UDP to be looked into. Not where a process is known to have sent it: it could write there what it liked,
/// and a flow to an honest server would stand where its own should.
#[inline]
fn may_be_opened(packet: &Packet, datagram: &Datagram<'_>) -> bool {
    packet.owner.pid.is_none() && datagram.may_be_udp_tunnel()
}

#[inline]
fn sighting(packet: &Packet, datagram: &Datagram<'_>) -> Sighting {
    let Datagram { transport, source, destination, .. } = *datagram;
    let (key, source_is_low) = Key::new(packet.origin, transport, source, destination);
    let key = key.tunnelled(datagram.tunnelled);
    Sighting { key, source_is_low, direction: packet.direction, pid: packet.owner.pid }
}
