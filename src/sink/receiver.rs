//! Any receiver, made from its settings.

use tokio::io::AsyncWriteExt;

use thiserror::Error;

use super::event::Event;
use super::file::FileSink;
use super::http::{HttpError, HttpSink};
use super::outcome::Outcome;
use super::settings::SinkSettings;
use super::syslog::{SyslogError, SyslogSink};

/// Where events go.
#[derive(Debug)]
pub enum Receiver {
    /// A file.
    File(FileSink),
    /// Standard output.
    Stdout,
    /// HTTP.
    Http(Box<HttpSink>),
    /// Syslog.
    Syslog(Box<SyslogSink>),
}

/// A sink cannot be made.
#[derive(Debug, Error)]
#[error("sink {name:?}: {why}")]
pub struct SinkError {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub why: Wrong,
}

/// What is wrong with a sink.
#[derive(Debug, Error)]
pub enum Wrong {
    /// An HTTP sink.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A syslog sink.
    #[error(transparent)]
    Syslog(#[from] SyslogError),
}

impl Receiver {
    /// Makes a receiver; nothing is sent yet.
    ///
    /// # Errors
    /// Where a setting or a file that it names cannot be used.
    pub fn new(settings: &SinkSettings) -> Result<Self, SinkError> {
        let http = |made: Result<HttpSink, HttpError>| Ok(Self::Http(Box::new(made?)));
        let made = match settings {
            SinkSettings::File(file) => Ok(Self::File(FileSink::new(file))),
            SinkSettings::Stdout(_) => Ok(Self::Stdout),
            SinkSettings::Hec(hec) => http(HttpSink::hec(hec)),
            SinkSettings::Elastic(elastic) => http(HttpSink::elastic(elastic)),
            SinkSettings::Webhook(webhook) => http(HttpSink::webhook(webhook)),
            SinkSettings::Syslog(syslog) => {
                SyslogSink::new(syslog).map(|sink| Self::Syslog(Box::new(sink))).map_err(Wrong::from)
            }
        };
        made.map_err(|why| SinkError { name: settings.name().to_owned(), why })
    }

    /// Sends events in one attempt.
    pub async fn deliver(&mut self, events: &[Event]) -> Outcome {
        match self {
            Self::File(file) => file.deliver(events),
            Self::Stdout => print(events).await,
            Self::Http(http) => http.deliver(events).await,
            Self::Syslog(syslog) => syslog.deliver(events).await,
        }
    }
}

async fn print(events: &[Event]) -> Outcome {
    let mut bytes = Vec::new();
    for event in events {
        bytes.extend_from_slice(event.line.as_bytes());
        bytes.push(b'\n');
    }
    let mut stdout = tokio::io::stdout();
    let written = match stdout.write_all(&bytes).await {
        Ok(()) => stdout.flush().await,
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => Outcome::Delivered,
        // Nobody will read it again: a later try would wait for ever.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Outcome::Refused("standard output was closed".to_owned())
        }
        Err(error) => Outcome::later(format!("cannot write to standard output: {error}")),
    }
}
