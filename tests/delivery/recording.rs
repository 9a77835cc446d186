//! Observations that alert at once: `osascript` runs another copy of `curl` each time, and it sends much.

use serde_json::{Value, json};

pub(crate) const HEADER: &str =
    r#"{"recording":{"schema":"tidemark.recording/1","host":"killed-mac","os_version":"15.5"}}"#;

/// Every finding leaves.
pub(crate) const GENEROUS: &str =
    "[detection]\nalerts_per_mac_per_day = 10\nalerts_per_day_cap = 1000000\nsubjects = 1000000\n";

/// What the n-th copy does: it begins, sends 20 MB, and has sent 30 MB when it ends.
pub(crate) fn upload(n: usize) -> [String; 3] {
    let (pid, version) = (1_000 + n % 50_000, 2 * n + 1_000);
    let second = 60 * n;
    let flow = |second: usize, bytes: u64, state: &str| {
        json!({ "flow": {
            "time": at(second), "flow_id": format!("f{n}"), "pid": pid, "pidversion": version + 1, "transport": "tcp",
            "local": "192.0.2.2:50000", "remote": "198.51.100.7:443", "direction": "outbound", "protocol": "tls",
            "server_name": format!("h{n}.example.net"), "bytes_out": bytes, "bytes_in": 100, "packets_out": 10,
            "packets_in": 10, "state": state,
        }})
        .to_string()
    };
    let script = process(pid, version, "/usr/bin/osascript", Some("com.apple.osascript"));
    let curl = process(pid, version + 1, &image(n), None);
    let exec = json!({
        "schema_version": 1, "version": 9, "time": at(second), "mach_time": second * 24_000_000, "event_type": 9, "action_type": 1,
        "action": { "result": { "result_type": 0, "result": { "auth": 0 } } }, "thread": { "thread_id": 1 },
        "process": script, "seq_num": n, "global_seq_num": n,
        "event": { "exec": { "target": curl, "args": ["curl", "-T", "x"], "env": [], "script": null,
            "cwd": { "path": "/", "path_truncated": false, "stat": {} } } },
    });
    [exec.to_string(), flow(second + 1, 20_000_000, "open"), flow(second + 20, 30_000_000, "closed")]
}

/// The path of the n-th copy.
pub(crate) fn image(n: usize) -> String {
    format!("/opt/tool-{n}/bin/curl")
}

fn at(second: usize) -> String {
    let begin: jiff::Timestamp = "2026-06-01T06:00:00Z".parse().unwrap();
    (begin + jiff::SignedDuration::from_secs(second.try_into().unwrap())).to_string()
}

fn process(pid: usize, version: usize, path: &str, signing_id: Option<&str>) -> Value {
    let token = |pid: usize, version: usize| json!({ "pid": pid, "pidversion": version, "asid": 1, "auid": 501, "euid": 501, "egid": 20, "ruid": 501, "rgid": 20 });
    json!({
        "audit_token": token(pid, version), "parent_audit_token": token(1, 1), "responsible_audit_token": token(pid, version),
        "ppid": 1, "original_ppid": 1, "group_id": pid, "session_id": 1, "codesigning_flags": 0, "is_es_client": false,
        "is_platform_binary": signing_id.is_some(), "cdhash": "00".repeat(20), "signing_id": signing_id, "team_id": null,
        "executable": { "path": path, "path_truncated": false, "stat": { "st_dev": 1, "st_ino": 1 } }, "tty": null,
        "start_time": at(0),
    })
}

/// The alerts, as native documents, that these uploads give, each of which the budget lets pass.
pub(crate) fn alerts(uploads: std::ops::Range<usize>) -> Vec<String> {
    use tidemark::engine::{Engine, Settings, Verdict};
    use tidemark::source::{OpenOptions, open_reader};

    let config = tidemark::config::Config::parse(GENEROUS).unwrap();
    let mut engine = Engine::new(Settings { detection: config.detection, ..Settings::default() });
    let lines: Vec<_> = std::iter::once(HEADER.to_owned()).chain(uploads.flat_map(upload)).collect();
    let text = std::io::Cursor::new(lines.join("\n").into_bytes());
    let source = open_reader(text, std::path::Path::new("made"), &OpenOptions::default()).unwrap();
    let mut verdicts = Vec::new();
    for observation in source {
        engine.observe(&observation, &mut verdicts);
    }
    let alert = |verdict| match verdict {
        Verdict::Alert(alert) => Some(alert.to_json()),
        _ => None,
    };
    verdicts.into_iter().filter_map(alert).collect()
}
