use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::rig::{FILE_SINK, Home, departure, tick, until};

#[test]
fn a_finding_is_followed_as_it_comes_and_counted_in_status_and_coverage() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    let mut tail = Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .args(["tail", "--json", "--state"])
        .arg(home.state())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    // Until it follows, findings pass it by: each of these is another.
    let mut number = 0;
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(lines.next()));
    let line = loop {
        number += 1;
        daemon.feed(&departure(number, &format!("2026-03-02T08:{:02}:00.000000000Z", number % 60)));
        if let Ok(line) = heard.recv_timeout(std::time::Duration::from_millis(200)) {
            break line.unwrap().unwrap();
        }
        assert!(number < 500, "no finding is heard of");
    };
    let alert: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(alert["subject"]["image"], "apple:com.apple.curl");
    tail.kill().unwrap();
    tail.wait().unwrap();

    daemon.feed(&tick("2026-03-02T09:00:10Z"));
    until("the status counts it", || home.status_json()["engine"]["alerts"].as_u64() >= Some(1));
    let coverage = home.ask(&["coverage", "--json"]);
    let coverage: serde_json::Value = serde_json::from_slice(&coverage.stdout).unwrap();
    assert_eq!(coverage["dc0064_command_execution"], true);
    assert_eq!(coverage["bytes"]["all"], coverage["bytes"]["initiator"]);
    let page = String::from_utf8(home.ask(&["coverage"]).stdout).unwrap();
    assert!(page.contains("DC0078 network traffic flow  present"), "{page}");
    assert!(daemon.stop().0.success());
}

#[test]
fn the_last_word_of_a_daemon_that_ends_is_what_it_knew_and_that_it_ended() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    assert_eq!(home.status_json()["ended"], false);
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("it alerts", || home.alerts().len() == 1);
    assert!(daemon.stop().0.success());
    let told = std::fs::read(home.state().join("status.json")).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["ended"], true);
    assert_eq!(told["engine"]["alerts"], 1, "{told:#}");
    assert_eq!(told["reasons"], serde_json::json!([]), "nobody need look: {told:#}");
    assert!(told["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(home.status().status.code(), Some(69));
}

#[test]
fn an_analyst_s_word_goes_to_the_daemon_that_runs_and_outlives_it() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("it alerts", || home.alerts().len() == 1);
    let alert = home.path("alert.json");
    std::fs::write(&alert, home.alerts()[0].to_string()).unwrap();
    let baseline = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(arguments)
            .arg("--store")
            .arg(home.state().join("baselines"))
            .output()
            .unwrap()
    };
    let done = baseline(&["feedback", alert.to_str().unwrap(), "benign"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // The finding is closed, and the receiver hears of it.
    until("the finding is closed", || {
        home.alerts()
            .iter()
            .any(|alert| alert["stage"]["activity"] == "close" && alert["stage"]["closed"] == "learned")
    });
    let subject = "apple:com.apple.curl < path:/Users/*/Scripts/Job1.app/Contents/MacOS/applet";
    let done = baseline(&["baseline", "forget", subject]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let done = baseline(&["baseline", "forget", subject]);
    assert_eq!(done.status.code(), Some(1));
    daemon.signal(rustix::process::Signal::KILL);
    daemon.end();
    let listed = baseline(&["baseline", "list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("Job1") && !listed.contains("apple:com.apple.curl <"), "{listed}");
}

#[test]
fn delivered_words_are_taken_once_by_the_daemon_that_runs() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("it alerts", || home.alerts().len() == 1);
    // By the key without the host, as it goes to a whole fleet.
    let key = home.alerts()[0]["fleet_finding"].as_str().unwrap().to_owned();
    let word = |key: &str| {
        format!(
            r#"{{"feedback": {{"schema": "tidemark.feedback/1", "verdict": "benign", "finding": "{key}"}}}}"#
        )
    };
    home.write("words/1.json", &word(&key));
    home.write("words/2.json", &word("tmk1:00000000000000000000000000000000"));
    home.write("words/3.json", "{}");
    let take = || home.ask(&["feedback", "--from", home.path("words").to_str().unwrap()]);
    let done = take();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8_lossy(&done.stderr).contains("3.json: skipped"));
    let closed = || home.alerts().iter().filter(|alert| alert["stage"]["closed"] == "learned").count();
    until("the finding is closed", || closed() == 1);

    // Each was taken once, and a crash does not change that.
    assert!(take().status.success());
    daemon.signal(rustix::process::Signal::KILL);
    daemon.end();
    {
        let store = tidemark::baseline::Store::open(&home.state().join("baselines")).unwrap().store;
        let taken = |name: &str| {
            let text = std::fs::read(home.path(name)).unwrap();
            store.has_feedback(&<sha2::Sha256 as sha2::Digest>::digest(text)).unwrap()
        };
        assert_eq!(["words/1.json", "words/2.json", "words/3.json"].map(taken), [true, true, false]);
    }
    assert_eq!(closed(), 1);
}

#[test]
fn what_is_called_normal_while_no_daemon_runs_is_closed_by_the_next_one_once() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("it alerts", || home.alerts().len() == 1);
    let id = home.alerts()[0]["id"].as_str().unwrap().to_owned();
    assert!(daemon.stop().0.success());
    let said = home.ask(&["feedback", &id, "benign"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    for _ in 0..2 {
        let daemon = home.start();
        until("it is closed", || home.status_json()["engine"]["open_findings"] == 0);
        assert!(daemon.stop().0.success());
        let closed = home.alerts().iter().filter(|alert| alert["stage"]["closed"] == "learned").count();
        assert_eq!(closed, 1);
    }
}

#[test]
fn an_audit_is_a_folder_whose_manifest_holds() {
    let home = Home::new(FILE_SINK);
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("it alerts", || home.alerts().len() == 1);
    until("the flow is kept", || !home.ask(&["history"]).stdout.is_empty());
    let folder = home.path("audit");
    let audit = || {
        home.ask(&[
            "audit",
            folder.to_str().unwrap(),
            "--config",
            home.path("tidemark.toml").to_str().unwrap(),
        ])
    };
    let done = audit();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(audit().status.code(), Some(74), "a folder that is there is not written into");
    let check =
        Command::new("sha256sum").args(["-c", "--strict", "MANIFEST.sha256"]).current_dir(&folder).output();
    match check {
        Ok(check) => assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr)),
        Err(_) => println!("not checked: no sha256sum here"),
    }
    let findings = std::fs::read_to_string(folder.join("findings.ndjson")).unwrap();
    assert_eq!(findings.lines().count(), 1);
    let controls = std::fs::read_to_string(folder.join("controls.md")).unwrap();
    let row = controls.lines().find(|line| line.contains("Job1.app")).unwrap();
    assert!(row.starts_with("| scripting host |") && row.contains("| no |"), "{controls}");
    let layer = std::fs::read_to_string(folder.join("navigator.json")).unwrap();
    let layer: serde_json::Value = serde_json::from_str(&layer).unwrap();
    assert_eq!((&layer["versions"]["layer"], &layer["domain"]), (&"4.5".into(), &"enterprise-attack".into()));
    assert!(layer["techniques"][0]["techniqueID"].as_str().unwrap().starts_with('T'));
    let integrity = std::fs::read_to_string(folder.join("integrity.ndjson")).unwrap();
    assert!(integrity.contains("tidemark.toml") && integrity.lines().count() >= 2, "{integrity}");
    assert!(daemon.stop().0.success());
}

#[test]
fn metrics_stand_on_a_socket() {
    use std::io::{Read, Write};
    let home = Home::new(FILE_SINK);
    let daemon = home.start();
    let ask = |path: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(home.state().join("metrics.sock")).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("/metrics");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\ntidemark_healthy 1\n"),
        "{answer}"
    );
    assert!(ask("/secrets").starts_with("HTTP/1.1 404"));
    assert!(daemon.stop().0.success());
}

#[test]
fn another_user_gets_no_answer() {
    let home = Home::new(FILE_SINK);
    let daemon = home.start();
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can be another user");
        return;
    }
    // As open as a careless person could make it: the kernel's word on who asks still stands.
    for (path, mode) in [("", 0o755), ("state", 0o755), ("state/control.sock", 0o666)] {
        std::fs::set_permissions(home.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let stream = Command::new("/bin/sh")
        .args([
            "-c",
            "exec 2>/dev/null; test -S \"$0\" && echo reached",
            home.path("state/control.sock").to_str().unwrap(),
        ])
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&stream.stdout), "reached\n");
    let program = home.path("tidemark");
    std::fs::copy(env!("CARGO_BIN_EXE_tidemark"), &program).unwrap();
    let status = Command::new(&program)
        .args(["status", "--state"])
        .arg(home.state())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(!status.status.success() && said.contains("for root"), "{said}");
    assert!(status.stdout.is_empty());
    assert!(daemon.stop().0.success());
}

#[test]
fn without_a_daemon_the_status_says_so_by_its_code() {
    let home = Home::new("");
    let status = home.status();
    assert_eq!(status.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&status.stdout).starts_with("DOWN "));
}

const NOBODY: u32 = 65_534;
