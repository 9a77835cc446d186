//! The command as scripts and people meet it.

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
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn tidemark() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command.stdin(Stdio::null()).env_remove("TIDEMARK_LOG");
    command
}

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

fn run(arguments: &[&str]) -> Output {
    tidemark().args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn each_failure_has_its_exit_code_and_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let garbage = file("garbage.bin", &[0xf7; 4_096]);
    let config = file("tidemark.toml", b"[exceptions]\ndirectroy = \"x\"\n");
    let invalid = file("invalid.toml", b"[detection]\nalerts_per_mac_per_day = -1.0\n");
    let empty = file("empty.ndjson", b"");
    let demo = recording("attack.ndjson");
    let demo = demo.to_str().unwrap();
    for (arguments, code, says) in [
        (&["replay", "no-such-file.ndjson"][..], 66, "no-such-file.ndjson"),
        (&["replay", folder.path().to_str().unwrap()], 66, "directory"),
        (&["replay", &garbage], 65, "garbage.bin"),
        (&["flows", &garbage], 65, "garbage.bin"),
        (&["processes", &garbage], 65, "garbage.bin"),
        (&["replay"], 2, "INPUT"),
        (&["run", "--source", "nowhere"], 2, "recording:FILE"),
        (&["replay", "--config", &config, demo], 78, "tidemark.toml:2: "),
        (&["replay", "--config", &invalid, demo], 78, "alerts_per_mac_per_day"),
        (&["replay", "--config", "missing.toml", demo], 78, "missing.toml"),
        (&["replay", &empty], 0, "0 observations"),
    ] {
        let output = run(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn what_can_be_read_is_used_and_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torn.pcapng");
    let whole = fs::read(recording("attack.pcapng")).unwrap();
    fs::write(&path, &whole[..whole.len() - 7]).unwrap();
    let output = run(&["flows", "--json", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap().lines().count(), 2);
    assert!(stderr(&output).contains("ended early at byte"), "{}", stderr(&output));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = tidemark()
        .args(["flows", "--json"])
        .arg(recording("fortnight.ndjson.gz"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"flow\":"));
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn nothing_is_coloured_where_nobody_looks() {
    let output = run(&["replay", recording("attack.ndjson").to_str().unwrap()]);
    assert!(stderr(&output).contains("alerts"));
    assert!(!output.stderr.contains(&0x1b), "{}", stderr(&output));
}

#[test]
fn help_completions_and_manual_come_from_one_definition() {
    for verb in ["replay", "flows", "processes", "run"] {
        let help = run(&[verb, "--help"]);
        assert!(String::from_utf8(help.stdout).unwrap().contains("tidemark "), "{verb} has no example");
        for shell in ["bash", "zsh", "fish"] {
            let script = String::from_utf8(run(&["completions", shell]).stdout).unwrap();
            assert!(script.contains(verb), "{shell} does not complete {verb}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(run(&["man", "--out", folder.path().to_str().unwrap()]).status.success());
        assert!(folder.path().join(format!("tidemark-{verb}.1")).exists());
    }
    assert!(String::from_utf8(run(&["man"]).stdout).unwrap().contains("bad input data"));
}

#[test]
fn the_daemon_gives_what_a_replay_gives() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tidemark.toml");
    fs::write(&config, "[[delivery.sink]]\ntype = \"file\"\nname = \"alerts\"\npath = \"alerts.ndjson\"\nsend = [\"alerts\"]\n").unwrap();
    let mut lines = String::new();
    let fortnight = fs::File::open(recording("fortnight.ndjson.gz")).unwrap();
    flate2::read::GzDecoder::new(fortnight).read_to_string(&mut lines).unwrap();
    // A line of AN1227's own kind behind the fortnight, as flows that are reported.
    let all = folder.path().join("all.ndjson");
    fs::write(&all, lines + &fs::read_to_string(recording("attack.ndjson")).unwrap()).unwrap();
    let state = |name: &str| folder.path().join(name).display().to_string();
    let replayed = run(&["replay", "--quiet", "--state", &state("replay"), all.to_str().unwrap()]);
    let source = format!("recording:{}", all.display());
    let daemon =
        run(&["run", "--source", &source, "--state", &state("run"), "--config", config.to_str().unwrap()]);
    assert!(daemon.status.success(), "{}", stderr(&daemon));
    assert_eq!(fs::read(folder.path().join("alerts.ndjson")).unwrap_or_default(), replayed.stdout);
}

#[test]
fn the_daemon_ends_at_sigterm_while_its_source_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = tidemark()
        .args(["run", "--source", "eslogger:-", "--state"])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("TIDEMARK_LOG", "info")
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&fs::read(recording("attack.ndjson")).unwrap()).unwrap();
    input.flush().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("running") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended before it ran");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    // Standard input stays open: the daemon must not wait for it.
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    drop(input);
}

#[test]
fn a_scenario_is_tested_recorded_and_refused_where_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let day = "title = \"osascript runs curl\"\ndays = 2\n[mac]\nordinary = false\n[[event]]\nday = 1\nat = \"10:00\"\n\
               run = \"osascript > sh -c x => curl x\"\nflow = [{ to = \"a.example\" }]\n";
    let silent = file("silent.toml", &format!("{day}[expect]\n"));
    let loud = file(
        "loud.toml",
        &format!("{day}[[expect.alert]]\nsubject = \"curl < osascript\"\nchannel = \"initiator\"\nday = 1\n"),
    );
    let excused = file("excused.toml", &format!("expected_failure = \"it is loud\"\n{day}[expect]\n"));
    let outdated = file(
        "outdated.toml",
        &format!("expected_failure = \"it is silent\"\n{day}[expect]\nothers_at_most = 9\n"),
    );
    let wrong = file("wrong.toml", "title = \"x\"\nday = 3\n[expect]\n");

    assert_eq!(run(&["test", &loud, &excused]).status.code(), Some(0));
    let failed = run(&["test", "--seeds", "2", &silent]);
    assert_eq!(failed.status.code(), Some(1));
    let told = String::from_utf8(failed.stdout).unwrap();
    assert!(told.contains("seed 2: expected no alerts") && told.contains("osascript"), "{told}");
    assert_eq!(run(&["test", &outdated]).status.code(), Some(1));
    let refused = run(&["test", &wrong]);
    assert_eq!(refused.status.code(), Some(65));
    assert!(
        stderr(&refused).contains("wrong.toml:2:") && stderr(&refused).contains("did you mean `days`"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(run(&["test", folder.path().join("nothing").to_str().unwrap()]).status.code(), Some(66));

    let json = run(&["test", "--json", "--seeds", "1", &loud]);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["result"], "pass");
    let seen = document["seeds"][0][1]["alerts"].as_array().unwrap().len();
    let recording = folder.path().join("loud.ndjson");
    let recording = recording.to_str().unwrap();
    assert_eq!(run(&["test", "--write-recording", recording, &loud]).status.code(), Some(0));
    let replayed = run(&["replay", "--quiet", recording]);
    assert_eq!(replayed.stdout.iter().filter(|byte| **byte == b'\n').count(), seen);
}
