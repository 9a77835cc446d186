//! Who and what acted: the Mac, the processes, the user, the flow.

use serde_json::{Value, json};

use super::Extent;
use crate::alert::document::{Alert, ProcessSection};
use crate::alert::format::{command_line, file_name, long, process_uid};
use crate::network::Protocol;
use crate::observation::{CodeSigning, Direction, Timestamp};

pub(super) fn device(alert: &Alert) -> Value {
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
pub(super) fn actor(alert: &Alert) -> Value {
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

pub(super) fn evidence(alert: &Alert, extent: Extent) -> Value {
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
pub(super) fn observables(alert: &Alert) -> Value {
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
