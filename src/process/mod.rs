//! Who: the process tree, image identity, interpreter and script, initiator and responsible app.
//!
//! Process events build a tree ([`Processes`]); a flow's owner is looked up in it and comes back as an [`Attribution`]: how the process
//! was found, and [`Who`] it is, an immutable description that flows, findings and alerts share.

mod attribution;
mod facts;
mod identity;
mod image;
mod initiator;
mod interpreter;
mod job;
mod lifetimes;
mod listing;
mod parents;
mod path;
mod role;
#[cfg(test)]
mod simulation;
mod tables;
mod token;
mod tree;

pub use facts::{Attribution, Identity, Method, ProcessFacts, Role, Script, ScriptSource, Subject, Who};
pub use listing::{ImageRow, ProcessRow};
pub use tree::{Counts, Processes, Settings};
