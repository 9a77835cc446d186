//! Measures what tidemark promises of itself: memory that stays flat, an engine that costs little, alerts that are on the disk at once.
//!
//! ```text
//! cargo run --release --example soak -- engine [UPDATES]      200 million updates and 5 million execs; memory every 5 %
//! cargo run --release --example soak -- load [SECONDS] [burst] 20,000 updates and 500 execs a second through the daemon; with `burst`, ten times that for 10 s
//! cargo run --release --example soak -- idle [SECONDS]        2,000 subjects and an observation every two seconds
//! cargo run --release --example soak -- checkpoint            what it takes to keep the state of 2,000 subjects and 100,000 live flows
//! ```
//!
//! It prints figures, one a line, and ends with 1 where a promise is not kept. Memory, processor time and wake-ups are read from `/proc`; where there
//! is none, they are not measured, and it says so.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that cannot go on has failed"
)]

#[path = "../tests/world/mod.rs"]
mod world;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tidemark::baseline::{Spill, Store};
use tidemark::config::Layers;
use tidemark::daemon::{self, Client, Configuration, Learnt, Sources, Wiring};
use tidemark::engine::{Engine, Settings};
use tidemark::observation::{Clock, Observation, Timestamp};
use world::{Size, World};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |default| arguments.get(1).map_or(default, |text| text.parse().expect("a number"));
    let kept = match arguments.first().map(String::as_str) {
        Some("engine") => engine(number(200_000_000)),
        Some("load") => load(number(60), arguments.get(2).is_some_and(|word| word == "burst")),
        Some("idle") => idle(number(120)),
        Some("checkpoint") => checkpoint(),
        _ => {
            eprintln!("soak engine [UPDATES] | load [SECONDS] [burst] | idle [SECONDS] | checkpoint");
            return ExitCode::from(2);
        }
    };
    println!("{}", if kept { "kept" } else { "NOT KEPT" });
    ExitCode::from(u8::from(!kept))
}

/// The engine alone, as fast as it goes.
fn engine(updates: u64) -> bool {
    let mut world = World::new(Size::PROMISED, start());
    let mut engine = Engine::new(Settings::default());
    let mut verdicts = Vec::new();
    let (mut alerts, mut samples, mut next) = (0_u64, Vec::new(), 0);
    let began = Instant::now();
    println!("updates execs seconds live_flows subjects rss_mb");
    while world.updates() < updates {
        let observation = world.next().unwrap();
        engine.observe(&observation, &mut verdicts);
        alerts += verdicts.drain(..).count() as u64;
        if world.updates() >= next {
            next += updates / 20;
            let rss = resident_mb().unwrap_or(f64::NAN);
            let subjects = engine.detector().summary().subjects;
            println!(
                "{} {} {:.0} {} {subjects} {rss:.1}",
                world.updates(),
                world.execs,
                began.elapsed().as_secs_f64(),
                engine.live_flows()
            );
            samples.push(rss);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("ns_an_update {:.0} (the making of it included)", seconds / updates as f64 * 1e9);
    println!("verdicts {alerts}");
    let most = samples.iter().copied().fold(0.0, f64::max);
    // Warm after a fifth: every flow and every subject is there.
    let warm = samples[samples.len() / 5];
    println!("rss_mb warm {warm:.1} last {:.1} most {most:.1}", samples.last().unwrap());
    most <= 100.0 && *samples.last().unwrap() <= warm * 1.05 + 1.0
}

/// Checkpoints of a full engine, and the memory that they take beside it.
fn checkpoint() -> bool {
    let mut world = World::new(Size::PROMISED, start());
    let mut engine = Engine::new(Settings::default());
    let mut verdicts = Vec::new();
    while world.updates() < 2_000_000 {
        engine.observe(&world.next().unwrap(), &mut verdicts);
        verdicts.clear();
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("baselines")).unwrap().store;
    println!("live_flows {} rss_mb {:.1}", engine.live_flows(), resident_mb().unwrap_or(f64::NAN));
    for _ in 0..4 {
        let began = Instant::now();
        let mut road = Spill::new(store.path());
        let mut checkpoint = engine.checkpoint_to(&mut road).unwrap();
        let made = began.elapsed();
        road.finish(&mut checkpoint).unwrap();
        store.write(&checkpoint).unwrap();
        let whole = began.elapsed();
        let (bytes, made, whole) = (checkpoint.bytes(), made.as_millis(), whole.as_millis());
        let (now, most) = (resident_mb().unwrap_or(f64::NAN), most_resident_mb().unwrap_or(f64::NAN));
        println!("bytes {bytes} made_ms {made} whole_ms {whole} rss_mb {now:.1} most_mb {most:.1}");
    }
    true
}

/// When a departure was handed over, by its number.
type Handed = Arc<Mutex<HashMap<u32, Instant>>>;

/// The whole daemon in real time.
fn load(seconds: u64, burst: bool) -> bool {
    let handed = Handed::default();
    let late = Arc::new(AtomicU64::new(0));
    let produced = Arc::new(AtomicU64::new(0));
    let warm_cost = Arc::new(Mutex::new(Cost::default()));
    let loaded_cost = Arc::new(Mutex::new(Cost::default()));
    let source = {
        let (handed, late, produced) = (Arc::clone(&handed), Arc::clone(&late), Arc::clone(&produced));
        let (warm_cost, loaded_cost) = (Arc::clone(&warm_cost), Arc::clone(&loaded_cost));
        let mut world = World::new(Size::PROMISED, start());
        // The programs and the first update of each flow are there before the clock starts.
        let mut warming = 2_000 + 300_000;
        let mut clock: Option<Instant> = None;
        let mut departures = 0_u32;
        let mut waiting: Vec<Observation> = Vec::new();
        let mut due = 0.0;
        std::iter::from_fn(move || {
            if warming > 0 {
                warming -= 1;
                produced.fetch_add(1, Ordering::Relaxed);
                return world.next();
            }
            if let Some(observation) = waiting.pop() {
                produced.fetch_add(1, Ordering::Relaxed);
                return Some(observation);
            }
            let began = *clock.get_or_insert_with(|| {
                // The queue holds thousands; what the engine does with them counts as load.
                *warm_cost.lock().unwrap() = Cost::now();
                Instant::now()
            });
            let elapsed = began.elapsed().as_secs_f64();
            if elapsed >= seconds as f64 {
                // What the end costs is no load.
                *loaded_cost.lock().unwrap() = Cost::now();
                return None;
            }
            // Every quarter of a second something that nobody has seen.
            if elapsed >= f64::from(departures) * 0.25 {
                departures += 1;
                let time = world.time();
                waiting.extend(world.departure(departures, time).into_iter().rev());
                handed.lock().unwrap().insert(departures, Instant::now());
                produced.fetch_add(1, Ordering::Relaxed);
                return waiting.pop();
            }
            // 21,500 observations a second: 20,000 updates, and 500 each of fork, exec and exit.
            let bursts = burst && (elapsed - seconds as f64 / 2.0).abs() < 5.0;
            due += if bursts { 1.0 / 215_000.0 } else { 1.0 / 21_500.0 };
            if due > elapsed {
                thread::sleep(Duration::from_secs_f64((due - elapsed).max(0.001)));
            } else {
                late.fetch_max(((elapsed - due) * 1e6) as u64, Ordering::Relaxed);
            }
            produced.fetch_add(1, Ordering::Relaxed);
            world.next()
        })
    };
    let rig = Rig::new();
    let latencies = rig.follow(handed);
    let (tally, _) = rig.run(source);
    let (share, wakes) = loaded_cost.lock().unwrap().engine_since(&warm_cost.lock().unwrap(), seconds);
    let mut latencies: Vec<f64> = latencies.lock().unwrap().clone();
    latencies.sort_by(f64::total_cmp);
    let quantile = |q: f64| latencies.get(((latencies.len() as f64 - 1.0) * q).max(0.0) as usize).copied();
    println!("engine_thread_percent_of_a_core {share:.2}");
    println!("engine_thread_wakes_a_second {wakes:.0}");
    println!("produced {} observed {}", produced.load(Ordering::Relaxed), tally);
    println!("source_late_ms_most {:.1}", late.load(Ordering::Relaxed) as f64 / 1_000.0);
    println!("rss_mb {:.1}", resident_mb().unwrap_or(f64::NAN));
    println!("departures_alerted {}", latencies.len());
    println!(
        "observation_to_spooled_alert_ms median {:.1} p99 {:.1}",
        quantile(0.5).unwrap_or(f64::NAN),
        quantile(0.99).unwrap_or(f64::NAN)
    );
    let whole = produced.load(Ordering::Relaxed) == tally;
    let quick = quantile(0.99).is_some_and(|p99| p99 <= 100.0);
    // A burst may cost what it costs, and its length of lateness; the rest may not.
    whole && (burst || (quick && share <= 5.0 && late.load(Ordering::Relaxed) < 1_000_000))
}

/// The daemon with 2,000 subjects and next to nothing to do.
fn idle(seconds: u64) -> bool {
    let mut world = World::new(Size { flows: 2_000, ..Size::PROMISED }, start());
    let warm: Vec<Observation> = world.by_ref().take(2_000 + 20_000).collect();
    let marks = Arc::new(Mutex::new(None));
    let set = Arc::clone(&marks);
    let mut left = seconds / 2;
    let middle = Arc::new(Mutex::new((None, None)));
    let reached = Arc::clone(&middle);
    let mut time = world.time();
    let source = warm.into_iter().chain(std::iter::from_fn(move || {
        let mut mark = set.lock().unwrap();
        if mark.is_none() {
            // What the start costs is no part of the rest.
            thread::sleep(Duration::from_secs(2));
            *mark = Some((Cost::now(), written_bytes(), Instant::now()));
        }
        drop(mark);
        left = left.checked_sub(1)?;
        let now = (written_bytes(), Instant::now());
        let mut reached = reached.lock().unwrap();
        if left >= seconds / 4 {
            reached.0 = Some(now);
        }
        // What the end writes is no part of a day either.
        reached.1 = Some(now);
        drop(reached);
        thread::sleep(Duration::from_secs(2));
        time = time.after(Duration::from_secs(2));
        Some(Observation::Clock(Clock { time, awake: None }))
    }));
    let rig = Rig::new();
    let (_, after) = rig.run(source);
    let (before, written, began) = marks.lock().unwrap().take().unwrap();
    let length = began.elapsed().as_secs_f64();
    let wakes = (after.wakes - before.wakes) as f64 / length;
    let pool = (after.pool_wakes - before.pool_wakes) as f64 / length;
    // The first checkpoints hold everything, and come once; what follows goes on all day.
    let (middle, last) = *middle.lock().unwrap();
    let ((by_middle, half), (by_last, end)) = (middle.unwrap(), last.unwrap());
    let rate = (by_last - by_middle) as f64 / end.duration_since(half).as_secs_f64();
    let daily = ((by_middle - written) as f64 + rate * 86_400.0) / 1e6;
    println!("wakes_a_second {wakes:.2} (the paced source's own, 0.5, are among them)");
    println!(
        "wakes_a_second_of_sleds_pool {pool:.2} (each of its seven threads looks for work once a second)"
    );
    println!("written_mb_a_day {daily:.0}");
    println!("rss_mb {:.1}", resident_mb().unwrap_or(f64::NAN));
    wakes + pool <= 2.0 && daily <= 150.0
}

/// A daemon in this process.
struct Rig {
    state: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let text = "[detection]\nlearn_days = 0\nalerts_per_mac_per_day = 10.0\nalerts_per_day_cap = 1000000\n\
                    [[delivery.sink]]\ntype = 'file'\nname = 'file'\npath = 'alerts.ndjson'\n";
        std::fs::write(state.path().join("tidemark.toml"), text).unwrap();
        Self { state }
    }

    /// Runs to the end of the source; gives what was observed, and what the engine's thread cost until just before.
    fn run(&self, source: impl Iterator<Item = Observation> + Send + 'static) -> (u64, Cost) {
        let layers = Layers { file: Some(self.state.path().join("tidemark.toml")), ..Layers::default() };
        let (configuration, settings) = Configuration::load(layers).unwrap();
        let opened = Store::open(&self.state.path().join("baselines")).unwrap();
        let wiring = Wiring {
            state: self.state.path().to_owned(),
            configuration,
            learnt: Learnt::of(&opened),
            store: Some(opened.store),
            checkpoint_every: Duration::from_secs(30),
            host: "soak".to_owned(),
            journal: None,
            resumed: Vec::new(),
            sources: Sources::default(),
            watch: tidemark::source::live::SourceWatch::default(),
            effort: None,
        };
        let over = Arc::new(AtomicBool::new(false));
        let sampler = {
            let over = Arc::clone(&over);
            let sampler = thread::Builder::new().name("sampler".to_owned());
            sampler
                .spawn(move || {
                    let mut cost = Cost::default();
                    while !over.load(Ordering::Relaxed) {
                        let now = Cost::now();
                        // The engine's thread is gone at the end, and its account with it.
                        if now.engine_ticks >= cost.engine_ticks {
                            cost = now;
                        }
                        thread::sleep(Duration::from_millis(500));
                    }
                    cost
                })
                .unwrap()
        };
        let tally = daemon::run(source, Engine::new(settings), wiring).unwrap();
        over.store(true, Ordering::Relaxed);
        (tally.observations, sampler.join().unwrap())
    }

    /// Follows findings, and measures how long each took from its last observation to the spool, in milliseconds.
    fn follow(&self, handed: Handed) -> Arc<Mutex<Vec<f64>>> {
        let latencies = Arc::new(Mutex::new(Vec::new()));
        let (state, told) = (self.state.path().to_owned(), Arc::clone(&latencies));
        thread::spawn(move || {
            let client = loop {
                match Client::connect(&state) {
                    Ok(client) => break client,
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            };
            for line in client.tail().unwrap().map_while(Result::ok) {
                let value: serde_json::Value = serde_json::from_str(&line).unwrap();
                let initiator = value["subject"]["initiator"].as_str().unwrap_or_default();
                let number = initiator.split("/Job").nth(1).and_then(|rest| rest.split('.').next());
                let Some(number) = number.and_then(|number| number.parse().ok()) else { continue };
                if let Some(began) = handed.lock().unwrap().remove(&number) {
                    told.lock().unwrap().push(began.elapsed().as_secs_f64() * 1_000.0);
                }
            }
        });
        latencies
    }
}

/// What threads cost so far.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    /// Clock ticks of the engine's thread, of which there are 100 in a second.
    engine_ticks: u64,
    engine_wakes: u64,
    /// Times that the daemon's own threads slept and woke.
    wakes: u64,
    /// The same of the threads that sled has for itself.
    pool_wakes: u64,
}

impl Cost {
    fn now() -> Self {
        let mut cost = Self::default();
        for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let name = read("comm").trim().to_owned();
            let wakes = read("status")
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
                .unwrap_or(0_u64);
            if DAEMONS_THREADS.contains(&name.as_str()) {
                cost.wakes += wakes;
            }
            if name.starts_with("sled-io") {
                cost.pool_wakes += wakes;
            }
            if name == "engine" {
                let stat = read("stat");
                let after = stat.rsplit(')').next().unwrap_or_default();
                let fields: Vec<&str> = after.split_whitespace().collect();
                let tick = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
                cost.engine_ticks = tick(11) + tick(12);
                cost.engine_wakes = wakes;
            }
        }
        cost
    }

    /// The engine's share of a core in percent, and its wake-ups a second.
    fn engine_since(&self, before: &Self, seconds: u64) -> (f64, f64) {
        let a_second = |after: u64, before: u64| (after - before) as f64 / seconds as f64;
        (a_second(self.engine_ticks, before.engine_ticks), a_second(self.engine_wakes, before.engine_wakes))
    }
}

/// As the daemon names them; the main thread, which drives the runtime, has the program's name.
const DAEMONS_THREADS: [&str; 4] = ["engine", "source", "sink", "soak"];

fn resident_mb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4_096.0 / 1e6)
}

fn most_resident_mb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let most = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(most.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1_024.0 / 1e6)
}

/// Bytes that this process had written to a disk.
fn written_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

fn start() -> Timestamp {
    Timestamp::parse("2026-03-02T08:00:00Z").unwrap()
}
