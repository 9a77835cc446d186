//! What detection costs: one score and update, a million updates with the store, a cold start, and the size of a subject in memory and on
//! disk. One run prints them all; it takes less than a minute on an idle machine.

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

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use peak_alloc::PeakAlloc;
use tidemark::baseline::{Histogram, Priors, Saved, Store, bits, volume};
use tidemark::detect::{Activity, Detector, Disposition, ProtocolUse, Settings};
use tidemark::network::Protocol;
use tidemark::observation::{Timestamp, ZoneOffset};
use tidemark::process::{Identity, Role, Subject};

/// Counts the bytes that are allocated, as they were asked for.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

fn main() {
    sizes();
    divan::main();
}

/// A source of numbers that is the same everywhere (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A byte count as the flows of one program have them: around its own median, 2 bits to either side of it for the most part, and one in
    /// fifty a burst of up to 64 times that.
    fn bytes(&mut self, program: u64) -> u64 {
        let median = 1 << (9 + program % 12);
        let spread = self.next() % 3 + self.next() % 3;
        let burst = if self.next().is_multiple_of(50) { self.next() % 7 } else { 0 };
        let bytes = (median << spread << burst) >> 2;
        bytes + self.next() % bytes
    }
}

fn subjects(count: u64) -> Vec<Subject> {
    let of = |n: u64| Subject {
        image: Identity::new(format!("TEAM{:06}:com.example.program-{n}", n % 977)),
        initiator: n
            .is_multiple_of(3)
            .then(|| Identity::new(format!("apple:com.apple.initiator-{}", n % 41))),
    };
    (0..count).map(of).collect()
}

/// Sends `updates` over all subjects in turn, spread over the waking hours of `days`.
fn live(
    detector: &mut Detector,
    subjects: &[Subject],
    updates: u64,
    days: u64,
    mut every: impl FnMut(&mut Detector, u64),
) {
    let mut numbers = Numbers(1227);
    let destinations: Vec<Arc<str>> = (0..64).map(|n| format!("host-{n}.example").into()).collect();
    for n in 0..updates {
        let awake = days * AWAKE_SECONDS * n / updates;
        let second = awake / AWAKE_SECONDS * 86_400 + awake % AWAKE_SECONDS;
        let program = numbers.next() % subjects.len() as u64;
        let subject = &subjects[usize::try_from(program).unwrap()];
        // Few destinations carry most flows, and one program has more of them than another.
        let few = 2 + program % 38;
        let destination =
            &destinations[usize::try_from((numbers.next() % few).min(numbers.next() % few)).unwrap()];
        let activity = Activity {
            time: Timestamp::from_seconds(1_790_035_200, 0).after(Duration::from_secs(second)),
            zone: ZoneOffset(0),
            subject,
            role: Role { tool: subject.initiator.is_some(), ..Role::default() },
            initiator_seen: true,
            volatile_cdhash: None,
            protocol: Some(ProtocolUse::new(Protocol::Tls, 443, Some(Protocol::Tls))),
            destination: Some(destination),
            bytes_out: numbers.bytes(program),
            bytes_in: numbers.bytes(program),
            began: true,
            who: None,
        };
        if let Some(finding) = detector.observe(&activity) {
            detector.dispose(&finding, Disposition::Alerted);
        }
        every(detector, n);
    }
}

/// A Mac is awake for nine hours a day.
const AWAKE_SECONDS: u64 = 9 * 3_600;

fn detector() -> Detector {
    Detector::new(Settings::default(), Arc::new(Priors::builtin()))
}

/// One probability from a histogram with thirty occupied bins, and one value learnt.
#[divan::bench]
fn score_and_update(bencher: Bencher) {
    let priors = Priors::builtin();
    let (mut histogram, mut numbers) = (Histogram::default(), Numbers(7));
    for _ in 0..2_000 {
        histogram.learn(bits(numbers.next() % (1 << (6 + numbers.next() % 20))), 1.0, 0, 30.0);
    }
    let mut n = 0u64;
    bencher.bench_local(|| {
        n = n.wrapping_add(997) % (1 << 30);
        histogram.learn(bits(n), 1.0, 0, 30.0);
        volume::log10_p_by_rank(&histogram, &priors.out.hour, bits(n))
    });
}

/// A million updates over 2,000 subjects and a day, and a checkpoint of all of them written to the store and flushed every 100,000. The daemon
/// writes one every 30 s.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn a_million_updates_with_the_store(bencher: Bencher) {
    let subjects = subjects(2_000);
    bencher.with_inputs(|| tempfile::tempdir().unwrap()).bench_local_values(|folder| {
        let store = Store::open(folder.path()).unwrap().store;
        live(&mut detector(), &subjects, 1_000_000, 1, |detector, n| {
            if n % 100_000 == 99_999 {
                store.write(&detector.checkpoint()).unwrap();
            }
        });
    });
}

/// The same without the store.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn a_million_updates(bencher: Bencher) {
    let subjects = subjects(2_000);
    bencher.bench_local(|| live(&mut detector(), &subjects, 1_000_000, 1, |_, _| {}));
}

/// Opening a store of 5,000 subjects and reading the detector from it.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn a_cold_start_with_5000_subjects(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let mut learnt = detector();
    live(&mut learnt, &subjects(5_000), 400_000, 20, |_, _| {});
    Store::open(folder.path()).unwrap().store.write(&learnt.checkpoint()).unwrap();
    bencher.bench_local(|| {
        let store = Store::open(folder.path()).unwrap().store;
        let saved = store.load().unwrap();
        Detector::restore(Settings::default(), Arc::new(Priors::builtin()), &saved).unwrap()
    });
}

/// Prints the size of a subject after a month of a busy life: 2,000 subjects, 300 updates each.
fn sizes() {
    let before = ALLOCATED.current_usage();
    let mut learnt = detector();
    let names = subjects(2_000);
    live(&mut learnt, &names, 600_000, 30, |_, _| {});
    let in_memory = ALLOCATED.current_usage() - before;
    let checkpoint = learnt.checkpoint();
    let mut sizes: Vec<usize> = checkpoint
        .subjects
        .iter()
        .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
        .collect();
    sizes.sort_unstable();
    let at = |share: usize| sizes.get(sizes.len() * share / 100).copied().unwrap_or(0);
    println!("a subject in memory, names and tables included: {} B", in_memory / sizes.len());
    println!("a stored subject with its key: median {} B, p90 {} B, p99 {} B", at(50), at(90), at(99));
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap().store;
    store.write(&checkpoint).unwrap();
    let on_disk = usize::try_from(store.bytes_on_disk().unwrap()).unwrap();
    println!("a store of {} subjects: {on_disk} B, {} B a subject", sizes.len(), on_disk / sizes.len());
    drop(store);
    let _: Saved = Store::open(folder.path()).unwrap().store.load().unwrap();
}
