use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::shared::QueueStatus;
use super::*;

const SMALL: Caps = Caps { bytes: 4_096, age: Duration::from_hours(1), segment_bytes: 512 };

fn open(folder: &TempDir, caps: Caps) -> Spool {
    Spool::open_with_clock(folder.path(), caps, || Duration::ZERO).unwrap()
}

fn event(number: usize) -> String {
    format!(r#"{{"id":"{number:08}","text":"{}"}}"#, "x".repeat(number % 40))
}

fn drain(reader: &mut Reader) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(batch) = reader.next(7, 300).unwrap() {
        lines.extend(batch.lines.clone());
        reader.advance(&batch).unwrap();
    }
    lines
}

fn segments(folder: &TempDir, queue: Queue) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{}-", queue.name())))
        .collect();
    paths.sort();
    paths
}

#[test]
fn alerts_go_before_health_and_health_before_telemetry() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, Caps::default());
    let mut reader = spool.reader("siem").unwrap();
    for (queue, line) in [(Queue::Telemetry, "t"), (Queue::Health, "h"), (Queue::Alerts, "a")] {
        spool.append(queue, &[line]).unwrap();
    }
    assert_eq!(drain(&mut reader), ["a", "h", "t"]);
}

#[test]
fn the_latest_lines_are_read_backwards_beside_the_process_that_has_the_spool() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, SMALL);
    // A sink that has sent nothing yet: no segment goes.
    let _reader = spool.reader("siem").unwrap();
    let lines: Vec<_> = (0..40).map(event).collect();
    for line in &lines {
        spool.append(Queue::Alerts, &[line]).unwrap();
    }
    let segments = segments(&folder, Queue::Alerts);
    assert!(segments.len() > 2);
    let newest_first: Vec<_> = lines.iter().rev().cloned().collect();
    assert_eq!(Latest::of(folder.path(), Queue::Alerts).unwrap().collect::<Vec<_>>(), newest_first);
    // A line that is being written is none yet, and a segment that is gone is passed over.
    let mut newest = OpenOptions::new().append(true).open(segments.last().unwrap()).unwrap();
    newest.write_all(b"{\"id\":\"ha").unwrap();
    let mut latest = Latest::of(folder.path(), Queue::Alerts).unwrap();
    assert_eq!(latest.next().as_ref(), newest_first.first());
    fs::remove_file(&segments[0]).unwrap();
    assert!(latest.count() < lines.len() - 1);
    assert_eq!(Latest::of(&folder.path().join("absent"), Queue::Alerts).unwrap().count(), 0);
}

#[test]
fn a_reader_goes_on_where_its_cursor_stands_after_the_process_is_gone() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, SMALL);
    let mut reader = spool.reader("siem").unwrap();
    spool.append(Queue::Alerts, &[event(0), event(1), event(2)]).unwrap();
    let batch = reader.next(2, 1_000).unwrap().unwrap();
    reader.advance(&batch).unwrap();
    // What was read and not passed is read again.
    assert_eq!(reader.next(1, 1_000).unwrap().unwrap().lines, [event(2)]);
    drop((spool, reader));
    let mut spool = open(&folder, SMALL);
    let mut reader = spool.reader("siem").unwrap();
    assert_eq!(spool.append(Queue::Alerts, &[event(3)]).unwrap(), 3);
    assert_eq!(drain(&mut reader), [event(2), event(3)]);
}

#[test]
fn each_sink_has_a_cursor_and_the_slowest_holds_the_segments() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, Caps { bytes: 1 << 20, ..SMALL });
    let (mut fast, mut slow) = (spool.reader("fast").unwrap(), spool.reader("slow").unwrap());
    let all: Vec<_> = (0..100).map(event).collect();
    for line in &all {
        spool.append(Queue::Alerts, &[line]).unwrap();
    }
    assert_eq!(drain(&mut fast), all);
    spool.tick().unwrap();
    assert!(segments(&folder, Queue::Alerts).len() > 5);
    assert_eq!(spool.status().queues["alerts"].waiting, 100);
    assert_eq!(drain(&mut slow), all);
    spool.tick().unwrap();
    assert_eq!(segments(&folder, Queue::Alerts).len(), 1);
    assert_eq!(
        spool.status().queues["alerts"],
        shared_status(100, 0, 0, 0),
        "everything passed, nothing lost"
    );
}

fn shared_status(appended: u64, waiting: u64, dropped: u64, damaged: u64) -> QueueStatus {
    QueueStatus { appended, waiting, dropped, damaged }
}

#[test]
fn the_size_cap_takes_telemetry_first_and_alerts_last_and_counts_each_line() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, SMALL);
    let mut reader = spool.reader("siem").unwrap();
    for number in 0..20 {
        spool.append(Queue::Telemetry, &[event(number)]).unwrap();
        spool.append(Queue::Health, &[event(number)]).unwrap();
    }
    for number in 0..55 {
        spool.append(Queue::Alerts, &[event(number)]).unwrap();
    }
    let status = spool.status();
    assert!(status.bytes <= SMALL.bytes);
    assert_eq!(status.queues["alerts"].dropped, 0);
    assert_eq!(status.queues["telemetry"].dropped, 20);
    let left = drain(&mut reader).len() as u64;
    assert_eq!(left + 20 + status.queues["health"].dropped, 95, "each line is sent or counted");
    // Alerts go last, and the oldest of them first.
    for number in 0..200 {
        spool.append(Queue::Alerts, &[event(number)]).unwrap();
    }
    let dropped = spool.status().queues["alerts"].dropped;
    assert!(dropped > 0);
    assert_eq!(drain(&mut reader).len() as u64, 200 - dropped);
}

#[test]
fn lines_age_by_open_time_which_survives_a_restart() {
    let folder = tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(0));
    let clock = |now: &Arc<AtomicU64>| {
        let now = Arc::clone(now);
        move || Duration::from_secs(now.load(Ordering::Relaxed))
    };
    let mut spool = Spool::open_with_clock(folder.path(), SMALL, clock(&now)).unwrap();
    let mut reader = spool.reader("siem").unwrap();
    spool.append(Queue::Alerts, &[event(0)]).unwrap();
    now.store(3_000, Ordering::Relaxed);
    spool.tick().unwrap();
    drop((spool, reader));
    now.store(0, Ordering::Relaxed);
    let mut spool = Spool::open_with_clock(folder.path(), SMALL, clock(&now)).unwrap();
    reader = spool.reader("siem").unwrap();
    assert!(reader.next(1, 100).unwrap().is_some());
    now.store(601, Ordering::Relaxed);
    spool.tick().unwrap();
    assert_eq!(spool.status().queues["alerts"], shared_status(1, 0, 1, 0));
    assert!(reader.next(1, 100).unwrap().is_none());
    // The count goes on, also for the next process.
    drop((spool, reader));
    assert_eq!(open(&folder, SMALL).append(Queue::Alerts, &[event(1)]).unwrap(), 1);
}

#[test]
fn a_half_written_tail_is_cut_off_and_counted() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, SMALL);
    spool.append(Queue::Alerts, &[event(0)]).unwrap();
    drop(spool);
    let path = segments(&folder, Queue::Alerts).remove(0);
    OpenOptions::new().append(true).open(path).unwrap().write_all(br#"{"id":"000"#).unwrap();
    let mut spool = open(&folder, SMALL);
    let mut reader = spool.reader("siem").unwrap();
    assert_eq!(spool.append(Queue::Alerts, &[event(1)]).unwrap(), 1);
    assert_eq!(drain(&mut reader), [event(0), event(1)]);
    assert_eq!(spool.status().queues["alerts"].damaged, 1);
}

#[test]
fn a_segment_cut_in_the_middle_loses_its_rest_and_that_is_counted() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, Caps { bytes: 1 << 20, ..SMALL });
    let all: Vec<_> = (0..60).map(event).collect();
    for line in &all {
        spool.append(Queue::Alerts, &[line]).unwrap();
    }
    drop(spool);
    let path = segments(&folder, Queue::Alerts).remove(1);
    let length = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    let spool = open(&folder, Caps { bytes: 1 << 20, ..SMALL });
    let sent = drain(&mut spool.reader("siem").unwrap());
    let damaged = spool.status().queues["alerts"].damaged;
    assert!(damaged > 0);
    assert_eq!(sent.len() as u64 + damaged, 60);
    assert!(sent.iter().all(|line| all.contains(line)), "no half line is sent");
    assert_eq!(sent.last(), all.last());
}

#[test]
fn a_segment_whose_header_is_gone_is_set_aside() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, SMALL);
    spool.append(Queue::Alerts, &[event(0)]).unwrap();
    drop(spool);
    fs::write(segments(&folder, Queue::Alerts).remove(0), "").unwrap();
    let mut spool = open(&folder, SMALL);
    let mut reader = spool.reader("siem").unwrap();
    spool.append(Queue::Alerts, &[event(1)]).unwrap();
    assert_eq!(drain(&mut reader), [event(1)]);
}

#[test]
fn a_cursor_ahead_of_the_spool_sends_again_what_the_spool_holds() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, SMALL);
    spool.append(Queue::Alerts, &[event(0)]).unwrap();
    fs::write(
        folder.path().join("cursor-siem.json"),
        r#"{"alerts":{"line":99,"segment":90,"offset":7},"health":{"line":0,"segment":0,"offset":0},"telemetry":{"line":0,"segment":0,"offset":0}}"#,
    )
    .unwrap();
    assert_eq!(drain(&mut spool.reader("siem").unwrap()), [event(0)]);
}

#[test]
fn a_cursor_of_rubbish_begins_anew() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, SMALL);
    spool.append(Queue::Alerts, &[event(0)]).unwrap();
    fs::write(folder.path().join("cursor-siem.json"), "\0\0\0").unwrap();
    assert_eq!(drain(&mut spool.reader("siem").unwrap()), [event(0)]);
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempdir().unwrap();
    let _spool = open(&folder, SMALL);
    let error = Spool::open(folder.path(), SMALL).unwrap_err();
    assert!(matches!(error, SpoolError::InUse(_)), "{error}");
}

#[test]
fn a_line_end_within_a_line_is_refused() {
    let folder = tempdir().unwrap();
    let error = open(&folder, SMALL).append(Queue::Alerts, &["{\n}"]).unwrap_err();
    assert!(matches!(error, SpoolError::NotALine));
}

#[test]
fn a_line_longer_than_a_batch_is_a_batch_of_its_own() {
    let folder = tempdir().unwrap();
    let mut spool = open(&folder, Caps::default());
    let mut reader = spool.reader("siem").unwrap();
    let long = "y".repeat(5_000);
    spool.append(Queue::Alerts, &[long.as_str(), "z"]).unwrap();
    assert_eq!(drain(&mut reader), [long.as_str(), "z"]);
}

/// A file system of 128 KiB on a folder, where this process may mount one.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(folder: &'a Path) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn on_a_full_disk_telemetry_makes_room_and_what_was_spooled_stays() {
    let folder = tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(folder.path()) else {
        println!("SKIPPED: this process may not mount a small file system");
        return;
    };
    let mut spool = open(&folder, Caps::default());
    let mut reader = spool.reader("siem").unwrap();
    let kilobyte = "x".repeat(1_000);
    while spool.append(Queue::Telemetry, &[&kilobyte]).is_ok() {}
    let mut spooled = Vec::new();
    let full = loop {
        let line = event(spooled.len()) + &kilobyte;
        match spool.append(Queue::Alerts, &[&line]) {
            Ok(number) => assert_eq!(number, spooled.len() as u64),
            Err(error) => break error,
        }
        spooled.push(line);
    };
    assert!(spooled.len() > 50, "telemetry made room for {}", spooled.len());
    assert!(spool.status().queues["telemetry"].dropped > 50);
    assert!(matches!(full, SpoolError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull));
    let mut read = Vec::new();
    while let Some(batch) = reader.next(100, 10_000).unwrap() {
        read.extend(batch.lines.clone());
        // The cursor finds no room either, and goes on in memory.
        let _ = reader.advance(&batch);
    }
    assert_eq!(read, spooled, "no half line");
    // Room comes back with what was sent.
    fs::remove_file(segments(&folder, Queue::Telemetry).remove(0)).unwrap();
    drop(reader);
    assert_eq!(spool.append(Queue::Alerts, &["{}"]).unwrap(), spooled.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is appended, read, advanced, reopened: each line arrives once and in order, and nothing is made up.
    #[test]
    fn every_line_arrives_in_order(steps in prop::collection::vec((0_u8..4, 1_usize..9), 1..60)) {
        let folder = tempdir().unwrap();
        let caps = Caps { bytes: 1 << 20, ..SMALL };
        let mut spool = open(&folder, caps);
        let mut reader = spool.reader("siem").unwrap();
        let (mut appended, mut read) = (0, Vec::new());
        for (step, size) in steps {
            match step {
                0 | 1 => {
                    let lines: Vec<_> = (appended..appended + size).map(event).collect();
                    prop_assert_eq!(spool.append(Queue::Alerts, &lines).unwrap(), appended as u64);
                    appended += size;
                }
                2 => if let Some(batch) = reader.next(size, 200).unwrap() {
                    read.extend(batch.lines.clone());
                    reader.advance(&batch).unwrap();
                },
                _ => {
                    drop(reader);
                    drop(spool);
                    spool = open(&folder, caps);
                    reader = spool.reader("siem").unwrap();
                }
            }
        }
        read.extend(drain(&mut reader));
        prop_assert_eq!(read, (0..appended).map(event).collect::<Vec<_>>());
    }
}
