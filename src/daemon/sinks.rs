//! The deliveries that run: one task a sink, which a reload may add, replace or take away.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::DaemonError;
use crate::alert::Format;
use crate::sink::spool::{Queue, Spool};
use crate::sink::{
    Course, DeadLetters, Delivery, Receiver, Retry, Settings, SinkSettings, SinkState, SinkStatus,
    StatusCell, StdoutSettings,
};

/// The sinks at work.
pub(super) struct Sinks {
    spool: Arc<Mutex<Spool>>,
    dead_letters: PathBuf,
    host: String,
    course: watch::Sender<Course>,
    running: BTreeMap<String, Running>,
    states: SinkStates,
}

struct Running {
    settings: SinkSettings,
    task: JoinHandle<()>,
}

/// How each sink does, for whoever asks, from any thread.
#[derive(Debug, Clone, Default)]
pub(super) struct SinkStates(Arc<Mutex<BTreeMap<String, StatusCell>>>);

impl SinkStates {
    /// As it is now, by name.
    pub(super) fn read(&self) -> Vec<SinkStatus> {
        self.lock().values().map(StatusCell::read).collect()
    }

    /// The sinks whose receivers refuse this sensor.
    pub(super) fn refused(&self) -> Vec<String> {
        let refused = self.read().into_iter().filter(|sink| sink.state == SinkState::Refused);
        refused.map(|sink| sink.name).collect()
    }

    /// Each cell is right by itself, also after a panic of another thread.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StatusCell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sinks {
    /// No sink yet. Dead letters go to this folder.
    pub(super) fn new(spool: Arc<Mutex<Spool>>, dead_letters: PathBuf, host: String) -> Self {
        let (course, _) = watch::channel(Course::Go);
        Self { spool, dead_letters, host, course, running: BTreeMap::new(), states: SinkStates::default() }
    }

    /// How they do.
    pub(super) fn states(&self) -> SinkStates {
        self.states.clone()
    }

    /// Brings what runs in line with the settings: a sink that is new or has other settings begins where its cursor stands, one that is gone ends and
    /// its cursor is forgotten. Where nothing is configured, alerts go to standard output.
    ///
    /// # Errors
    /// Where a sink is not usable as it is configured: then nothing has changed.
    pub(super) async fn apply(&mut self, delivery: &Settings) -> Result<(), DaemonError> {
        let stdout = [SinkSettings::Stdout(StdoutSettings {
            name: "stdout".to_owned(),
            format: Format::Native,
            send: vec![Queue::Alerts],
        })];
        let wanted = if delivery.sinks.is_empty() { stdout.as_slice() } else { &delivery.sinks };
        let is_running = |sink: &&SinkSettings| {
            self.running.get(sink.name()).is_some_and(|running| running.settings == **sink)
        };
        let begin: Vec<&SinkSettings> = wanted.iter().filter(|sink| !is_running(sink)).collect();
        let receivers = begin.iter().map(|sink| Receiver::new(sink)).collect::<Result<Vec<_>, _>>()?;
        let named = |name: &String| wanted.iter().any(|sink| sink.name() == name);
        let gone: Vec<String> = self.running.keys().filter(|name| !named(name)).cloned().collect();
        for name in begin.iter().map(|sink| sink.name()).chain(gone.iter().map(String::as_str)) {
            if let Some(running) = self.running.remove(name) {
                // Delivery is at least once: what was under way is sent again.
                running.task.abort();
                // Its end is what was asked for.
                let _ = running.task.await;
                self.states.lock().remove(name);
            }
        }
        // Every reader stands before the first task runs: none may miss what another has passed.
        let mut deliveries = Vec::with_capacity(begin.len());
        {
            let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
            spool.set_caps(delivery.caps());
            for name in &gone {
                spool.forget_reader(name);
            }
            for (sink, receiver) in begin.into_iter().zip(receivers) {
                let dead_letters = DeadLetters::new(&self.dead_letters, sink.name());
                let retry = Retry::of(&self.host, sink.name());
                let reader = spool.reader(sink.name())?;
                deliveries.push((sink, Delivery::new(sink, receiver, reader, dead_letters, retry)));
            }
        }
        for (sink, delivery) in deliveries {
            let name = sink.name().to_owned();
            self.states.lock().insert(name.clone(), delivery.status());
            let task = tokio::spawn(delivery.run(self.course.subscribe()));
            self.running.insert(name, Running { settings: sink.clone(), task });
        }
        Ok(())
    }

    /// Lets the sinks deliver what is spooled, for a bounded time.
    pub(super) async fn drain(&mut self, most: Duration) {
        self.course.send_replace(Course::Drain);
        let all = async {
            for running in self.running.values_mut() {
                // One that panicked is at its end as well; what it did not deliver stays in the spool.
                let _ = (&mut running.task).await;
            }
        };
        if tokio::time::timeout(most, all).await.is_err() {
            for running in self.running.values() {
                running.task.abort();
            }
        }
    }

    /// The sinks whose task ended though nobody told it to: a mistake in the program. They begin anew with the next [`Sinks::apply`].
    pub(super) fn fallen(&mut self) -> Vec<String> {
        let ended = self.running.extract_if(.., |_, running| running.task.is_finished());
        ended.map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::spool::Caps;
    use std::path::Path;

    fn delivery(folder: &Path, names: &[&str]) -> Settings {
        let sink = |name: &&str| format!("[[sink]]\ntype='file'\nname='{name}'\npath='{name}.ndjson'\n");
        let mut settings: Settings = toml::from_str(&names.iter().map(sink).collect::<String>()).unwrap();
        settings.resolve(folder);
        settings
    }

    fn append(spool: &Mutex<Spool>, id: &str) {
        let line = format!(r#"{{"id":"{id}","time":"2026-11-24T10:00:00Z"}}"#);
        spool.lock().unwrap().append(Queue::Health, &[line]).unwrap();
    }

    fn received(folder: &Path, name: &str) -> usize {
        std::fs::read_to_string(folder.join(format!("{name}.ndjson"))).map_or(0, |text| text.lines().count())
    }

    #[tokio::test]
    async fn a_reload_adds_and_takes_away_sinks_and_leaves_the_others_where_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let spool = Arc::new(Mutex::new(Spool::open(&at.join("spool"), Caps::default()).unwrap()));
        let mut sinks = Sinks::new(Arc::clone(&spool), at.join("dead"), "mac".to_owned());
        sinks.apply(&delivery(at, &["a", "b"])).await.unwrap();
        append(&spool, "1");
        sinks.apply(&delivery(at, &["b", "c"])).await.unwrap();
        append(&spool, "2");
        let names: Vec<String> = sinks.states().read().into_iter().map(|sink| sink.name).collect();
        assert_eq!(names, ["b", "c"]);
        sinks.drain(Duration::from_secs(20)).await;
        assert_eq!((received(at, "b"), received(at, "c")), (2, 2));
        assert!(received(at, "a") <= 1);
        // A sink that is gone holds nothing back.
        assert!(spool.lock().unwrap().status().passed.keys().all(|name| name != "a"));
        assert_eq!(spool.lock().unwrap().status().queues["health"].waiting, 0);
    }

    #[tokio::test]
    async fn a_sink_that_is_not_usable_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let spool = Arc::new(Mutex::new(Spool::open(&at.join("spool"), Caps::default()).unwrap()));
        let mut sinks = Sinks::new(Arc::clone(&spool), at.join("dead"), "mac".to_owned());
        sinks.apply(&delivery(at, &["a"])).await.unwrap();
        let text =
            "[[sink]]\ntype='webhook'\nname='w'\nurl='https://w.example/'\ntls={ca_file='/nowhere/ca.pem'}";
        let broken: Settings = toml::from_str(text).unwrap();
        assert!(sinks.apply(&broken).await.is_err());
        let names: Vec<String> = sinks.states().read().into_iter().map(|sink| sink.name).collect();
        assert_eq!(names, ["a"]);
        append(&spool, "1");
        sinks.drain(Duration::from_secs(20)).await;
        assert_eq!(received(at, "a"), 1);
    }
}
