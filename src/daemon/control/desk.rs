//! Where requests are answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{Answer, Request};
use crate::alert::{Alert, FindingKey};
use crate::daemon::Word;
use crate::daemon::forget::Traces;
use crate::daemon::mailbox::Mailbox;
use crate::daemon::selftest;
use crate::daemon::vitals::{Snapshot, Vitals};
use crate::detect::Verdict;
use crate::engine::{Engine, Verdict as Judged};
use crate::process::Subject;
use crate::sink::spool::{Queue, Spool};
use crate::source::live::wall;

/// A reload that somebody waits for: the keys that changed, or why it is refused.
pub(in crate::daemon) type ReloadRequest = oneshot::Sender<Result<Vec<String>, String>>;

/// Everything that an answer may need. Cheap to copy, one for each client.
#[derive(Clone)]
pub(in crate::daemon) struct Desk {
    pub(in crate::daemon) vitals: Vitals,
    pub(in crate::daemon) mailbox: Mailbox,
    /// Lines that went to the spool.
    pub(in crate::daemon) findings: broadcast::Sender<Arc<str>>,
    pub(in crate::daemon) reload: mpsc::Sender<ReloadRequest>,
    pub(in crate::daemon) spool: Arc<Mutex<Spool>>,
    /// What may tell of a person.
    pub(in crate::daemon) traces: Traces,
}

impl Desk {
    /// Answers one request; `tail` is the server's.
    pub(super) async fn answer(&self, request: Request) -> Answer {
        match request {
            Request::Status { subjects } => {
                let most = usize::try_from(subjects).unwrap_or(usize::MAX).min(MOST_SUBJECTS);
                let snapshot = self.mailbox.ask(move |engine| Snapshot::of(engine, most)).await;
                match serde_json::to_value(self.vitals.status(snapshot)) {
                    Ok(status) => Answer::Ok(status),
                    Err(error) => Answer::Error(error.to_string()),
                }
            }
            Request::Tail => Answer::Ok(Value::Null),
            Request::Feedback { subject, verdict, finding } => self.feedback(subject, verdict, finding).await,
            Request::Word { key, word } => self.word(&key, word).await,
            Request::Approve { subject } => self.approve(subject).await,
            Request::Forget { subject } => {
                let named = subject.clone();
                let known =
                    self.mailbox.change(move |engine, _| engine.detector_mut().forget(&subject)).await;
                done(known, || format!("`{named}` is not known"))
            }
            Request::ForgetUser { name, uid } => {
                self.traces.forget(name, uid, &self.mailbox).await.map_or_else(Answer::Error, Answer::Ok)
            }
            Request::Selftest => self.selftest().await,
            Request::Reload => {
                let (answer, answered) = oneshot::channel();
                let asked = self.reload.send(answer).await.is_ok();
                match answered.await {
                    Ok(Ok(changed)) if asked => Answer::Ok(json!({ "changed": changed })),
                    Ok(Err(why)) => Answer::Error(why),
                    _ => Answer::Error("the daemon is stopping".to_owned()),
                }
            }
        }
    }

    /// Spools a marked finding; gives for each sink nothing where it has it, else why not.
    async fn selftest(&self) -> Answer {
        let Some(settings) = self.mailbox.ask(Engine::settings).await else {
            return Answer::Error("the engine did not answer".to_owned());
        };
        let alert = match selftest::finding(&settings, &self.vitals.host, wall()) {
            Ok(alert) => alert,
            Err(why) => return Answer::Error(why),
        };
        let appended = {
            let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = spool.append(Queue::Alerts, &[alert.to_json()]) {
                return Answer::Error(error.to_string());
            }
            spool.status().queues.values().map(|queue| queue.appended).sum::<u64>()
        };
        let deadline = Instant::now() + SINKS_PATIENCE;
        loop {
            let status = self.vitals.watch.status();
            let sinks: BTreeMap<String, Option<String>> = self
                .vitals
                .sinks
                .read()
                .into_iter()
                .map(|sink| {
                    let has = status.passed.get(&sink.name).is_some_and(|passed| *passed >= appended);
                    let why =
                        || sink.last_error.unwrap_or_else(|| "it has not come to it in a minute".to_owned());
                    (sink.name.clone(), (!has).then(why))
                })
                .collect();
            if sinks.values().all(Option::is_none) || Instant::now() >= deadline {
                return Answer::Ok(json!({ "id": alert.id, "summary": alert.summary, "sinks": sinks }));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn feedback(&self, subject: Subject, verdict: Verdict, finding: Option<FindingKey>) -> Answer {
        let named = subject.clone();
        let is_meant = move |alert: &Alert| Some(&alert.finding) == finding.as_ref();
        let known =
            self.mailbox.change(move |engine, out| take(engine, &subject, verdict, is_meant, out)).await;
        done(known, || format!("nothing of `{named}` waits for a word"))
    }

    /// All that the subject did is learnt, so that all its findings close.
    async fn approve(&self, subject: Subject) -> Answer {
        let named = subject.clone();
        let known = self
            .mailbox
            .change(move |engine, out| {
                take(engine, &subject, Verdict::Benign, |alert| alert.subject == subject, out)
            })
            .await;
        done(known, || format!("nothing of `{named}` waits for a word"))
    }

    /// A word that means nothing here is taken as well: one that names a behaviour without the host goes to every Mac.
    async fn word(&self, key: &str, word: Word) -> Answer {
        let Ok(key) = hex::decode(key) else {
            return Answer::Error("the key of a word is hexadecimal".to_owned());
        };
        // Who has a finding of this key is found by trying, which is no work for the engine.
        let known = self
            .mailbox
            .ask(|engine| -> Vec<Subject> { engine.detector().subjects().into_iter().cloned().collect() });
        let known = if word.subject.is_some() { Vec::new() } else { known.await.unwrap_or_default() };
        let sought = tokio::task::spawn_blocking(move || (word.subject_among(&known), word));
        let Ok((subject, word)) = sought.await else {
            return Answer::Error("the subject of the word could not be sought".to_owned());
        };
        let taken = self.mailbox.take_once(key, move |engine, out| {
            let Some(subject) = subject else { return false };
            let is_meant = |alert: &Alert| {
                word.finding
                    .as_deref()
                    .is_some_and(|key| key == alert.finding.as_str() || key == alert.fleet_finding.as_str())
            };
            take(engine, &subject, word.verdict, is_meant, out)
        });
        match taken.await {
            Some(Ok(known)) => Answer::Ok(json!({ "taken": known.is_some(), "known": known })),
            Some(Err(error)) => Answer::Error(error.to_string()),
            None => Answer::Error("the engine did not answer".to_owned()),
        }
    }
}

/// Has the engine learn what an analyst said of a subject, and closes the findings that it was said of where they are normal. `false` where
/// nothing of the subject is remembered.
fn take(
    engine: &mut Engine,
    subject: &Subject,
    verdict: Verdict,
    is_meant: impl Fn(&Alert) -> bool,
    out: &mut Vec<Judged>,
) -> bool {
    let known = engine.detector_mut().feedback(subject, verdict);
    if known && verdict == Verdict::Benign {
        // In the engine's own time, which a recording sets.
        let time = engine.now().unwrap_or_else(wall);
        engine.learned(is_meant, time, out);
    }
    known
}

fn done(known: Option<bool>, unknown: impl FnOnce() -> String) -> Answer {
    match known {
        Some(true) => Answer::Ok(Value::Null),
        Some(false) => Answer::Error(unknown()),
        None => Answer::Error("the engine did not answer".to_owned()),
    }
}

/// How long sinks may take for the finding of a self-test.
const SINKS_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What a screen shows; more would hold up the engine.
const MOST_SUBJECTS: usize = 200;
