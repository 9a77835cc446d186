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
            let mut text = Vec::new();
            if bytes[at..].starts_with(&[0x1f, 0x8b, 8]) {
                let _ = flate2::read::GzDecoder::new(&bytes[at..]).read_to_end(&mut text);
            } else if bytes[at..].starts_with(&LZ4_FRAME) {
                let _ = lz4_flex::frame::FrameDecoder::new(&bytes[at..]).read_to_end(&mut text);
            }
            if contains(&text, canary) {
                return Some(format!("{} (compressed)", path.display()));
            }
        }
    }
    None
}

/// The magic number of a frame (LZ4 Frame Format, 1.6.4), little-endian.
const LZ4_FRAME: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

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

#[test]
fn names_that_are_off_stand_in_nothing_that_the_daemon_shows_or_keeps_for_people() {
    let home = Home::new(&format!(
        "privacy = {{ server_names = 'off', arguments = 'off', user_names = 'off' }}\n{FILE_SINK}"
    ));
    let mut daemon = home.start();
    for number in 1..=3 {
        let lines =
            String::from_utf8(departure(number, &format!("2026-03-02T08:0{number}:00.000000000Z"))).unwrap();
        let lines = lines
            .replace("/Users/ann/", "/Users/canaryname/")
            .replace("files.example.net", "canaryhost.example.net");
        daemon.feed(lines.as_bytes());
    }
    daemon.feed(&tick("2026-03-02T08:05:00Z"));
    until("it alerts", || home.alerts().len() >= 3);
    until("ended flows are kept", || {
        String::from_utf8(home.ask(&["history"]).stdout).unwrap().lines().count() >= 3
    });
    let report = home.path("report.html");
    let alerts = home.path("alerts.ndjson");
    let text: String = home.alerts().iter().map(|alert| format!("{alert}\n")).collect();
    fs::write(&alerts, text).unwrap();
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .arg("report")
        .arg(&alerts)
        .arg("--output")
        .arg(&report)
        .output()
        .unwrap();
    let audit = home.path("audit");
    let audited = home.ask(&[
        "audit",
        audit.to_str().unwrap(),
        "--config",
        home.path("tidemark.toml").to_str().unwrap(),
    ]);
    assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stderr));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(fs::read_to_string(&report).unwrap().contains("<html"), "there is a report to look into");
    for asked in [&["status", "--json"][..], &["status"], &["history"], &["history", "--json"], &["coverage"]]
    {
        let said = home.ask(asked);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(!said.is_empty());
        for canary in ["canaryname", "canaryhost"] {
            assert!(!said.contains(canary), "{asked:?} says {canary}: {said}");
        }
    }
    let (status, log) = daemon.stop();
    assert!(status.success());
    for canary in ["canaryname", "canaryhost"] {
        assert!(!log.contains(canary), "{log}");
        for place in ["state/spool", "state/findings", "state/history", "audit"] {
            assert_eq!(holds(&home.path(place), canary), None, "{place}");
        }
        for file in ["events.ndjson", "report.html", "state/status.json"] {
            assert!(!contains(&fs::read(home.path(file)).unwrap(), canary), "{file}");
        }
    }
}

#[test]
fn a_user_who_is_forgotten_stands_nowhere_on_this_mac() {
    // Names that are told, so that there is something to forget; the receiver is elsewhere.
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    let of = |number: u32, user: &str, uid: u32| {
        let time = format!("2026-03-02T08:{number:02}:00.000000000Z");
        let lines = String::from_utf8(departure(number, &time)).unwrap();
        let lines = lines.replace("/Users/ann/", &format!("/Users/{user}/")).replace("501", &uid.to_string());
        let header = format!(
            "{{\"recording\":{{\"schema\":\"tidemark.recording/1\",\"users\":{{\"{uid}\":\"{user}\"}}}}}}\n"
        );
        format!("{header}{lines}")
    };
    daemon.feed(of(1, "canaryleaver", 733).as_bytes());
    daemon.feed(of(2, "stayer", 734).as_bytes());
    daemon.feed(&tick("2026-03-02T08:05:00Z"));
    until("both alert", || home.alerts().len() >= 2);
    until("both flows are kept", || {
        String::from_utf8(home.ask(&["history"]).stdout).unwrap().lines().count() == 2
    });
    until("all is sent", || home.status_json()["spool"]["queues"]["alerts"]["waiting"] == 0);
    let place = |name: &str| home.path(&format!("state/{name}"));
    for name in ["findings", "spool", "baselines"] {
        until(&format!("{name} has something to forget"), || holds(&place(name), "canaryleaver").is_some());
    }
    let done = home.ask(&["forget", "--user", "canaryleaver", "--uid", "733"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(
        said.contains("1  findings that were kept") && said.contains("1  flows of the history"),
        "{said}"
    );
    for name in ["findings", "spool", "history"] {
        assert_eq!(holds(&place(name), "canaryleaver"), None, "{name}");
    }
    assert_eq!(String::from_utf8(home.ask(&["history"]).stdout).unwrap().lines().count(), 1);
    assert!(holds(&place("findings"), "stayer").is_some(), "nobody else is forgotten");
    assert!(daemon.stop().0.success());
    assert_eq!(holds(&place("findings"), "canaryleaver"), None);
}
