//! What the supervisor does again and again: looks after configuration, sources, sinks and status, and tells of what changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::control::{Desk, ReloadRequest};
use super::governor::Governor;
use super::health::{self, Occasion};
use super::integrity::{Program, faults};
use super::reload::Configuration;
use super::resources;
use super::sinks::Sinks;
use super::sources::{News, SourceLog};
use super::vitals::{Snapshot, Strain};
use super::{BASELINES, STATUS_FILE};
use crate::sink::spool::{Queue, Spool};
use crate::source::live::{Effort, EffortCell};

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
    /// How hard sources are to try; `None` where none can try less.
    effort: Option<EffortCell>,
    governor: Governor,
    /// The program as it was when it was first looked at, at the start.
    program: Option<Program>,
    state: PathBuf,
    /// What was said of who could change something, or did.
    tampered: Vec<String>,
    /// What the engine said last.
    latest: Option<Snapshot>,
    /// When it was asked.
    asked: Option<Instant>,
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
        effort: Option<EffortCell>,
    ) -> Self {
        Self {
            status: state.join(STATUS_FILE),
            spool,
            sinks,
            configuration,
            desk,
            refused: Vec::new(),
            sources: SourceLog::default(),
            effort,
            governor: Governor::new(),
            program: None,
            state: state.to_owned(),
            tampered: Vec::new(),
            latest: None,
            asked: None,
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
        self.govern();
        // Each question wakes the engine, and the one who asked.
        if self.latest.is_none() || self.asked.is_none_or(|asked| asked.elapsed() >= ASK_ENGINE) {
            self.latest = self.desk.mailbox.ask(|engine| Snapshot::of(engine, SUBJECTS_TOLD)).await;
            self.asked = Some(Instant::now());
        }
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

    /// The engine has ended, and knew this at the end.
    pub(super) fn engine_ended(&mut self, last: Option<Snapshot>) {
        self.latest = last.or(self.latest.take());
        self.desk.vitals.notes().ended = true;
    }

    /// Has sources try less where the budget is exceeded, and more where it is not.
    fn govern(&mut self) {
        let Some(effort) = &self.effort else { return };
        let budget = self.configuration.config().daemon.budget();
        let now = self.desk.vitals.began.elapsed();
        let changed = self.governor.sample(now, resources::usage(), budget);
        let excess = self.governor.excess().map(str::to_owned);
        if let Some(next) = changed {
            let before = effort.read();
            effort.set(next);
            tracing::warn!(?before, ?next, "sources try otherwise than before");
            self.tell(&Occasion::Effort { less: next > before, effort: next, why: excess.as_deref() });
        }
        let effort = self.governor.effort();
        self.desk.vitals.notes().strain = match (effort, excess) {
            (Effort::Full, None) => None,
            (effort, excess) => Some(Strain { effort, excess }),
        };
    }

    /// Looks at who could change what the daemon is and is told, and whether somebody did; says what is new of it.
    pub(super) async fn look_for_changes(&mut self) {
        let program = self.program.take();
        // Reading a program of some tens of megabytes is no work for a thread that others wait for.
        let looked = tokio::task::spawn_blocking(move || match program {
            Some(program) => (program.change(), Some(program)),
            None => (None, Program::running()),
        });
        let (changed, program) = looked.await.unwrap_or_default();
        self.program = program;
        let mut paths = self.configuration.files();
        paths.extend(self.program.as_ref().map(|program| program.path().to_owned()));
        paths.extend([self.state.clone(), self.state.join(BASELINES)]);
        let mut found = faults(paths.iter().map(PathBuf::as_path));
        found.extend(changed);
        for what in found.iter().filter(|what| !self.tampered.contains(what)) {
            tracing::error!(what, "somebody else could change tidemark, or did");
            self.tell(&Occasion::Tampered(what));
        }
        self.desk.vitals.notes().tampered.clone_from(&found);
        self.tampered = found;
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
        self.look_for_changes().await;
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
        self.desk.vitals.history.set_privacy(candidate.engine.privacy.clone());
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
/// How often the engine is asked how it stands, without anybody who wants to know: four ticks, and as good as at each time that the status is written.
const ASK_ENGINE: Duration = Duration::from_secs(19);
/// Subjects in the status file.
pub(super) const SUBJECTS_TOLD: usize = 10;
