//! A flow with what the table needs to know about it.

use super::aging::{Class, Link};
use super::reports::LastReport;
use super::slab::Slot;
use super::tcp::Connection;
use crate::network::flow::{Counters, Flow, FlowUpdate, Phase};
use crate::network::identify::Inspection;
use crate::observation::Timestamp;

/// One live flow.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) flow: Flow,
    pub(super) tag: T,
    /// What was not told yet.
    pub(super) growth: Counters,
    pub(super) inspection: Inspection,
    /// Whether the inspection saw any payload.
    pub(super) inspected: bool,
    pub(super) connection: Connection,
    /// What the flow's producer said last; then the producer counts, and packets only identify.
    pub(super) last_report: Option<Box<LastReport>>,
    pub(super) class: Class,
    pub(super) link: Link,
    /// The next flow of the same 5-tuple.
    pub(super) same_tuple: Option<Slot>,
    /// Whether the local end sent first.
    pub(super) client_is_local: bool,
    /// Whether it waits to be told at the end of the span.
    pub(super) awaits_telling: bool,
}

impl<T> Entry<T> {
    /// Counts what passed.
    #[inline]
    pub(super) fn add(&mut self, passed: Counters) {
        self.flow.counters += passed;
        self.growth += passed;
        self.judge_attempt();
    }

    /// Counts what passed before anybody looked.
    pub(super) fn add_unwindowed(&mut self, passed: Counters) {
        self.flow.counters += passed;
        self.flow.unwindowed += passed;
        self.judge_attempt();
    }

    fn judge_attempt(&mut self) {
        let Counters { bytes_out, bytes_in, .. } = self.flow.counters;
        self.flow.attempted = !self.flow.midstream && bytes_out == 0 && bytes_in == 0;
    }

    /// Tells the flow as it stands, with all growth that was not told yet.
    pub(super) fn tell(&mut self, phase: Phase, time: Timestamp, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        let growth = std::mem::take(&mut self.growth);
        tell(FlowUpdate { flow: &self.flow, tag: &mut self.tag, time, growth, phase });
    }
}
