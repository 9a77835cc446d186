//! Flows as the kernel counts them: `com.apple.network.statistics`, the kernel control that `nettop` reads.
//!
//! The kernel tells of each socket (it calls it a source) whose it is, its two ends and what it has moved: exact bytes, without a look
//! at packets. The interface is private to Apple, without a header in the SDK. What is read here was compiled from XNU's published
//! sources, and the length of a message says which of its layouts it has.
//!
//! ```text
//!  socket ──datagram──► Messages ──► Session ──► Observation::Flow, ::Gap
//!     ▲                                 │
//!     └──────── Action ◄────────────────┘
//! ```
//!
//! [`Messages`] reads a datagram, [`Session`] knows what to ask next and what an answer means, [`Reader`] moves bytes between it and a
//! [`KernelSocket`]; and [`prove`] makes sure before all that that this kernel speaks as expected, with a connection of our own. Only the
//! socket itself is system calls.

mod descriptor;
mod flows;
mod message;
mod proof;
mod reader;
mod session;
#[cfg(target_os = "macos")]
mod shell;

pub use descriptor::{Descriptor, Generation, property};
pub use message::{Counts, Fault, Message, Messages, Provider, Request, event};
pub use proof::{Doubt, OwnConnection, prove};
pub use reader::{KernelSocket, Reader, Received};
pub use session::{Account, Action, Lookup, Refusal, Session};

#[cfg(target_os = "macos")]
pub(crate) use shell::ControlSocket;

/// The name under which this source reports.
pub const SOURCE_NAME: &str = "network_statistics";

#[cfg(test)]
mod session_tests;
#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;
