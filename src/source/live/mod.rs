//! What live sources have in common.

mod clock;

pub use clock::{Clock, Moment, SystemClock};
