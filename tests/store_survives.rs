//! The store under everything that can happen to it.

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

// A test's own helpers may fail as the test does.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tidemark::baseline::{Checkpoint, Spill, Store, StoreError};
use tidemark::observation::Timestamp;

/// A checkpoint whose every part carries the same number.
fn numbered(n: u64) -> Checkpoint {
    let value = |subject: u64| [n.to_be_bytes(), subject.to_be_bytes()].concat().repeat(10);
    Checkpoint {
        time: Some(Timestamp::from_seconds(i64::try_from(n).unwrap(), 0)),
        road: None,
        spilled_road: None,
        host: n.to_be_bytes().to_vec(),
        subjects: (0..SUBJECTS).map(|s| (format!("subject-{s:03}").into_bytes(), Some(value(s)))).collect(),
        feedback: vec![(format!("alert-{n}").into_bytes(), vec![1])],
        settled: Vec::new(),
    }
}

/// The same, every other one with a part that is too large for memory.
fn spilling(n: u64, folder: &Path) -> Checkpoint {
    if n.is_multiple_of(2) {
        return numbered(n);
    }
    let mut spill = Spill::new(folder);
    for _ in 0..300_000 {
        spill.write_all(&n.to_be_bytes()).unwrap();
    }
    let mut checkpoint = numbered(n);
    spill.finish(&mut checkpoint).unwrap();
    checkpoint
}

/// The number that all parts of a store carry.
fn number_of(store: &Store) -> Option<u64> {
    let saved = store.load().unwrap();
    let host = saved.host?;
    let n = u64::from_be_bytes(host.as_slice().try_into().unwrap());
    assert_eq!(saved.time, numbered(n).time, "time and host differ");
    assert_eq!(saved.subjects.len() as u64, SUBJECTS);
    for ((key, value), (expected_key, expected)) in saved.subjects.iter().zip(numbered(n).subjects) {
        assert_eq!(
            (key, Some(value)),
            (&expected_key, expected.as_ref()),
            "subjects of two checkpoints are mixed"
        );
    }
    if let Some(road) = &saved.road {
        assert_eq!(road.len(), 8 * 300_000);
        assert!(road.chunks(8).all(|part| part == n.to_be_bytes()), "the road is of another checkpoint");
    }
    assert!(store.has_feedback(format!("alert-{n}").as_bytes()).unwrap(), "feedback was lost");
    Some(n)
}

const SUBJECTS: u64 = 60;
const CHILD: &str = "TIDEMARK_TEST_STORE_CHILD";

/// Not a test of its own: the process that `a_killed_process_loses_nothing_that_was_flushed` kills.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Store::open(Path::new(&path)).unwrap().store;
    let mut n = number_of(&store).unwrap_or(0);
    loop {
        n += 1;
        store.write(&spilling(n, store.path())).unwrap();
        println!("written {n}");
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_flushed() {
    let rounds = std::env::var("TIDEMARK_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(40u64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut known = 0;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // Killed after a number of checkpoints that differs from round to round, somewhere inside the next one.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = round * 7 % 11;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some((_, n)) = line.split_once("written ") {
                known = n.parse().unwrap();
                if left == 0 {
                    break;
                }
                left -= 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(lines);
        let opened = Store::open(&path).unwrap();
        assert_eq!(opened.set_aside, None, "round {round}: the store did not open as it was");
        let found = number_of(&opened.store).unwrap();
        assert!(found >= known, "round {round}: checkpoint {known} was written, and {found} is the latest");
        assert_eq!(opened.store.load().unwrap().road.is_some(), !found.is_multiple_of(2));
        let roads = fs::read_dir(&path).unwrap().flatten();
        let roads = roads.filter(|entry| entry.file_name().to_string_lossy().starts_with("road-")).count();
        assert!(roads <= 2, "one is in force, and one was being written: {roads}");
    }
}

#[test]
fn a_road_that_lies_in_a_file_may_be_lost_and_the_baselines_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap().store;
    store.write(&spilling(1, &path)).unwrap();
    let roads = || -> Vec<_> {
        let names = fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path());
        names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("road-")).collect()
    };
    let road = roads().pop().unwrap();
    let rewritten = store.rewritten().unwrap();
    assert_eq!(number_of(&rewritten), Some(1));
    assert!(rewritten.load().unwrap().road.is_some(), "it goes with the store");
    // What was never named is removed by the next opening, and so is a store in whose place another came.
    assert!(spilling(3, &path).spilled_road.is_some());
    assert_eq!(roads().len(), 2);
    drop(rewritten);
    fs::create_dir_all(folder.path().join("store.before/blobs")).unwrap();
    let mut damaged = fs::read(&road).unwrap();
    damaged[100_000] ^= 1;
    fs::write(&road, damaged).unwrap();
    let opened = Store::open(&path).unwrap();
    assert_eq!((opened.set_aside, roads().len()), (None, 1));
    assert!(!folder.path().join("store.before").exists());
    assert_eq!(opened.store.load().unwrap().road, None);
    assert_eq!(number_of(&opened.store), Some(1));
    opened.store.write(&spilling(2, &path)).unwrap();
    assert!(roads().is_empty(), "a small one needs no file");
}

#[test]
fn what_was_written_reads_back_and_what_was_forgotten_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let opened = Store::open(&path).unwrap();
    assert!(opened.fresh);
    opened.store.write(&numbered(1)).unwrap();
    let forget = Checkpoint { subjects: vec![(b"subject-000".to_vec(), None)], ..numbered(1) };
    opened.store.write(&forget).unwrap();
    drop(opened);
    let again = Store::open(&path).unwrap();
    assert!(!again.fresh);
    assert_eq!(again.store.load().unwrap().subjects.len() as u64, SUBJECTS - 1);
}

#[test]
fn a_second_process_on_the_same_folder_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let _first = Store::open(&path).unwrap();
    let second = Store::open(&path).unwrap_err();
    assert!(matches!(second, StoreError::InUse(_)), "{second}");
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    Store::open(&path).unwrap().store.write(&numbered(3)).unwrap();
    let format = |n: u32| {
        let db = sled::open(&path).unwrap();
        db.open_tree("metadata").unwrap().insert("format", n.to_be_bytes().to_vec()).unwrap();
        db.flush().unwrap();
    };
    format(999);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error}");
    format(1);
    assert_eq!(number_of(&Store::open(&path).unwrap().store), Some(3));
}

#[test]
fn a_store_that_cannot_be_read_is_set_aside_by_name_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    Store::open(&path).unwrap().store.write(&numbered(3)).unwrap();
    fs::write(path.join("conf"), b"this is no configuration").unwrap();
    let opened = Store::open(&path).unwrap();
    let aside = opened.set_aside.expect("set aside");
    assert!(opened.fresh && aside.ends_with("store.corrupt-1"));
    assert_eq!(fs::read(aside.join("conf")).unwrap(), b"this is no configuration");
    opened.store.write(&numbered(4)).unwrap();
}

#[test]
fn damage_anywhere_never_panics_and_never_mixes_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap().store;
    (1..20).for_each(|n| store.write(&numbered(n)).unwrap());
    drop(store);
    let whole = fs::read(path.join("db")).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for place in (0..used).step_by((used / 25).max(1)) {
        let mut damaged = whole.clone();
        damaged[place..(place + 64).min(whole.len())].fill(0xA5);
        let target = folder.path().join(format!("damaged-{place}"));
        fs::create_dir(&target).unwrap();
        for entry in fs::read_dir(&path).unwrap().map(Result::unwrap).filter(|e| e.path().is_file()) {
            fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
        }
        fs::write(target.join("db"), damaged).unwrap();
        match Store::open(&target) {
            Ok(opened) => match opened.store.load() {
                Ok(saved) if saved.host.is_some() => drop(number_of(&opened.store)),
                Ok(_) => {}
                Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error}"),
            },
            Err(error) => panic!("{place}: {error}"),
        }
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"not a folder").unwrap();
    let error = Store::open(&file.join("store")).unwrap_err();
    assert!(error.to_string().contains("file/store"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"not a folder");
}

/// A small volume of its own, where this process may mount one.
struct Volume(tempfile::TempDir);

impl Volume {
    fn of(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        mounted(&mut mount).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn make_read_only(&self) -> bool {
        mounted(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn mounted(mount: &mut Command) -> bool {
    let done = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !done {
        println!("skipped: this process may not mount a volume");
    }
    done
}

#[test]
fn a_full_disk_is_named_and_what_was_written_before_stays() {
    let Some(volume) = Volume::of(8 << 20) else { return };
    let path = volume.path().join("store");
    let store = Store::open(&path).unwrap().store;
    store.write(&numbered(1)).unwrap();
    // Something else takes the rest of the volume.
    let filler = volume.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
    let mut written = 1;
    let error = loop {
        match store.write(&numbered(written + 1)) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 10_000, "the volume is never full");
    };
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    assert!(error.to_string().contains("no space left"), "{error}");
    drop(store);
    // An open file keeps its space.
    drop(file);
    fs::remove_file(&filler).unwrap();
    let opened = Store::open(&path).unwrap();
    assert_eq!(opened.set_aside, None, "a full disk is no damage");
    let found = number_of(&opened.store).unwrap();
    assert!(found >= written, "{written} was written, and {found} is the latest");
    opened.store.write(&numbered(found + 1)).unwrap();
    assert_eq!(number_of(&opened.store), Some(found + 1));
}

#[test]
fn a_read_only_volume_is_named_and_left_as_it_is() {
    let Some(volume) = Volume::of(8 << 20) else { return };
    let path = volume.path().join("store");
    Store::open(&path).unwrap().store.write(&numbered(1)).unwrap();
    let before = fs::read(path.join("db")).unwrap();
    if !volume.make_read_only() {
        return;
    }
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Unwritable(_)), "{error}");
    assert_eq!(fs::read(path.join("db")).unwrap(), before);
}
