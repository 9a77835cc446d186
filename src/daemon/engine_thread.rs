//! The engine's own thread: observations in, events into the spool, checkpoints into the store, answers to questions between.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::Duration;

use super::accepted::Calendar;
use super::checkpoint::Keeper;
use super::history::History;
use super::intake::Intake;
use super::mailbox::Questions;
use super::service::SUBJECTS_TOLD;
use super::vitals::Snapshot;
use super::{DaemonError, Message};
use crate::engine::{Engine, Tally};
use crate::observation::Observation;

/// Walks observations down the road until it is told to stop. Alerts are spooled in groups while more observations wait, and at once where
/// none does. What was learnt is kept only after the alerts that it led to.
pub(super) fn walk(
    mut engine: Engine,
    observed: &Receiver<Message>,
    questions: &Questions,
    mut intake: Intake,
    mut keeper: Option<Keeper>,
    mut calendar: Calendar,
    history: &History,
) -> Result<Walked, DaemonError> {
    let mut verdicts = Vec::new();
    engine.keep_ended(history.is_kept());
    loop {
        match next(observed, &mut intake, keeper.as_ref().and_then(Keeper::due_in)) {
            Next::Observed(observation) => {
                engine.observe(&observation, &mut verdicts);
                if let Some(now) = engine.now()
                    && let Some(due) = calendar.look(now, engine.exceptions())
                {
                    intake.due(&due, now);
                }
                if let Some(keeper) = &mut keeper {
                    keeper.observed();
                }
            }
            Next::Due => {}
            Next::Stop => break,
        }
        if questions.answer(&mut engine, &mut verdicts, keeper.as_mut())
            && let Some(keeper) = &mut keeper
        {
            // What a person said is kept at once.
            keeper.make_due();
        }
        intake.take(&mut verdicts);
        history.take(&mut engine);
        if let Some(keeper) = keeper.as_mut().filter(|keeper| keeper.is_due()) {
            intake.commit();
            if !intake.has_unspooled() {
                keeper.keep(&mut engine)?;
            }
        }
    }
    let checkpoint = if keeper.is_some() {
        Some(engine.suspend(&mut verdicts)?)
    } else {
        engine.finish(&mut verdicts);
        None
    };
    intake.take(&mut verdicts);
    intake.commit();
    history.take(&mut engine);
    history.finish();
    let lost = intake.give_up();
    if let (Some(keeper), Some(checkpoint)) = (keeper, checkpoint) {
        keeper.finish(checkpoint)?;
    }
    if lost > 0 {
        return Err(DaemonError::Lost(lost));
    }
    Ok(Walked { tally: engine.tally().clone(), last: Snapshot::of(&engine, SUBJECTS_TOLD) })
}

/// What an engine leaves at the end of its road.
pub(super) struct Walked {
    pub(super) tally: Tally,
    /// For the status that outlives the daemon.
    pub(super) last: Snapshot,
}

/// What the engine's thread does next.
enum Next {
    Observed(Box<Observation>),
    /// A checkpoint is due, or a question waits.
    Due,
    Stop,
}

/// The next message; before the engine would wait for one, what it said is spooled, and it pauses once, so that a stream of observations wakes
/// it a hundred times a second and not with each of them. It waits no longer than until the next checkpoint.
fn next(observed: &Receiver<Message>, intake: &mut Intake, due: Option<Duration>) -> Next {
    let of = |message| match message {
        Message::Observed(observation) => Next::Observed(observation),
        Message::Wake => Next::Due,
        Message::Stop => Next::Stop,
    };
    match observed.try_recv() {
        Ok(message) => return of(message),
        Err(TryRecvError::Disconnected) => return Next::Stop,
        Err(TryRecvError::Empty) => {}
    }
    if intake.is_waiting() {
        intake.commit();
    }
    thread::sleep(GATHER);
    loop {
        if intake.is_waiting() {
            intake.commit();
        }
        let patience = match (intake.is_waiting(), due) {
            (false, None) => return observed.recv().map_or(Next::Stop, of),
            (false, Some(due)) => due,
            (true, due) => due.unwrap_or(DISK_AGAIN).min(DISK_AGAIN),
        };
        match observed.recv_timeout(patience) {
            Ok(message) => return of(message),
            Err(RecvTimeoutError::Disconnected) => return Next::Stop,
            Err(RecvTimeoutError::Timeout) if !intake.is_waiting() => return Next::Due,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// How long observations gather while the engine has nothing to do: a tenth of what an alert may take to the spool. At the highest rate that is
/// promised, some two hundred come in that time, and the queue holds thousands.
const GATHER: Duration = Duration::from_millis(10);
/// How soon the disk is asked again where it did not take alerts.
const DISK_AGAIN: Duration = Duration::from_secs(1);
