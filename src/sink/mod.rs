//! Delivery: where alerts go once they are made.

mod file;
pub mod spool;

pub use file::{FileSink, SinkError};
