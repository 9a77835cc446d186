//! A person's end of the control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::{Answer, Answered, Asked, Request, SOCKET, VERSION};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody is there.
    #[error("no daemon runs with this state: {path}: {source}")]
    Absent {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The caller may not ask.
    #[error("{0} is for root and for the daemon's own user: try with sudo")]
    Denied(PathBuf),
    /// The daemon ended before it answered.
    #[error("the daemon has ended")]
    Ended,
    /// The connection broke, or what came is no answer.
    #[error("the daemon gave no answer: {0}")]
    Broken(io::Error),
    /// It answered that it did not.
    #[error("{0}")]
    Refused(String),
}

impl From<io::Error> for ControlError {
    /// A daemon that ends closes its end, before or after it has read what it was asked.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => Self::Ended,
            _ => Self::Broken(error),
        }
    }
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the daemon that has this state.
    ///
    /// # Errors
    /// Where nobody listens, or the caller may not connect.
    pub fn connect(state: &Path) -> Result<Self, ControlError> {
        let path = state.join(SOCKET);
        let stream = UnixStream::connect(&path).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ControlError::Denied(path),
            _ => ControlError::Absent { path, source },
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Waits so long for an answer.
    ///
    /// # Errors
    /// Where the connection is broken.
    pub fn patience(&mut self, patience: Duration) -> Result<(), ControlError> {
        Ok(self.stream.get_ref().set_read_timeout(Some(patience))?)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Where there is none, or it is that the thing was not done.
    pub fn ask(&mut self, request: Request) -> Result<Value, ControlError> {
        let asked = Asked { version: VERSION, request };
        let line = serde_json::to_string(&asked).map_err(io::Error::from)? + "\n";
        // A daemon that turns us away may have closed its end already; what it said is still to be read.
        let sent = self.stream.get_mut().write_all(line.as_bytes());
        let line = match (self.next_line(), sent) {
            (Ok(Some(line)), _) => line,
            (Err(error), _) | (Ok(None), Err(error)) => return Err(error.into()),
            (Ok(None), Ok(())) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        };
        let answered: Answered = serde_json::from_str(&line).map_err(io::Error::from)?;
        match answered.answer {
            Answer::Ok(value) => Ok(value),
            Answer::Error(why) => Err(ControlError::Refused(why)),
        }
    }

    /// Asks for findings, and gives each as a line. It waits for the next as long as that takes.
    ///
    /// # Errors
    /// Where the daemon does not answer.
    pub fn tail(mut self) -> Result<impl Iterator<Item = io::Result<String>>, ControlError> {
        self.ask(Request::Tail)?;
        self.stream.get_ref().set_read_timeout(None)?;
        Ok(std::iter::from_fn(move || self.next_line().transpose()))
    }

    /// Without its end; none where the daemon closed.
    fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }
}

/// Longer than the daemon waits for its engine.
const PATIENCE: Duration = Duration::from_secs(15);
