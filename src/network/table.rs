//! The flow table.

use super::flow::FlowUpdate;
use super::report::TableReport;
use crate::observation::{FlowReport, Packet, Timestamp};

/// Joins packets and reports into flows, and tells how each one grows.
///
/// `T` is the caller's own word on a flow, kept with it until it ends. The table does no I/O and knows no wall clock: time comes with
/// the packets and reports, which should come in time order. All methods tell what happened through `tell`, at once and in an order
/// that depends on the input alone.
#[derive(Debug)]
pub struct FlowTable<T> {
    report: TableReport,
    flows: Vec<T>,
}

/// What a table may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Live flows; the least recently active one makes room for a new one.
    pub flows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flows: 131_072 }
    }
}

impl<T: Default> FlowTable<T> {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        let _ = limits;
        Self { report: TableReport::default(), flows: Vec::new() }
    }

    /// Takes a packet.
    pub fn packet(&mut self, packet: &Packet, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.advance(packet.time, tell);
        self.report.packets = self.report.packets.saturating_add(1);
    }

    /// Takes a source's counters of one flow.
    pub fn report(&mut self, report: &FlowReport, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        self.advance(report.time, tell);
        self.report.reports = self.report.reports.saturating_add(1);
    }

    /// Moves time on: tells growth that is due and ends flows that were idle for too long.
    pub fn advance(&mut self, now: Timestamp, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        let _ = (now, tell);
    }

    /// Ends every flow, in the order in which they began, and leaves the table ready for an unrelated input.
    pub fn finish(&mut self, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        let _ = tell;
        self.flows.clear();
    }

    /// How many flows are live.
    pub fn live(&self) -> usize {
        self.flows.len()
    }

    /// What was taken in so far, and what could not be.
    pub fn account(&self) -> &TableReport {
        &self.report
    }
}
