//! What departed from what, channel by channel.

use serde_json::{Value, json};

use crate::alert::Alert;
use crate::detect::{Channel, ChannelScore};

/// What departed from what. `UNSEEN` where the subject never did it, `SURGE` where it did less, `RARE` for a channel that adds nothing to the
/// score.
pub(super) fn anomaly_analysis(alert: &Alert) -> Option<Value> {
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
