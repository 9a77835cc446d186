//! Flows that a producer counts, and tells in reports.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

use super::FlowTable;
use super::aging::Class;
use super::entry::{Cold, CountedBy, Hot};
use super::index::{KERNEL, Key, Sighting};
use super::slab::Slot;
use crate::network::flow::{Counters, Flow, FlowId, FlowOwner, FlowUpdate};
use crate::network::identify::Identified;
use crate::network::protocol::{Evidence, Protocol};
use crate::observation::{Direction, FlowReport, FlowState, Timestamp};

/// What a producer said last about a flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LastReport {
    time: Timestamp,
    /// Its counters.
    totals: Counters,
    /// How much of what the producer counts has been counted, where that is more than `totals`: packets were ahead of the reports. Seldom so,
    /// and there may be a hundred thousand flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted: Option<Box<Counters>>,
}

impl LastReport {
    fn new(time: Timestamp, totals: Counters, counted: Counters) -> Self {
        Self { time, totals, counted: (counted != totals).then(|| Box::new(counted)) }
    }

    fn counted(&self) -> Counters {
        self.counted.as_deref().copied().unwrap_or(self.totals)
    }

    /// Whether packets were ahead of it.
    pub(super) fn is_beyond_counters(&self) -> bool {
        self.counted.is_some()
    }

    fn has_less_in(&self, totals: Counters) -> bool {
        !self.totals.beyond(totals).is_zero()
    }
}

impl<T: Default> FlowTable<T> {
    /// Takes a source's counters of one flow.
    ///
    /// Counters are cumulative, and only what they grew by is told. A flow whose first report is an `update` was joined in its middle:
    /// what it had moved by then stands in [`Flow::unwindowed`]. One whose first report is `open` or `closed` began (and ended) since its
    /// source looked last, and all that it moved is growth; so a source that lists what it finds at its start must say `update`.
    ///
    /// Counters that go backwards count anew from there. A report no younger than the last one of its flow changes nothing where its
    /// counters are lower. Where packets of the same flow are seen as well, it is one flow: the reports count, the packets identify.
    pub fn report(&mut self, report: &FlowReport, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.advance(report.time, tell);
        self.account.reports = self.account.reports.saturating_add(1);
        let totals = totals(report);
        let (slot, began) = if let Some(slot) = self.known(report, totals, tell) {
            self.count(slot, report, totals);
            (slot, false)
        } else if let Some(slot) = self.packets_of(report) {
            self.join(slot, report, totals);
            (slot, false)
        } else if let Some(slot) = self.begin_reported(report, totals, tell) {
            (slot, true)
        } else {
            return;
        };
        let identified = self.complete(slot, report);
        self.settle(slot, Class::Reported, began, identified, tell);
        if report.state == FlowState::Closed {
            self.end(slot, tell);
        }
    }

    /// The flow that earlier reports called so. Where it opens again with less, the name was given anew.
    fn known(
        &mut self,
        report: &FlowReport,
        totals: Counters,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) -> Option<Slot> {
        let slot = self.index.named(&self.flows, report.origin, &report.flow_id)?;
        let last = self.flows.cold(slot)?.last_report.as_deref()?;
        if report.state == FlowState::Open && report.time > last.time && last.has_less_in(totals) {
            self.end(slot, tell);
            return None;
        }
        Some(slot)
    }

    fn count(&mut self, slot: Slot, report: &FlowReport, totals: Counters) {
        let Some((hot, cold)) = self.flows.both_mut(slot) else { return };
        let Some(last) = cold.last_report.as_deref() else { return };
        let counted = if !last.has_less_in(totals) {
            let before = last.counted();
            hot.growth += totals.beyond(before);
            before.most(totals)
        } else if report.time <= last.time {
            self.account.stale_reports = self.account.stale_reports.saturating_add(1);
            return;
        } else {
            self.account.counter_resets = self.account.counter_resets.saturating_add(1);
            cold.count_unwindowed(totals);
            totals
        };
        note(hot, cold, report, totals, counted);
    }

    /// The flow of the same ends that only packets have shown so far.
    fn packets_of(&mut self, report: &FlowReport) -> Option<Slot> {
        let (local, remote) = (plain(report.local), plain(report.remote));
        let (key, source_is_low) = Key::new(report.origin, report.transport, local, remote);
        let sighting = Sighting { key, source_is_low, direction: Some(Direction::Outbound), pid: report.pid };
        self.index.find(&self.flows, &sighting, |hot| hot.counted_by == CountedBy::Packets)
    }

    /// A flow of packets is now counted by its producer.
    fn join(&mut self, slot: Slot, report: &FlowReport, totals: Counters) {
        let Some((hot, cold)) = self.flows.both_mut(slot) else { return };
        cold.flow.id = FlowId::Reported(report.flow_id.clone());
        let mut seen = cold.flow.counters;
        seen += hot.growth;
        let missed = totals.beyond(seen);
        if cold.flow.midstream && report.state == FlowState::Update {
            cold.count_unwindowed(missed);
        } else {
            hot.growth += missed;
        }
        note(hot, cold, report, totals, seen.most(totals));
        self.index.insert_name(&self.flows, slot);
    }

    fn begin_reported(
        &mut self,
        report: &FlowReport,
        totals: Counters,
        tell: &mut dyn FnMut(FlowUpdate<'_, T>),
    ) -> Option<Slot> {
        let now = self.clock.now();
        let flow = Flow {
            id: FlowId::Reported(report.flow_id.clone()),
            serial: 0,
            origin: report.origin,
            owner: FlowOwner {
                process: report.owner(),
                effective_pid: report.effective_pid,
                name: report.process.clone(),
            },
            transport: report.transport,
            local: plain(report.local),
            remote: plain(report.remote),
            direction: report.direction,
            interface: report.interface.clone(),
            counters: Counters::default(),
            unwindowed: None,
            start: now,
            last: now,
            midstream: report.state == FlowState::Update,
            attempted: false,
            identified: Identified::default(),
        };
        let client_is_local = report.direction != Some(Direction::Inbound);
        let slot = self.admit(flow, client_is_local, Class::Reported, tell)?;
        self.index.insert_name(&self.flows, slot);
        let (hot, cold) = self.flows.both_mut(slot)?;
        if cold.flow.midstream {
            cold.count_unwindowed(totals);
        } else {
            hot.growth += totals;
        }
        note(hot, cold, report, totals, totals);
        Some(slot)
    }

    /// Takes over what the report knows and the flow does not; `true` where the protocol or its details changed.
    fn complete(&mut self, slot: Slot, report: &FlowReport) -> bool {
        let known = self.flows.cold(slot).and_then(|cold| cold.flow.identified.protocol);
        // Most reports say again what the one before said.
        let said =
            report.protocol.as_deref().filter(|label| known.is_none_or(|known| known.label() != *label));
        let label = said.and_then(|label| {
            let known = label.parse().ok();
            self.account.unknown_labels += u64::from(known.is_none());
            known
        });
        self.complete_ends(slot, report);
        let now = self.clock.now();
        let Some((hot, cold)) = self.flows.both_mut(slot) else { return false };
        let flow = &mut cold.flow;
        hot.last = now;
        match (&mut flow.owner.process, report.owner()) {
            (Some(known), Some(reported)) if known.pid == reported.pid => {
                known.pidversion = known.pidversion.or(reported.pidversion);
            }
            (known, Some(reported)) if known.is_none_or(|known| known.pid == KERNEL) => {
                *known = Some(reported);
                flow.owner.name = None;
            }
            _ => {}
        }
        flow.owner.effective_pid = flow.owner.effective_pid.or(report.effective_pid);
        hot.note_owner(&flow.owner);
        flow.owner.name = flow.owner.name.take().or_else(|| report.process.clone());
        flow.interface = flow.interface.take().or_else(|| report.interface.clone());
        flow.direction = flow.direction.or(report.direction);
        let labelled = label.is_some_and(|label| cold.take_label(label));
        let named = report.server_name.as_ref().is_some_and(|name| {
            let metadata = cold.flow.identified.metadata.get_or_insert_default();
            let is_news = metadata.server_name.is_none();
            metadata.server_name.get_or_insert_with(|| name.clone());
            is_news
        });
        labelled || named
    }

    /// A socket that was not bound or connected yet has no address at that end; a later report may know it.
    fn complete_ends(&mut self, slot: Slot, report: &FlowReport) {
        let Some(Cold { flow, .. }) = self.flows.cold(slot) else { return };
        let better = |known: SocketAddr, reported: SocketAddr| {
            if known.ip().is_unspecified() { plain(reported) } else { known }
        };
        let ends = (better(flow.local, report.local), better(flow.remote, report.remote));
        if ends == (flow.local, flow.remote) {
            return;
        }
        self.index.remove(&mut self.flows, slot);
        if let Some((hot, Cold { flow, .. })) = self.flows.both_mut(slot) {
            (flow.local, flow.remote) = ends;
            (hot.key, hot.local_is_low) = Key::new(flow.origin, flow.transport, flow.local, flow.remote);
        }
        self.index.insert(&mut self.flows, slot);
    }
}

impl<T> Cold<T> {
    /// Takes the label that the producer gave, unless the payload itself said something.
    fn take_label(&mut self, label: Protocol) -> bool {
        let identified = &mut self.flow.identified;
        if self.saw_payload && identified.evidence == Evidence::Payload || identified.protocol == Some(label)
        {
            return false;
        }
        identified.protocol = Some(label);
        identified.evidence = if label.is_identified() { Evidence::Payload } else { Evidence::None };
        true
    }
}

/// Keeps what the producer said.
fn note<T>(hot: &mut Hot, cold: &mut Cold<T>, report: &FlowReport, totals: Counters, counted: Counters) {
    let counts_frames = report.wire_bytes_out.is_some() || report.wire_bytes_in.is_some();
    hot.counted_by = if counts_frames { CountedBy::Reports } else { CountedBy::ReportsAndFrames };
    let said = LastReport::new(report.time, totals, counted);
    match &mut cold.last_report {
        Some(last) => **last = said,
        none => *none = Some(Box::new(said)),
    }
}

fn totals(report: &FlowReport) -> Counters {
    Counters {
        bytes_out: report.bytes_out,
        bytes_in: report.bytes_in,
        packets_out: report.packets_out,
        packets_in: report.packets_in,
        wire_bytes_out: report.wire_bytes_out.unwrap_or(0),
        wire_bytes_in: report.wire_bytes_in.unwrap_or(0),
    }
}

/// An end as a packet would show it: IPv4 in IPv6 clothes is IPv4 on the wire, and a packet knows no scope.
fn plain(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip().to_canonical(), end.port())
}
