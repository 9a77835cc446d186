//! Questions to the engine's thread, which owns the engine and waits for nobody.
//!
//! A question is a piece of work that is given the engine. It is left here, and the engine does it between two observations: the one that it
//! is at, or, where it sleeps, the one that wakes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::queue::Queue;
use crate::engine::{Engine, Verdict};

/// Whether it changed what the engine knows.
type Question = Box<dyn FnOnce(&mut Engine, &mut Vec<Verdict>) -> bool + Send>;

/// Where questions are left.
#[derive(Clone)]
pub(super) struct Mailbox {
    questions: Arc<Questions>,
    wake: Queue,
}

/// Where the engine's thread finds them.
#[derive(Default)]
pub(super) struct Questions {
    waiting: AtomicBool,
    list: Mutex<Vec<Question>>,
}

impl Mailbox {
    /// `wake` is the way by which observations come.
    pub(super) fn new(wake: Queue) -> (Self, Arc<Questions>) {
        let questions = Arc::<Questions>::default();
        (Self { questions: Arc::clone(&questions), wake }, questions)
    }

    /// Asks the engine something. `None` where it is gone, or has not come to it in [`PATIENCE`].
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Option<T> {
        self.leave(|engine, _| (look(engine), false)).await
    }

    /// Has the engine change something, which is kept on the disk at once; gives what comes of it. `None` as for [`Mailbox::ask`]; it may be done
    /// later then.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine, &mut Vec<Verdict>) -> T + Send + 'static,
    ) -> Option<T> {
        self.leave(|engine, out| (work(engine, out), true)).await
    }

    async fn leave<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine, &mut Vec<Verdict>) -> (T, bool) + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |engine, out| {
            let (come, changed) = work(engine, out);
            // Whoever asked may have gone; the work is done all the same.
            let _ = answer.send(come);
            changed
        });
        {
            let mut list = self.questions.list.lock().unwrap_or_else(PoisonError::into_inner);
            if list.len() >= MOST_QUESTIONS {
                return None;
            }
            list.push(question);
        }
        self.questions.waiting.store(true, Ordering::Release);
        self.wake.ask();
        tokio::time::timeout(PATIENCE, answered).await.ok()?.ok()
    }
}

impl Questions {
    /// Does what waits; `true` where that changed what the engine knows. Without a question it costs one look at a flag.
    pub(super) fn answer(&self, engine: &mut Engine, out: &mut Vec<Verdict>) -> bool {
        if !self.waiting.load(Ordering::Acquire) {
            return false;
        }
        self.waiting.store(false, Ordering::Release);
        let questions = std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner));
        let mut changed = false;
        for question in questions {
            changed |= question(engine, out);
        }
        changed
    }
}

/// The engine's longest work between two observations is a checkpoint of all subjects, well under a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than the clients of the control socket can ask at once.
const MOST_QUESTIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::queue::{Taken, queue};
    use super::*;
    use crate::engine::Settings;

    #[tokio::test]
    async fn a_question_is_answered_while_the_engine_works_and_while_it_waits() {
        let (queue, outlet) = queue(1);
        let (mailbox, questions) = Mailbox::new(queue);
        let asked = {
            let mailbox = mailbox.clone();
            tokio::spawn(async move { mailbox.change(|engine, _| engine.tally().observations).await })
        };
        while !questions.waiting.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        let mut engine = Engine::new(Settings::default());
        assert!(questions.answer(&mut engine, &mut Vec::new()));
        assert!(!questions.answer(&mut engine, &mut Vec::new()));
        assert_eq!(asked.await.unwrap(), Some(0));
        assert_eq!(outlet.take(&mut Vec::new()), Some(Taken::Asked));

        let asked = tokio::spawn(async move { mailbox.ask(|_| 7).await });
        let woken = tokio::task::spawn_blocking(move || outlet.wait(&mut Vec::new(), None)).await;
        assert_eq!(woken.unwrap(), Taken::Asked);
        assert!(!questions.answer(&mut engine, &mut Vec::new()));
        assert_eq!(asked.await.unwrap(), Some(7));
    }
}
