//! The subjects that a person looks at first: those that send most, and those that alerted.

use serde::{Deserialize, Serialize};

use super::Detector;
use crate::baseline::SECONDS_PER_DAY;
use crate::process::Subject;

/// A subject in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Busy {
    /// Whose.
    pub subject: Subject,
    /// Bytes sent in its open day.
    pub day_bytes_out: u64,
    /// Bytes received in its open day.
    pub day_bytes_in: u64,
    /// Flows that began in its open day.
    pub day_flows: u32,
    /// Score of its latest alert, where that is less than a day old.
    pub score: Option<f64>,
    /// Alerts that ever left.
    pub alerts: u32,
    /// Its protocols, the most used first.
    pub protocols: Vec<String>,
}

impl Detector {
    /// The subjects of the last day: those that alerted first, by score, then by bytes sent; at most so many.
    pub fn busiest(&self, most: usize) -> Vec<Busy> {
        let now = self.host.clock.age();
        let mut order: Vec<(Option<f64>, u64, &Subject)> = self
            .subjects
            .iter()
            .filter_map(|(subject, entry)| {
                let network = entry.baseline.network.as_deref()?;
                let today = now.seconds_since(network.latest) < SECONDS_PER_DAY;
                let score = entry.record.as_deref().and_then(|record| record.latest_score(now));
                today.then_some((score, network.day.sums.out, subject))
            })
            .collect();
        order.sort_unstable_by(|(score_a, out_a, a), (score_b, out_b, b)| {
            let by_score = score_b.unwrap_or(0.0).total_cmp(&score_a.unwrap_or(0.0));
            by_score.then(out_b.cmp(out_a)).then(a.cmp(b))
        });
        order.into_iter().take(most).filter_map(|(score, _, subject)| self.busy(subject, score)).collect()
    }

    fn busy(&self, subject: &Subject, score: Option<f64>) -> Option<Busy> {
        let entry = self.subjects.get(subject)?;
        let network = entry.baseline.network.as_deref()?;
        let mut protocols: Vec<(u32, String)> =
            network.protocols.iter().map(|spoken| (spoken.days, spoken.protocol.to_string())).collect();
        protocols.sort_unstable_by(|(days_a, a), (days_b, b)| days_b.cmp(days_a).then(a.cmp(b)));
        Some(Busy {
            subject: subject.clone(),
            day_bytes_out: network.day.sums.out,
            day_bytes_in: network.day.sums.received,
            day_flows: network.day.sums.flows,
            score,
            alerts: entry.record.as_deref().map_or(0, |record| record.alerts),
            protocols: protocols.into_iter().take(PROTOCOLS_TOLD).map(|(_, name)| name).collect(),
        })
    }
}

/// Protocols that are named a subject: what fits beside it in a line.
const PROTOCOLS_TOLD: usize = 4;
