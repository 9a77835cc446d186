//! `kill -9`, a hundred times, while alerts flow. The process that dies is this test's own program, started anew as a child: it spools
//! events as the daemon does, prints an event's id once it counts as spooled, and delivers beside that.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tidemark::sink::spool::{Caps, Queue, Spool};
use tidemark::sink::{Course, DeadLetters, Delivery, Receiver, SinkSettings};
use tokio::sync::watch;

use crate::hostile::{Act, Hostile};
use crate::rig::{QUICK, alert, id};

const FOLDER: &str = "TIDEMARK_TEST_KILL_FOLDER";
const URL: &str = "TIDEMARK_TEST_KILL_URL";
const KILLS: usize = 100;

/// The child; without its variables it is an empty test.
#[test]
fn child_that_spools_and_delivers_until_it_is_killed() {
    let (Ok(folder), Ok(url)) = (std::env::var(FOLDER), std::env::var(URL)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut spool =
        Spool::open(Path::new(&folder), Caps { segment_bytes: 200_000, ..Caps::default() }).unwrap();
    let settings: SinkSettings =
        toml::from_str(&format!("type='webhook'\nname='hook'\nurl='{url}'\nbatch_events=20")).unwrap();
    let delivery = Delivery::new(
        &settings,
        Receiver::new(&settings).unwrap(),
        spool.reader("hook").unwrap(),
        DeadLetters::new(Path::new(&folder), "hook"),
        QUICK,
    );
    let (_go, course) = watch::channel(Course::Go);
    runtime.spawn(delivery.run(course));
    let mut out = std::io::stdout().lock();
    let mut next = usize::try_from(spool.status().queues["alerts"].appended).unwrap();
    loop {
        let group = 1 + next % 7;
        let lines: Vec<_> = (next..next + group).map(alert).collect();
        spool.append(Queue::Alerts, &lines).unwrap();
        for number in next..next + group {
            writeln!(out, "spooled {}", id(number)).unwrap();
        }
        out.flush().unwrap();
        next += group;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_counted_is_missing_after_a_hundred_kills() {
    let receiver = Hostile::start(|_, _| Act::Take(String::new())).await;
    let folder = tempfile::tempdir().unwrap();
    let mut counted = Vec::new();
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_spools_and_delivers_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(URL, receiver.url())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The moment differs from round to round, and falls anywhere in a write, a flush, a request or a cursor's move.
        let wanted = 1 + (round * 37) % 60;
        let before = counted.len();
        for line in lines.map_while(Result::ok) {
            if let Some((_, id)) = line.split_once("spooled ") {
                counted.push(id.to_owned());
            }
            if counted.len() == before + wanted {
                std::thread::sleep(Duration::from_micros((round as u64 * 131) % 3_000));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
    // The last start delivers the rest.
    let spool = Spool::open(folder.path(), Caps::default()).unwrap();
    let settings: SinkSettings =
        toml::from_str(&format!("type='webhook'\nname='hook'\nurl='{}'", receiver.url())).unwrap();
    let letters = DeadLetters::new(folder.path(), "hook");
    let delivery = Delivery::new(
        &settings,
        Receiver::new(&settings).unwrap(),
        spool.reader("hook").unwrap(),
        letters,
        QUICK,
    );
    let (_go, course) = watch::channel(Course::Drain);
    delivery.run(course).await;

    let mut arrived = receiver.ids();
    let sent = arrived.len();
    arrived.sort();
    arrived.dedup();
    let missing: Vec<_> = counted.iter().filter(|id| arrived.binary_search(id).is_err()).collect();
    println!(
        "{KILLS} kills: {} counted, {sent} received, {} of them again",
        counted.len(),
        sent - arrived.len()
    );
    assert!(missing.is_empty(), "{} of {} are missing: {missing:?}", missing.len(), counted.len());
    assert!(counted.len() >= KILLS);
    let status = spool.status();
    assert_eq!(status.queues["alerts"].dropped, 0);
    assert!(!folder.path().join("hook.ndjson").exists(), "no event was set aside");
}
