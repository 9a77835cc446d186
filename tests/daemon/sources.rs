//! Sources that end, that block, and that fail and come back, each followed by the real program.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::rig::{FILE_SINK, Home, departure, until};

/// Lines of an alert, and of the clock after it: what is followed is given out as it comes.
fn lines(number: u32) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    let later = now + jiff::SignedDuration::from_secs(10);
    let mut lines = departure(number, &format!("{now:.9}"));
    lines.extend(format!("{{\"clock\":{{\"time\":\"{later}\"}}}}\n").into_bytes());
    lines
}

fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// A writer at the other end, which the daemon has to be waiting for.
fn writer(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

fn gaps(home: &Home, source: &Path) -> u64 {
    home.status_json()["engine"]["coverage"]["gaps"][source.to_str().unwrap()]["gaps"].as_u64().unwrap_or(0)
}

#[test]
fn a_source_whose_other_end_goes_is_waited_for_and_taken_up_again() {
    let home = Home::new(FILE_SINK);
    let pipe = home.path("events.fifo");
    fifo(&pipe);
    let daemon = home.start_on(&[&format!("follow:{}", pipe.display())]);
    let mut other_end = writer(&pipe);
    other_end.write_all(&lines(1)).unwrap();
    until("it alerts", || home.alerts().len() == 1);
    assert!(home.health("source_lost").is_empty());

    drop(other_end);
    until("the loss is told", || home.health("source_lost").len() == 1);
    until("the gap is an observation, counted once", || gaps(&home, &pipe) == 1);
    let (status, told) = (home.status(), home.health("source_lost")[0].clone());
    assert!(
        told["summary"].as_str().unwrap().contains("events.fifo") && told["severity"] == "high",
        "{told}"
    );
    assert_eq!(status.status.code(), Some(1), "a person should look");

    let mut other_end = writer(&pipe);
    other_end.write_all(&lines(2)).unwrap();
    until("it alerts again", || home.alerts().len() == 2);
    until("the return is told", || home.health("source_back").len() == 1);
    until("all is well again", || home.status().status.success());
    let state = &home.status_json()["sources"]["each"][pipe.to_str().unwrap()];
    assert_eq!((&state["condition"], &state["restarts"]), (&"running".into(), &1.into()));
    assert!(daemon.stop().0.success());
}

#[test]
fn a_source_that_blocks_holds_up_no_other() {
    let home = Home::new(FILE_SINK);
    let (blocked, half, open) = (home.path("blocked.fifo"), home.path("half.fifo"), home.path("open.fifo"));
    for pipe in [&blocked, &half, &open] {
        fifo(pipe);
    }
    let named = [&blocked, &half, &open].map(|pipe| format!("follow:{}", pipe.display()));
    let daemon = home.start_on(&named.each_ref().map(String::as_str));
    // One to which nobody ever writes, one that stands in the middle of a line.
    let mut stuck = writer(&half);
    stuck.write_all(b"{\"clock\":{\"time\":").unwrap();
    let mut other_end = writer(&open);
    for number in 1..=5 {
        other_end.write_all(&lines(number)).unwrap();
    }
    until("the one that works is heard", || home.alerts().len() == 5);
    let each = home.status_json()["sources"]["each"].clone();
    assert_eq!(each[blocked.to_str().unwrap()]["condition"], "waiting");
    assert!(daemon.stop().0.success(), "nor does it hold up the end");
}

#[test]
fn a_source_that_turns_to_garbage_is_begun_anew_and_the_daemon_goes_on() {
    let home = Home::new(FILE_SINK);
    let pipe = home.path("events.fifo");
    fifo(&pipe);
    let daemon = home.start_on(&[&format!("follow:{}", pipe.display())]);
    let mut other_end = writer(&pipe);
    // It may be gone before all of this is written.
    let _ = other_end.write_all(&[0xff; 70_000]);
    drop(other_end);
    until("the loss is told", || home.health("source_lost").len() == 1);
    let mut other_end = writer(&pipe);
    other_end.write_all(&lines(1)).unwrap();
    until("it alerts", || home.alerts().len() == 1);
    assert!(daemon.stop().0.success());
}

#[test]
fn a_file_that_grows_is_followed_over_its_rotation_and_what_stood_in_it_is_not_told_again() {
    let home = Home::new(FILE_SINK);
    let file = home.path("events.ndjson.in");
    std::fs::write(&file, lines(1)).unwrap();
    let daemon = home.start_on(&[&format!("follow:{}", file.display())]);
    // Until it stands at the end of the file, what is written may be taken for what stood in it before.
    let mut number = 1;
    until("it follows", || {
        number += 1;
        OpenOptions::new().append(true).open(&file).unwrap().write_all(&lines(number)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        !home.alerts().is_empty()
    });
    assert!(
        home.alerts().iter().all(|alert| !alert["subject"]["initiator"].to_string().contains("Job1.app"))
    );
    std::fs::rename(&file, home.path("events.ndjson.in.0")).unwrap();
    std::fs::write(&file, lines(7_000)).unwrap();
    until("the new file is read from its beginning", || {
        home.alerts().iter().any(|alert| alert["subject"]["initiator"].to_string().contains("Job7000.app"))
    });
    assert!(daemon.stop().0.success());
}
