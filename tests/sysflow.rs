//! A real exploit chain on a real machine: the node.js application of SysFlow's recordings, through which an attacker runs a script that sends
//! data to other people's services, ranks among the first findings of that machine.

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

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The whole of a day's findings is asked for, as a SOC that ranks them would: ten a day, after four days of learning.
const CONFIGURATION: &str = "[detection]\nalerts_per_mac_per_day = 10.0\nlearn_days = 4\n";

#[test]
fn the_exploit_chain_ranks_among_the_first_three_findings() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let records = project.join("../shared/data/process-net/sysflow/nodejs");
    if !records.join("labels.json").exists() {
        println!("skipped: ../shared/data/process-net/sysflow/nodejs is absent");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (recording, configuration) =
        (folder.path().join("nodejs.ndjson"), folder.path().join("tidemark.toml"));
    let converted = Command::new("python3")
        .arg(project.join("scripts/sysflow_recording.py"))
        .args([&records, &recording])
        .args(["--history-days", "5"])
        .status();
    let Ok(converted) = converted else {
        println!("skipped: there is no python3 to convert the records with");
        return;
    };
    assert!(converted.success());
    std::fs::write(&configuration, CONFIGURATION).unwrap();
    let replayed = Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .args(["replay", "--config"])
        .args([&configuration, &recording])
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let alerts = String::from_utf8(replayed.stdout).unwrap();
    let mut alerts: Vec<Value> = alerts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    alerts.sort_by(|a, b| b["score"].as_f64().unwrap().total_cmp(&a["score"].as_f64().unwrap()));
    let is_attack = |alert: &Value| {
        alert["process"]["script"]["name"] == "/tmp/exfil.py"
            && alert["subject"]["initiator"] == "path:/usr/local/bin/node"
    };
    let mut findings: Vec<&Value> = Vec::new();
    for alert in &alerts {
        if !findings.iter().any(|known| known["finding"] == alert["finding"]) {
            findings.push(alert);
        }
    }
    let rank = findings.iter().position(|alert| is_attack(alert)).map(|at| at + 1);
    println!("the exploit chain ranks {rank:?} of {} findings", findings.len());
    assert!(rank.is_some_and(|rank| rank <= 3), "{rank:?}");
}
