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
