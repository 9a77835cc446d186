//! What the supervisor does again and again: looks after configuration, sources, sinks and status, and tells of what changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::STATUS_FILE;
use super::control::{Desk, ReloadRequest};
use super::health::{self, Occasion};
use super::reload::Configuration;
use super::sinks::Sinks;
use super::sources::{News, SourceLog};
use super::vitals::Snapshot;
use crate::sink::spool::{Queue, Spool};

/// See the module.
pub(super) struct Service {
    /// The status file.
    status: PathBuf,
    spool: Arc<Mutex<Spool>>,
    pub(super) sinks: Sinks,
    configuration: Configuration,
    desk: Desk,
    /// The sinks that were refused when last looked at.
    refused: Vec<String>,
    sources: SourceLog,
    /// What the engine said last.
    latest: Option<Snapshot>,
    /// When the status file was written, and why a person should have looked then.
    written: Option<(Instant, Vec<String>)>,
}

impl Service {
    pub(super) fn new(
        state: &Path,
        spool: Arc<Mutex<Spool>>,
        sinks: Sinks,
        configuration: Configuration,
        desk: Desk,
    ) -> Self {
        Self {
            status: state.join(STATUS_FILE),
            spool,
            sinks,
            configuration,
            desk,
            refused: Vec::new(),
            sources: SourceLog::default(),
            latest: None,
            written: None,
        }
    }

    /// Looks after everything: configuration, sinks, spool, status.
    pub(super) async fn look(&mut self) {
        if self.configuration.has_changed() {
            self.reload(None).await;
        }
        for sink in self.sinks.fallen() {
            self.tell(&Occasion::Failed { part: &sink, what: &"the sink's task failed and is begun anew" });
            let delivery = self.configuration.config().delivery.clone();
            if let Err(error) = self.sinks.apply(&delivery).await {
                self.desk.vitals.failed(&sink, error.to_string());
            }
        }
        let refused = self.desk.vitals.sinks.refused();
        for sink in refused.iter().filter(|sink| !self.refused.contains(sink)) {
            self.tell(&Occasion::Refused(sink));
        }
        self.refused = refused;
        for news in self.sources.news(&self.desk.vitals.watched.read(), Instant::now()) {
            match &news {
                News::Lost { source, why, restarts } => {
                    self.tell(&Occasion::SourceLost { source, why, restarts: *restarts });
                }
                News::Back { source, restarts } => {
                    self.tell(&Occasion::SourceBack { source, restarts: *restarts });
                }
            }
        }
        self.latest = self.desk.mailbox.ask(|engine| Snapshot::of(engine, SUBJECTS_TOLD)).await;
        let reasons = self.desk.vitals.status(self.latest.clone()).reasons;
        let due = self
            .written
            .as_ref()
            .is_none_or(|(when, told)| when.elapsed() >= WRITE_STATUS || *told != reasons);
        if due {
            self.write_status();
            self.written = Some((Instant::now(), reasons));
        }
    }

    pub(super) fn write_status(&self) {
        let status = self.desk.vitals.status(self.latest.clone());
        let ticked = self.spool.lock().unwrap_or_else(PoisonError::into_inner).tick();
        let written = write_whole(&self.status, &serde_json::to_vec(&status).unwrap_or_default());
        if let Err(error) =
            ticked.map_err(|error| error.to_string()).and(written.map_err(|error| error.to_string()))
        {
            tracing::warn!(error, "the status cannot be written");
        }
    }

    /// Puts the configuration on the disk in force, whole or not at all, and says which it was.
    pub(super) async fn reload(&mut self, asked: Option<ReloadRequest>) {
        let done = self.take_configuration().await;
        match &done {
            Ok(changed) => {
                tracing::info!(?changed, "the configuration was read anew");
                self.desk.vitals.notes().reload_error = None;
                self.tell(&Occasion::Reloaded(changed));
            }
            Err(why) => {
                tracing::error!(why, "the configuration is refused; the last good one stays in force");
                self.desk.vitals.notes().reload_error = Some(why.clone());
                self.tell(&Occasion::ReloadRefused(why));
            }
        }
        if let Some(asked) = asked {
            // Whoever asked may have gone.
            let _ = asked.send(done);
        }
    }

    async fn take_configuration(&mut self) -> Result<Vec<String>, String> {
        let candidate = self.configuration.candidate()?;
        // Sinks first: they alone may still refuse, and then nothing has changed.
        self.sinks.apply(&candidate.config().delivery).await.map_err(|error| error.to_string())?;
        let settings = candidate.engine.clone();
        let taken = self.desk.mailbox.change(move |engine, _| engine.set_settings(settings)).await;
        taken.ok_or("the engine did not answer")?;
        let changed = self.configuration.accept(candidate);
        self.desk.vitals.notes().configured = Some(jiff::Timestamp::now().to_string());
        Ok(changed)
    }

    pub(super) fn tell(&self, occasion: &Occasion<'_>) {
        let status = self.desk.vitals.status(self.latest.clone());
        let event = health::event(occasion, &status, jiff::Timestamp::now());
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = spool.append(Queue::Health, &[event]) {
            tracing::warn!(%error, "a health event cannot be spooled");
        }
    }
}

/// Writes a file that a reader finds whole, the old or the new.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, bytes)?;
    std::fs::rename(&next, path)
}

/// How often the status file is written where nothing changed that a person should look at: a page or two an hour would do, and once a minute is
/// 12 MB a day.
const WRITE_STATUS: Duration = Duration::from_mins(1);
/// Subjects in the status file.
const SUBJECTS_TOLD: usize = 10;
