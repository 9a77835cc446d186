//! What: packet decoding, protocol identification, the flow table.
//!
//! Packets and flow reports enter the [`FlowTable`]; it tells its caller, through [`FlowUpdate`]s, how each flow grew, what protocol it
//! speaks and when it ended. Only the growth since the last update is told, so that whoever adds up updates counts every byte once.

mod flow;
pub mod identify;
mod names;
mod protocol;

pub use flow::{Counters, Flow, FlowOwner, FlowUpdate, Phase};
pub use names::Names;
pub use protocol::{Evidence, Protocol, UnknownProtocol};
