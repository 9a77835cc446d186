//! The daemon as the real program: reloads, questions, and what may go wrong around it.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

mod control;
mod disk;
mod faults;
mod floods;
mod history;
mod privacy;
mod reload;
mod rig;
mod sources;
mod tamper;
