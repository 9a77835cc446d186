//! The spool: what a line costs, beside a plain loop of writes to a file in the same run.
//!
//! ```sh
//! cargo bench --bench spool
//! ```

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

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use tidemark::sink::spool::{Caps, Queue, Spool};

/// Lines to a flush, as the daemon's intake groups them: one on a quiet Mac, 512 under load.
const GROUPS: [usize; 3] = [1, 64, 512];
/// Enough for a dozen segments.
const LINES: usize = 16_384;
/// Rounds, of which the median counts; the two take turns, so that a busy machine troubles both.
const ROUNDS: usize = 5;

fn main() {
    // `cargo test` runs benches without this flag: once, to see that they work.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (lines, rounds) = if is_bench { (LINES, ROUNDS) } else { (1_024, 1) };
    // On the disk, where a spool is, and not in a temporary folder that may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target").unwrap();
    println!("lines of 2.6 kB, {lines} in all; µs a line, median of {rounds}\n");
    println!("{:>14}  {:>10}  {:>10}  {:>7}", "lines a flush", "plain", "spool", "ratio");
    for group in GROUPS {
        // A flush for each line takes long and shows the same with fewer.
        let lines = if group == 1 { lines / 16 } else { lines };
        let texts: Vec<_> = (0..lines).map(line).collect();
        let (mut plain, mut spooled) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            plain.push(plain_writes(&folder.path().join(format!("plain-{group}-{round}")), &texts, group));
            spooled.push(spool(&folder.path().join(format!("spool-{group}-{round}")), &texts, group));
        }
        let (plain, spooled) = (a_line(plain, lines), a_line(spooled, lines));
        println!("{group:>14}  {plain:>10.2}  {spooled:>10.2}  {:>7.2}", spooled / plain);
    }
}

/// The least that could be done: each group one write and one flush.
fn plain_writes(path: &Path, lines: &[String], group: usize) -> Duration {
    let mut file = File::create(path).unwrap();
    let began = Instant::now();
    for group in lines.chunks(group) {
        let mut bytes = Vec::new();
        for line in group {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
    }
    let took = began.elapsed();
    std::fs::remove_file(path).unwrap();
    took
}

fn spool(folder: &Path, lines: &[String], group: usize) -> Duration {
    let mut spool = Spool::open(folder, Caps::default()).unwrap();
    let began = Instant::now();
    for group in lines.chunks(group) {
        spool.append(Queue::Alerts, group).unwrap();
    }
    let took = began.elapsed();
    drop(spool);
    std::fs::remove_dir_all(folder).unwrap();
    took
}

/// Microseconds a line, by the median round.
fn a_line(mut rounds: Vec<Duration>, lines: usize) -> f64 {
    rounds.sort();
    rounds[rounds.len() / 2].as_secs_f64() * 1e6 / lines as f64
}

/// A line of the size of the demo recording's mean alert.
fn line(number: usize) -> String {
    format!(r#"{{"id":"{number:08}","time":"2026-11-24T10:00:00Z","text":"{}"}}"#, "x".repeat(2_540))
}
