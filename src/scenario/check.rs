//! What left the road, compared with what was to leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::Scenario;
use super::language::{Expect, ExpectedAlert, Program};
use super::schedule::Calendar;
use crate::alert::{Activity, Alert};
use crate::detect::{Channel, Severity};
use crate::engine::{Engine, Verdict};
use crate::observation::{Observation, Timestamp};

/// How a scenario went under one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What differs from what was expected; nothing where it holds.
    pub differences: Vec<Difference>,
    /// The alerts that left, in order.
    pub alerts: Vec<Seen>,
    /// Findings that an exception covered.
    pub suppressed: u32,
    /// Digests that were told.
    pub digests: u32,
    /// Observations that were walked down the road.
    pub observations: usize,
}

/// An alert, as far as an expectation names it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// The day of the scenario, and the local time.
    pub when: String,
    /// When, in UTC.
    pub time: Timestamp,
    /// `image < initiator`.
    pub subject: String,
    /// What it does to its finding: opens it, goes on.
    pub activity: Activity,
    /// How severe.
    pub severity: Severity,
    /// log10 of the return period in days.
    pub score: f64,
    /// The channels that count, strongest first.
    pub channels: Vec<Channel>,
    /// The protocol of its flow.
    pub protocol: Option<String>,
    /// The sentence for people.
    pub summary: String,
    #[serde(skip)]
    programs: (String, Option<String>),
    #[serde(skip)]
    day: i64,
    #[serde(skip)]
    second: i64,
}

/// One thing that is not as it was expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What was expected.
    pub expected: String,
    /// What was seen instead.
    pub seen: String,
}

impl Outcome {
    /// Whether all is as expected.
    pub fn holds(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Walks a recording down the road.
pub(super) fn run(scenario: &Scenario, recording: &[Observation]) -> Outcome {
    let calendar = Calendar::of(scenario);
    let mut engine = Engine::new(scenario.settings());
    let mut verdicts = Vec::new();
    for observation in recording {
        engine.observe(observation, &mut verdicts);
    }
    engine.finish(&mut verdicts);
    let mut outcome = Outcome {
        differences: Vec::new(),
        alerts: Vec::new(),
        suppressed: 0,
        digests: 0,
        observations: recording.len(),
    };
    for verdict in &verdicts {
        match verdict {
            Verdict::Alert(alert) if alert.stage.activity == Activity::Close => {}
            Verdict::Alert(alert) => outcome.alerts.push(Seen::of(alert, &calendar)),
            Verdict::Suppressed(_) => outcome.suppressed += 1,
            Verdict::Digest(_) => outcome.digests += 1,
        }
    }
    if let Some(expect) = &scenario.document.expect {
        outcome.differences = differences(expect, &scenario.programs, &outcome);
    }
    outcome
}

impl Seen {
    fn of(alert: &Alert, calendar: &Calendar<'_>) -> Self {
        let zone = calendar.offset(alert.time);
        let day = alert.time.day_in(zone) - calendar.span().0.day_in(zone) + 1;
        let second = (alert.time.as_seconds() + i64::from(zone.0)).rem_euclid(86_400);
        Self {
            when: format!("day {day} {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60),
            time: alert.time,
            subject: alert.subject.to_string(),
            activity: alert.stage.activity,
            severity: alert.severity,
            score: alert.score,
            channels: alert
                .channels
                .iter()
                .filter(|channel| channel.counted)
                .map(|channel| channel.name)
                .collect(),
            protocol: alert.flow.protocol.map(|protocol| protocol.label().to_owned()),
            summary: alert.summary.clone(),
            programs: (
                alert.process.path.to_string(),
                alert.initiator.as_ref().map(|initiator| initiator.path.to_string()),
            ),
            day,
            second,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels: Vec<&str> = self.channels.iter().map(|channel| channel.label()).collect();
        write!(
            f,
            "{} {} {:.2} {} [{}]",
            self.when,
            self.severity,
            self.score,
            self.subject,
            channels.join(", ")
        )
    }
}

fn differences(expect: &Expect, programs: &BTreeMap<String, Program>, outcome: &Outcome) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |expected: String, seen: String| found.push(Difference { expected, seen });
    let mut claimed = BTreeSet::new();
    for expected in &expect.alert {
        let Ok(pattern) = Pattern::parse(expected.subject.get_ref(), programs) else { continue };
        let about: Vec<&Seen> = outcome.alerts.iter().filter(|seen| pattern.matches(seen)).collect();
        claimed.extend(about.iter().map(|seen| seen.subject.clone()));
        if !about.iter().any(|seen| meets(expected, seen)) {
            let seen: Vec<String> = about.iter().map(ToString::to_string).collect();
            differ(
                words(expected),
                if seen.is_empty() { "no alert about it".into() } else { seen.join("; ") },
            );
        }
    }
    let others: Vec<&Seen> = outcome.alerts.iter().filter(|seen| !claimed.contains(&seen.subject)).collect();
    let list = |of: &[&Seen]| of.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let limit = usize::try_from(expect.others_at_most).unwrap_or(usize::MAX);
    if others.len() > limit {
        let kind = if expect.alert.is_empty() { "alerts" } else { "other alerts" };
        let expected = if limit == 0 { format!("no {kind}") } else { format!("at most {limit} {kind}") };
        differ(expected, format!("{}: {}", others.len(), list(&others)));
    }
    if let Some(most) = expect.severity_at_most {
        let above: Vec<&Seen> = others.iter().copied().filter(|seen| seen.severity > most).collect();
        if !above.is_empty() {
            differ(format!("nothing above {most}"), list(&above));
        }
    }
    let subjects: BTreeSet<&str> = others.iter().map(|seen| seen.subject.as_str()).collect();
    if let Some(most) =
        expect.subjects_at_most.filter(|most| subjects.len() > usize::try_from(*most).unwrap_or(usize::MAX))
    {
        differ(format!("at most {most} other subjects"), subjects.len().to_string());
    }
    if let Some(most) = expect.digests_at_most.filter(|most| outcome.digests > *most) {
        differ(format!("at most {most} digests"), outcome.digests.to_string());
    }
    if outcome.suppressed < expect.suppressed_at_least {
        differ(
            format!("at least {} findings covered by exceptions", expect.suppressed_at_least),
            outcome.suppressed.to_string(),
        );
    }
    found
}

fn meets(expected: &ExpectedAlert, seen: &Seen) -> bool {
    seen.day == i64::from(expected.day)
        && expected.from.is_none_or(|from| seen.second >= i64::from(from.0))
        && expected.by.is_none_or(|by| seen.second <= i64::from(by.0))
        && expected.channel.is_none_or(|channel| seen.channels.contains(&channel))
        && expected.severity.is_none_or(|least| seen.severity >= least)
        && expected.protocol.as_ref().is_none_or(|protocol| seen.protocol.as_ref() == Some(protocol))
}

fn words(expected: &ExpectedAlert) -> String {
    use std::fmt::Write;
    let mut words = format!("an alert about {} on day {}", expected.subject.get_ref(), expected.day);
    let time = |second: u32| format!("{:02}:{:02}", second / 3_600, second / 60 % 60);
    // Writing to a string does not fail.
    let _ = expected.from.map(|from| write!(words, " from {}", time(from.0)));
    let _ = expected.by.map(|by| write!(words, " by {}", time(by.0)));
    let _ = expected.channel.map(|channel| write!(words, " in the channel {}", channel.label()));
    let _ = expected.severity.map(|severity| write!(words, ", {severity} or more"));
    let _ = expected.protocol.as_ref().map(|protocol| write!(words, " over {protocol}"));
    words
}

/// A subject as an expectation names it.
#[derive(Debug)]
pub(super) struct Pattern {
    image: Side,
    /// Without it, whatever made it run.
    initiator: Option<Side>,
}

/// One half of it.
#[derive(Debug)]
enum Side {
    /// An identity, `launchd:com.example.job`.
    Identity(String),
    /// A program of the scenario, by where it lies.
    Path(String),
}

impl Pattern {
    /// Reads `curl < Automator`.
    pub(super) fn parse(text: &str, programs: &BTreeMap<String, Program>) -> Result<Self, String> {
        let side = |name: &str| match programs.get(name.trim()) {
            Some(program) => Ok(Side::Path(program.path.clone())),
            None if name.contains(':') => Ok(Side::Identity(name.trim().to_owned())),
            None => {
                let meant = super::read::nearest(name.trim(), programs.keys().map(String::as_str));
                let meant = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
                Err(format!("there is no program `{}`{meant}", name.trim()))
            }
        };
        Ok(match text.split_once(" < ") {
            Some((image, initiator)) => Self { image: side(image)?, initiator: Some(side(initiator)?) },
            None => Self { image: side(text)?, initiator: None },
        })
    }

    fn matches(&self, seen: &Seen) -> bool {
        let (image, initiator) = seen
            .subject
            .split_once(" < ")
            .map_or((seen.subject.as_str(), None), |(image, by)| (image, Some(by)));
        self.image.is(image, Some(&seen.programs.0))
            && self
                .initiator
                .as_ref()
                .is_none_or(|side| initiator.is_some_and(|by| side.is(by, seen.programs.1.as_deref())))
    }
}

impl Side {
    fn is(&self, identity: &str, path: Option<&str>) -> bool {
        match self {
            Self::Identity(wanted) => identity == wanted,
            // A path with a place for the number or the user is compared up to there.
            Self::Path(wanted) => path.is_some_and(|path| match wanted.split_once('{') {
                Some((front, _)) => path.starts_with(front),
                None => path == wanted,
            }),
        }
    }
}
