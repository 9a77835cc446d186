//! `tidemark record`: what goes in comes out of a replay.

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

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn record(output: &Path, source: &str, input: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command.arg("record").arg(output).args(["--source", source]).stdin(input).env_remove("TIDEMARK_LOG");
    command.output().unwrap()
}

#[test]
fn process_events_from_a_pipe_are_kept_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("monday.ndjson");
    let attack = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/attack.ndjson");
    let input = || Stdio::from(fs::File::open(&attack).unwrap());
    let done = record(&output, "eslogger:-", input());
    assert!(done.status.success(), "{done:?}");
    let (kept, given) = (fs::read_to_string(&output).unwrap(), fs::read_to_string(&attack).unwrap());
    assert!(kept.starts_with(r#"{"recording":{"schema":"tidemark.recording/1""#), "{kept}");
    // In front of what was given stands who recorded it.
    assert_eq!(kept.lines().count(), given.lines().count() + 1);
    assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o600);
    let again = record(&output, "eslogger:-", input());
    assert_eq!(again.status.code(), Some(74));
    assert_eq!(fs::read_to_string(&output).unwrap(), kept);
}

#[test]
fn packets_stand_in_a_capture_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("monday.ndjson");
    let attack = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/attack.pcapng");
    let done = record(&output, &format!("recording:{}", attack.display()), Stdio::null());
    assert!(done.status.success(), "{done:?}");
    let flows = |capture: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command.args(["flows", "--no-progress"]).arg(capture).output().unwrap().stdout
    };
    let kept = flows(&folder.path().join("monday.pcapng"));
    assert!(!kept.is_empty());
    assert_eq!(kept, flows(&attack));
}
