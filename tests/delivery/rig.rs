//! A spool with events in it, and a delivery that brings them to a receiver.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tidemark::sink::spool::{Caps, Queue, Spool};
use tidemark::sink::{Course, DeadLetters, Delivery, Receiver, Retry, SinkSettings, SinkStatus, StatusCell};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) spool: Spool,
}

/// Fast enough for a test; the schedule itself is the same.
pub(crate) const QUICK: Retry = Retry {
    first: Duration::from_millis(5),
    most: Duration::from_millis(100),
    refused: Duration::from_hours(1),
    seed: 7,
};

impl Rig {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("spool"), Caps::default()).unwrap();
        Self { folder, spool }
    }

    /// Spools so many alerts, numbered.
    pub(crate) fn alerts(&mut self, numbers: std::ops::Range<usize>) -> Vec<String> {
        let lines: Vec<_> = numbers.clone().map(alert).collect();
        for chunk in lines.chunks(64) {
            self.spool.append(Queue::Alerts, chunk).unwrap();
        }
        numbers.map(id).collect()
    }

    /// Starts a delivery.
    pub(crate) fn start(&self, sink: &str, course: Course) -> Running {
        let settings: SinkSettings = toml::from_str(sink).unwrap();
        let reader = self.spool.reader(settings.name()).unwrap();
        let receiver = Receiver::new(&settings).unwrap();
        let dead_letters = DeadLetters::new(&self.folder.path().join("dead-letters"), settings.name());
        let delivery = Delivery::new(&settings, receiver, reader, dead_letters, QUICK);
        let status = delivery.status();
        let (go, heard) = watch::channel(course);
        Running { status, go, task: tokio::spawn(delivery.run(heard)) }
    }

    /// Delivers everything, and gives how that went.
    pub(crate) async fn deliver(&self, sink: &str) -> SinkStatus {
        let running = self.start(sink, Course::Drain);
        tokio::time::timeout(PATIENCE, running.task).await.expect("the delivery ends").unwrap();
        running.status.read()
    }

    pub(crate) fn dead_letters(&self, sink: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("dead-letters/{sink}.ndjson")))
            .unwrap_or_default()
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.spool.status().queues["alerts"].waiting
    }
}

pub(crate) struct Running {
    pub(crate) status: StatusCell,
    pub(crate) go: watch::Sender<Course>,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    /// Waits until the status is as asked.
    pub(crate) async fn until(&self, wanted: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        let polling = async {
            loop {
                let status = self.status.read();
                if wanted(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, polling)
            .await
            .unwrap_or_else(|_| panic!("the status stays {:?}", self.status.read()))
    }
}

pub(crate) fn id(number: usize) -> String {
    format!("0193-{number:08}")
}

/// An event of about the size of a real alert.
pub(crate) fn alert(number: usize) -> String {
    let id = id(number);
    let filler = "x".repeat(2_400);
    format!(
        r#"{{"schema":"tidemark.alert/1","id":"{id}","time":"2026-11-24T10:00:00.5Z","severity":"high","summary":"{filler}","host":{{"name":"mac"}}}}"#
    )
}

pub(crate) fn pki(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pki").join(name)
}

/// No test waits longer for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
