//! What the sensor says of itself: a heartbeat, and what changed in its delivery. A Mac that falls silent is noticed in the SIEM, by the
//! heartbeat that does not come.

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::accepted::AcceptedStatus;
use crate::detect::Digest;
use crate::exceptions::{Due, EXPIRES_SOON_DAYS};
use crate::observation::Timestamp;
use crate::sink::SinkStatus;
use crate::sink::spool::SpoolStatus;

/// The state of the delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Seconds since the daemon began.
    pub uptime_seconds: u64,
    /// The spool.
    pub spool: SpoolStatus,
    /// Each sink.
    pub sinks: Vec<SinkStatus>,
    /// Events that could neither be spooled nor kept in memory.
    pub lost: u64,
    /// What the organisation has accepted.
    pub exceptions: AcceptedStatus,
}

/// Why a health event is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion<'a> {
    Started,
    Heartbeat,
    Stopping,
    /// A sink's receiver refuses the sensor.
    Refused(&'a str),
}

/// A health event, as one line.
pub(super) fn event(occasion: Occasion<'_>, status: &Status, host: &str, now: jiff::Timestamp) -> String {
    let (kind, severity, summary) = match occasion {
        Occasion::Started => ("started", "info", "tidemark started".to_owned()),
        Occasion::Heartbeat => ("heartbeat", "info", "tidemark is running".to_owned()),
        Occasion::Stopping => ("stopping", "info", "tidemark is stopping".to_owned()),
        Occasion::Refused(sink) => {
            ("sink_refused", "high", format!("the receiver of sink {sink} refuses this sensor"))
        }
    };
    document("tidemark.health/1", kind, severity, &summary, host, now, &json!({ "status": status }))
}

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
