//! The whole engine from a capture file to labelled flows with metadata: CPU time a packet, peak memory, and the same work by nDPI.
//!
//! Two captures are made, the same in every run: `mix`, all Ethernet captures of nDPI's own tests laid over each other again and again
//! with new addresses each time, to 500 MB; and `bulk`, 64 downloads over TLS in full-sized segments. Each measurement is a process of
//! its own (this program again, or `ndpiReader`), in turns, so that memory is that of the engine alone and both meet the same machine.
//! Times are CPU times; the median of the runs is told. Aims: 250 ns a packet and 32 MiB on the mix, 150 ns on the bulk, and nDPI five times
//! as much as tidemark on the mix. Run it with `cargo bench --bench identify`; without nDPI's captures beside the
//! project it says so and measures the bulk only.

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

#[path = "identify/mix.rs"]
mod mix;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use tidemark::network::{FlowTable, FlowUpdate, Limits, Phase, Protocol};
use tidemark::observation::{Observation, Origin};
use tidemark::source::capture;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(ENGINE) {
        let path = arguments.next().expect("the capture's path");
        run_engine(Path::new(&path));
        return;
    }
    // On a busy machine both take longer, since they share its caches; the ratio says more then.
    if let Ok(load) = fs::read_to_string("/proc/loadavg") {
        println!("load of the last 1, 5 and 15 minutes: {}", load.trim());
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/protocol-id/ndpi/pcap");
    let mix = folder.path().join("mix.pcap");
    if data.is_dir() {
        let made = mix::interleave(&data, &mix, MIX_BYTES).expect("the mix is written");
        println!("mix: {} packets, {} MB", made.packets, made.bytes / 1_000_000);
        compare("mix", &mix);
        fs::remove_file(&mix).expect("the mix is removed");
    } else {
        println!("mix: left out, since {} is absent", data.display());
    }
    let bulk = folder.path().join("bulk.pcap");
    let made = mix::downloads(&bulk, BULK_BYTES).expect("the bulk is written");
    println!("bulk: {} packets, {} MB", made.packets, made.bytes / 1_000_000);
    compare("bulk", &bulk);
}

/// One process's work.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    cpu_nanos: u64,
    packets: u64,
    flows: u64,
    identified: u64,
    peak_kib: u64,
}

/// Runs the engine and nDPI in turns and tells the medians.
fn compare(name: &str, path: &Path) {
    let has_peer = Command::new(PEER).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let (mut engine, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        engine.push(measure_engine(path));
        if has_peer {
            peer.push(measure_peer(path));
        }
    }
    engine.sort_by_key(|work| work.cpu_nanos);
    peer.sort_unstable();
    let work = engine.get(RUNS / 2).copied().unwrap_or_default();
    println!(
        "{name}: tidemark {} ns a packet ({} ms CPU), {:.1} MiB at most, {} flows, {} identified",
        work.cpu_nanos / work.packets.max(1),
        work.cpu_nanos / 1_000_000,
        work.peak_kib as f64 / 1_024.0,
        work.flows,
        work.identified
    );
    if let Some(nanos) = peer.get(RUNS / 2) {
        let ratio = *nanos as f64 / work.cpu_nanos.max(1) as f64;
        println!(
            "{name}: {PEER} -q -i: {} ns a packet, {ratio:.2} times as much",
            nanos / work.packets.max(1)
        );
    }
}

fn measure_engine(path: &Path) -> Work {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).arg(ENGINE).arg(path).output().expect("the engine runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or_default());
    let mut next = || numbers.next().unwrap_or_default();
    Work { cpu_nanos: next(), packets: next(), flows: next(), identified: next(), peak_kib: next() }
}

/// CPU time of nDPI's reader, from what the kernel adds up for children that were waited for.
fn measure_peer(path: &Path) -> u64 {
    let before = children_ticks();
    let status =
        Command::new(PEER).arg("-q").arg("-i").arg(path).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("nDPI's reader runs");
    (children_ticks() - before) * NANOS_PER_TICK
}

/// Reads the capture through the flow table and prints what that took.
fn run_engine(path: &Path) {
    let name = path.to_string_lossy().into_owned();
    let mut source =
        capture::open(File::open(path).expect("the capture opens"), name, Origin(0)).expect("a capture");
    let mut table: FlowTable<()> = FlowTable::new(Limits::default());
    let mut work = Work::default();
    let mut tell = |update: FlowUpdate<'_, ()>| {
        if update.phase == Phase::Ended {
            work.flows += 1;
            work.identified +=
                u64::from(update.flow.identified.protocol.is_some_and(Protocol::is_identified));
        }
    };
    let mut packets = 0_u64;
    // By reference: moving each packet out of the iterator costs as much as finding its flow.
    while let Some(observation) = &source.next() {
        if let Observation::Packet(packet) = observation {
            packets += 1;
            table.packet(packet, &mut tell);
        }
    }
    table.finish(&mut tell);
    println!("{} {packets} {} {} {}", own_nanos(), work.flows, work.identified, peak_kib());
}

/// CPU time of this process in nanoseconds (`/proc/self/schedstat`); zero where the system has no such file.
fn own_nanos() -> u64 {
    first_number(&fs::read_to_string("/proc/self/schedstat").unwrap_or_default())
}

/// The most memory that this process ever had, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or(0, first_number)
}

/// User and system time of children, fields 16 and 17 of `/proc/self/stat` (proc(5)).
fn children_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name.split(' ').skip(13).take(2).map(first_number).sum()
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// Tells this program that it is the one to be measured.
const ENGINE: &str = "--engine";
const PEER: &str = "ndpiReader";
const MIX_BYTES: u64 = 520_000_000;
const BULK_BYTES: u64 = 520_000_000;
/// Odd, so that a median exists.
const RUNS: usize = 5;
/// Linux counts in hundredths of a second (`USER_HZ`).
const NANOS_PER_TICK: u64 = 10_000_000;
