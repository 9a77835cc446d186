//! The daemon's end of the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast};
use tokio::time::timeout;

use super::{Answer, Asked, Desk, MOST_LINE, Request, VERSION};

/// Makes the socket, in place of one that a daemon before left: the state's folder belongs to one daemon at a time, which the caller has made
/// sure of.
///
/// # Errors
/// Where it cannot be made: a socket's path has at most 103 bytes.
pub(in crate::daemon) fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // Who connects before this is turned away by its user.
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}

/// Answers clients, for ever.
pub(in crate::daemon) async fn serve(listener: UnixListener, desk: Desk) {
    let own = rustix::process::geteuid().as_raw();
    serve_users(listener, desk, move |uid| uid == 0 || uid == own).await;
}

/// As [`serve`], for the users that `may` names.
pub(super) async fn serve_users(
    listener: UnixListener,
    desk: Desk,
    may: impl Fn(u32) -> bool + Send + Sync + 'static,
) {
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others may end meanwhile.
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let allowed = stream.peer_cred().is_ok_and(|peer| may(peer.uid()));
        if !allowed {
            tracing::warn!("another user was turned away from the control socket");
            say(&stream, "this socket is for root and for the daemon's own user");
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            say(&stream, "too many clients; try again");
            continue;
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            // A client that goes in the middle of a word is no event.
            let _ = converse(stream, &desk).await;
            drop(place);
        });
    }
}

/// One line for a client that is not served, as far as its buffer takes it at once.
fn say(stream: &UnixStream, why: &str) {
    // It is told as a courtesy.
    let _ = stream.try_write(Answer::Error(why.to_owned()).to_line().as_bytes());
}

async fn converse(stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let line = match timeout(PATIENCE, next_line(&mut reading)).await?? {
            Line::Whole(line) => line,
            Line::Ended => return Ok(()),
            Line::TooLong => {
                return write(&mut writing, &Answer::Error("the line is too long".to_owned())).await;
            }
        };
        match serde_json::from_slice::<Asked>(&line) {
            Ok(Asked { version: VERSION, request: Request::Tail }) => {
                // From here on the client hears of every finding, those of this very moment included.
                let findings = desk.findings.subscribe();
                write(&mut writing, &desk.answer(Request::Tail).await).await?;
                return tail(findings, reading, writing).await;
            }
            Ok(Asked { version: VERSION, request }) => {
                write(&mut writing, &desk.answer(request).await).await?;
            }
            Ok(Asked { version, .. }) => {
                let why = format!("version {version} is not spoken here, {VERSION} is");
                write(&mut writing, &Answer::Error(why)).await?;
            }
            Err(error) => {
                // Whoever speaks something else is not listened to any longer.
                return write(&mut writing, &Answer::Error(format!("not a request: {error}"))).await;
            }
        }
    }
}

enum Line {
    Whole(Vec<u8>),
    Ended,
    TooLong,
}

async fn next_line(reading: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Line> {
    let mut line = Vec::new();
    reading.take(MOST_LINE).read_until(b'\n', &mut line).await?;
    Ok(match line.last() {
        Some(b'\n') => Line::Whole(line),
        Some(_) if line.len() as u64 >= MOST_LINE => Line::TooLong,
        _ => Line::Ended,
    })
}

async fn tail(
    mut findings: broadcast::Receiver<Arc<str>>,
    mut reading: impl AsyncBufRead + Unpin,
    mut writing: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    loop {
        // Nothing more is asked on this connection: whatever comes, or its end, ends it.
        let finding = tokio::select! {
            finding = findings.recv() => finding,
            _ = reading.fill_buf() => return Ok(()),
        };
        let line = match finding {
            Ok(line) => format!("{line}\n"),
            Err(broadcast::error::RecvError::Lagged(missed)) => format!("{{\"missed\":{missed}}}\n"),
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        };
        timeout(PATIENCE, writing.write_all(line.as_bytes())).await??;
    }
}

async fn write(writing: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    timeout(PATIENCE, writing.write_all(answer.to_line().as_bytes())).await?
}

/// How long a client may take to say a line, and to read an answer. A screen that shows the status asks every second.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clients at one time: several people, a monitoring agent and the MDM's agent.
const MOST_CLIENTS: usize = 32;
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// For the owner alone.
const MODE: u32 = 0o600;
