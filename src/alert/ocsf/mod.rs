//! The alert as an OCSF 1.8.0 Detection Finding (class 2004, <https://schema.ocsf.io/1.8.0/classes/detection_finding>).
//!
//! Profiles: `host` (actor, device), `security_control` (action, disposition) and `macos/macos_users` (effective user of a process). What
//! OCSF has no field for stands in `raw_data`, which holds the native document as text: `tidemark explain` reads it back.
//!
//! Here stand the finding and its classification; `anomaly` says what departed from what, `objects` who and what acted.

mod anomaly;
mod objects;

use serde_json::{Value, json};

use super::document::Alert;
use super::format::{Document, long};
use super::lifecycle::Activity;
use crate::detect::Severity;
use crate::exceptions::Action;
use crate::process::Method;
use anomaly::anomaly_analysis;
use objects::{actor, device, evidence, observables};

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
