//! What an alert rests on, cut out of the demo recording, gives the same alert again; and the page about it stands in a real browser.

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

use std::path::{Path, PathBuf};
use std::process::Command;

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    ["fortnight.ndjson.gz", "attack.ndjson", "attack.pcapng"].iter().map(|name| folder.join(name)).collect()
}

/// What tidemark prints with these arguments.
fn tidemark(arguments: &[&str], inputs: &[PathBuf]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_tidemark")).args(arguments).args(inputs).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn evidence_replays_to_the_same_alert_as_often_as_one_likes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let alerts = tidemark(&["replay", "--quiet"], &recordings());
    std::fs::write(path("alerts.ndjson"), &alerts).unwrap();
    for (number, line) in alerts.lines().enumerate() {
        let alert: serde_json::Value = serde_json::from_str(line).unwrap();
        let case = path(&format!("case-{number}"));
        let mut inputs = recordings();
        inputs.extend(["-o".into(), case.clone()]);
        let stored = path("alerts.ndjson");
        let (id, stored) = (alert["id"].as_str().unwrap(), stored.to_str().unwrap());
        tidemark(&["evidence", id, "--alerts", stored, "--inputs"], &inputs);
        let state = case.join("state");
        for _ in 0..2 {
            let files = ["recording.ndjson", "packets.pcapng"].map(|name| case.join(name));
            let again = tidemark(&["replay", "--quiet", "--from", state.to_str().unwrap()], &files);
            assert!(again.lines().any(|again| again == line), "{line}\n{again}");
        }
    }
}

#[test]
fn every_format_of_the_demo_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["native", "ocsf", "ecs"] {
        for slim in [
            &["replay", "--quiet", "--format", format][..],
            &["replay", "--quiet", "--slim", "--format", format],
        ] {
            let path = folder.path().join(format);
            let alerts = tidemark(slim, &recordings());
            assert!(!slim.contains(&"--slim") || alerts.lines().all(|line| line.len() <= 8_000));
            std::fs::write(&path, alerts).unwrap();
            let told = tidemark(&["explain"], &[path]);
            assert!(told.contains("Automator") && told.contains("docs/runbooks/initiator.md"), "{told}");
        }
    }
}

#[test]
fn the_report_renders_in_a_browser_without_asking_for_anything() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|done| done.status.success()))
    else {
        println!("skipped: no Chromium is installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (alerts, page) = (folder.path().join("alerts.ndjson"), folder.path().join("report.html"));
    std::fs::write(&alerts, tidemark(&["replay", "--quiet"], &recordings())).unwrap();
    tidemark(&["report", "-o", page.to_str().unwrap()], &[alerts]);
    let done = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let (dom, said) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(dom.contains("files.example.net") && dom.contains("class=\"seen\""), "{dom}\n{said}");
    // What the policy forbids is said in the console.
    assert!(!said.contains("Content Security Policy") && !said.contains("Refused to"), "{said}");
}
