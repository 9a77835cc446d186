//! Exceptions through the command, on the demo recording: what a person types, and what is then silent or not.

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
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    ["fortnight.ndjson.gz", "attack.ndjson", "attack.pcapng"]
        .into_iter()
        .map(|name| folder.join(name))
        .collect()
}

fn tidemark(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemark")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with a configuration whose exceptions are these.
struct Place(tempfile::TempDir);

impl Place {
    fn new(exceptions: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("exceptions.d")).unwrap();
        fs::write(folder.path().join("exceptions.d/some.toml"), exceptions).unwrap();
        let config = format!("[exceptions]\ndirectory = \"exceptions.d\"\n{settings}");
        fs::write(folder.path().join("tidemark.toml"), config).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Alerts and suppressed findings of the demo recording.
    fn replay(&self) -> Vec<Value> {
        let inputs = recordings();
        let mut args = vec!["replay", "--suppressed", "--quiet", "--config"];
        let config = self.path("tidemark.toml");
        args.push(&config);
        args.extend(inputs.iter().map(|path| path.to_str().unwrap()));
        let output = tidemark(&args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn check(&self, more: &[&str]) -> Output {
        let config = self.path("tidemark.toml");
        tidemark(&[&["exceptions", "check", "--today", "2026-07-01", "--config", &config], more].concat())
    }
}

const CURL: &str = r#"
[[exception]]
id = "CURL"
owner = "it@example.com"
reason = "nightly upload"
created = 2026-06-01
expires = 2026-12-31
match.image = "apple:com.apple.curl"
match.destination.domain = ["example.net"]
"#;

fn of_curl(alerts: &[Value]) -> Vec<&Value> {
    alerts.iter().filter(|alert| alert["subject"]["image"] == "apple:com.apple.curl").collect()
}

#[test]
fn a_suppressed_finding_is_kept_with_the_id_and_others_stand() {
    let alerts = Place::new(CURL, "").replay();
    let curl = of_curl(&alerts);
    assert!(!curl.is_empty() && curl.iter().all(|alert| alert["exception"]["id"] == "CURL"));
    let python: Vec<&Value> =
        alerts.iter().filter(|alert| alert["subject"]["image"] == "apple:com.apple.python3").collect();
    assert!(!python.is_empty() && python.iter().all(|alert| alert["exception"].is_null()));
}

#[test]
fn a_lowered_finding_is_an_alert_of_the_least_severity() {
    let place = Place::new(&CURL.replace("match.image", "action = \"lower\"\nmatch.image"), "");
    let alerts = place.replay();
    let curl = of_curl(&alerts);
    assert!(!curl.is_empty());
    assert!(curl.iter().all(|alert| alert["severity"] == "info" && alert["exception"]["id"] == "CURL"));
}

#[test]
fn beyond_its_limit_an_exception_covers_nothing() {
    let place =
        Place::new(&CURL.replace("match.image", "limits.bytes_out_per_hour = \"1MB\"\nmatch.image"), "");
    let alerts = place.replay();
    let (small, large): (Vec<&Value>, Vec<&Value>) = of_curl(&alerts)
        .into_iter()
        .partition(|alert| alert["flow"]["bytes_out"].as_u64().unwrap() <= 1_000_000);
    assert!(!small.is_empty() && small.iter().all(|alert| alert["exception"]["id"] == "CURL"));
    assert!(!large.is_empty() && large.iter().all(|alert| alert["exception"].is_null()), "{large:?}");
}

#[test]
fn what_is_to_be_learnt_changes_the_baseline_and_what_is_only_suppressed_does_not() {
    let learning = CURL.replace("match.image", "learn = true\nmatch.image");
    let [kept, learnt] = [CURL, &learning].map(|exceptions| {
        let place = Place::new(exceptions, "");
        let (state, config) = (place.path("state"), place.path("tidemark.toml"));
        let inputs = recordings();
        let mut args = vec!["replay", "--quiet", "--state", &state, "--config", &config];
        args.extend(inputs.iter().map(|path| path.to_str().unwrap()));
        assert!(tidemark(&args).status.success());
        text(&tidemark(&["baseline", "export", "--store", &state]).stdout)
    });
    assert!(kept.contains("curl") && learnt.contains("curl"), "{kept}");
    assert_ne!(kept, learnt);
}

#[test]
fn a_check_refuses_what_would_hide_a_known_attack_until_it_is_allowed() {
    let place = Place::new(CURL, "");
    let refused = place.check(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("CURL would hide a known attack: curl, run by Automator"));
    let allowed = place.check(&["--allow-hiding", "CURL"]);
    assert!(allowed.status.success(), "{}", text(&allowed.stderr));
    let unknown = place.check(&["--allow-hiding", "CURLY"]);
    assert_eq!(unknown.status.code(), Some(2));
    // Neither a date nor an hour at which the recorded attack did not run makes it harmless.
    for other in [
        CURL.replace("created = 2026-06-01", "created = 2026-06-20"),
        format!("{CURL}match.hours = \"01:00-02:00\"\nmatch.zone = \"UTC\"\n"),
    ] {
        assert_eq!(Place::new(&other, "").check(&[]).status.code(), Some(1));
    }
    let elsewhere = Place::new(&CURL.replace("example.net", "example.com"), "").check(&[]);
    assert!(elsewhere.status.success(), "{}", text(&elsewhere.stderr));
}

#[test]
fn a_check_refuses_what_has_expired() {
    let old = CURL.replace("example.net", "example.com").replace("2026-12-31", "2026-06-30");
    let output = Place::new(&old, "").check(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("some.toml:2: exception CURL expired 1 day ago"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_starter_pack_hides_no_known_attack() {
    let output = Place::new("", "starter_pack = true").check(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_suggestion_silences_its_finding_and_nothing_else() {
    let place = Place::new("", "");
    let before = place.replay();
    let file = place.path("alerts.ndjson");
    let lines = before.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n";
    fs::write(&file, lines).unwrap();
    for alert in &before {
        let id = alert["id"].as_str().unwrap();
        let suggestion = tidemark(&[
            "exceptions",
            "suggest",
            &file,
            "--id",
            id,
            "--owner",
            "me",
            "--reason",
            "a test",
            "--findings",
            &file,
        ]);
        assert!(suggestion.status.success(), "{}", text(&suggestion.stderr));
        let suggestion = text(&suggestion.stdout);
        assert!(suggestion.contains("CAREFUL: up to its limit it hides a known attack"), "{suggestion}");
        let covered = format!("of {} stored findings", before.len());
        let line =
            suggestion.lines().find(|line| line.contains(&covered)).unwrap_or_else(|| panic!("{suggestion}"));
        assert!(!line.contains("covered 0 of"), "{line}");
        let after = Place::new(&suggestion, "").replay();
        let found = after
            .iter()
            .find(|other| other["finding"] == alert["finding"] && other["time"] == alert["time"])
            .unwrap();
        assert!(!found["exception"].is_null(), "{id}");
        assert!(
            after
                .iter()
                .filter(|other| other["subject"] != alert["subject"])
                .all(|other| other["exception"].is_null())
        );
    }
    // Nobody answers for it yet.
    let nameless = text(&tidemark(&["exceptions", "suggest", &file]).stdout);
    let output = Place::new(&nameless, "").check(&[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("`owner` is empty"));
}

#[test]
fn explain_names_the_condition_that_failed_and_test_what_would_be_silent() {
    let place = Place::new(&CURL.replace("example.net", "example.com"), "");
    let file = place.path("alerts.ndjson");
    let alerts = place.replay();
    let last = of_curl(&alerts).last().unwrap().to_string();
    fs::write(&file, format!("{{\"hits\":[{{\"_source\":{last}}}]}}")).unwrap();
    let config = place.path("tidemark.toml");
    let explained = text(&tidemark(&["exceptions", "explain", &file, "--config", &config]).stdout);
    assert!(
        explained.contains("CURL (")
            && explained.contains("destination.domain: wanted example.com, seen files.example.net"),
        "{explained}"
    );
    let unused = text(&tidemark(&["exceptions", "unused", &file, "--config", &config]).stdout);
    assert!(unused.starts_with("CURL  it@example.com"), "{unused}");
    let new = place.path("new.toml");
    fs::write(&new, CURL.replace("2026-06-01", "2026-07-01")).unwrap();
    let tested = text(&tidemark(&["exceptions", "test", &new, "--findings", &file]).stdout);
    assert!(
        tested.contains("1 of 1 findings would have been covered; 1 of them had left as alerts"),
        "{tested}"
    );
}
