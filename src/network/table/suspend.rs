//! A table that goes on in another run.

use serde::{Deserialize, Serialize};

use super::aging::Class;
use super::entry::CountedBy;
use super::reports::LastReport;
use super::{FlowTable, Limits};
use crate::network::flow::{Counters, Flow, FlowUpdate};
use crate::network::report::TableReport;
use crate::observation::Timestamp;

/// What a table must know to go on in another run: the flows that their producer counts, whose next report will carry everything since they
/// began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Suspended<T> {
    account: TableReport,
    /// The latest time given.
    now: Timestamp,
    /// In the order in which they began.
    flows: Vec<SuspendedFlow<T>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SuspendedFlow<T> {
    flow: Flow,
    tag: T,
    /// What was not told yet.
    growth: Counters,
    last: Timestamp,
    client_is_local: bool,
    counted_by: CountedBy,
    last_report: LastReport,
}

impl<T: Default> FlowTable<T> {
    /// Ends the run. Flows of packets end and are told: what a packet would find in another run is another state of its connection. Flows
    /// that are reported are given back as they stand, what was not told of them included.
    pub fn suspend(mut self, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) -> Suspended<T> {
        let mut flows = Vec::new();
        for slot in self.in_order_of_beginning() {
            let Some((hot, cold)) = self.flows.both_mut(slot) else { continue };
            let Some(last_report) = cold.last_report.as_deref().copied() else {
                self.end(slot, tell);
                continue;
            };
            flows.push(SuspendedFlow {
                flow: cold.flow.clone(),
                tag: std::mem::take(&mut cold.tag),
                growth: hot.growth,
                last: hot.last,
                client_is_local: hot.client_is_local,
                counted_by: hot.counted_by,
                last_report,
            });
        }
        self.fragments.clear(&mut self.account.undecoded.orphan_fragment);
        Suspended { account: self.account, now: self.clock.now(), flows }
    }

    /// What [`FlowTable::suspend`] would give back, while the run goes on: for the case that it does not end in good order. Flows of packets
    /// are not in it.
    pub fn snapshot(&self) -> Suspended<T>
    where
        T: Clone,
    {
        let mut live: Vec<_> = self.flows.iter().collect();
        live.sort_unstable_by_key(|(_, cold)| cold.flow.serial);
        let flows = live
            .into_iter()
            .filter_map(|(slot, cold)| {
                let hot = self.flows.hot(slot)?;
                Some(SuspendedFlow {
                    flow: cold.flow.clone(),
                    tag: cold.tag.clone(),
                    growth: hot.growth,
                    last: hot.last,
                    client_is_local: hot.client_is_local,
                    counted_by: hot.counted_by,
                    last_report: cold.last_report.as_deref().copied()?,
                })
            })
            .collect();
        Suspended { account: self.account.clone(), now: self.clock.now(), flows }
    }

    /// Goes on where another run was suspended. How long a flow has been silent counts anew from here.
    pub fn resume(limits: Limits, suspended: Suspended<T>, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) -> Self {
        let mut table = Self::new(limits);
        table.clock.advance(suspended.now);
        for SuspendedFlow { flow, tag, growth, last, client_is_local, counted_by, last_report } in
            suspended.flows
        {
            let saved = flow.clone();
            let Some(slot) = table.admit(flow, client_is_local, Class::Reported, tell) else { continue };
            table.index.insert_name(&table.flows, slot);
            if let Some((hot, cold)) = table.flows.both_mut(slot) {
                cold.flow = saved;
                cold.tag = tag;
                cold.last_report = Some(Box::new(last_report));
                hot.growth = growth;
                hot.last = last;
                hot.counted_by = counted_by;
            }
            table.settle(slot, Class::Reported, false, false, tell);
        }
        table.account = suspended.account;
        table
    }
}
