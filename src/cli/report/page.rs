//! What the page says, computed from alerts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::chart::{Columns, Strip};
use crate::alert::{Activity, Alert, FindingKey, bytes_in_words};
use crate::detect::Channel;
use crate::exceptions::{Day, Exceptions, Expiry};
use crate::observation::{Timestamp, ZoneOffset};

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    hosts: Vec<String>,
    from: Option<String>,
    to: Option<String>,
    events: usize,
    open: usize,
    closed: usize,
    suppressed: usize,
    days: Columns,
    findings: Vec<Finding>,
    subjects: Vec<SubjectRow>,
    exceptions: Vec<ExceptionRow>,
    coverage: Vec<CoverageRow>,
    sensor: Vec<String>,
}

/// A finding, by its latest event.
#[derive(Debug, Serialize)]
struct Finding {
    id: String,
    severity: String,
    stage: &'static str,
    time: String,
    count: u64,
    host: String,
    summary: String,
    words: String,
    score: String,
    risk: u8,
    user: String,
    chain: Vec<Link>,
    destination: String,
    strips: Vec<Strip>,
    notes: Vec<String>,
    runbook: String,
}

/// One process of a chain.
#[derive(Debug, Serialize)]
struct Link {
    name: String,
    line: String,
}

#[derive(Debug, Serialize)]
struct SubjectRow {
    name: String,
    findings: u32,
    suppressed: u32,
    highest: String,
    protocols: Vec<Spoken>,
    baseline: String,
}

/// A protocol of a subject: known for so many days, or new.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Spoken {
    name: String,
    days: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ExceptionRow {
    id: String,
    owner: String,
    expires: String,
    /// How near the end is, where the exception itself is known.
    end: String,
    due: bool,
    hits: u32,
    subjects: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CoverageRow {
    host: String,
    bytes: String,
    unattributed: String,
    share: String,
    gaps: u64,
    lost: u64,
}

impl Page {
    /// From alerts in any order, and the exceptions that are known beside what the alerts say of them.
    pub(super) fn of(alerts: &[Alert], accepted: &Exceptions, today: Day) -> Self {
        let mut alerts: Vec<&Alert> = alerts.iter().collect();
        alerts.sort_by(|a, b| (a.time, a.host.sequence, &a.id).cmp(&(b.time, b.host.sequence, &b.id)));
        let mut latest: BTreeMap<&FindingKey, &Alert> = BTreeMap::new();
        for alert in alerts.iter().filter(|alert| alert.suppressed_by().is_none()) {
            latest.insert(&alert.finding, alert);
        }
        let mut standing: Vec<&Alert> = latest.into_values().collect();
        standing.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        let is_closed = |alert: &&&Alert| alert.stage.activity == Activity::Close;
        let closed = standing.iter().filter(is_closed).count();
        let unique =
            |texts: &mut dyn Iterator<Item = String>| texts.collect::<BTreeSet<_>>().into_iter().collect();
        Self {
            hosts: unique(&mut alerts.iter().map(|alert| alert.host.name.to_string())),
            from: alerts.first().map(|alert| minute(alert.time)),
            to: alerts.last().map(|alert| minute(alert.time)),
            events: alerts.len(),
            open: standing.len().saturating_sub(closed),
            closed,
            suppressed: alerts.iter().filter(|alert| alert.suppressed_by().is_some()).count(),
            days: days(&alerts),
            findings: standing.iter().map(|alert| finding(alert)).collect(),
            subjects: subjects(&alerts),
            exceptions: exceptions(&alerts, accepted, today),
            coverage: coverage(&alerts),
            sensor: unique(
                &mut alerts.iter().map(|alert| format!("{} {}", alert.sensor.name, alert.sensor.version)),
            ),
        }
    }
}

fn finding(alert: &Alert) -> Finding {
    let chain = alert.ancestors.iter().rev().chain([&alert.process]).map(|process| Link {
        name: process.name.clone(),
        line: if process.arguments.is_empty() {
            process.path.to_string()
        } else {
            process.arguments.join(" ")
        },
    });
    let metadata = &alert.flow.metadata;
    let name = metadata.server_name.as_deref().or(alert.flow.destination.as_deref()).unwrap_or_default();
    let protocol = alert.flow.protocol.map_or("not known", crate::network::Protocol::label);
    let user = alert.user.name.as_deref().map(str::to_owned);
    Finding {
        id: alert.finding.as_str().to_owned(),
        severity: alert.severity.to_string(),
        stage: match alert.stage.activity {
            Activity::Create => "new",
            Activity::Update => "goes on",
            Activity::Close => "closed",
        },
        time: minute(alert.stage.last_time),
        count: alert.stage.count,
        host: alert.host.name.to_string(),
        summary: alert.summary.clone(),
        words: alert.return_period.words.clone(),
        score: format!("{:.2}", alert.score),
        risk: alert.risk.points,
        user: user.or_else(|| alert.user.uid.map(|uid| format!("uid {uid}"))).unwrap_or_default(),
        chain: chain.collect(),
        destination: format!("{protocol} to {name} {}", alert.flow.remote),
        strips: alert.channels.iter().flat_map(strips).collect(),
        notes: notes(alert),
        runbook: alert.runbook.clone(),
    }
}

fn strips(channel: &crate::detect::ChannelScore) -> Vec<Strip> {
    let labels = match channel.name {
        Channel::Volume => ["sent in an hour", "sent in a day"],
        Channel::Destination => ["to new destinations in an hour", "to new destinations in a day"],
        Channel::Received => ["received in an hour", "received in a day"],
        Channel::Protocol | Channel::Initiator | Channel::FanOut => return Vec::new(),
    };
    let window = |(label, key): (&'static str, &str)| {
        let point = |name| channel.expected.pointer(&format!("/{key}/{name}")).and_then(Value::as_u64);
        Some(Strip::new(label, point("median")?, point("p99")?, channel.observed.get(key)?.as_u64()?))
    };
    labels.into_iter().zip(["hour_bytes", "day_bytes"]).filter_map(window).collect()
}

fn notes(alert: &Alert) -> Vec<String> {
    let context = &alert.context;
    let mut notes: Vec<String> = [
        (context.woke.is_some(), "the Mac had just woken"),
        (context.system_updated.is_some(), "the system was updated lately"),
        (context.image_changed.is_some(), "the program's code changed lately"),
        (context.tunnel, "it left through a tunnel"),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, words)| words.to_owned())
    .collect();
    if alert.coverage.gaps_last_hour > 0 {
        notes.push(format!("{} gaps in the hour before", alert.coverage.gaps_last_hour));
    }
    notes
}

/// Every day from the first to the last, at most [`MOST_DAYS`], in UTC.
fn days(alerts: &[&Alert]) -> Columns {
    let created =
        alerts.iter().filter(|a| a.suppressed_by().is_none() && a.stage.activity == Activity::Create);
    let suppressed = alerts.iter().filter(|a| a.suppressed_by().is_some());
    let classed =
        created.map(|a| (a, a.severity.to_string())).chain(suppressed.map(|a| (a, "suppressed".to_owned())));
    let mut counts: BTreeMap<i64, BTreeMap<String, u32>> = BTreeMap::new();
    for (alert, class) in classed {
        let count = counts.entry(alert.time.day_in(ZoneOffset(0))).or_default().entry(class).or_default();
        *count = count.saturating_add(1);
    }
    let (Some(first), Some(last)) = (counts.keys().next().copied(), counts.keys().next_back().copied())
    else {
        return Columns::new(&[]);
    };
    let first = first.max(last.saturating_sub(MOST_DAYS));
    let columns: Vec<(String, Vec<(String, u32)>)> = (first..=last)
        .map(|day| {
            let counts = counts.remove(&day).unwrap_or_default();
            (date(day), counts.into_iter().collect())
        })
        .collect();
    Columns::new(&columns)
}

fn subjects(alerts: &[&Alert]) -> Vec<SubjectRow> {
    let mut by_subject: BTreeMap<&crate::process::Subject, Vec<&Alert>> = BTreeMap::new();
    for alert in alerts {
        by_subject.entry(&alert.subject).or_default().push(alert);
    }
    let mut rows: Vec<SubjectRow> = by_subject
        .into_iter()
        .filter_map(|(subject, alerts)| {
            let latest = alerts.last()?;
            let standing: BTreeSet<&FindingKey> = alerts
                .iter()
                .filter(|alert| alert.suppressed_by().is_none())
                .map(|alert| &alert.finding)
                .collect();
            let suppressed = alerts.iter().filter(|alert| alert.suppressed_by().is_some()).count();
            Some(SubjectRow {
                name: subject.to_string(),
                findings: u32::try_from(standing.len()).unwrap_or(u32::MAX),
                suppressed: u32::try_from(suppressed).unwrap_or(u32::MAX),
                highest: alerts.iter().map(|alert| alert.severity).max()?.to_string(),
                protocols: protocols(&alerts),
                baseline: format!(
                    "{:.0} days, active on {}",
                    latest.baseline.age_days, latest.baseline.active_days
                ),
            })
        })
        .collect();
    rows.sort_by(|a, b| b.findings.cmp(&a.findings).then_with(|| a.name.cmp(&b.name)));
    rows
}

/// Those that it is known to speak, as its alerts quote them, and those that alerted or passed.
fn protocols(alerts: &[&Alert]) -> Vec<Spoken> {
    let mut known: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for alert in alerts {
        for channel in alert.channels.iter().filter(|channel| channel.name == Channel::Protocol) {
            let listed = channel.expected.get("known").and_then(Value::as_array);
            for spoken in listed.into_iter().flatten() {
                if let Some(name) = spoken.get("protocol").and_then(Value::as_str) {
                    let days = spoken.get("days").and_then(Value::as_u64);
                    let kept = known.entry(name.to_owned()).or_default();
                    *kept = days.max(*kept);
                }
            }
            if let Some(name) = channel.observed.as_str() {
                known.entry(name.to_owned()).or_default();
            }
        }
    }
    known.into_iter().map(|(name, days)| Spoken { name, days }).collect()
}

/// The known ones by how near their ends are, then those of which only alerts tell.
fn exceptions(alerts: &[&Alert], accepted: &Exceptions, today: Day) -> Vec<ExceptionRow> {
    let mut rows: BTreeMap<&str, (ExceptionRow, BTreeSet<String>)> = BTreeMap::new();
    let mut ends: BTreeMap<&str, Expiry> = BTreeMap::new();
    for exception in accepted.iter() {
        let expiry = exception.expiry(today);
        ends.insert(&exception.id, expiry);
        let row = ExceptionRow {
            id: exception.id.clone(),
            owner: exception.owner.clone(),
            expires: exception.expires.map_or_else(|| "never".to_owned(), |day| day.to_string()),
            end: expiry.to_string(),
            due: expiry.is_due(),
            hits: 0,
            subjects: Vec::new(),
        };
        rows.insert(&exception.id, (row, BTreeSet::new()));
    }
    for alert in alerts {
        let Some(exception) = &alert.exception else { continue };
        let (row, subjects) = rows.entry(&exception.id).or_insert_with(|| {
            let row = ExceptionRow {
                id: exception.id.clone(),
                owner: exception.owner.clone(),
                expires: exception.expires.clone().unwrap_or_else(|| "never".to_owned()),
                end: String::new(),
                due: false,
                hits: 0,
                subjects: Vec::new(),
            };
            (row, BTreeSet::new())
        });
        row.hits = row.hits.saturating_add(1);
        subjects.insert(alert.subject.to_string());
    }
    let mut rows: Vec<ExceptionRow> = rows
        .into_values()
        .map(|(row, subjects)| ExceptionRow { subjects: subjects.into_iter().collect(), ..row })
        .collect();
    // Those that nobody here knows last; the sort keeps ids in order.
    rows.sort_by_key(|row| (!ends.contains_key(&*row.id), ends.get(&*row.id).copied()));
    rows
}

/// By the latest alert of each Mac, whose totals are the greatest.
fn coverage(alerts: &[&Alert]) -> Vec<CoverageRow> {
    let mut latest: BTreeMap<&str, &Alert> = BTreeMap::new();
    for alert in alerts {
        latest.insert(&alert.host.name, alert);
    }
    let row = |(host, alert): (&str, &Alert)| {
        let coverage = &alert.coverage;
        let share = 100.0 * coverage.unattributed_bytes as f64 / coverage.bytes.max(1) as f64;
        CoverageRow {
            host: host.to_owned(),
            bytes: bytes_in_words(coverage.bytes),
            unattributed: bytes_in_words(coverage.unattributed_bytes),
            share: format!("{share:.1} %"),
            gaps: coverage.gaps,
            lost: coverage.lost,
        }
    };
    latest.into_iter().map(row).collect()
}

/// `2026-06-15 09:42`, UTC.
fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    let text = text.get(..16).unwrap_or(&text);
    text.replace('T', " ")
}

fn date(day: i64) -> String {
    let text = Timestamp::from_seconds(day.saturating_mul(86_400), 0).to_string();
    text.get(5..10).unwrap_or(&text).to_owned()
}

/// Days of the picture over time: a quarter of a year fits a screen.
const MOST_DAYS: i64 = 92;
