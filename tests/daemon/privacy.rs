//! Canaries: what must not be kept is planted, and then looked for in everything that there is.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::rig::{FILE_SINK, Home, departure, tick, until};

/// Everything under a folder that could hold the canary, compressed things unpacked.
fn holds(folder: &Path, canary: &str) -> Option<String> {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = holds(&path, canary) {
                return Some(found);
            }
            continue;
        }
        let Ok(bytes) = fs::read(&path) else { continue };
        if contains(&bytes, canary) {
            return Some(path.display().to_string());
        }
        // The store keeps compressed documents among its pages.
        for at in 0..bytes.len().saturating_sub(2) {
            if bytes[at..].starts_with(&[0x1f, 0x8b, 8]) {
                let mut text = Vec::new();
                let _ = flate2::read::GzDecoder::new(&bytes[at..]).read_to_end(&mut text);
                if contains(&text, canary) {
                    return Some(format!("{} (compressed)", path.display()));
                }
            }
        }
    }
    None
}

fn contains(bytes: &[u8], canary: &str) -> bool {
    bytes.windows(canary.len()).any(|part| part == canary.as_bytes())
}

#[test]
fn a_secret_on_a_command_line_is_found_nowhere() {
    const CANARY: &str = "Canary7f3a9Zq21";
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    let planted = format!("-uann:{CANARY}");
    let lines = String::from_utf8(departure(1, "2026-03-02T08:00:00.000000000Z")).unwrap();
    let lines = lines.replace(
        "\"-T\"",
        &format!(
            "\"{planted}\",\"--oauth2-bearer\",\"{CANARY}\",\"https://x:{CANARY}@h.example/?token={CANARY}\""
        ),
    );
    assert!(lines.matches(CANARY).count() >= 4);
    daemon.feed(lines.as_bytes());
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("it alerts", || !home.alerts().is_empty());
    assert!(home.alerts()[0]["process"]["arguments"].to_string().contains("***"));
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    assert_eq!(holds(&home.path(""), CANARY), None);
    assert!(!log.contains(CANARY));
    // A canary that is not redacted is found, so that the search is known to search.
    assert!(holds(&home.path(""), "198.51.100.23").is_some());
}

#[test]
fn names_that_are_off_reach_no_receiver() {
    let home = Home::new(&format!(
        "privacy = {{ server_names = 'off', arguments = 'off', user_names = 'off' }}\n{FILE_SINK}"
    ));
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("it alerts", || !home.alerts().is_empty());
    assert!(daemon.stop().0.success());
    let told = fs::read_to_string(home.path("events.ndjson")).unwrap();
    assert!(!told.contains("files.example.net") && !told.contains("/Users/ann"), "{told}");
    for folder in ["state/spool", "state/findings"] {
        assert_eq!(holds(&home.path(folder), "files.example.net"), None, "{folder}");
    }
}

#[test]
fn a_self_test_arrives_marked_and_a_sink_that_is_away_is_named() {
    let home = Home::new(FILE_SINK);
    let daemon = home.start();
    let done = home.ask(&["selftest"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains("file: delivered"), "{said}");
    let alerts = home.alerts();
    assert_eq!((alerts.len(), &alerts[0]["test"]), (1, &serde_json::Value::Bool(true)));
    assert_eq!(home.status_json()["engine"]["baselines"]["subjects"], 0, "no baseline learns of it");
    assert!(daemon.stop().0.success());
}
