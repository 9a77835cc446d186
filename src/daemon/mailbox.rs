//! Questions to the engine's thread, which owns the engine and waits for nobody.
//!
//! A question is a piece of work that is given the engine. It is left here, and the engine does it after the observation that it is at; where it sleeps, it
//! is woken.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::checkpoint::Keeper;
use super::queue::Queue;
use crate::baseline::StoreError;
use crate::engine::{Engine, Verdict};

/// Whether it changed what the engine knows.
type Question = Box<dyn FnOnce(&mut Engine, &mut Vec<Verdict>, Option<&mut Keeper>) -> bool + Send>;

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
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    questions: Vec<Question>,
    /// The engine is gone.
    closed: bool,
}

/// Questions are answered for as long as somebody has this; what waits then is dropped, and nothing more is taken.
pub(super) struct Open<'a>(&'a Questions);

impl Deref for Open<'_> {
    type Target = Questions;

    fn deref(&self) -> &Questions {
        self.0
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut list = self.0.lock();
        list.closed = true;
        // Whoever asked hears that there will be no answer.
        list.questions.clear();
    }
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
        self.leave(|engine, _, _| (look(engine), false)).await
    }

    /// Has the engine change something, which is kept on the disk at once; gives what comes of it. `None` as for [`Mailbox::ask`]; it may be done
    /// later then.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine, &mut Vec<Verdict>) -> T + Send + 'static,
    ) -> Option<T> {
        self.leave(|engine, out, _| (work(engine, out), true)).await
    }

    /// As [`Mailbox::change`], for a word that may be delivered again: where the one with this key was taken, nothing is done and nothing comes.
    /// `work` says whether the word meant anything here.
    pub(super) async fn take_once(
        &self,
        key: Vec<u8>,
        work: impl FnOnce(&mut Engine, &mut Vec<Verdict>) -> bool + Send + 'static,
    ) -> Option<Result<Option<bool>, StoreError>> {
        self.leave(|engine, out, keeper| {
            let Some(keeper) = keeper else { return (Ok(Some(work(engine, out))), true) };
            match keeper.has_word(&key) {
                Ok(false) => {
                    let known = work(engine, out);
                    keeper.word_taken(key, known);
                    (Ok(Some(known)), true)
                }
                Ok(true) => (Ok(None), false),
                Err(error) => (Err(error), false),
            }
        })
        .await
    }

    async fn leave<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine, &mut Vec<Verdict>, Option<&mut Keeper>) -> (T, bool) + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |engine, out, keeper| {
            let (come, changed) = work(engine, out, keeper);
            // Whoever asked may have gone; the work is done all the same.
            let _ = answer.send(come);
            changed
        });
        {
            let mut list = self.questions.lock();
            if list.closed || list.questions.len() >= MOST_QUESTIONS {
                return None;
            }
            list.questions.push(question);
        }
        self.questions.waiting.store(true, Ordering::Release);
        self.wake.ask();
        tokio::time::timeout(PATIENCE, answered).await.ok()?.ok()
    }
}

impl Questions {
    /// The engine is there while it holds this.
    pub(super) fn open_while_held(&self) -> Open<'_> {
        Open(self)
    }

    /// A thread that panicked while it held the lock left a list that is whole.
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what waits; `true` where that changed what the engine knows. Without a question it costs one look at a flag.
    pub(super) fn answer(
        &self,
        engine: &mut Engine,
        out: &mut Vec<Verdict>,
        mut keeper: Option<&mut Keeper>,
    ) -> bool {
        if !self.waiting.load(Ordering::Acquire) {
            return false;
        }
        self.waiting.store(false, Ordering::Release);
        let questions = std::mem::take(&mut self.lock().questions);
        let mut changed = false;
        for question in questions {
            changed |= question(engine, out, keeper.as_deref_mut());
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
        assert!(questions.answer(&mut engine, &mut Vec::new(), None));
        assert!(!questions.answer(&mut engine, &mut Vec::new(), None));
        assert_eq!(asked.await.unwrap(), Some(0));
        assert_eq!(outlet.take(&mut Vec::new()), Some(Taken::Asked));

        let asked = tokio::spawn(async move { mailbox.ask(|_| 7).await });
        let woken = tokio::task::spawn_blocking(move || outlet.wait(&mut Vec::new(), None)).await;
        assert_eq!(woken.unwrap(), Taken::Asked);
        assert!(!questions.answer(&mut engine, &mut Vec::new(), None));
        assert_eq!(asked.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn whoever_asks_an_engine_that_is_gone_waits_for_nothing() {
        let (queue, _outlet) = queue(1);
        let (mailbox, questions) = Mailbox::new(queue);
        let asked = {
            let mailbox = mailbox.clone();
            tokio::spawn(async move { mailbox.ask(|_| 7).await })
        };
        while !questions.waiting.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        let began = std::time::Instant::now();
        drop(questions.open_while_held());
        assert_eq!((asked.await.unwrap(), mailbox.ask(|_| 7).await), (None, None));
        assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    }
}
