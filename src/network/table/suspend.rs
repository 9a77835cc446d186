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

impl<T> Suspended<T> {
    /// With other words on the flows, made of those that were written.
    pub fn map<U>(self, mut read: impl FnMut(T) -> U) -> Suspended<U> {
        let Self { account, now, flows } = self;
        let flows = flows.into_iter().map(|flow| {
            let SuspendedFlow { flow, tag, growth, last, client_is_local, counted_by, last_report } = flow;
            SuspendedFlow { flow, tag: read(tag), growth, last, client_is_local, counted_by, last_report }
        });
        Suspended { account, now, flows: flows.collect() }
    }
}

/// A table as another run needs it: what [`Suspended`] reads back. It is lent, not copied: there may be a hundred thousand flows. `F` makes of the
/// caller's word on a flow what is written of it.
pub struct Snapshot<'a, T, F> {
    table: &'a FlowTable<T>,
    write: F,
}

/// As [`SuspendedFlow`], lent.
#[derive(Serialize)]
struct LentFlow<'a, S> {
    flow: &'a Flow,
    tag: S,
    growth: Counters,
    last: Timestamp,
    client_is_local: bool,
    counted_by: CountedBy,
    last_report: &'a LastReport,
}

impl<'a, T, W: Serialize, F: Fn(&'a T) -> W> Serialize for Snapshot<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = serializer.serialize_struct("Suspended", 3)?;
        whole.serialize_field("account", &self.table.account)?;
        whole.serialize_field("now", &self.table.clock.now())?;
        whole.serialize_field("flows", &LentFlows(self))?;
        whole.end()
    }
}

struct LentFlows<'s, 'a, T, F>(&'s Snapshot<'a, T, F>);

impl<'a, T, W: Serialize, F: Fn(&'a T) -> W> Serialize for LentFlows<'_, 'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Snapshot { table, write } = self.0;
        let flows = &table.flows;
        let mut live: Vec<_> = flows.iter().map(|(slot, cold)| (cold.flow.serial, slot)).collect();
        live.sort_unstable_by_key(|(serial, _)| *serial);
        serializer.collect_seq(live.into_iter().filter_map(|(_, slot)| {
            let (hot, cold) = (flows.hot(slot)?, flows.cold(slot)?);
            Some(LentFlow {
                flow: &cold.flow,
                tag: write(&cold.tag),
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

    /// What another run needs to go on from here, with what `write` makes of the caller's word on each flow. Flows of packets are not in it.
    pub fn snapshot<'a, W: Serialize, F: Fn(&'a T) -> W>(&'a self, write: F) -> Snapshot<'a, T, F> {
        Snapshot { table: self, write }
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
