//! Elasticsearch and OpenSearch: `_bulk` with `create`, which takes an id once.

use serde::{Deserialize, Serialize};

use crate::sink::event::Event;
use crate::sink::outcome::{Fate, Outcome};
use crate::sink::settings::HttpSettings;

#[derive(Debug)]
pub(in crate::sink) struct Elastic {
    index: String,
}

#[derive(Serialize)]
struct Action<'a> {
    create: Target<'a>,
}

#[derive(Serialize)]
struct Target<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: ItemResult,
}

#[derive(Deserialize)]
struct ItemResult {
    status: u16,
    #[serde(default)]
    error: serde_json::Value,
}

impl Elastic {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        Self { index: settings.index.clone().unwrap_or_else(|| DEFAULT_INDEX.to_owned()) }
    }

    pub(super) fn body(&self, events: &[Event]) -> Vec<u8> {
        let mut body = Vec::new();
        for event in events {
            let action = Action { create: Target { index: &self.index, id: &event.id } };
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut body, &action);
            body.push(b'\n');
            body.extend_from_slice(event.line.as_bytes());
            body.push(b'\n');
        }
        body
    }
}

/// What a bulk answer says of each event. 409 says that the id is there: an earlier attempt had delivered it.
pub(super) fn outcome(body: &[u8], sent: usize) -> Outcome {
    let answer: Answer = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => return Outcome::later(format!("the bulk answer cannot be read: {error}")),
    };
    if !answer.errors {
        return Outcome::Delivered;
    }
    if answer.items.len() != sent {
        return Outcome::later(format!("the bulk answer tells of {} events of {sent}", answer.items.len()));
    }
    Outcome::Each(answer.items.into_iter().map(|item| fate(&item.create)).collect())
}

fn fate(result: &ItemResult) -> Fate {
    let why = || {
        let text: String = result.error.to_string().chars().take(MOST_REASON).collect();
        format!("status {}: {text}", result.status)
    };
    match result.status {
        200..=299 | 409 => Fate::Delivered,
        // The index may be blocked or not there yet, and 429 and 5xx pass.
        401 | 403 | 404 | 429 | 500.. => Fate::Later(why()),
        _ => Fate::Rejected(why()),
    }
}

const DEFAULT_INDEX: &str = "tidemark-alerts";
const MOST_REASON: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::spool::Queue;

    #[test]
    fn each_event_is_created_by_its_id() {
        let settings = toml::from_str("name='e'\nurl='https://e'").unwrap();
        let line = r#"{"id":"a","time":"2026-11-24T10:00:00Z"}"#;
        let event = Event::parse(line.to_owned(), Queue::Alerts).unwrap();
        let body = String::from_utf8(Elastic::new(&settings).body(&[event])).unwrap();
        assert_eq!(
            body,
            format!("{{\"create\":{{\"_index\":\"tidemark-alerts\",\"_id\":\"a\"}}}}\n{line}\n")
        );
    }

    #[test]
    fn what_is_there_already_is_delivered() {
        let answer = br#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":409,"error":{"type":"version_conflict_engine_exception"}}},{"create":{"status":429,"error":"busy"}},{"create":{"status":400,"error":{"type":"mapper_parsing_exception"}}}]}"#;
        let Outcome::Each(fates) = outcome(answer, 4) else { panic!() };
        assert_eq!(fates[..2], [Fate::Delivered, Fate::Delivered]);
        assert!(matches!(fates[2], Fate::Later(_)));
        assert!(matches!(&fates[3], Fate::Rejected(why) if why.contains("mapper_parsing")));
    }

    #[test]
    fn an_answer_that_does_not_tell_of_every_event_is_asked_again() {
        assert!(matches!(outcome(br#"{"errors":true,"items":[]}"#, 2), Outcome::Later { .. }));
        assert!(matches!(outcome(b"<html>", 2), Outcome::Later { .. }));
        assert_eq!(outcome(br#"{"took":1,"errors":false,"items":[]}"#, 2), Outcome::Delivered);
    }
}
