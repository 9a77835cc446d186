//! Disks that are full or read-only, and a receiver that is away for an hour, with the real program.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::{FILE_SINK, Home, departure, tick, until};

/// A small disk of its own, for as long as it is held.
struct Disk(PathBuf);

impl Disk {
    /// `None` where nothing can be mounted: only root on Linux can.
    fn mount(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: no disk can be mounted here");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn alerts_wait_in_memory_while_the_disk_is_full_and_the_status_says_so() {
    let home = Home::new(FILE_SINK);
    let Some(_disk) = Disk::mount(&home.state(), "size=6m") else { return };
    let mut daemon = home.start();
    daemon.feed(&departure(1, "2026-03-02T08:00:00.000000000Z"));
    daemon.feed(&tick("2026-03-02T08:00:10Z"));
    until("it alerts while there is room", || home.alerts().len() == 1);
    // A cursor that cannot be stored makes the sink wait longer each time: here it is the spool that meets the full disk.
    until("the sink has stored how far it is", || {
        let queues = home.status_json()["spool"]["queues"].clone();
        ["alerts", "health"].iter().all(|queue| queues[queue]["waiting"] == 0)
    });
    // All that is left.
    let filler = home.state().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
    drop(file);
    for number in 2..=40 {
        daemon.feed(&departure(number, "2026-03-02T08:10:00.000000000Z"));
    }
    daemon.feed(&tick("2026-03-02T08:10:10Z"));
    let line = || String::from_utf8_lossy(&home.status().stdout).into_owned();
    until("the status says so", || line().contains("wait in memory"));
    assert!(daemon.is_running() && home.alerts().len() < 40);
    fs::remove_file(&filler).unwrap();
    until("what waited is delivered", || home.alerts().len() == 40);
    until("nothing waits in memory", || !line().contains("wait in memory"));
    let (status, said) = daemon.stop();
    assert!(status.success(), "{said}");
    assert_eq!(home.alerts().len(), 40, "each once: {}", line());
}

#[test]
fn a_read_only_state_is_said_at_the_start() {
    let home = Home::new(FILE_SINK);
    let Some(_disk) = Disk::mount(&home.state(), "size=1m,ro") else { return };
    let (status, said) = home.spawn("recording:-").end();
    assert_eq!(status.code(), Some(74), "{said}");
    assert!(said.contains("Read-only") || said.contains("read-only"), "{said}");
}

/// Takes what is posted, and gives the bodies' lines, until so many came.
fn receive(listener: &TcpListener, lines: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < lines {
        let (stream, _) = listener.accept().unwrap();
        // A client that goes in the middle comes again.
        let _ = exchange(stream, &mut bodies);
    }
    bodies
}

fn exchange(stream: TcpStream, bodies: &mut Vec<String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    bodies.extend(String::from_utf8(body).unwrap().lines().map(str::to_owned));
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_receiver_that_is_away_for_an_hour_gets_everything_once_it_is_back() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (detection, _) = FILE_SINK.split_once('\n').unwrap();
    let home = Home::new(&format!(
        "{detection}\n[[delivery.sink]]\ntype = 'webhook'\nname = 'away'\nurl = 'http://127.0.0.1:{port}/'\n\
         format = 'native'\ngzip = false\nsend = ['alerts']\n"
    ));
    let mut daemon = home.start();
    for minute in 0..60 {
        daemon.feed(&departure(minute, &format!("2026-03-02T08:{minute:02}:00.000000000Z")));
    }
    daemon.feed(&tick("2026-03-02T09:00:00Z"));
    let waiting = || home.status_json()["spool"]["queues"]["alerts"]["waiting"].as_u64().unwrap_or(0);
    until("all wait", || waiting() >= 60);
    let line = String::from_utf8_lossy(&home.status().stdout).into_owned();
    assert!(line.starts_with("LOOK ") && line.contains("sink away waits"), "{line}");
    let all = usize::try_from(waiting()).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let received = receive(&listener, all);
    let mut names: Vec<String> = received
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].to_string())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "each is there, none is another");
    until("none waits", || waiting() == 0);
    assert!(daemon.stop().0.success());
}
