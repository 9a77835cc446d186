//! The processes that ran already when observation began, as the kernel lists them.
//!
//! Process events tell of what begins; everything that a Mac runs at that moment has to be asked for. The list is made after the events
//! were subscribed to, so that no process falls between the two, and what an event says wins. What a system call returned is read by
//! portable code; the calls themselves are the shell.

mod listed;
#[cfg(target_os = "macos")]
mod shell;

pub use listed::{Listed, UniqueIdentity, has_entitlement_in};
#[cfg(target_os = "macos")]
pub(crate) use shell::{SystemLookup, has_entitlement, processes};
