//! PKTAP: Apple's packet tap, which puts the process and the interface in front of each packet.
//!
//! The header stands in capture files of link types 258 and 149 and in what `/dev/bpf` gives for a `pktap` interface. [`Header`] reads
//! it from bytes and is the same for both; [`Names`] keeps its few different texts once. Live, [`filter`] is what the kernel is asked to
//! pass on, and [`Records`] walks through what one `read` gave.

pub mod filter;
mod header;
mod names;
mod records;
mod session;
#[cfg(target_os = "macos")]
mod shell;
#[cfg(test)]
pub(crate) mod simulation;

pub use header::{Header, InvalidHeader, Next};
pub use names::Names;
pub(crate) use names::clean_text;
pub use records::{InvalidRecord, Record, Records};
pub use session::{Account, Reader, SOURCE_NAME, Session, Statistics, Tap};
#[cfg(target_os = "macos")]
pub(crate) use shell::Device;
