//! What tidemark promises of its memory, in a short form. The long form is `cargo run --release --example soak`; `TIDEMARK_SOAK=10` makes this one ten
//! times as long.

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

mod world;

use std::time::Duration;

use tidemark::engine::{Engine, Settings};
use tidemark::observation::{Observation, Timestamp};
use world::{Size, World};

/// Resident memory in megabytes; none where the system does not say in a file. One test runs at a time, since they share it.
fn resident_mb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4_096.0 / 1e6)
}

fn times() -> u32 {
    std::env::var("TIDEMARK_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn start() -> Timestamp {
    Timestamp::parse("2026-03-02T08:00:00Z").unwrap()
}

fn walk(engine: &mut Engine, observations: impl Iterator<Item = Observation>) {
    let mut verdicts = Vec::new();
    for observation in observations {
        engine.observe(&observation, &mut verdicts);
        verdicts.clear();
    }
}

#[test]
fn memory_is_flat_and_bounded_whatever_comes() {
    updates_that_never_end();
    a_storm_of_programs();
    a_program_that_goes_everywhere();
}

fn updates_that_never_end() {
    // Processes that ended are kept for minutes: warm is only what has seen the first of them go.
    let step = Duration::from_millis(20);
    let size = Size { subjects: 500, flows: 5_000, step, ..Size::PROMISED };
    let mut world = World::new(size, start());
    let mut engine = Engine::new(Settings::default());
    walk(&mut engine, world.by_ref().take(60_000));
    let warm = resident_mb();
    walk(&mut engine, world.by_ref().take(usize::try_from(240_000 * times()).unwrap()));
    assert!(engine.live_flows() <= 5_000);
    assert_eq!(engine.detector().summary().networked, 500);
    let (Some(warm), Some(now)) = (warm, resident_mb()) else {
        println!("not measured: this system does not tell memory in a file");
        return;
    };
    // What the allocator keeps of freed memory comes and goes by a few megabytes.
    assert!(now <= warm * 1.1 + 6.0, "{warm:.1} MB when warm, {now:.1} MB at the end");
}

fn a_storm_of_programs() {
    let mut world = World::new(Size { subjects: 1, flows: 1, ..Size::PROMISED }, start());
    let mut settings = Settings::default();
    settings.detection.subjects = 2_000;
    let mut engine = Engine::new(settings);
    let count = 10_000;
    for number in 0..count {
        let time = start().after(Duration::from_millis(u64::from(number) * 6));
        walk(&mut engine, world.newcomer(number, time).into_iter());
    }
    let summary = engine.detector().summary();
    assert!(summary.subjects <= 2_000, "{summary:?}");
    assert!(summary.evicted >= 8_000, "{summary:?}");
    assert_eq!(engine.coverage().flows.attributed, u64::from(count));
}

fn a_program_that_goes_everywhere() {
    let mut world = World::new(Size { subjects: 1, flows: 1, ..Size::PROMISED }, start());
    let mut engine = Engine::new(Settings::default());
    let app = world.next();
    walk(&mut engine, app.into_iter());
    let count = 100_000 * times();
    let visits = |from: u32, to: u32| {
        (from..to).map(|number| World::visit(number, start().after(Duration::from_millis(u64::from(number)))))
    };
    walk(&mut engine, visits(0, count / 5));
    let warm = resident_mb();
    walk(&mut engine, visits(count / 5, count));
    assert_eq!(engine.coverage().flows.all, u64::from(count));
    if let (Some(warm), Some(now)) = (warm, resident_mb()) {
        assert!(now <= warm * 1.1 + 6.0, "{warm:.1} MB after a fifth of the places, {now:.1} MB after all");
    }
}
