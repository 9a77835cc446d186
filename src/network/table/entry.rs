//! A flow with what the table needs to know about it, in two halves.

use serde::{Deserialize, Serialize};

use super::aging::Class;
use super::index::Key;
use super::reports::LastReport;
use super::slab::{Slab, Slot};
use super::tcp::{Connection, Sequences};
use crate::network::flow::{Counters, Flow, FlowOwner, FlowUpdate, Phase};
use crate::network::identify::{Identifier, Inspection, Start};
use crate::observation::Timestamp;

/// The live flows.
pub(super) type Flows<T> = Slab<Hot, Cold<T>>;

/// What every packet of a flow touches: two cache lines, which are fetched as a pair.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Hot {
    pub(super) key: Key,
    /// What was not told yet; it is not in the flow's counters before it is told.
    pub(super) growth: Counters,
    /// Latest packet or report.
    pub(super) last: Timestamp,
    /// When the flow was put at the young end of its queue, on the steady clock.
    pub(super) queued: u64,
    /// The next flow of the same 5-tuple.
    pub(super) same_tuple: Option<Slot>,
    /// The owner's number, meaningful where it is [known](OwnerKnown).
    pid: i32,
    owner_known: OwnerKnown,
    pub(super) class: Class,
    pub(super) connection: Connection,
    /// Which end of the key is local.
    pub(super) local_is_low: bool,
    /// Whether the local end sent first.
    pub(super) client_is_local: bool,
    /// Whether it waits to be told at the end of the span.
    pub(super) awaits_telling: bool,
    /// Whether its payload can still teach something.
    pub(super) is_inspected: bool,
    pub(super) counted_by: CountedBy,
}

const _: () = assert!(size_of::<Hot>() == 128, "a third cache line for every packet");

/// What is known of an owner, as far as packets are asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnerKnown {
    Nothing,
    /// Its number.
    Process,
    /// Whom it acts for.
    Effective,
    Both,
}

/// Who counts a flow. One that is reported is counted by its reports, and packets only identify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CountedBy {
    /// Its packets.
    Packets,
    /// Its reports, but for whole frames.
    ReportsAndFrames,
    /// Its reports alone.
    Reports,
}

/// The rest.
#[derive(Debug)]
pub(super) struct Cold<T> {
    pub(super) flow: Flow,
    pub(super) tag: T,
    pub(super) inspection: Inspection,
    /// Whether the inspection saw any payload.
    pub(super) saw_payload: bool,
    pub(super) sequences: Sequences,
    /// What the flow's producer said last.
    pub(super) last_report: Option<Box<LastReport>>,
}

impl Hot {
    /// Of a flow that was not seen yet.
    pub(super) fn new(
        key: Key,
        flow: &Flow,
        class: Class,
        local_is_low: bool,
        client_is_local: bool,
    ) -> Self {
        let mut hot = Self {
            key,
            growth: Counters::default(),
            last: flow.last,
            queued: 0,
            same_tuple: None,
            pid: 0,
            owner_known: OwnerKnown::Nothing,
            class,
            connection: Connection::default(),
            local_is_low,
            client_is_local,
            awaits_telling: false,
            is_inspected: false,
            counted_by: CountedBy::Packets,
        };
        hot.note_owner(&flow.owner);
        hot
    }

    /// Takes over what packets are asked for.
    pub(super) fn note_owner(&mut self, owner: &FlowOwner) {
        self.pid = owner.process.map_or(0, |process| process.pid);
        self.owner_known = match (owner.process.is_some(), owner.effective_pid.is_some()) {
            (false, false) => OwnerKnown::Nothing,
            (true, false) => OwnerKnown::Process,
            (false, true) => OwnerKnown::Effective,
            (true, true) => OwnerKnown::Both,
        };
    }

    /// The owner's number, where one is known.
    #[inline]
    pub(super) fn pid(&self) -> Option<i32> {
        matches!(self.owner_known, OwnerKnown::Process | OwnerKnown::Both).then_some(self.pid)
    }

    /// Whether the process that the owner acts for is known.
    #[inline]
    pub(super) fn knows_effective(&self) -> bool {
        matches!(self.owner_known, OwnerKnown::Effective | OwnerKnown::Both)
    }

    /// Counts a packet.
    #[inline]
    pub(super) fn count(&mut self, outward: bool, packets: u64, payload: u64, wire: u64) {
        match self.counted_by {
            CountedBy::Packets => self.growth.add(outward, packets, payload, wire),
            CountedBy::ReportsAndFrames => self.growth.add(outward, 0, 0, wire),
            CountedBy::Reports => {}
        }
    }
}

impl<T> Cold<T> {
    /// Tells the flow as it stands, with all growth that was not told yet.
    pub(super) fn tell(
        &mut self,
        hot: &mut Hot,
        phase: Phase,
        time: Timestamp,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) {
        let growth = std::mem::take(&mut hot.growth);
        self.flow.counters += growth;
        self.flow.last = hot.last;
        let Counters { bytes_out, bytes_in, .. } = self.flow.counters;
        self.flow.attempted = !self.flow.midstream && bytes_out == 0 && bytes_in == 0;
        tell(FlowUpdate { flow: &self.flow, tag: &mut self.tag, time, growth, phase });
    }

    /// Counts what passed before anybody looked.
    pub(super) fn count_unwindowed(&mut self, passed: Counters) {
        if !passed.is_zero() {
            self.flow.counters += passed;
            **self.flow.unwindowed.get_or_insert_default() += passed;
        }
    }

    /// Gives the inspection back. Where only reports were seen, it knows nothing that they do not.
    pub(super) fn finish_inspection(&mut self, hot: &Hot, identifier: &mut Identifier) -> bool {
        if !hot.is_inspected {
            return false;
        }
        let inspection = std::mem::take(&mut self.inspection);
        let start = start(&self.flow, hot.client_is_local);
        if self.last_report.is_some() && !self.saw_payload {
            identifier.finish(inspection, &start, &mut self.flow.identified.clone());
            return false;
        }
        identifier.finish(inspection, &start, &mut self.flow.identified)
    }
}

/// What the identification must know of a flow.
pub(super) fn start(flow: &Flow, client_is_local: bool) -> Start {
    let Flow { origin, transport, local, remote, midstream, .. } = *flow;
    let (client, server) = if client_is_local { (local, remote) } else { (remote, local) };
    Start { origin, transport, client, server, midstream }
}
