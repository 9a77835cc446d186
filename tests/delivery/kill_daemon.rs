//! `kill -9` of tidemark itself, a hundred times, while alerts flow.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::hostile::{Act, Hostile};
use crate::recording::{GENEROUS, HEADER, image, upload};
use crate::rig::PATIENCE;

/// How many kills, from the environment.
fn kills() -> usize {
    std::env::var("TIDEMARK_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(100)
}

/// Uploads that are new to a round.
const A_ROUND: usize = 8;

struct Daemon {
    child: Child,
    writer: std::thread::JoinHandle<()>,
}

impl Daemon {
    /// Runs on these uploads, as lines that come over standard input; where `end` is not set the input stays open after them.
    fn start(folder: &Path, uploads: std::ops::Range<usize>, end: bool) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(["run", "--source", "recording:-", "--checkpoint-every", "0.02", "--config"])
            .arg(folder.join("tidemark.toml"))
            .arg("--state")
            .arg(folder.join("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            let lines = std::iter::once(HEADER.to_owned()).chain(uploads.flat_map(upload));
            for line in lines {
                if writeln!(input, "{line}").is_err() {
                    return;
                }
            }
            // Held until the process is killed: it would end in good order otherwise, and does where what the test waits for never comes.
            let began = Instant::now();
            while !end && began.elapsed() < PATIENCE && writeln!(input).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { child, writer }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_alert_that_was_printed_or_counted_is_missing_after_a_hundred_kills_of_the_daemon() {
    let receiver = Hostile::start(|_, _| Act::Take(String::new())).await;
    let folder = tempfile::tempdir().unwrap();
    let sinks = format!(
        "{GENEROUS}\n[[delivery.sink]]\ntype='webhook'\nname='hook'\nformat='native'\nsend=['alerts']\nurl='{}'\nbatch_events=7\n\
         [[delivery.sink]]\ntype='stdout'\nname='out'\nsend=['alerts']\n",
        receiver.url()
    );
    std::fs::write(folder.path().join("tidemark.toml"), sinks).unwrap();
    let (kills, mut printed, mut counted) = (kills(), BTreeSet::new(), 0);
    for round in 0..kills {
        // As a followed file after a restart: what the round before saw comes again, and then what is new.
        let uploads = round.saturating_sub(1) * A_ROUND..(round + 1) * A_ROUND;
        let Daemon { mut child, writer } = Daemon::start(folder.path(), uploads, false);
        // The moment differs from round to round: somewhere in a flush, a checkpoint, a request or a cursor's move. Each new upload but the last,
        // after which no time passes, alerts at least once.
        let mut wanted = 1 + (round * 5) % (A_ROUND - 1);
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            // The last line may be cut by the kill; whoever reads it has no alert yet.
            if let Ok(alert) = serde_json::from_str::<Value>(&line) {
                printed.insert(alert["id"].as_str().unwrap().to_owned());
            }
            wanted = wanted.saturating_sub(1);
            if wanted == 0 {
                std::thread::sleep(Duration::from_micros((round as u64 * 1_310) % 30_000));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        writer.join().unwrap();
        assert_eq!(wanted, 0, "round {round}: so many alerts never came");
        counted = counted.max(spooled(folder.path()));
    }
    let Daemon { child, writer } = Daemon::start(folder.path(), 0..kills * A_ROUND, true);
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());

    let (mut by_sequence, mut images, mut received) = (BTreeMap::new(), BTreeSet::new(), 0);
    for request in receiver.taken() {
        for line in request.body.lines() {
            let alert: Value = serde_json::from_str(line).unwrap();
            let id = alert["id"].as_str().unwrap().to_owned();
            let before = by_sequence.insert(alert["host"]["sequence"].as_u64().unwrap(), id.clone());
            assert!(before.is_none_or(|before| before == id), "one number was given to two events");
            images.insert(alert["process"]["path"].as_str().unwrap().to_owned());
            received += 1;
        }
    }
    let ids: BTreeSet<_> = by_sequence.values().cloned().collect();
    println!(
        "{kills} kills: {} events printed, {counted} counted in the status, {received} received, {} of them again",
        printed.len(),
        received - ids.len()
    );
    assert_eq!(printed.difference(&ids).collect::<Vec<_>>(), [""; 0], "printed and not received");
    assert!(ids.len() as u64 >= counted, "{counted} were counted, {} came", ids.len());
    assert!(printed.len() >= kills);
    // Numbered on without a hole, whatever died in between.
    assert_eq!(by_sequence.keys().copied().collect::<Vec<_>>(), (1..=ids.len() as u64).collect::<Vec<_>>());
    // And what no run had spooled was found again.
    let silent: Vec<_> = (0..kills * A_ROUND).map(image).filter(|image| !images.contains(image)).collect();
    assert_eq!(silent, [""; 0], "no alert ever came of these");
}

/// Alerts that the status file counts as spooled.
fn spooled(folder: &Path) -> u64 {
    let status = std::fs::read_to_string(folder.join("state/status.json")).unwrap_or_default();
    let status: Value = serde_json::from_str(&status).unwrap_or_default();
    status["spool"]["queues"]["alerts"]["appended"].as_u64().unwrap_or(0)
}
