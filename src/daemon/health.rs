//! What the sensor says of itself: a heartbeat, and what changed in its delivery. A Mac that falls silent is noticed in the SIEM, by the
//! heartbeat that does not come.

use std::fmt::Display;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Learnt;
use super::vitals::Status;
use crate::detect::Digest;
use crate::exceptions::{Due, EXPIRES_SOON_DAYS};
use crate::observation::Timestamp;
use crate::source::live::Effort;

/// Why a health event is sent.
#[derive(Clone, Copy)]
pub(super) enum Occasion<'a> {
    Started,
    /// The daemon began without what was learnt.
    BeganAnew(&'a Learnt),
    Heartbeat,
    Stopping,
    /// A sink's receiver refuses the sensor.
    Refused(&'a str),
    /// The configuration was read anew; the keys that changed.
    Reloaded(&'a [String]),
    /// The configuration on the disk is refused.
    ReloadRefused(&'a str),
    /// A source ended, and is begun anew.
    SourceLost {
        source: &'a str,
        why: &'a str,
        restarts: u64,
    },
    /// It observes again.
    SourceBack {
        source: &'a str,
        restarts: u64,
    },
    /// Sources try less than before, or more.
    Effort {
        less: bool,
        effort: Effort,
        why: Option<&'a str>,
    },
    /// Somebody else could change tidemark, or did.
    Tampered(&'a str),
    /// A part failed.
    Failed {
        part: &'a str,
        what: &'a dyn Display,
    },
}

/// A health event, as one line of at most [`MOST_BYTES`].
pub(super) fn event(occasion: &Occasion<'_>, status: &Status, now: jiff::Timestamp) -> String {
    let (kind, severity, summary) = match occasion {
        Occasion::Started => ("started", "info", "tidemark started".to_owned()),
        Occasion::BeganAnew(Learnt::SetAside(aside)) => (
            "store_reset",
            "high",
            format!(
                "the store could not be read and was set aside as {}; learning begins anew",
                aside.display()
            ),
        ),
        Occasion::BeganAnew(Learnt::Nothing | Learnt::Kept) => (
            "store_reset",
            "medium",
            "nothing is remembered of this Mac: it is new, or its store was removed".to_owned(),
        ),
        Occasion::Heartbeat if status.reasons.is_empty() => {
            ("heartbeat", "info", "tidemark is running".to_owned())
        }
        Occasion::Heartbeat => {
            ("heartbeat", "low", format!("tidemark is running, but {}", status.reasons.join("; ")))
        }
        Occasion::Stopping => ("stopping", "info", "tidemark is stopping".to_owned()),
        Occasion::Refused(sink) => {
            ("sink_refused", "high", format!("the receiver of sink {sink} refuses this sensor"))
        }
        Occasion::Reloaded([]) => {
            ("reloaded", "info", "the configuration was read anew; no setting changed".to_owned())
        }
        Occasion::Reloaded(changed) => {
            ("reloaded", "info", format!("settings changed: {}", changed.join(", ")))
        }
        Occasion::ReloadRefused(why) => (
            "reload_refused",
            "medium",
            format!("the configuration on the disk is refused, the last good one stays in force: {why}"),
        ),
        Occasion::SourceLost { source, why, restarts } => (
            "source_lost",
            "high",
            format!("source {source} ended ({restarts} times since the start) and is begun anew: {why}"),
        ),
        Occasion::SourceBack { source, restarts } => {
            ("source_back", "info", format!("source {source} observes again, after {restarts} losses"))
        }
        Occasion::Effort { less: true, effort, why } => (
            "effort_reduced",
            "medium",
            format!("the daemon {}: {}", why.unwrap_or("is over its budget"), effort.reduced()),
        ),
        Occasion::Effort { less: false, effort, .. } => {
            ("effort_restored", "info", format!("sources try harder again: {}", effort.reduced()))
        }
        Occasion::Tampered(what) => ("tampered", "high", (*what).to_owned()),
        Occasion::Failed { part, what } => ("failed", "high", format!("{part}: {what}")),
    };
    let rest = json!({ "status": vital(status) });
    let line = |summary| document("tidemark.health/1", kind, severity, summary, &status.host, now, &rest);
    let whole = line(&summary);
    match whole.len().checked_sub(MOST_BYTES) {
        // Only the sentence can be long; what a quote or a backslash costs twice is taken off twice.
        Some(excess @ 1..) => line(cut(&summary, summary.len().saturating_sub(excess.saturating_mul(2)))),
        _ => whole,
    }
}

/// What of the status a fleet is watched by. Times are totals, so that nobody's day can be read from them.
fn vital(status: &Status) -> Value {
    let waiting: u64 = status.spool.queues.values().map(|queue| queue.waiting).sum();
    let dropped: u64 = status.spool.queues.values().map(|queue| queue.dropped + queue.damaged).sum();
    let mut vital = json!({
        "ok": status.reasons.is_empty(),
        "uptime_seconds": status.uptime_seconds,
        "waiting": waiting,
        "dropped": dropped,
        "lost": status.lost,
        "cpu_seconds": status.usage.cpu_seconds.round(),
        "resident_bytes": status.usage.resident_bytes,
    });
    if let (Some(engine), Some(members)) = (&status.engine, vital.as_object_mut()) {
        let coverage = &engine.coverage;
        let percent = |share: f64| (share * 100.0).round();
        let gaps: u64 = coverage.gaps.values().map(|source| source.gaps).sum();
        let lost: u64 = coverage.gaps.values().map(|source| source.lost).sum();
        let rest = json!({
            "alerts": engine.alerts,
            "sequence": engine.sequence,
            "subjects": engine.baselines.subjects,
            "state": engine.baselines.state,
            "exceptions": engine.exceptions,
            "coverage": {
                "observations": engine.observations,
                "attributed_percent": percent(coverage.attributed_share()),
                "initiator_percent": percent(coverage.bytes.share(coverage.bytes.initiator)),
                "by_payload_percent": percent(coverage.bytes.share(coverage.bytes.by_payload)),
                "gaps": gaps,
                "lost": lost,
                "dc0064": coverage.dc0064_command_execution,
                "dc0078": coverage.dc0078_network_traffic_flow,
            },
        });
        if let Value::Object(rest) = rest {
            members.extend(rest);
        }
    }
    vital
}

/// The part of the hour after its start at which this Mac's heartbeats come, from 0 to 1: a fleet that was restarted by one command does not speak
/// all at once.
pub(super) fn share_of_hour(host: &str) -> f64 {
    let digest: [u8; 32] = Sha256::digest(host).into();
    let [a, b, ..] = digest;
    f64::from(u16::from_be_bytes([a, b])) / f64::from(u16::MAX)
}

/// The beginning of a text, whole characters of it.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// Bytes of a health event at most: it is sent by every Mac of a fleet every hour.
const MOST_BYTES: usize = 1_024;

/// Exceptions that ended or end soon, as one line.
pub(super) fn due(due: &[Due], host: &str, time: Timestamp) -> String {
    let over = due.iter().filter(|one| one.is_over()).count();
    let soon = due.len().saturating_sub(over);
    let summary = format!("{over} exceptions have expired, {soon} expire within {EXPIRES_SOON_DAYS} days");
    // What an expired exception covered alerts again, which somebody may take for an attack.
    let severity = if over > 0 { "medium" } else { "low" };
    let now = jiff::Timestamp::from_nanosecond(time.as_nanos().into()).unwrap_or_default();
    let rest = json!({ "exceptions": due });
    document("tidemark.health/1", "exceptions_due", severity, &summary, host, now, &rest)
}

/// What the budget held back, as one line.
pub(super) fn digest(digest: &Digest, host: &str) -> String {
    let now = jiff::Timestamp::from_nanosecond(digest.time.as_nanos().into()).unwrap_or_default();
    let strongest: Vec<_> = digest
        .strongest
        .iter()
        .map(|(subject, score)| json!({ "subject": subject, "score": score }))
        .collect();
    let summary = format!("{} findings were held back", digest.count);
    let rest = json!({ "count": digest.count, "reason": digest.reason, "strongest": strongest });
    document("tidemark.digest/1", "digest", "info", &summary, host, now, &rest)
}

/// The one event of `tidemark sink test`.
pub fn test_event(host: &str, now: jiff::Timestamp) -> String {
    let summary = "This is a test of the delivery. Nothing happened.";
    document("tidemark.health/1", "test", "info", summary, host, now, &json!({ "test": true }))
}

fn document(
    schema: &str,
    kind: &str,
    severity: &str,
    summary: &str,
    host: &str,
    now: jiff::Timestamp,
    rest: &Value,
) -> String {
    let time = Timestamp::from_seconds(now.as_second(), now.subsec_nanosecond().unsigned_abs());
    // As an alert's id: time, and a hash that tells events of one moment apart.
    let hash: [u8; 32] = Sha256::digest(format!("{host}\0{kind}\0{}\0{rest}", time.as_nanos())).into();
    let mut random = [0; 10];
    for (to, from) in random.iter_mut().zip(hash) {
        *to = from;
    }
    let millis = u64::try_from(time.as_millis()).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string();
    let mut event = json!({
        "schema": schema,
        "id": id,
        "time": time,
        "severity": severity,
        "summary": summary,
        "kind": kind,
        "host": { "name": host },
        "sensor": { "name": "tidemark", "version": env!("CARGO_PKG_VERSION") },
    });
    if let (Value::Object(event), Value::Object(rest)) = (&mut event, rest.clone()) {
        event.extend(rest);
    }
    event.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Event;
    use crate::sink::spool::Queue;

    #[test]
    fn heartbeats_of_a_fleet_are_spread_over_the_hour() {
        let shares: Vec<f64> = (0..100).map(|n| share_of_hour(&format!("mac-{n}"))).collect();
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        for quarter in [0.0, 0.25, 0.5, 0.75] {
            let within = shares.iter().filter(|share| (quarter..quarter + 0.25).contains(*share)).count();
            assert!(within > 10, "{within} of 100 in the quarter from {quarter}");
        }
    }

    #[test]
    fn a_health_event_has_at_most_a_kilobyte_whatever_it_tells() {
        let mut status = crate::daemon::vitals::sample();
        status.reasons = vec!["sink \"x\" waits: é".repeat(100)];
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let keys: Vec<String> = (0..99).map(|n| format!("detection.key_{n}")).collect();
        for occasion in [
            Occasion::Started,
            Occasion::Heartbeat,
            Occasion::Stopping,
            Occasion::Refused("splunk"),
            Occasion::Reloaded(&keys),
            Occasion::ReloadRefused(&"\\".repeat(5_000)),
            Occasion::SourceLost { source: "packet_tap", why: &"\"".repeat(5_000), restarts: u64::MAX },
            Occasion::SourceBack { source: "packet_tap", restarts: u64::MAX },
            Occasion::Effort { less: true, effort: Effort::Least, why: Some("uses much") },
            Occasion::Tampered(&"/a/long/path".repeat(500)),
            Occasion::Failed { part: "engine", what: &"x".repeat(5_000) },
        ] {
            let line = event(&occasion, &status, now);
            assert!(line.len() <= MOST_BYTES, "{} bytes: {line}", line.len());
            let event = Event::parse(line, Queue::Health).unwrap();
            assert_eq!(event.host, status.host);
        }
    }

    #[test]
    fn the_saved_searches_ask_for_members_that_a_heartbeat_has() {
        let line = event(
            &Occasion::Heartbeat,
            &crate::daemon::vitals::sample(),
            "2026-11-24T10:00:00Z".parse().unwrap(),
        );
        let heartbeat: Value = serde_json::from_str(&line).unwrap();
        let searches = [
            include_str!("../../docs/siem/splunk.conf"),
            include_str!("../../docs/siem/elastic.esql"),
            include_str!("../../docs/siem/sentinel.kql"),
        ];
        let mut asked = 0;
        for text in searches {
            for rest in text.split("status.").skip(1) {
                let path: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '_')).collect();
                let pointer = format!("/status/{}", path.replace('.', "/"));
                assert!(heartbeat.pointer(&pointer).is_some(), "{pointer} is not in {line}");
                asked += 1;
            }
        }
        assert!(asked >= 6, "{asked}");
    }

    #[test]
    fn a_sentence_is_cut_between_characters() {
        assert_eq!([cut("aé", 2), cut("aé", 3), cut("aé", 9)], ["a", "aé", "aé"]);
    }

    #[test]
    fn a_test_event_is_an_event_and_says_that_it_is_a_test() {
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let line = test_event("mac", now);
        let event = Event::parse(line.clone(), Queue::Health).unwrap();
        assert_eq!(event.host, "mac");
        assert!(line.contains("\"test\":true"));
        assert_eq!(line, test_event("mac", now));
        assert_ne!(line, test_event("other", now));
    }
}
