//! Splunk's HTTP Event Collector: envelopes in, `{"text":"Success","code":0}` out.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::HttpError;
use crate::sink::event::Event;
use crate::sink::settings::HttpSettings;

/// Names the channel that acknowledgements belong to.
pub(super) const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");

#[derive(Debug)]
pub(in crate::sink) struct Hec {
    index: Option<String>,
    ack_url: Url,
    ack_wait: Duration,
    channel: HeaderValue,
}

#[derive(Serialize)]
struct Envelope<'a> {
    time: &'a RawValue,
    host: &'a str,
    source: &'static str,
    sourcetype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    event: &'a RawValue,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
}

#[derive(Deserialize)]
struct Acks {
    acks: std::collections::BTreeMap<String, bool>,
}

impl Hec {
    pub(super) fn new(url: &Url, settings: &HttpSettings) -> Result<Self, HttpError> {
        let wrong = |why: &dyn std::fmt::Display| HttpError::Address {
            url: settings.url.clone(),
            why: why.to_string(),
        };
        // A channel belongs to one sender, and must only differ between senders; the name of the sink in the form of a UUID (version 8: made by
        // a rule of one's own) stays the same over restarts.
        let hash: [u8; 32] = Sha256::digest(&settings.name).into();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(hash) {
            *to = from;
        }
        let channel = uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string();
        Ok(Self {
            index: settings.index.clone(),
            ack_url: url.join(ACK_PATH).map_err(|error| wrong(&error))?,
            ack_wait: Duration::from_secs(settings.ack_seconds.into()),
            channel: HeaderValue::try_from(channel).map_err(|error| wrong(&error))?,
        })
    }

    /// Sent only where acknowledgements are asked for: without the header, Splunk gives none.
    pub(super) fn channel(&self) -> Option<HeaderValue> {
        (!self.ack_wait.is_zero()).then(|| self.channel.clone())
    }

    pub(super) fn ack_url(&self) -> &Url {
        &self.ack_url
    }

    pub(super) fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// Envelopes one after the other; Splunk wants nothing between them.
    pub(super) fn body(&self, events: &[Event]) -> Vec<u8> {
        let mut body = Vec::new();
        for event in events {
            let millis = event.time.as_millis();
            let sign = if millis < 0 { "-" } else { "" };
            let (seconds, rest) = (millis.unsigned_abs() / 1_000, millis.unsigned_abs() % 1_000);
            let seconds = format!("{sign}{seconds}.{rest:03}");
            // Both texts are JSON: the line was parsed, and the number was made here.
            let (Ok(time), Ok(line)) =
                (RawValue::from_string(seconds), serde_json::from_str::<&RawValue>(&event.line))
            else {
                continue;
            };
            let envelope = Envelope {
                time: &time,
                host: &event.host,
                source: "tidemark",
                sourcetype: "_json",
                index: self.index.as_deref(),
                event: line,
            };
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut body, &envelope);
            body.push(b'\n');
        }
        body
    }

    /// The number to ask about, where acknowledgements are asked for and the receiver gave one.
    pub(super) fn ack_id(&self, body: &[u8]) -> Result<Option<u64>, String> {
        if self.ack_wait.is_zero() {
            return Ok(None);
        }
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|error| format!("the collector's answer cannot be read: {error}"))?;
        Ok(answer.ack_id)
    }
}

/// The body that asks for one acknowledgement.
pub(super) fn ack_question(id: u64) -> Vec<u8> {
    format!(r#"{{"acks":[{id}]}}"#).into_bytes()
}

/// Whether the answer says that the indexer has it. Splunk says `false` also of a number that it does not know.
pub(super) fn acknowledged(body: &[u8], id: u64) -> bool {
    serde_json::from_slice::<Acks>(body)
        .is_ok_and(|answer| answer.acks.get(&id.to_string()).copied().unwrap_or(false))
}

const ACK_PATH: &str = "/services/collector/ack";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::spool::Queue;

    fn hec(ack_seconds: u32) -> Hec {
        let settings: HttpSettings = toml::from_str(&format!(
            "name='s'\nurl='https://s:8088/services/collector/event'\nindex='mac'\nack_seconds={ack_seconds}"
        ))
        .unwrap();
        Hec::new(&Url::parse(&settings.url).unwrap(), &settings).unwrap()
    }

    #[test]
    fn an_envelope_carries_the_event_as_it_is_and_its_time_in_seconds() {
        let line = r#"{"id":"a","time":"1969-12-31T23:59:59.5Z","n":1.0}"#;
        let event = Event::parse(line.to_owned(), Queue::Alerts).unwrap();
        let body = String::from_utf8(hec(0).body(&[event])).unwrap();
        assert!(body.contains(&format!("\"event\":{line}")) && body.contains("\"time\":-0.500"), "{body}");
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["index"], "mac");
    }

    #[test]
    fn an_acknowledgement_is_asked_for_only_where_wanted() {
        assert_eq!(hec(0).ack_id(b"rubbish"), Ok(None));
        assert_eq!(hec(0).channel(), None);
        assert_eq!(hec(5).ack_id(br#"{"text":"Success","code":0,"ackId":7}"#), Ok(Some(7)));
        assert!(hec(5).ack_id(b"rubbish").is_err());
        assert_eq!(hec(5).ack_url().as_str(), "https://s:8088/services/collector/ack");
    }

    #[test]
    fn only_true_is_an_acknowledgement() {
        assert!(acknowledged(br#"{"acks":{"7":true}}"#, 7));
        for answer in [&br#"{"acks":{"7":false}}"#[..], br#"{"acks":{"8":true}}"#, b"", b"[]"] {
            assert!(!acknowledged(answer, 7));
        }
    }
}
