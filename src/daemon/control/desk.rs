//! Where requests are answered.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{Answer, Request};
use crate::alert::FindingKey;
use crate::daemon::mailbox::Mailbox;
use crate::daemon::vitals::{Snapshot, Vitals};
use crate::detect::Verdict;
use crate::observation::Timestamp;
use crate::process::Subject;

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
            Request::Approve { subject } => self.feedback(subject, Verdict::Benign, None).await,
            Request::Forget { subject } => {
                let named = subject.clone();
                let known =
                    self.mailbox.change(move |engine, _| engine.detector_mut().forget(&subject)).await;
                done(known, || format!("`{named}` is not known"))
            }
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

    async fn feedback(&self, subject: Subject, verdict: Verdict, finding: Option<FindingKey>) -> Answer {
        let named = subject.clone();
        let now = jiff::Timestamp::now();
        let known = self
            .mailbox
            .change(move |engine, out| {
                let known = engine.detector_mut().feedback(&subject, verdict);
                if known
                    && verdict == Verdict::Benign
                    && let Some(finding) = finding
                {
                    let wall =
                        Timestamp::from_seconds(now.as_second(), now.subsec_nanosecond().unsigned_abs());
                    // In the engine's own time, which a recording sets.
                    let time = engine.now().unwrap_or(wall);
                    engine.learned(&finding, time, out);
                }
                known
            })
            .await;
        done(known, || format!("nothing of `{named}` waits for a word"))
    }
}

fn done(known: Option<bool>, unknown: impl FnOnce() -> String) -> Answer {
    match known {
        Some(true) => Answer::Ok(Value::Null),
        Some(false) => Answer::Error(unknown()),
        None => Answer::Error("the engine did not answer".to_owned()),
    }
}

/// What a screen shows; more would hold up the engine.
const MOST_SUBJECTS: usize = 200;
