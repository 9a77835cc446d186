//! What: packet decoding, protocol identification, the flow table.
//!
//! Packets and flow reports enter the [`FlowTable`]; it tells its caller, through [`FlowUpdate`]s, how each flow grew, what protocol it
//! speaks and when it ended. Only the growth since the last update is told, so that whoever adds up updates counts every byte once.

mod destination;
mod flow;
pub mod identify;
mod names;
pub mod packet;
mod protocol;
mod record;
mod report;
mod table;

pub use destination::{Destination, Destinations, Reach};
pub use flow::{Counters, Flow, FlowId, FlowOwner, FlowUpdate, Phase};
pub use names::Names;
pub use packet::Undecoded;
pub use protocol::{Evidence, Protocol, UnknownProtocol};
pub use record::FlowRecord;
pub use report::{Count, TableReport, UndecodedCounts};
pub use table::{FlowTable, LOOK_AHEAD, Limits, SPAN, Snapshot, Suspended};
