//! The road as a whole, on the demo recording: what is seen goes in, what an analyst reads comes out.

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

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use tidemark::alert::{Activity, Alert};
use tidemark::baseline::{Checkpoint, Saved, Store};
use tidemark::engine::{Engine, Settings, Verdict};
use tidemark::source::{Input, Merged, OpenOptions, Origins};

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

fn demo() -> Vec<PathBuf> {
    ["fortnight.ndjson.gz", "attack.ndjson", "attack.pcapng"].into_iter().map(recording).collect()
}

/// The alerts of these inputs, one JSON document a line.
fn replay(inputs: &[PathBuf]) -> String {
    let mut merged = Merged::new(Input::all(inputs, Origins::Joined, &OpenOptions::default()));
    let mut engine = Engine::new(Settings::default());
    let mut verdicts = Vec::new();
    for observation in &mut merged {
        engine.observe(&observation, &mut verdicts);
    }
    engine.finish(&mut verdicts);
    for report in merged.reports() {
        assert_eq!((report.malformed, report.ended_early), (0, None), "{}", report.name);
    }
    let alerts = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Alert(alert) => Some(alert.to_json()),
        _ => None,
    });
    alerts.map(|line| line + "\n").collect()
}

fn documents(alerts: &str) -> Vec<serde_json::Value> {
    alerts.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_ordinary_fortnight_is_silent() {
    assert_eq!(replay(&[recording("fortnight.ndjson.gz")]), "");
}

#[test]
fn both_attacks_alert_and_say_who_what_where_and_how_much() {
    let alerts = documents(&replay(&demo()));
    let of = |image: &str, initiator: &str| {
        let mut alerts = alerts
            .iter()
            .filter(|alert| alert["subject"]["image"] == image && alert["subject"]["initiator"] == initiator);
        // The first says that it happens at all; a later one, that it has become much more.
        alerts.next_back().unwrap_or_else(|| panic!("no alert on {image} < {initiator}"))
    };
    let curl = of("apple:com.apple.curl", "apple:com.apple.Automator");
    let python = of("apple:com.apple.python3", "apple:com.apple.osascript");
    for (alert, name, protocol, destination, least_bytes) in [
        (curl, "curl", "tls", "example.net", 20_000_000),
        (python, "Python", "unknown", "203.0.113.0/24", 10_000),
    ] {
        assert_eq!(alert["schema"], "tidemark.alert/1");
        assert_eq!(alert["process"]["name"], name);
        assert_eq!(alert["attribution"], "pid");
        assert_eq!(alert["flow"]["protocol"], protocol);
        assert_eq!(alert["flow"]["destination"], destination);
        assert!(alert["flow"]["bytes_out"].as_u64().unwrap() >= least_bytes);
        assert!(alert["initiator"]["path"].as_str().is_some());
        assert_eq!(alert["attack"]["analytic"], "AN1227");
        let summary = alert["summary"].as_str().unwrap();
        assert!(
            summary.starts_with(name) && summary.contains("run by") && summary.ends_with('.'),
            "{summary}"
        );
        let score = alert["score"].as_f64().unwrap();
        assert!(score >= alert["context"]["threshold"].as_f64().unwrap());
    }
    assert!(
        alerts
            .iter()
            .all(|alert| alert["subject"] == curl["subject"] || alert["subject"] == python["subject"])
    );
}

#[test]
fn a_second_replay_gives_the_same_bytes() {
    assert_eq!(replay(&demo()), replay(&demo()));
}

#[test]
fn a_recording_in_parts_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = Vec::new();
    for (name, cuts) in [("fortnight.ndjson.gz", [1, 777, 9_000]), ("attack.ndjson", [1, 2, 11])] {
        let mut text = String::new();
        let bytes = fs::read(recording(name)).unwrap();
        if name == "fortnight.ndjson.gz" {
            flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        let lines: Vec<&str> = text.lines().collect();
        let mut from = 0;
        for (number, to) in cuts.into_iter().chain([lines.len()]).enumerate() {
            let path = folder.path().join(format!("{name}.{number}.ndjson"));
            let mut file = fs::File::create(&path).unwrap();
            for line in &lines[from..to] {
                writeln!(file, "{line}").unwrap();
            }
            from = to;
            parts.push(path);
        }
    }
    parts.push(recording("attack.pcapng"));
    let whole = replay(&demo());
    assert_eq!(replay(&parts), whole);
    // The order in which a shell names them does not matter either.
    parts.reverse();
    assert_eq!(replay(&parts), whole);
}

/// The alerts of these inputs, each replayed by an engine that goes on where the one before was suspended, through a store on disk.
fn replay_in_runs(runs: &[Vec<PathBuf>], as_written: impl Fn(Checkpoint) -> Checkpoint) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut alerts = String::new();
    for inputs in runs {
        let store = Store::open(&folder.path().join("state")).unwrap().store;
        let mut verdicts = Vec::new();
        let mut engine =
            Engine::resume(Settings::default(), &store.load().unwrap(), [], &mut verdicts).unwrap();
        for observation in Merged::new(Input::all(inputs, Origins::Joined, &OpenOptions::default())) {
            engine.observe(&observation, &mut verdicts);
        }
        store.write(&as_written(engine.suspend(&mut verdicts).unwrap())).unwrap();
        for verdict in verdicts {
            if let Verdict::Alert(alert) = verdict {
                alerts.push_str(&alert.to_json());
                alerts.push('\n');
            }
        }
    }
    alerts
}

#[test]
fn a_stop_and_a_start_change_no_alert() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(recording("fortnight.ndjson.gz")).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    let halves = [first, second].map(|half| {
        let path = folder.path().join(format!("{}.ndjson", half.as_ptr() as usize));
        fs::write(&path, half.join("\n") + "\n").unwrap();
        path
    });
    let attack = [recording("attack.ndjson"), recording("attack.pcapng")];
    let [first, second] = halves;
    let runs = [vec![first], [vec![second], attack.to_vec()].concat()];
    let whole = replay(&demo());
    assert_eq!(replay_in_runs(&runs, |checkpoint| checkpoint), whole);
    // The first states were compressed with gzip, and had with each flow whose it is.
    let as_the_first = |checkpoint: Checkpoint| {
        let road = checkpoint.road.unwrap();
        let json = lz4_flex::frame::FrameDecoder::new(road.as_slice());
        let json = of_version_1(serde_json::from_reader(json).unwrap());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(json.to_string().as_bytes()).unwrap();
        Checkpoint { road: Some(gzip.finish().unwrap()), ..checkpoint }
    };
    assert_eq!(replay_in_runs(&runs, as_the_first), whole);
}

fn of_version_1(mut road: serde_json::Value) -> serde_json::Value {
    assert_eq!(road["version"], 2);
    road["version"] = 1.into();
    let owners = road.as_object_mut().unwrap().remove("owners").unwrap();
    for flow in road["flows"]["flows"].as_array_mut().unwrap() {
        let tag = flow["tag"].as_object_mut().unwrap();
        let mut place = |key: &str, list: &str| match tag.remove(key) {
            Some(at) => owners[list][at.as_u64().unwrap() as usize].clone(),
            None => serde_json::Value::Null,
        };
        let (who, via) = (place("who", "whos"), place("via", "brokers"));
        let method = tag.remove("method").unwrap();
        tag.insert("attribution".into(), serde_json::json!({ "method": method, "who": who, "via": via }));
    }
    road
}

#[test]
fn checkpoints_change_nothing_and_hold_what_the_end_of_the_run_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state")).unwrap().store;
    let inputs = [
        vec![recording("fortnight.ndjson.gz")],
        vec![recording("attack.ndjson"), recording("attack.pcapng")],
    ];
    let mut alerts = String::new();
    for inputs in &inputs {
        // Each run but the last ends as a crash does: only its last checkpoint is left of it.
        let mut verdicts = Vec::new();
        let mut engine =
            Engine::resume(Settings::default(), &store.load().unwrap(), [], &mut verdicts).unwrap();
        let observations: Vec<_> =
            Merged::new(Input::all(inputs, Origins::Joined, &OpenOptions::default())).collect();
        for chunk in observations.chunks(2_999) {
            for observation in chunk {
                engine.observe(observation, &mut verdicts);
            }
            store.write(&engine.checkpoint().unwrap()).unwrap();
        }
        if inputs.len() > 1 {
            engine.finish(&mut verdicts);
        }
        for verdict in verdicts {
            if let Verdict::Alert(alert) = verdict {
                alerts.push_str(&alert.to_json());
                alerts.push('\n');
            }
        }
    }
    assert_eq!(alerts, replay(&demo()));
}

#[test]
fn what_left_after_the_last_checkpoint_is_neither_told_nor_numbered_again() {
    let paths = [recording("attack.ndjson"), recording("attack.pcapng")];
    let observations: Vec<_> =
        Merged::new(Input::all(&paths, Origins::Joined, &OpenOptions::default())).collect();
    let events = |verdicts: &[Verdict]| -> Vec<Alert> {
        let alert = |verdict: &Verdict| match verdict {
            Verdict::Alert(alert) => Some((**alert).clone()),
            _ => None,
        };
        verdicts.iter().filter_map(alert).collect()
    };
    let mut engine = Engine::new(Settings::default());
    let mut verdicts = Vec::new();
    let checkpoint = engine.checkpoint().unwrap();
    for observation in &observations {
        engine.observe(observation, &mut verdicts);
    }
    let left = events(&verdicts);
    assert!(!left.is_empty());
    let saved = Saved { host: Some(checkpoint.host), road: checkpoint.road, ..Saved::default() };
    let mut verdicts = Vec::new();
    let newest_first = left.iter().rev().cloned();
    let mut resumed = Engine::resume(Settings::default(), &saved, newest_first, &mut verdicts).unwrap();
    assert_eq!(resumed.sequence(), left.len() as u64);
    assert_eq!(resumed.lifecycle().len(), engine.lifecycle().len());
    for observation in &observations {
        resumed.observe(observation, &mut verdicts);
    }
    resumed.finish(&mut verdicts);
    // The same observations again: the findings go on, and are not created a second time.
    let again = events(&verdicts);
    assert!(!again.is_empty());
    for (number, event) in again.iter().enumerate() {
        assert_ne!(event.stage.activity, Activity::Create, "{}", event.summary);
        assert_eq!(event.host.sequence, (left.len() + 1 + number) as u64);
    }
}
