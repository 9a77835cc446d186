//! What the next reports will need, fetched from memory before they are taken.

use std::hint::black_box;

use super::FlowTable;
use super::reports::LastReport;
use crate::observation::FlowReport;

impl<T> FlowTable<T> {
    /// Touches the flows of the next reports, at most [`LOOK_AHEAD`] of them. It changes nothing and answers nothing.
    ///
    /// A hundred thousand flows lie in some fifty megabytes, and the reports of a second go all over them. Taken one by one, each waits four or five times
    /// for the memory, and each of those waits begins only when the one before is over. Here the waits of many reports run side by side: with 100,000
    /// flows and 20,000 reports a second that is a third of the engine's time (`soak load`).
    pub fn look_ahead<'r>(&self, reports: impl Iterator<Item = &'r FlowReport>) {
        let mut slots = [None; LOOK_AHEAD];
        // Each loop waits for one thing of each flow: its place, its two halves, its last report.
        for (slot, report) in slots.iter_mut().zip(reports) {
            *slot = self.index.probably_named(report.origin, &report.flow_id);
        }
        let mut touched = 0_u64;
        for slot in slots.into_iter().flatten() {
            let serial = self.flows.cold(slot).map_or(0, |cold| cold.flow.serial);
            touched ^= serial ^ u64::from(self.flows.hot(slot).is_some_and(|hot| hot.awaits_telling));
        }
        for slot in slots.into_iter().flatten() {
            let last = self.flows.cold(slot).and_then(|cold| cold.last_report.as_deref());
            touched ^= u64::from(last.is_some_and(LastReport::is_beyond_counters));
        }
        black_box(touched);
    }
}

/// Reports that are looked at ahead at once: enough to fill a processor's queue of loads, few enough to be still near when they are taken.
pub const LOOK_AHEAD: usize = 16;
