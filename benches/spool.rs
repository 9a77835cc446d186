//! The spool: what a line costs, with the flush to the disk shared by a group as the daemon's intake shares it.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports to the terminal, on data of its own, and has nothing to say without them"
)]

use std::cell::RefCell;

use divan::counter::ItemsCount;
use tidemark::sink::spool::{Caps, Queue, Spool};

fn main() {
    divan::main();
}

/// Alerts of 2.6 kB, the mean of the demo recording's, in groups of so many.
#[divan::bench(args = [1, 64, 512], sample_count = 50)]
fn append(bencher: divan::Bencher, group: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target")
        .unwrap_or_else(|error| panic!("{error}"));
    let caps = Caps { bytes: 64 << 20, ..Caps::default() };
    let spool = Spool::open(folder.path(), caps).unwrap_or_else(|error| panic!("{error}"));
    let spool = RefCell::new(spool);
    let lines: Vec<_> = (0..group).map(line).collect();
    bencher.counter(ItemsCount::new(group)).bench_local(|| {
        spool.borrow_mut().append(Queue::Alerts, &lines).unwrap_or_else(|error| panic!("{error}"))
    });
}

fn line(number: usize) -> String {
    format!(r#"{{"id":"{number:08}","time":"2026-11-24T10:00:00Z","text":"{}"}}"#, "x".repeat(2_540))
}
