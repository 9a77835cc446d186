//! A finding tells why it is one, from the values that decided it.

use serde_json::{Value, json};

use super::Severity;
use super::assess::{Assessment, View};
use super::channel::bytes::{BytesScore, round};
use super::channel::combine::LEAST_ACTIVE;
use super::{
    Activity, BaselineState, BaselineSummary, Channel, ChannelScore, Condition, Counterfactual, Finding,
};
use crate::baseline::{Network, SubjectBaseline, Sums};

/// Makes a finding from an assessment that reached the threshold.
pub(super) fn finding(
    activity: &Activity<'_>,
    view: &View<'_>,
    baseline: &SubjectBaseline,
    assessment: &Assessment,
) -> Finding {
    let score = assessment.combined.score;
    let record = view.record;
    Finding {
        time: activity.time,
        subject: activity.subject.clone(),
        role: activity.role,
        channels: channels(activity, view, assessment),
        score,
        severity: Severity::of(score),
        threshold: view.settings.threshold(),
        trim: view.host.budget.trim(),
        active_subjects: view.host.active.max(LEAST_ACTIVE),
        imbalance: view.day.imbalance(),
        baseline: summary(baseline, view),
        mac_state: view.host.state(view.settings),
        held_back: record.map_or(0, |record| record.held_back),
        held: record.map_or_else(Vec::new, |record| record.held.clone()),
        occurrence: record.map_or(0, |record| record.alerts),
        unless: unless(view, assessment),
    }
}

/// Every channel that says anything, those that count first, each group by descending Z.
fn channels(activity: &Activity<'_>, view: &View<'_>, assessment: &Assessment) -> Vec<ChannelScore> {
    let mut channels: Vec<ChannelScore> = assessment
        .z
        .iter()
        .filter(|(_, z)| *z > 0.0)
        .map(|&(name, z)| {
            let (observed, expected, evidence) = match name {
                Channel::Protocol => protocol(view),
                Channel::Initiator => initiator(activity, view),
                name => sums(name, view, assessment),
            };
            ChannelScore {
                name,
                z,
                counted: assessment.combined.counted.contains(name),
                observed,
                expected,
                evidence,
            }
        })
        .collect();
    channels.sort_by(|a, b| b.counted.cmp(&a.counted).then(b.z.total_cmp(&a.z)).then(a.name.cmp(&b.name)));
    channels
}

fn sums(channel: Channel, view: &View<'_>, assessment: &Assessment) -> (Value, Value, Value) {
    let of = |sums: &Sums| match channel {
        Channel::Destination => sums.new,
        Channel::Received => sums.received,
        Channel::FanOut => u64::from(sums.flows),
        _ => sums.out,
    };
    let unit = if channel == Channel::FanOut { "flows" } else { "bytes" };
    let observed = json!({ format!("hour_{unit}"): of(&view.hour), format!("day_{unit}"): of(&view.day) });
    let (scales, priors, ..) = view.stream(channel);
    let expected = scales.map_or(Value::Null, |scales| BytesScore::expected(scales, priors));
    let score = assessment.bytes.iter().find(|(name, _)| *name == channel);
    (observed, expected, score.map_or(Value::Null, |(_, score)| score.evidence()))
}

fn protocol(view: &View<'_>) -> (Value, Value, Value) {
    let novelty = view.record.and_then(|record| record.protocol(view.host.clock.age()));
    let Some(novelty) = novelty else { return (Value::Null, Value::Null, Value::Null) };
    let known = view.network.protocols.iter().filter(|spoken| spoken.protocol != novelty.protocol);
    let known: Vec<Value> =
        known.map(|s| json!({ "protocol": s.protocol.to_string(), "days": s.days })).collect();
    (json!(novelty.protocol.to_string()), json!({ "known": known }), novelty.evidence())
}

fn initiator(activity: &Activity<'_>, view: &View<'_>) -> (Value, Value, Value) {
    let novelty = view.record.and_then(|record| record.initiator(view.host.clock.age()));
    let name = activity.subject.initiator.as_ref().map(crate::process::Identity::as_str);
    let evidence = novelty.map_or(Value::Null, super::channel::initiator::InitiatorNovelty::evidence);
    (json!(name), json!({ "pairs": "seen before on this Mac" }), evidence)
}

/// What a baseline is worth.
fn summary(baseline: &SubjectBaseline, view: &View<'_>) -> BaselineSummary {
    let activity = view.network.activity;
    BaselineSummary {
        state: subject_state(view.network),
        first_seen: baseline.first_seen.into(),
        age_days: round(view.age_days),
        active_hours: activity.hours,
        active_days: activity.days,
        destinations: view.network.destinations.count(),
    }
}

/// A subject learns until it has 3 active days and 10 active hours.
pub(super) fn subject_state(network: &Network) -> BaselineState {
    let activity = network.activity;
    if activity.days >= LEARNT_DAYS && activity.hours >= LEARNT_HOURS {
        BaselineState::Active
    } else {
        BaselineState::Learning
    }
}

/// Which single difference would have kept the score under the threshold. Each is found by scoring the same view with that difference.
fn unless(view: &View<'_>, assessment: &Assessment) -> Vec<Counterfactual> {
    let quiet = |view: &View<'_>| view.assess().combined.score < view.settings.threshold();
    let counted = assessment.z.iter().filter(|(channel, _)| assessment.combined.counted.contains(*channel));
    counted
        .filter_map(|&(channel, _)| {
            let condition = match channel {
                Channel::Volume | Channel::Destination => {
                    let share = largest_share(|share| quiet(&shrunk(view, channel, share)))?;
                    let seen = if channel == Channel::Volume { view.day.out } else { view.day.new };
                    Condition::BytesAtMost { bytes: scaled(seen, share), share: round(share) }
                }
                _ if quiet(&View { without: Some(channel), ..*view }) => Condition::SeenBefore,
                _ => return None,
            };
            Some(Counterfactual { channel, condition })
        })
        .collect()
}

/// The same view with fewer bytes: fewer sent at all, or fewer to new destinations.
fn shrunk<'a>(view: &View<'a>, channel: Channel, share: f64) -> View<'a> {
    let shrink = |sums: Sums| Sums {
        out: if channel == Channel::Volume { scaled(sums.out, share) } else { sums.out },
        new: scaled(sums.new, share),
        // What comes back for an upload shrinks with it, so that the imbalance stays what it was.
        received: if channel == Channel::Volume { scaled(sums.received, share) } else { sums.received },
        ..sums
    };
    View { hour: shrink(view.hour), day: shrink(view.day), ..*view }
}

/// The largest share for which `quiet` holds, to a thousandth; `None` where not even nothing is quiet.
fn largest_share(quiet: impl Fn(f64) -> bool) -> Option<f64> {
    if !quiet(0.0) {
        return None;
    }
    let (mut holds, mut fails) = (0.0, 1.0);
    for _ in 0..SHARE_STEPS {
        let middle = f64::midpoint(holds, fails);
        if quiet(middle) { holds = middle } else { fails = middle }
    }
    Some(holds)
}

fn scaled(bytes: u64, share: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u64")]
    let scaled = (bytes as f64 * share) as u64;
    scaled
}

/// Active days and hours after which a subject is no longer learning (METHOD.md 2).
const LEARNT_DAYS: u32 = 3;
const LEARNT_HOURS: u32 = 10;
/// Halvings of the search for a share.
const SHARE_STEPS: u32 = 12;
