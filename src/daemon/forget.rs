//! A person is forgotten: everywhere on this Mac where something tells of one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::SPOOL_FOLDER;
use super::history::History;
use super::mailbox::Mailbox;
use crate::alert::Person;
use crate::engine::Engine;
use crate::sink::spool::{Latest, Queue, Spool};
use crate::sink::{Archive, DeadLetters};

/// The findings that are kept, shared by the engine's thread, which adds to them, and whoever has something removed.
pub(super) type SharedArchive = Arc<Mutex<Archive>>;

/// Everything on this Mac that may tell of a person.
#[derive(Clone)]
pub(super) struct Traces {
    /// The state's folder.
    pub(super) state: PathBuf,
    pub(super) archive: Option<SharedArchive>,
    pub(super) history: History,
    pub(super) spool: Arc<Mutex<Spool>>,
    pub(super) renewal: Renewal,
}

/// Asks the keeper of the store to write it anew.
#[derive(Debug, Clone, Default)]
pub(super) struct Renewal(Arc<AtomicBool>);

impl Renewal {
    /// Asks for it.
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// It was done.
    pub(super) fn done(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Traces {
    /// Removes what tells of a user, and says how much, place by place, and what had to stay.
    pub(super) async fn forget(
        &self,
        name: String,
        uid: Option<u32>,
        mailbox: &Mailbox,
    ) -> Result<Value, String> {
        let renewal = self.renewal.clone();
        let asked = name.clone();
        let in_memory = mailbox.change(move |engine, _| {
            let person = Person::new(&asked, uid, engine.privacy());
            // The checkpoint that follows this has nothing of it, and the store is written anew after it.
            renewal.ask();
            (engine.forget_person(&person), subjects_named(engine, &asked), person)
        });
        let (open, subjects, person) = in_memory.await.ok_or("the engine did not answer")?;
        let traces = self.clone();
        let on_disk = tokio::task::spawn_blocking(move || traces.forget_on_disk(&person)).await;
        let mut told = on_disk.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let deadline = Instant::now() + PATIENCE;
        while self.renewal.is_asked() && Instant::now() < deadline {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if let Some(members) = told.as_object_mut() {
            members.insert("open_findings".to_owned(), open.into());
            members.insert("baselines".to_owned(), subjects.into());
            members.insert("store_rewritten".to_owned(), (!self.renewal.is_asked()).into());
        }
        Ok(told)
    }

    fn forget_on_disk(&self, person: &Person) -> std::io::Result<Value> {
        let is_to_go = |line: &str| person.is_in_line(line);
        let findings = self.archive.as_ref().map_or(Ok(0), |archive| {
            archive.lock().unwrap_or_else(PoisonError::into_inner).forget(is_to_go)
        })?;
        let flows = self.history.forget(person)?;
        let dead_letters = DeadLetters::forget(&self.state.join("dead-letters"), is_to_go)?;
        let removed = self.spool.lock().unwrap_or_else(PoisonError::into_inner).remove_sent();
        removed.map_err(std::io::Error::other)?;
        let mut waiting = 0_u64;
        for queue in Queue::ALL {
            let lines = Latest::of(&self.state.join(SPOOL_FOLDER), queue).map_err(std::io::Error::other)?;
            waiting = waiting.saturating_add(lines.filter(|line| is_to_go(line)).count() as u64);
        }
        Ok(
            json!({ "findings": findings, "flows": flows, "dead_letters": dead_letters, "still_to_send": waiting }),
        )
    }
}

/// Forgets the subjects whose identity itself names the user: a job's label, a folder outside of `/Users`. How many.
fn subjects_named(engine: &mut Engine, name: &str) -> u64 {
    let is_word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == name);
    let named: Vec<_> = engine
        .detector()
        .subjects()
        .into_iter()
        .filter(|subject| is_word(&subject.to_string()))
        .cloned()
        .collect();
    named.iter().filter(|subject| engine.detector_mut().forget(subject)).count() as u64
}

/// For the checkpoint and the copy of the store: some seconds where it is large.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
