//! The engine's own thread: observations in, events into the spool, checkpoints into the store, answers to questions between.

use std::thread;
use std::time::{Duration, Instant};

use super::DaemonError;
use super::accepted::Calendar;
use super::checkpoint::Keeper;
use super::history::History;
use super::intake::Intake;
use super::mailbox::Questions;
use super::queue::{Outlet, Taken};
use super::service::SUBJECTS_TOLD;
use super::vitals::Snapshot;
use crate::engine::{Engine, Tally};
use crate::network::LOOK_AHEAD;
use crate::observation::Observation;

/// Walks observations down the road until it is told to stop. Alerts are spooled in groups while more observations wait, and at once where
/// none does. What was learnt is kept only after the alerts that it led to.
pub(super) fn walk(
    mut engine: Engine,
    observed: &Outlet,
    questions: &Questions,
    mut intake: Intake,
    mut keeper: Option<Keeper>,
    mut calendar: Calendar,
    history: &History,
) -> Result<Walked, DaemonError> {
    let mut verdicts = Vec::new();
    // Also where this ends by a panic: nobody is to wait for an engine that is gone.
    let questions = questions.open_while_held();
    let mut inlet = Inlet { observed, batch: Vec::new(), busy: false };
    engine.keep_ended(history.is_kept());
    while let Some(batch) = inlet.next(&mut intake, keeper.as_ref().and_then(Keeper::due_in)) {
        let mut told = questions.answer(&mut engine, &mut verdicts, keeper.as_mut());
        for some in batch.chunks(LOOK_AHEAD) {
            engine.look_ahead(some);
            for observation in some {
                engine.observe(observation, &mut verdicts);
                if let Some(now) = engine.now()
                    && let Some(due) = calendar.look(now, engine.exceptions())
                {
                    intake.due(&due, now);
                }
                told |= questions.answer(&mut engine, &mut verdicts, keeper.as_mut());
                intake.take(&mut verdicts);
            }
        }
        intake.take(&mut verdicts);
        history.take(&mut engine);
        let Some(keeper) = &mut keeper else { continue };
        if told {
            // What a person said is kept at once.
            keeper.make_due();
        } else if !batch.is_empty() {
            keeper.observed();
        }
        if keeper.is_due() {
            intake.commit();
            if !intake.has_unspooled() {
                keeper.keep(&mut engine)?;
            }
        }
    }
    questions.answer(&mut engine, &mut verdicts, keeper.as_mut());
    let live_flows = engine.live_flows() as u64;
    let checkpoint = if let Some(keeper) = &mut keeper {
        let mut road = keeper.spill();
        let checkpoint = engine.suspend_to(&mut road, &mut verdicts)?;
        Some((road, checkpoint))
    } else {
        engine.finish(&mut verdicts);
        None
    };
    intake.take(&mut verdicts);
    intake.commit();
    history.take(&mut engine);
    history.finish();
    let lost = intake.give_up();
    if let (Some(keeper), Some((road, checkpoint))) = (keeper, checkpoint) {
        keeper.finish(road, checkpoint)?;
    }
    if lost > 0 {
        return Err(DaemonError::Lost(lost));
    }
    // The flows went with the state.
    let last = Snapshot { live_flows, ..Snapshot::of(&engine, SUBJECTS_TOLD) };
    Ok(Walked { tally: engine.tally().clone(), last })
}

/// What an engine leaves at the end of its road.
pub(super) struct Walked {
    pub(super) tally: Tally,
    /// For the status that outlives the daemon.
    pub(super) last: Snapshot,
}

/// Where observations come from.
struct Inlet<'a> {
    observed: &'a Outlet,
    /// What is being walked, and was walked last.
    batch: Vec<Observation>,
    /// Whether they come close together.
    busy: bool,
}

impl Inlet<'_> {
    /// What came since it was asked last; nothing, where a question waits or a checkpoint is due; `None` at the end.
    ///
    /// Before the engine would wait, what it said is spooled; and while observations come close together it pauses first, so that a stream of them wakes
    /// it forty times a second and not with each. It waits no longer than until the next checkpoint, or, where the disk is full, until
    /// that is tried again.
    fn next(&mut self, intake: &mut Intake, due: Option<Duration>) -> Option<&[Observation]> {
        let taken = match self.observed.take(&mut self.batch) {
            Some(taken) => taken,
            None => self.wait(intake, due),
        };
        match taken {
            Taken::Observed => {
                self.busy |= self.batch.len() > 1;
                Some(&self.batch)
            }
            Taken::Asked | Taken::Nothing => Some(&[]),
            Taken::Stop => None,
        }
    }

    fn wait(&mut self, intake: &mut Intake, due: Option<Duration>) -> Taken {
        if intake.is_waiting() {
            intake.commit();
        }
        if self.busy {
            thread::sleep(GATHER);
        }
        let began = Instant::now();
        loop {
            // While the disk does not take alerts, there is no checkpoint either.
            let patience = if intake.is_waiting() { Some(DISK_AGAIN) } else { due };
            let taken = self.observed.wait(&mut self.batch, patience);
            if taken != Taken::Nothing || !intake.is_waiting() {
                self.busy = began.elapsed() < GATHER;
                return taken;
            }
            intake.commit();
        }
    }
}

/// How long observations gather while the engine has nothing to do: a quarter of what an alert may take to the spool. At the highest rate that is
/// promised, some five hundred come in that time, and the queue holds thousands.
const GATHER: Duration = Duration::from_millis(25);
/// How soon the disk is asked again where it did not take alerts.
const DISK_AGAIN: Duration = Duration::from_secs(1);
