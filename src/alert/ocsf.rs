//! The alert as an OCSF 1.8.0 Detection Finding (class 2004, <https://schema.ocsf.io/1.8.0/classes/detection_finding>).
//!
//! Profiles: `host` (actor, device), `security_control` (action, disposition) and `macos/macos_users` (effective user of a process). What
//! OCSF has no field for stands in `raw_data`, which holds the native document as text: `tidemark explain` reads it back.

use serde_json::{Value, json};

use super::document::{Alert, ProcessSection};
use super::format::{Document, command_line, file_name, long, process_uid};
use super::lifecycle::Activity;
use crate::detect::{Channel, ChannelScore, Severity};
use crate::exceptions::Action;
use crate::network::Protocol;
use crate::observation::{CodeSigning, Direction, Timestamp};
use crate::process::Method;

/// How much of the document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Full,
    /// Without captions, observables and descriptions, which repeat what ids and evidence say.
    Slim,
}

/// The document.
pub(super) fn document(alert: &Alert, extent: Extent) -> Document {
    let full = extent == Extent::Full;
    let caption = |text: &str| if full { json!(text) } else { Value::Null };
    let (activity, activity_name) = activity(alert);
    let (status, status_name) = status(alert);
    let (severity, severity_name) = severity(alert.severity);
    let (confidence, confidence_name) = confidence(alert.attribution);
    let (risk, risk_name) = risk_level(alert.risk.points);
    let mut out = Document::default();
    out.put("time", json!(alert.time.as_millis()));
    out.put("metadata", metadata(alert, extent));
    out.put("activity_id", json!(activity));
    out.put("category_uid", json!(CATEGORY));
    out.put("class_uid", json!(CLASS));
    out.put("type_uid", json!(CLASS * 100 + activity));
    out.put("activity_name", caption(activity_name));
    out.put("category_name", caption("Findings"));
    out.put("class_name", caption("Detection Finding"));
    out.put("type_name", caption(&format!("Detection Finding: {activity_name}")));
    out.put("severity_id", json!(severity));
    out.put("severity", caption(severity_name));
    out.put("status_id", json!(status));
    out.put("status", caption(status_name));
    out.put(
        "status_detail",
        json!(alert.exception.as_ref().map(|e| match e.action {
            Action::Suppress => format!("exception {} of {}", e.id, e.owner),
            Action::Lower => format!("lowered by exception {} of {}", e.id, e.owner),
        })),
    );
    out.put("confidence_id", json!(confidence));
    out.put("confidence", caption(confidence_name));
    out.put("is_alert", json!(alert.exception.is_none()));
    out.put("message", json!(alert.summary));
    out.put("count", json!(alert.stage.count.min(MOST_COUNT)));
    out.put("start_time", json!(alert.stage.first_time.as_millis()));
    out.put("end_time", json!(alert.stage.last_time.as_millis()));
    out.put("action_id", json!(3));
    out.put("action", caption("Observed"));
    out.put("disposition_id", json!(15));
    out.put("disposition", caption("Detected"));
    out.put("risk_level_id", json!(risk));
    out.put("risk_level", caption(risk_name));
    out.put("risk_score", json!(alert.risk.points));
    out.put("finding_info", finding_info(alert, extent));
    out.put("anomaly_analyses", json!([anomaly_analysis(alert)].into_iter().flatten().collect::<Vec<_>>()));
    out.put("device", device(alert));
    out.put("actor", actor(alert));
    out.put("evidences", json!([evidence(alert, extent)]));
    if full {
        out.put("observables", observables(alert));
    }
    out.put("raw_data", json!(alert.to_json()));
    out
}

/// Findings.
const CATEGORY: u32 = 2;
/// Detection Finding.
const CLASS: u32 = 2004;
/// `count` is an `integer_t`, 32 bits.
const MOST_COUNT: u64 = i32::MAX as u64;

fn activity(alert: &Alert) -> (u32, &'static str) {
    match alert.stage.activity {
        Activity::Create => (1, "Create"),
        Activity::Update => (2, "Update"),
        Activity::Close => (3, "Close"),
    }
}

fn status(alert: &Alert) -> (u32, &'static str) {
    match alert.stage.activity {
        _ if alert.suppressed_by().is_some() => (3, "Suppressed"),
        Activity::Create => (1, "New"),
        Activity::Update => (2, "In Progress"),
        Activity::Close => (4, "Resolved"),
    }
}

fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

/// How surely the flow is this process's.
fn confidence(method: Method) -> (u32, &'static str) {
    match method {
        Method::Exact | Method::Effective => (3, "High"),
        Method::Pid => (2, "Medium"),
        Method::Snapshot | Method::None => (1, "Low"),
    }
}

/// Quarters of the scale of points.
fn risk_level(points: u8) -> (u32, &'static str) {
    match points {
        0..25 => (1, "Low"),
        25..50 => (2, "Medium"),
        50..75 => (3, "High"),
        _ => (4, "Critical"),
    }
}

fn metadata(alert: &Alert, extent: Extent) -> Value {
    json!({
        "uid": alert.id,
        "version": "1.8.0",
        "correlation_uid": alert.fleet_finding,
        "sequence": long(alert.host.sequence),
        "event_code": event_code(alert),
        "profiles": ["host", "security_control", "macos/macos_users"],
        "extensions": [{ "name": "macos", "uid": "3", "version": "1.8.0" }],
        "product": { "name": alert.sensor.name, "vendor_name": "tidemark", "version": alert.sensor.version },
        "log_name": (extent == Extent::Full).then_some("tidemark.alert"),
        "is_truncated": (extent == Extent::Slim).then_some(true),
    })
}

/// `AN1227` and the strongest channel.
pub(super) fn event_code(alert: &Alert) -> String {
    let strongest = alert.channels.iter().find(|channel| channel.counted);
    let name = strongest.map_or("anomaly", |channel| channel.name.label());
    format!("{}.{name}", alert.attack.analytic)
}

fn finding_info(alert: &Alert, extent: Extent) -> Value {
    let full = extent == Extent::Full;
    let counted = alert.channels.iter().filter(|channel| channel.counted);
    json!({
        "uid": alert.finding,
        "uid_alt": alert.fleet_finding,
        "title": title(alert),
        "desc": full.then_some(&alert.summary),
        "types": counted.map(|channel| channel.name.label()).collect::<Vec<_>>(),
        "created_time": alert.stage.first_time.as_millis(),
        "modified_time": alert.stage.last_time.as_millis(),
        "first_seen_time": alert.stage.first_time.as_millis(),
        "last_seen_time": alert.stage.last_time.as_millis(),
        "src_url": alert.runbook,
        "analytic": {
            "type_id": 2,
            "uid": alert.attack.analytic,
            "name": "Analytic 1227",
            "category": alert.attack.strategy,
            "state_id": 1,
            "algorithm": full.then_some("return period of a departure from the baseline of image and initiator"),
        },
        "attacks": [attack(alert)],
        "traits": [
            { "name": "return_period_days", "values": [alert.return_period.days.to_string()] },
            { "name": "baseline_age_days", "values": [alert.baseline.age_days.to_string()] },
        ],
    })
}

/// A title without numbers, so that a SIEM can group by it.
pub(super) fn title(alert: &Alert) -> String {
    let subject = alert.subject.to_string();
    format!("Departure from the network baseline of {subject} ({})", alert.attack.analytic)
}

fn attack(alert: &Alert) -> Value {
    json!({
        "version": "18.1",
        "tactic": { "uid": "TA0011", "name": "Command and Control" },
        "technique": { "uid": alert.attack.technique, "name": "Application Layer Protocol" },
        "sub_technique": alert.attack.sub_technique.as_ref().map(|uid| json!({
            "uid": uid, "name": alert.attack.sub_technique_name(),
        })),
    })
}

/// What departed from what. `UNSEEN` where the subject never did it, `SURGE` where it did less, `RARE` for a channel that adds nothing to the
/// score.
fn anomaly_analysis(alert: &Alert) -> Option<Value> {
    let anomalies: Vec<Value> = alert.channels.iter().map(anomaly).collect();
    if anomalies.is_empty() {
        return None;
    }
    let baselines: Vec<Value> = alert.channels.iter().filter_map(baseline).collect();
    Some(json!({
        "analysis_targets": [{ "name": alert.subject.to_string(), "type": "Process image and initiator" }],
        "anomalies": anomalies,
        "baselines": baselines,
    }))
}

fn anomaly(channel: &ChannelScore) -> Value {
    let pattern = match channel.name {
        _ if !channel.counted => "RARE",
        Channel::Protocol | Channel::Initiator | Channel::Destination => "UNSEEN",
        Channel::Volume | Channel::Received | Channel::FanOut => "SURGE",
    };
    json!({
        "observation_parameter": parameter(channel.name),
        "observation_type": kind(channel.name),
        "observed_pattern": pattern,
        "observations": observations(&channel.observed),
    })
}

fn baseline(channel: &ChannelScore) -> Option<Value> {
    if channel.expected.is_null() {
        return None;
    }
    let seen = match channel.expected.get("known").and_then(Value::as_array) {
        Some(known) if known.is_empty() => vec![json!({ "value": "none" })],
        Some(known) => known
            .iter()
            .map(|one| json!({ "value": text(one.get("protocol").unwrap_or(one)), "count": one.get("days") }))
            .collect(),
        None => observations(&channel.expected),
    };
    Some(json!({
        "observation_parameter": parameter(channel.name),
        "observation_type": kind(channel.name),
        "observed_pattern": "NORMAL",
        "observations": seen,
    }))
}

fn parameter(channel: Channel) -> &'static str {
    match channel {
        Channel::Volume => "network.bytes_out",
        Channel::Destination => "network.bytes_out_to_new_destinations",
        Channel::Protocol => "network.protocol",
        Channel::Initiator => "process.initiator",
        Channel::Received => "network.bytes_in",
        Channel::FanOut => "network.new_flows",
    }
}

fn kind(channel: Channel) -> &'static str {
    match channel {
        Channel::Protocol | Channel::Initiator => "Frequency Analysis",
        Channel::Volume | Channel::Destination | Channel::Received | Channel::FanOut => "Volume Analysis",
    }
}

/// A name, or one observation for each number, with its name: `hour_bytes.p99=120000`.
fn observations(value: &Value) -> Vec<Value> {
    let Value::Object(members) = value else {
        return vec![json!({ "value": text(value) })];
    };
    let mut out = Vec::new();
    for (name, value) in members {
        if let Value::Object(points) = value {
            out.extend(
                points.iter().map(|(point, v)| json!({ "value": format!("{name}.{point}={}", text(v)) })),
            );
        } else {
            out.push(json!({ "value": format!("{name}={}", text(value)) }));
        }
    }
    out
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn device(alert: &Alert) -> Value {
    let host = &alert.host;
    json!({
        "type_id": 0,
        "uid": host.hardware_uuid,
        "hostname": host.name,
        "hw_info": host.serial_number.as_ref().map(|serial| json!({ "serial_number": serial })),
        "os": { "name": "macOS", "type_id": 300, "version": host.os_version, "build": host.os_build },
    })
}

/// What made the process run, and who.
fn actor(alert: &Alert) -> Value {
    json!({
        "process": alert.initiator.as_ref().map(process),
        "user": user(alert),
        "session": { "uid": alert.user.audit_session.map(|id| id.to_string()), "terminal": alert.user.tty },
        "app_name": alert.application.as_ref().map(|app| &app.name),
        "app_uid": alert.application.as_ref().map(|app| &app.identity),
    })
}

fn user(alert: &Alert) -> Option<Value> {
    let user = &alert.user;
    (user.uid.is_some() || user.name.is_some())
        .then(|| json!({ "name": user.name, "uid": user.uid.map(|uid| uid.to_string()) }))
}

fn process(process: &ProcessSection) -> Value {
    let signing = &process.signing;
    let signed =
        signing.platform_binary || signing.flags & CodeSigning::SIGNED != 0 || signing.team_id.is_some();
    let hash = signing.cdhash.as_ref();
    json!({
        "name": process.name,
        "pid": process.pid,
        "uid": process_uid(process),
        "cmd_line": command_line(process.arguments.iter().map(|argument| &**argument)),
        "created_time": process.start.map(Timestamp::as_millis),
        "working_directory": process.cwd,
        "file": {
            "name": file_name(&process.path),
            "path": process.path,
            "type_id": 8,
            "internal_name": signing.signing_id,
            "hashes": hash.map(|hash| json!([{ "algorithm_id": 99, "algorithm": "cdhash", "value": hash }])),
            "signature": signed.then(|| json!({
                "algorithm_id": 99,
                "algorithm": "Apple Code Signing",
                "developer_uid": if signing.platform_binary { Some("platform") } else { signing.team_id.as_deref() },
            })),
        },
    })
}

fn evidence(alert: &Alert, extent: Extent) -> Value {
    let flow = &alert.flow;
    let mut acted = process(&alert.process);
    if let Value::Object(members) = &mut acted {
        members.insert("euid".to_owned(), json!(alert.user.uid));
        members.insert("user".to_owned(), json!(user(alert)));
        members.insert("ancestry".to_owned(), ancestry(alert, extent));
    }
    let local = endpoint(&flow.local, None, None);
    let remote = endpoint(&flow.remote, flow.metadata.server_name.as_deref(), flow.protocol);
    let inbound = flow.direction == Some(Direction::Inbound);
    let (source, target) = if inbound { (remote, local) } else { (local, remote) };
    let (direction, direction_name) = match flow.direction {
        Some(Direction::Inbound) => (1, "Inbound"),
        Some(Direction::Outbound) => (2, "Outbound"),
        None => (0, "Unknown"),
    };
    let version =
        flow.remote.parse::<std::net::SocketAddr>().ok().map(|end| if end.is_ipv4() { 4 } else { 6 });
    let metadata = &flow.metadata;
    json!({
        "name": "flow",
        "uid": flow.id,
        "process": acted,
        "connection_info": {
            "uid": flow.id,
            "direction_id": direction,
            "direction": (extent == Extent::Full).then_some(direction_name),
            "protocol_num": flow.transport.number(),
            "protocol_name": flow.transport.to_string(),
            "protocol_ver_id": version,
        },
        "src_endpoint": source,
        "dst_endpoint": target,
        "tls": metadata.tls_version.as_ref().map(|version| json!({ "version": version, "sni": metadata.server_name })),
        "ja4_fingerprint_list": metadata.ja4.as_ref().map(|ja4| json!([{ "type_id": 1, "value": ja4 }])),
        "query": metadata.dns_query.as_ref().map(|name| json!({ "hostname": name })),
        "data": {
            "protocol": flow.protocol,
            "protocol_evidence": flow.protocol_evidence,
            "destination": flow.destination,
            "bytes_out": long(flow.counters.bytes_out),
            "bytes_in": long(flow.counters.bytes_in),
            "packets_out": long(flow.counters.packets_out),
            "packets_in": long(flow.counters.packets_in),
            "imbalance": flow.imbalance,
            "attribution": alert.attribution,
            "dns_answers": metadata.dns_answers,
        },
    })
}

fn ancestry(alert: &Alert, extent: Extent) -> Value {
    let ancestors = alert.ancestors.iter().map(|ancestor| {
        let line = command_line(ancestor.arguments.iter().map(|argument| &**argument));
        json!({
            "name": ancestor.name,
            "pid": ancestor.pid,
            "uid": process_uid(ancestor),
            "path": ancestor.path,
            "created_time": ancestor.start.map(Timestamp::as_millis),
            "cmd_line": (extent == Extent::Full).then_some(line),
        })
    });
    Value::Array(ancestors.collect())
}

fn endpoint(end: &str, name: Option<&str>, protocol: Option<Protocol>) -> Value {
    let end = end.parse::<std::net::SocketAddr>().ok();
    json!({
        "ip": end.map(|end| end.ip().to_string()),
        "port": end.map(|end| end.port()),
        "hostname": name,
        "svc_name": protocol.filter(|protocol| protocol.is_identified()),
    })
}

/// What a SIEM searches by, each with the place where it stands. Types: 1 host name, 2 address, 4 user, 8 hash, 9 process, 13 command line.
fn observables(alert: &Alert) -> Value {
    let remote = alert.flow.remote.parse::<std::net::SocketAddr>().ok().map(|end| end.ip().to_string());
    let far = if alert.flow.direction == Some(Direction::Inbound) { "src_endpoint" } else { "dst_endpoint" };
    let name = alert.flow.metadata.server_name.as_deref().map(str::to_owned);
    let line = command_line(alert.process.arguments.iter().map(|argument| &**argument));
    let all = [
        ("device.hostname".to_owned(), 1, Some(alert.host.name.to_string())),
        (format!("evidences[0].{far}.ip"), 2, remote),
        (format!("evidences[0].{far}.hostname"), 1, name),
        ("actor.user.name".to_owned(), 4, alert.user.name.as_deref().map(str::to_owned)),
        ("evidences[0].process.file.hashes[0].value".to_owned(), 8, alert.process.signing.cdhash.clone()),
        ("evidences[0].process.name".to_owned(), 9, Some(alert.process.name.clone())),
        ("evidences[0].process.cmd_line".to_owned(), 13, Some(line).filter(|line| !line.is_empty())),
    ];
    let known = all.into_iter().filter_map(|(name, kind, value)| {
        value.map(|value| json!({ "name": name, "type_id": kind, "value": value }))
    });
    Value::Array(known.collect())
}
