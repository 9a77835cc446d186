//! Flows that arrive before the process events that explain them, as at the start of a daemon and in the rush of a boot.

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

use std::time::Duration;

use tidemark::engine::{Engine, Settings, Verdict};
use tidemark::observation::{
    CodeSigning, Credentials, Exec, Executable, FlowReport, FlowState, Message, Observation, Origin,
    ProcessInfo, ProcessKey, Running, Timestamp, Transport,
};
use tidemark::process::Method;

const PROCESSES: i32 = 300;

fn start() -> Timestamp {
    Timestamp::parse("2026-03-02T08:00:00Z").unwrap()
}

/// A tool that `parent` runs.
fn tool(pid: i32, parent: i32) -> ProcessInfo {
    ProcessInfo {
        key: ProcessKey { pid, pidversion: Some(pid * 10) },
        parent: Some(ProcessKey { pid: parent, pidversion: Some(parent * 10) }),
        responsible: None,
        ppid: parent,
        original_ppid: Some(parent),
        group_id: None,
        session_id: None,
        credentials: Credentials::default(),
        executable: Executable { path: "/usr/bin/curl".into(), path_truncated: false },
        signing: CodeSigning {
            flags: CodeSigning::VALID,
            is_platform_binary: true,
            signing_id: Some("com.apple.curl".into()),
            team_id: None,
            cdhash: None,
        },
        is_es_client: false,
        tty: None,
        start_time: None,
    }
}

fn exec(pid: i32, time: Timestamp) -> Observation {
    Observation::Exec(Box::new(Exec {
        message: Message { time, mach_time: None, version: 9, seq_num: None, global_seq_num: None },
        actor: tool(pid, 1),
        target: tool(pid, 1),
        arguments: vec!["curl".into()],
        arguments_total: 1,
        environment: Vec::new(),
        script: None,
        cwd: None,
        dyld_exec_path: None,
        cpu_type: None,
        denied: false,
    }))
}

fn flow(pid: i32, time: Timestamp, state: FlowState, bytes_out: u64) -> Observation {
    Observation::Flow(Box::new(FlowReport {
        time,
        flow_id: format!("flow-{pid}").into(),
        origin: Origin(0),
        pid: Some(pid),
        pidversion: Some(pid * 10),
        effective_pid: None,
        process: None,
        transport: Transport::Tcp,
        local: format!("192.0.2.1:{}", 40_000 + pid).parse().unwrap(),
        remote: "198.51.100.9:443".parse().unwrap(),
        direction: None,
        interface: None,
        protocol: Some("tls".into()),
        server_name: Some("files.example.net".into()),
        bytes_out,
        bytes_in: 0,
        packets_out: 1,
        packets_in: 0,
        wire_bytes_out: None,
        wire_bytes_in: None,
        state,
    }))
}

fn walk(observations: impl IntoIterator<Item = Observation>) -> (Engine, Vec<Verdict>) {
    let mut engine = Engine::new(Settings::default());
    let mut verdicts = Vec::new();
    for observation in observations {
        engine.observe(&observation, &mut verdicts);
    }
    engine.finish(&mut verdicts);
    (engine, verdicts)
}

/// The channels of every alert.
fn channels(verdicts: &[Verdict]) -> Vec<String> {
    let alerts = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Alert(alert) => serde_json::from_str::<serde_json::Value>(&alert.to_json()).ok(),
        _ => None,
    });
    alerts
        .flat_map(|alert| alert["channels"].as_array().cloned().unwrap_or_default())
        .filter_map(|channel| channel["name"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a_flow_waits_for_the_exec_that_explains_it() {
    let open = (1..=PROCESSES).map(|pid| flow(pid, start(), FlowState::Open, 1_000));
    let execs = (1..=PROCESSES).map(|pid| exec(pid, start().before(Duration::from_millis(10))));
    let later = start().after(Duration::from_secs(2));
    let closed = (1..=PROCESSES).map(|pid| flow(pid, later, FlowState::Closed, 2_000));
    let (engine, verdicts) = walk(open.chain(execs).chain(closed));
    assert_eq!(engine.losses().unattributed_bytes, 0);
    assert_eq!(engine.tally().flows.get(&Method::Exact), Some(&300));
    assert!(!channels(&verdicts).contains(&"initiator".to_owned()));
}

#[test]
fn it_does_not_wait_for_ever_and_its_bytes_are_counted_as_nobody_s() {
    let open = flow(7, start(), FlowState::Open, 1_000);
    let goes_on = flow(7, start().after(Duration::from_secs(30)), FlowState::Update, 1_500);
    let (engine, _) = walk([open, goes_on]);
    assert_eq!(engine.losses().unattributed_bytes, 1_500);
}

#[test]
fn processes_known_from_the_list_alone_are_not_scored_on_their_initiator() {
    let running = (2..=PROCESSES).map(|pid| {
        let process = tool(pid, pid - 1);
        let arguments = vec!["curl".into()];
        Observation::Running(Box::new(Running { time: start(), process, arguments, environment: Vec::new() }))
    });
    let flows = (2..=PROCESSES).map(|pid| flow(pid, start(), FlowState::Open, 50_000_000));
    let (engine, verdicts) = walk(running.chain(flows));
    assert_eq!(engine.tally().flows.get(&Method::Snapshot), Some(&299));
    assert!(!channels(&verdicts).contains(&"initiator".to_owned()));
}
