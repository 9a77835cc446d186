//! Flows that ended, for whoever keeps them, and judged again from what was kept.

use super::judge::Tag;
use super::{Engine, Verdict};
use crate::network::{Flow, FlowUpdate, Phase};
use crate::observation::{Clock, Observation, Timestamp, ZoneOffset};
use crate::process::Attribution;

/// A flow that ended, and whose it was.
#[derive(Debug, Clone)]
pub struct Ended {
    /// When.
    pub time: Timestamp,
    /// The zone of the Mac then.
    pub zone: ZoneOffset,
    /// The flow, with everything that was found about it.
    pub flow: Flow,
    /// Whose it was.
    pub attribution: Attribution,
}

impl Engine {
    /// Keeps each flow that ends from here on until [`Engine::take_ended`] takes it; whoever asks for that takes them every few observations.
    pub fn keep_ended(&mut self, keep: bool) {
        self.ended = keep.then(Vec::new);
    }

    /// The flows that ended since this was last asked.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        self.ended.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Judges a flow that ended in another run, whole and at its end: whoever has only those asks what would have been said of them. Its process is seen
    /// with it for the first time, since execs are not kept.
    pub fn replay(&mut self, ended: Ended, out: &mut Vec<Verdict>) {
        self.zone = ended.zone;
        self.observe(&Observation::Clock(Clock { time: ended.time, awake: None }), out);
        if let Some(who) = &ended.attribution.who {
            self.detector.image_seen(ended.time, self.zone, &who.subject, who.role);
        }
        let growth = ended.flow.counters.beyond(ended.flow.unwindowed());
        let mut tag = Tag::of(ended.attribution);
        let (_, mut judge) = self.split(out);
        judge.update(FlowUpdate {
            flow: &ended.flow,
            tag: &mut tag,
            time: ended.time,
            growth,
            phase: Phase::Ended,
        });
    }
}
