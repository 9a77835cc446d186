//! Questions to the engine's thread, which owns the engine and waits for nobody.
//!
//! A question is a piece of work that is given the engine. It is left here, and the engine does it between two observations: the one that it
//! is at, or, where it sleeps, the one that wakes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Message;
use super::checkpoint::Keeper;
use crate::baseline::StoreError;
use crate::engine::{Engine, Verdict};

/// Whether it changed what the engine knows.
type Question = Box<dyn FnOnce(&mut Engine, &mut Vec<Verdict>, Option<&mut Keeper>) -> bool + Send>;

/// Where questions are left.
#[derive(Clone)]
pub(super) struct Mailbox {
    questions: Arc<Questions>,
    wake: SyncSender<Message>,
}

/// Where the engine's thread finds them.
#[derive(Default)]
pub(super) struct Questions {
    waiting: AtomicBool,
    list: Mutex<Vec<Question>>,
}

impl Mailbox {
    /// `wake` is the way by which observations come.
    pub(super) fn new(wake: SyncSender<Message>) -> (Self, Arc<Questions>) {
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
            let mut list = self.questions.list.lock().unwrap_or_else(PoisonError::into_inner);
            if list.len() >= MOST_QUESTIONS {
                return None;
            }
            list.push(question);
        }
        self.questions.waiting.store(true, Ordering::Release);
        // Where the channel is full the engine is awake, and looks here after what it is at.
        let _ = self.wake.try_send(Message::Wake);
        tokio::time::timeout(PATIENCE, answered).await.ok()?.ok()
    }
}

impl Questions {
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
        let questions = std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner));
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
    use super::*;
    use crate::engine::Settings;
    use std::sync::mpsc::sync_channel;

    #[tokio::test]
    async fn a_question_is_answered_while_the_channel_is_full_and_while_it_is_empty() {
        let (sender, receiver) = sync_channel(1);
        let (mailbox, questions) = Mailbox::new(sender.clone());
        sender.send(Message::Stop).unwrap();
        let asked =
            tokio::spawn(async move { mailbox.change(|engine, _| engine.tally().observations).await });
        while !questions.waiting.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        let mut engine = Engine::new(Settings::default());
        assert!(questions.answer(&mut engine, &mut Vec::new(), None));
        assert!(!questions.answer(&mut engine, &mut Vec::new(), None));
        assert_eq!(asked.await.unwrap(), Some(0));
        assert!(matches!(receiver.recv(), Ok(Message::Stop)));

        let (mailbox, questions) = Mailbox::new(sender);
        let asked = tokio::spawn(async move { mailbox.ask(|_| 7).await });
        let woken = tokio::task::spawn_blocking(move || receiver.recv()).await.unwrap();
        assert!(matches!(woken, Ok(Message::Wake)));
        assert!(!questions.answer(&mut engine, &mut Vec::new(), None));
        assert_eq!(asked.await.unwrap(), Some(7));
    }
}
