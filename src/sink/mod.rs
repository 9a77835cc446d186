//! Delivery: where alerts go once they are made.

mod file;

pub use file::{FileSink, SinkError};
