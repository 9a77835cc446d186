//! Who: the process tree, image identity, interpreter and script, initiator and responsible app.
//!
//! Process events build a tree ([`Processes`]); a flow's owner is looked up in it and comes back as an [`Attribution`]: how the process
//! was found, and [`Who`] it is, an immutable description that flows, findings and alerts share.
//!
//! # How a value travels
//!
//! 1. `tree` takes an event and finds the process by number and generation in `lifetimes`, which knows who had a number when; what was
//!    never seen starting is asked for its `parents`.
//! 2. `image` describes what runs now: its `identity` (over `path` and `token`, which fold the versions, users, builds and hashes of one
//!    program into one name), its traits (`role`, over the `tables` of programs), and what an `interpreter` runs.
//! 3. `initiator` says what made it run, from the image before it alone: that is cheap, and stays true when parents exit. A `job` of
//!    launchd stands in where no program does.
//! 4. `attribution` answers for flows; `listing` prints the tree.
//!
//! An image that replaced another in one process keeps it in a chain: `sh -c curl` that became curl, a stub that became Python. What is
//! not known is said to be so ([`Who::initiator_known`], [`Method::Snapshot`]) and never guessed.

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
mod redact;
mod role;
#[cfg(test)]
mod simulation;
mod tables;
mod token;
mod tree;

pub use facts::{Attribution, Identity, Method, ProcessFacts, Role, Script, ScriptSource, Subject, Who};
pub use listing::{ImageRow, ProcessRow};
pub use tree::{Counts, Processes, Settings};
