//! A table that goes on in another run.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::aging::Class;
use super::entry::CountedBy;
use super::reports::LastReport;
use super::{FlowTable, Limits};
use crate::network::flow::{Counters, Flow, FlowUpdate};
use crate::network::report::TableReport;
use crate::observation::Timestamp;

/// What a table must know to go on in another run: the flows that their producer counts, whose next report will carry everything since they
/// began.
#[derive(Debug, Deserialize)]
pub struct Suspended<T> {
    account: TableReport,
    /// The latest time given.
    now: Timestamp,
    /// In the order in which they began.
    flows: Vec<SuspendedFlow<T>>,
}

#[derive(Debug, Deserialize)]
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

/// A table as another run needs it: what [`Suspended`] reads back. It is lent, not copied: there may be a hundred thousand flows.
#[derive(Debug)]
pub struct Snapshot<'a, T>(&'a FlowTable<T>);

/// As [`SuspendedFlow`], lent.
#[derive(Serialize)]
struct LentFlow<'a, T> {
    flow: &'a Flow,
    tag: &'a T,
    growth: Counters,
    last: Timestamp,
    client_is_local: bool,
    counted_by: CountedBy,
    last_report: &'a LastReport,
}

impl<T: Serialize> Serialize for Snapshot<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = serializer.serialize_struct("Suspended", 3)?;
        whole.serialize_field("account", &self.0.account)?;
        whole.serialize_field("now", &self.0.clock.now())?;
        whole.serialize_field("flows", &LentFlows(self.0))?;
        whole.end()
    }
}

struct LentFlows<'a, T>(&'a FlowTable<T>);

impl<T: Serialize> Serialize for LentFlows<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flows = &self.0.flows;
        let mut live: Vec<_> = flows.iter().map(|(slot, cold)| (cold.flow.serial, slot)).collect();
        live.sort_unstable_by_key(|(serial, _)| *serial);
        serializer.collect_seq(live.into_iter().filter_map(|(_, slot)| {
            let (hot, cold) = (flows.hot(slot)?, flows.cold(slot)?);
            Some(LentFlow {
                flow: &cold.flow,
                tag: &cold.tag,
                growth: hot.growth,
                last: hot.last,
                client_is_local: hot.client_is_local,
                counted_by: hot.counted_by,
                last_report: cold.last_report.as_deref()?,
            })
        }))
    }
}

impl<T: Default> FlowTable<T> {
    /// Ends the flows of packets, and tells them: what a packet would find in another run is another state of its connection. Flows that are
    /// reported stand, what was not told of them included, for [`FlowTable::snapshot`].
    pub fn end_run(&mut self, tell: &mut dyn FnMut(FlowUpdate<'_, T>)) {
        for slot in self.in_order_of_beginning() {
            if self.flows.cold(slot).is_some_and(|cold| cold.last_report.is_none()) {
                self.end(slot, tell);
            }
        }
        self.fragments.clear(&mut self.account.undecoded.orphan_fragment);
    }

    /// What another run needs to go on from here. Flows of packets are not in it.
    pub fn snapshot(&self) -> Snapshot<'_, T> {
        Snapshot(self)
    }

    /// Goes on where another run ended. How long a flow has been silent counts anew from here.
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
