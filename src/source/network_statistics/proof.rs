//! The self-test: before this kernel's statistics are believed, a connection of our own must appear in them, and end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use thiserror::Error;

use super::message::{Fault, Message, Messages, Provider, Request};
use super::reader::{KernelSocket, LONGEST_DATAGRAM, Received};
use super::{Descriptor, Generation};
use crate::source::live::Clock;

/// A connection of our own over the loopback interface.
#[derive(Debug)]
pub struct OwnConnection {
    client: TcpStream,
    server: TcpStream,
    /// The two ends, the client's first.
    ends: (SocketAddr, SocketAddr),
}

impl OwnConnection {
    /// Connects to ourselves.
    ///
    /// # Errors
    /// Where the system does not let us.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        let ends = (client.local_addr()?, client.peer_addr()?);
        Ok(Self { client, server, ends })
    }

    /// The two ends, the client's first.
    pub fn ends(&self) -> (SocketAddr, SocketAddr) {
        self.ends
    }

    /// Ends it, the client first, so that it is the client's socket that waits and goes.
    pub fn close(self) {
        drop(self.client);
        drop(self.server);
    }
}

/// Why the statistics are not believed.
#[derive(Debug, Error)]
pub enum Doubt {
    /// The socket failed.
    #[error("its control socket failed: {0}")]
    Socket(#[from] io::Error),
    /// The kernel refused.
    #[error("the kernel refuses its TCP statistics (error {0})")]
    Refused(u32),
    /// A message cannot be read.
    #[error("{0}")]
    Unreadable(#[from] Fault),
    /// Our own connection did not appear.
    #[error("a connection of tidemark's own did not appear in it within {} s", PATIENCE.as_secs())]
    Missing,
    /// Our own connection appeared as somebody else's.
    #[error("a connection of tidemark's own (process {own}) appeared in it as that of process {other}")]
    Misattributed {
        /// Our process.
        own: i32,
        /// Whose it was said to be.
        other: i32,
    },
    /// Our own connection was not told to end.
    #[error("the end of a connection of tidemark's own did not appear in it within {} s", PATIENCE.as_secs())]
    Endless,
}

/// Makes sure that the statistics tell of a connection what is true; gives the layout that they have. The socket is used up.
///
/// `own` is our process; `connect` opens the connection, once everything is asked for.
///
/// # Errors
/// Where anything is otherwise than expected: then the next source of flows has to do.
pub fn prove(
    mut socket: impl KernelSocket,
    mut clock: impl Clock,
    own: i32,
    connect: impl FnOnce() -> io::Result<OwnConnection>,
) -> Result<Generation, Doubt> {
    let provider = Provider::TcpKernel;
    socket.send(&Request::AddAll { context: ADD, provider }.encode())?;
    let mut answered = false;
    listen(&mut socket, &mut clock, None, |message| match message {
        Message::Success { context: ADD, .. } => {
            answered = true;
            Ok(true)
        }
        Message::Error { context: ADD, errno } => Err(Doubt::Refused(errno)),
        _ => Ok(false),
    })?;
    if !answered {
        return Err(Doubt::Missing);
    }
    socket.nudge()?;
    let connection = connect()?;
    let ends = connection.ends();
    let is_own =
        |descriptor: &Descriptor<'_>| (descriptor.local, descriptor.remote) == (Some(ends.0), Some(ends.1));
    let mut found = None;
    listen(&mut socket, &mut clock, Some(POLL), |message| match message {
        Message::Update { source, descriptor, .. } if is_own(&descriptor) => {
            if descriptor.pid != own {
                return Err(Doubt::Misattributed { own, other: descriptor.pid });
            }
            found = Some((source, descriptor.generation));
            Ok(true)
        }
        _ => Ok(false),
    })?;
    let (reference, generation) = found.ok_or(Doubt::Missing)?;
    connection.close();
    let mut ended = false;
    listen(&mut socket, &mut clock, Some(POLL), |message| {
        ended |= matches!(message, Message::Update { source, is_closing: true, .. } if source == reference);
        Ok(ended)
    })?;
    if ended { Ok(generation) } else { Err(Doubt::Endless) }
}

/// Listens until `take` has what it wants or patience ends, with a poll again and again where one is given.
fn listen(
    socket: &mut impl KernelSocket,
    clock: &mut impl Clock,
    poll: Option<Request>,
    mut take: impl FnMut(Message<'_>) -> Result<bool, Doubt>,
) -> Result<(), Doubt> {
    let began = clock.now().steady;
    let mut polled: Option<Duration> = None;
    let mut buffer = vec![0; LONGEST_DATAGRAM];
    loop {
        let now = clock.now().steady;
        if now.saturating_sub(began) >= PATIENCE {
            return Ok(());
        }
        if let Some(request) = poll
            && polled.is_none_or(|polled| now.saturating_sub(polled) >= POLL_EVERY)
        {
            polled = Some(now);
            socket.send(&request.encode())?;
        }
        let Received::Datagram(length) = socket.receive(&mut buffer, POLL_EVERY)? else { continue };
        for message in Messages::new(buffer.get(..length).unwrap_or_default()) {
            // A poll in parts goes on; its end is of no interest here.
            let message = message?;
            if let (Message::Success { is_partial: true, .. }, Some(request)) = (message, poll) {
                socket.send(&request.encode())?;
            }
            if take(message)? {
                return Ok(());
            }
        }
    }
}

/// Names the request for sources.
const ADD: u64 = 1;
/// Asks for what there is, since macOS 13 tells of no connection when it begins.
const POLL: Request = Request::Poll { context: 2 };
const POLL_EVERY: Duration = Duration::from_millis(200);
/// How long each step may take. On a Mac they take milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
