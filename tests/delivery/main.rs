//! Delivery against receivers: hostile ones made here, and real ones where `scripts/receivers.sh` has installed them.

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

mod hostile;
mod http;
mod kill;
mod kill_daemon;
mod real;
mod recording;
mod rig;
mod secure;
mod verbs;
