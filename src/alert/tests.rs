//! Every format against its standard, over varied alerts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;

use super::samples::{any_alert, plain};
use super::{Alert, Format, SLIM_BYTES};

const FORMATS: [Format; 3] = [Format::Native, Format::Ocsf, Format::Ecs];

static OCSF: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = include_str!("../../tests/schemas/ocsf-1.8.0-detection_finding.json");
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
});

/// Type, whether a list, allowed values.
type Field = (&'static str, bool, Vec<&'static str>);

static ECS: LazyLock<BTreeMap<&'static str, Field>> = LazyLock::new(|| {
    let list = include_str!("../../tests/schemas/ecs-9.4.0-fields.tsv");
    list.lines()
        .map(|line| {
            let mut columns = line.split('\t');
            let mut next = || columns.next().unwrap();
            let (name, kind, many, values) = (next(), next(), next(), next());
            (name, (kind, many == "list", values.split(',').filter(|v| !v.is_empty()).collect()))
        })
        .collect()
});

/// What the JSON Schema and the rules between fields say against a document.
fn against_ocsf(text: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(text).unwrap();
    let mut faults: Vec<String> =
        OCSF.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    let number = |name: &str| document[name].as_i64();
    if number("type_uid")
        != number("class_uid").zip(number("activity_id")).map(|(class, act)| class * 100 + act)
    {
        faults.push("type_uid".to_owned());
    }
    if number("class_uid").map(|class| class / 1_000) != number("category_uid") {
        faults.push("category_uid".to_owned());
    }
    for (id, name, captions) in [
        ("activity_id", "activity_name", &["", "Create", "Update", "Close"][..]),
        ("severity_id", "severity", &["", "Informational", "Low", "Medium", "High", "Critical"]),
        ("status_id", "status", &["", "New", "In Progress", "Suppressed", "Resolved"]),
        ("confidence_id", "confidence", &["", "Low", "Medium", "High"]),
        ("risk_level_id", "risk_level", &["", "Low", "Medium", "High", "Critical"]),
    ] {
        let caption = captions.get(usize::try_from(document[id].as_i64().unwrap()).unwrap());
        if document.get(name).is_some_and(|named| named.as_str() != caption.copied()) {
            faults.push(name.to_owned());
        }
    }
    if document["start_time"].as_i64() > document["end_time"].as_i64() {
        faults.push("start_time".to_owned());
    }
    faults
}

/// What the field list says against a document.
fn against_ecs(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    walk("", &serde_json::from_str(text).unwrap(), &mut faults);
    faults
}

fn walk(name: &str, value: &Value, faults: &mut Vec<String>) {
    if name == "tidemark" {
        return;
    }
    let known = ECS.get(name);
    match value {
        Value::Object(members) => {
            if known.is_some_and(|(kind, ..)| !matches!(*kind, "object" | "nested" | "flattened")) {
                faults.push(format!("{name} is an object"));
            }
            for (member, value) in members {
                let below = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                walk(&below, value, faults);
            }
        }
        Value::Array(items) => {
            match known {
                Some((_, true, _)) => {}
                _ => faults.push(format!("{name} is a list")),
            }
            for item in items {
                leaf(name, item, faults);
            }
        }
        single => {
            if known.is_some_and(|(_, list, _)| *list) {
                faults.push(format!("{name} is no list"));
            }
            leaf(name, single, faults);
        }
    }
}

fn leaf(name: &str, value: &Value, faults: &mut Vec<String>) {
    let Some((kind, _, values)) = ECS.get(name) else {
        faults.push(format!("{name} is no field"));
        return;
    };
    let text = value.as_str();
    let fits = match *kind {
        "long" | "integer" => value.as_i64().is_some(),
        "float" | "double" | "scaled_float" => value.as_f64().is_some(),
        "boolean" => value.is_boolean(),
        "date" => text.is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        "ip" => text.is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
        "object" | "nested" | "flattened" => {
            if let Value::Object(members) = value {
                for (member, value) in members {
                    leaf(&format!("{name}.{member}"), value, faults);
                }
            }
            value.is_object()
        }
        _ => text.is_some(),
    };
    if !fits {
        faults.push(format!("{name} is no {kind}: {value}"));
    }
    if !values.is_empty() && text.is_some_and(|text| !values.contains(&text)) {
        faults.push(format!("{name} may not be {value}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_alert_validates_as_ocsf_in_full_and_slim(alert in any_alert()) {
        prop_assert_eq!(against_ocsf(&alert.render(Format::Ocsf)), Vec::<String>::new());
        prop_assert_eq!(against_ocsf(&alert.render_slim(Format::Ocsf)), Vec::<String>::new());
    }

    #[test]
    fn every_alert_has_only_ecs_fields_in_full_and_slim(alert in any_alert()) {
        prop_assert_eq!(against_ecs(&alert.render(Format::Ecs)), Vec::<String>::new());
        prop_assert_eq!(against_ecs(&alert.render_slim(Format::Ecs)), Vec::<String>::new());
    }

    #[test]
    fn every_full_form_reads_back_as_the_alert(alert in any_alert()) {
        for format in FORMATS {
            prop_assert_eq!(Alert::read(&alert.render(format)), Ok(alert.clone()));
        }
    }

    #[test]
    fn every_slim_form_fits_and_reads_back_as_the_same_finding(alert in any_alert()) {
        for format in FORMATS {
            let slim = alert.render_slim(format);
            prop_assert!(slim.len() <= SLIM_BYTES, "{:?}: {}", format, slim.len());
            let read = Alert::read(&slim).unwrap();
            prop_assert_eq!((&read.id, &read.finding, read.score, &read.stage), (&alert.id, &alert.finding, alert.score, &alert.stage));
            prop_assert_eq!(read.channels.len(), alert.channels.len());
        }
    }

    #[test]
    fn reading_foreign_text_never_panics(text in "\\PC{0,200}") {
        let _ = Alert::read(&text);
        let _ = Alert::read(&serde_json::json!({ "a": [text, format!("tidemark.alert/1{text}")] }).to_string());
    }
}

#[test]
fn an_alert_is_read_as_a_siem_returns_it() {
    let alert = plain();
    let (ecs, ocsf) = (alert.render(Format::Ecs), alert.render_slim(Format::Ocsf));
    let hit = format!(r#"{{"hits":{{"total":1,"hits":[{{"_id":"x","_source":{ecs}}}]}}}}"#);
    let splunk = serde_json::json!({ "preview": false, "result": { "_raw": ocsf, "host": "a" } }).to_string();
    for text in [hit, splunk, format!(" {ecs}\n")] {
        assert_eq!(Alert::read(&text).unwrap().id, alert.id);
    }
    assert_eq!(Alert::read("{\"schema\":\"tidemark.health/1\"}"), Err(super::ReadError::NoAlert));
    let newer = Alert::read("{\"schema\":\"tidemark.alert/2\"}");
    assert!(matches!(&newer, Err(super::ReadError::Broken(why)) if why.contains("schema")), "{newer:?}");
}

#[test]
fn what_tells_events_apart_stands_early_in_the_line() {
    let alert = plain();
    for format in FORMATS {
        let line = alert.render(format);
        assert!(line.find(&alert.id).is_some_and(|at| at < 512), "{line}");
    }
}

#[test]
fn the_checks_find_what_is_wrong() {
    let good = plain().render(Format::Ocsf);
    for (from, to) in [
        ("\"type_uid\":200401", "\"type_uid\":200402"),
        ("\"severity\":\"High\"", "\"severity\":\"Low\""),
        ("\"time\":178", "\"time\":\"x\",\"tome\":178"),
        ("\"finding_info\"", "\"finding\""),
    ] {
        assert!(good.contains(from), "{from}");
        assert_ne!(against_ocsf(&good.replacen(from, to, 1)), Vec::<String>::new(), "{to}");
    }
    let good = plain().render(Format::Ecs);
    for (from, to) in [
        ("\"kind\":\"alert\"", "\"kind\":\"alarm\""),
        ("\"port\":443", "\"port\":\"x\""),
        ("\"executable\"", "\"exe\""),
    ] {
        assert!(good.contains(from), "{from}");
        assert_ne!(against_ecs(&good.replacen(from, to, 1)), Vec::<String>::new(), "{to}");
    }
}

#[test]
fn no_words_claim_intent() {
    for format in FORMATS {
        let text = plain().render(format).to_lowercase();
        assert!(!text.contains("exfiltrat") && !text.contains("\"c2\""), "{text}");
    }
}
