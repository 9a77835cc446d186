//! The detector: every baseline of one Mac in memory, and the rules that turn activity into findings.

use std::sync::Arc;
use std::time::Duration;

use super::{Activity, Digest, Disposition, Finding, Settings, Verdict};
use crate::baseline::Priors;
use crate::observation::{Timestamp, ZoneOffset};
use crate::process::{Role, Subject};

/// Owns the baselines of one Mac. Pure: no I/O, no clock of its own, the same calls give the same findings.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
    priors: Arc<Priors>,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings, priors: Arc<Priors>) -> Self {
        Self { settings, priors }
    }

    /// An image ran, with or without a socket: gives its subject a history.
    pub fn image_seen(&mut self, time: Timestamp, zone: ZoneOffset, subject: &Subject, role: Role) {
        let _ = (time, zone, subject, role, &self.priors);
    }

    /// Takes one update of a flow. A finding that comes back has passed deduplication, budget and cap and is to leave: whoever asked the
    /// exceptions says what became of it through [`Detector::dispose`], else it counts for nothing and comes again.
    pub fn observe(&mut self, activity: &Activity<'_>) -> Option<Finding> {
        let _ = (activity, &self.settings);
        None
    }

    /// Says what became of a finding.
    pub fn dispose(&mut self, finding: &Finding, disposition: Disposition) {
        let _ = (finding, disposition);
    }

    /// Time passed: closes hours and days. `awake` is the Mac's monotonic time since boot without sleep, where the source has it.
    pub fn advance(&mut self, time: Timestamp, zone: ZoneOffset, awake: Option<Duration>) -> Vec<Digest> {
        let _ = (time, zone, awake);
        Vec::new()
    }

    /// The system's build or version became known; another one than before makes the Mac settle.
    pub fn system_seen(&mut self, version: &str) {
        let _ = version;
    }

    /// An analyst's word on the findings of a subject. `false` where nothing of it is remembered.
    pub fn feedback(&mut self, subject: &Subject, verdict: Verdict) -> bool {
        let _ = (subject, verdict);
        false
    }
}
