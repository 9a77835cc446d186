//! The alert in the Elastic Common Schema 9.4 (<https://www.elastic.co/docs/reference/ecs>).
//!
//! What ECS has no field for stands in `event.original`, which holds the native document as text and is not indexed: the types of its members
//! can never collide with an index's mapping. A few numbers that dashboards need stand below `tidemark`.

use serde_json::{Value, json};

use super::document::{Alert, ProcessSection};
use super::format::{Document, command_line, file_name, long, process_uid};
use super::lifecycle::Activity;
use super::ocsf::{event_code, title};
use crate::detect::Severity;
use crate::observation::{CodeSigning, Direction};

/// The document.
pub(super) fn document(alert: &Alert) -> Document {
    let mut out = Document::default();
    out.put("@timestamp", json!(alert.time));
    out.put("event", event(alert));
    out.put("ecs", json!({ "version": "9.4.0" }));
    out.put("message", json!(alert.summary));
    out.put("tags", json!(["tidemark", alert.attack.analytic]));
    out.put("data_stream", json!({ "type": "logs", "dataset": DATASET, "namespace": "default" }));
    out.put("rule", rule(alert));
    out.put("threat", threat(alert));
    out.put("process", acted(alert));
    out.put("user", user(alert));
    flow(alert, &mut out);
    out.put("host", host(alert));
    out.put(
        "observer",
        json!({
            "type": "host-ids",
            "vendor": "tidemark",
            "product": alert.sensor.name,
            "version": alert.sensor.version,
            "serial_number": alert.host.serial_number,
        }),
    );
    out.put("related", related(alert));
    out.put("tidemark", own(alert));
    out
}

/// The data set's name, in `event` and in `data_stream`.
const DATASET: &str = "tidemark.alert";

fn event(alert: &Alert) -> Value {
    let (start, end) = (alert.stage.first_time, alert.stage.last_time);
    json!({
        "id": alert.id,
        "kind": "alert",
        "category": ["network", "process"],
        "type": [match alert.stage.activity {
            Activity::Create => "start",
            Activity::Update => "info",
            Activity::Close => "end",
        }],
        "action": match alert.stage.activity {
            Activity::Create => "finding-created",
            Activity::Update => "finding-updated",
            Activity::Close => "finding-closed",
        },
        "code": event_code(alert),
        "module": "tidemark",
        "dataset": DATASET,
        "provider": "tidemark",
        "severity": severity(alert.severity),
        "risk_score": alert.risk.points,
        "sequence": long(alert.host.sequence),
        "start": start,
        "end": end,
        "duration": i64::try_from(end.since(start).as_nanos()).unwrap_or(i64::MAX),
        "reason": alert.summary,
        "reference": alert.runbook,
        "original": alert.to_json(),
    })
}

/// Elastic Security's own scale: 21, 47, 73 and 99; below them what only informs.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 21,
        Severity::Medium => 47,
        Severity::High => 73,
        Severity::Critical => 99,
    }
}

fn rule(alert: &Alert) -> Value {
    json!({
        "id": event_code(alert),
        "name": title(alert),
        "category": alert.attack.strategy,
        "ruleset": "tidemark",
        "version": alert.sensor.version,
        "reference": format!("https://attack.mitre.org/detectionstrategies/{}#{}", alert.attack.strategy, alert.attack.analytic),
    })
}

fn threat(alert: &Alert) -> Value {
    let technique = &alert.attack.technique;
    let sub = alert.attack.sub_technique.as_ref();
    json!({
        "framework": "MITRE ATT&CK",
        "tactic": {
            "id": ["TA0011"],
            "name": ["Command and Control"],
            "reference": ["https://attack.mitre.org/tactics/TA0011/"],
        },
        "technique": {
            "id": [technique],
            "name": ["Application Layer Protocol"],
            "reference": [format!("https://attack.mitre.org/techniques/{technique}/")],
            "subtechnique": {
                "id": sub.map(|id| json!([id])),
                "name": alert.attack.sub_technique_name().map(|name| json!([name])),
                "reference": sub.map(|id| json!([format!("https://attack.mitre.org/techniques/{}/", id.replace('.', "/"))])),
            },
        },
    })
}

/// The process, with the nearest ancestor that is another process as its parent.
fn acted(alert: &Alert) -> Value {
    let mut acted = process(&alert.process);
    let parent = alert.ancestors.iter().find(|ancestor| ancestor.pid != alert.process.pid);
    if let Value::Object(members) = &mut acted {
        members.insert("user".to_owned(), user(alert));
        members.insert("parent".to_owned(), json!(parent.map(process)));
        members.insert(
            "session_leader".to_owned(),
            json!({ "pid": alert.user.session.filter(|pid| *pid >= 0) }),
        );
    }
    acted
}

fn process(process: &ProcessSection) -> Value {
    let signing = &process.signing;
    let exists =
        signing.platform_binary || signing.flags & CodeSigning::SIGNED != 0 || signing.team_id.is_some();
    json!({
        "name": file_name(&process.path),
        "pid": process.pid,
        "executable": process.path,
        "args": process.arguments,
        "args_count": process.arguments.len(),
        "command_line": command_line(process.arguments.iter().map(|argument| &**argument)),
        "entity_id": process_uid(process),
        "start": process.start,
        "working_directory": process.cwd,
        "hash": { "cdhash": signing.cdhash },
        "code_signature": {
            "exists": exists,
            "signing_id": signing.signing_id,
            "team_id": if signing.platform_binary { Some("platform") } else { signing.team_id.as_deref() },
            "flags": format!("{:#010x}", signing.flags),
        },
    })
}

fn user(alert: &Alert) -> Value {
    json!({ "id": alert.user.uid.map(|uid| uid.to_string()), "name": alert.user.name })
}

fn flow(alert: &Alert, out: &mut Document) {
    let flow = &alert.flow;
    let metadata = &flow.metadata;
    let (local, remote) = (flow.local.parse().ok(), flow.remote.parse().ok());
    let (bytes_out, bytes_in) = (flow.counters.bytes_out, flow.counters.bytes_in);
    let end = |end: Option<std::net::SocketAddr>, bytes: u64, packets: u64| {
        json!({
            "ip": end.map(|end| end.ip()),
            "address": end.map(|end| end.ip().to_string()),
            "port": end.map(|end| end.port()),
            "bytes": long(bytes),
            "packets": long(packets),
        })
    };
    let near = end(local, bytes_out, flow.counters.packets_out);
    let mut far = end(remote, bytes_in, flow.counters.packets_in);
    if let Value::Object(members) = &mut far {
        members.insert(
            "domain".to_owned(),
            json!(metadata.server_name.as_ref().or(flow.resolved_name.as_ref())),
        );
        // A network in place of a domain is no domain.
        let registered = flow.destination.as_deref().filter(|name| !name.contains('/'));
        members.insert("registered_domain".to_owned(), json!(registered));
    }
    let inbound = flow.direction == Some(Direction::Inbound);
    let (source, target) = if inbound { (far, near) } else { (near, far) };
    out.put("source", source);
    out.put("destination", target);
    out.put(
        "network",
        json!({
            "direction": flow.direction.map(|way| if way == Direction::Inbound { "ingress" } else { "egress" }),
            "transport": flow.transport.to_string(),
            "iana_number": flow.transport.number().to_string(),
            "type": remote.map(|end: std::net::SocketAddr| if end.is_ipv4() { "ipv4" } else { "ipv6" }),
            "protocol": flow.protocol,
            "bytes": long(bytes_out.saturating_add(bytes_in)),
        }),
    );
    out.put(
        "tls",
        json!({ "client": { "server_name": metadata.tls_version.as_ref().and(metadata.server_name.as_ref()) }, "version": metadata.tls_version }),
    );
    let answers = metadata.dns_answers.iter().map(|answer| json!({ "data": answer }));
    let addresses = metadata.dns_answers.iter().filter_map(|answer| answer.parse::<std::net::IpAddr>().ok());
    out.put(
        "dns",
        json!({
            "question": { "name": metadata.dns_query },
            "answers": answers.collect::<Vec<_>>(),
            "resolved_ip": addresses.collect::<Vec<_>>(),
        }),
    );
    out.put("user_agent", json!({ "original": metadata.user_agent }));
}

fn host(alert: &Alert) -> Value {
    let host = &alert.host;
    json!({
        "id": host.hardware_uuid,
        "name": host.name,
        "hostname": host.name,
        "os": { "type": "macos", "family": "darwin", "name": "macOS", "version": host.os_version },
    })
}

fn related(alert: &Alert) -> Value {
    let ends = [&alert.flow.local, &alert.flow.remote];
    let ips = ends.into_iter().filter_map(|end| end.parse::<std::net::SocketAddr>().ok()).map(|end| end.ip());
    let server = alert.flow.metadata.server_name.as_deref();
    json!({
        "ip": ips.collect::<Vec<_>>(),
        "user": alert.user.name.iter().collect::<Vec<_>>(),
        "hosts": [Some(&*alert.host.name), server],
        "hash": alert.process.signing.cdhash.iter().collect::<Vec<_>>(),
    })
}

/// Numbers and names that ECS has no field for, each of one type.
fn own(alert: &Alert) -> Value {
    json!({
        "finding": alert.finding,
        "fleet_finding": alert.fleet_finding,
        "subject": alert.subject.to_string(),
        "initiator": alert.subject.initiator,
        "channels": alert.channels.iter().filter(|c| c.counted).map(|c| c.name.label()).collect::<Vec<_>>(),
        "score": alert.score,
        "return_period_days": alert.return_period.days,
        "baseline": { "state": alert.baseline.state, "age_days": alert.baseline.age_days },
        "imbalance": alert.flow.imbalance,
        "attribution": alert.attribution,
        "ja4": alert.flow.metadata.ja4,
        "os_build": alert.host.os_build,
        "count": long(alert.stage.count),
        "exception": alert.exception.as_ref().map(|exception| &exception.id),
    })
}
