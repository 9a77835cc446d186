//! A flow with what the table needs to know about it, in two halves.

use serde::{Deserialize, Serialize};

use super::aging::{Class, Link};
use super::index::Key;
use super::reports::LastReport;
use super::slab::{Slab, Slot};
use super::tcp::Connection;
use crate::network::flow::{Counters, Flow, FlowUpdate, Phase};
use crate::network::identify::{Identifier, Inspection, Start};
use crate::observation::Timestamp;

/// The live flows.
pub(super) type Flows<T> = Slab<Hot, Cold<T>>;

/// What every packet of a flow touches: three cache lines.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says a thing of its own, and none excludes another")]
pub(super) struct Hot {
    pub(super) key: Key,
    /// What was not told yet; it is not in the flow's counters before it is told.
    pub(super) growth: Counters,
    /// Latest packet or report.
    pub(super) last: Timestamp,
    pub(super) link: Link,
    pub(super) connection: Connection,
    /// The next flow of the same 5-tuple.
    pub(super) same_tuple: Option<Slot>,
    /// The owner's number, where one is known.
    pub(super) pid: Option<i32>,
    pub(super) class: Class,
    /// Which end of the key is local.
    pub(super) local_is_low: bool,
    /// Whether the local end sent first.
    pub(super) client_is_local: bool,
    /// Whether it waits to be told at the end of the span.
    pub(super) awaits_telling: bool,
    /// Whether its payload can still teach something.
    pub(super) is_inspected: bool,
    /// Whether the inspection saw any payload.
    pub(super) saw_payload: bool,
    /// Whether the process that the owner acts for is known.
    pub(super) knows_effective: bool,
    pub(super) counted_by: CountedBy,
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
    /// What the flow's producer said last.
    pub(super) last_report: Option<Box<LastReport>>,
}

impl Hot {
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
        if self.last_report.is_some() && !hot.saw_payload {
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
