//! What a sink needs to know of a line: it is read once, and sent as it is.

use serde::Deserialize;

use super::spool::{Batch, Queue};
use crate::alert::{Alert, Format};
use crate::observation::Timestamp;

/// A line of the spool on its way to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The document, JSON on one line, in the form that the receiver gets.
    pub line: String,
    /// Names the event; what was sent twice has the same.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// The Mac.
    pub host: String,
    /// What it is.
    pub queue: Queue,
    /// `info` to `critical`.
    pub severity: String,
}

impl Event {
    /// Reads what a sink needs.
    ///
    /// # Errors
    /// Where the line is not a JSON document with `id` and `time`: it was damaged on the disk.
    pub fn parse(line: String, queue: Queue) -> Result<Self, (String, serde_json::Error)> {
        let envelope: Envelope = match serde_json::from_str(&line) {
            Ok(envelope) => envelope,
            Err(error) => return Err((line, error)),
        };
        Ok(Self {
            id: envelope.id,
            time: envelope.time,
            host: envelope.host.name,
            severity: envelope.severity,
            line,
            queue,
        })
    }

    /// The event in another form. What is not an alert has one form, and stays as it is.
    #[must_use]
    pub fn rendered(mut self, format: Format) -> Self {
        if format != Format::Native
            && let Some(alert) = self.alert()
        {
            self.line = alert.render(format);
        }
        self
    }

    /// The slim form of an alert; none of anything else.
    pub fn slim(&self, format: Format) -> Option<String> {
        self.alert().map(|alert| alert.render_slim(format))
    }

    fn alert(&self) -> Option<Alert> {
        (self.queue == Queue::Alerts).then(|| Alert::read(&self.line).ok()).flatten()
    }

    /// The events of a batch, and apart from them what is not one, with the reason.
    pub fn all(batch: &Batch) -> (Vec<Self>, Vec<Rejected>) {
        let (mut events, mut rejected) = (Vec::with_capacity(batch.lines.len()), Vec::new());
        for line in &batch.lines {
            match Self::parse(line.clone(), batch.queue) {
                Ok(event) => events.push(event),
                Err((line, error)) => rejected.push(Rejected { line, why: format!("not an event: {error}") }),
            }
        }
        (events, rejected)
    }
}

/// A line that no receiver will ever take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The line.
    pub line: String,
    /// Why.
    pub why: String,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    time: Timestamp,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    host: HostName,
}

#[derive(Default, Deserialize)]
struct HostName {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_bytes() {
        let line = r#"{"id":"a","time":"2026-11-24T10:00:00Z",  "host":{"name":"mac"},"severity":"high"}"#;
        let event = Event::parse(line.to_owned(), Queue::Alerts).unwrap();
        assert_eq!(
            (event.line.as_str(), event.host.as_str(), event.severity.as_str()),
            (line, "mac", "high")
        );
    }

    #[test]
    fn half_a_document_is_no_event() {
        assert!(Event::parse(r#"{"id":"a","time":"2026-11"#.to_owned(), Queue::Alerts).is_err());
        assert!(Event::parse("{}".to_owned(), Queue::Alerts).is_err());
    }
}
