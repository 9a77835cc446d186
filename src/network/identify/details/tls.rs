//! What the hellos of TLS show.

use std::borrow::Cow;

use super::client_hello::{ClientHello, SUPPORTED_VERSIONS, version_text};
use super::ja4::Carrier;
use super::{Conversation, Notes, Progress};
use crate::cursor::Cursor;

/// Reads the client's hello, then the version that the server chose.
pub(super) fn read(conversation: &Conversation<'_>, notes: &mut Notes<'_>) -> Progress {
    // In a flow whose beginning was not seen the ends may be confused.
    let swapped = Handshake::read(conversation.server).is_some_and(|message| message.kind == CLIENT_HELLO);
    let (client, server) = if swapped {
        (conversation.server, conversation.client)
    } else {
        (conversation.client, conversation.server)
    };
    if notes.read().is_none_or(|metadata| metadata.ja4.is_none()) {
        match Handshake::read(client) {
            Some(message) if message.kind == CLIENT_HELLO => {
                if !message.whole && !conversation.last {
                    return Progress::More;
                }
                if let Some(hello) = ClientHello::parse(&message.body, false) {
                    hello.note(Carrier::Tcp, notes);
                }
            }
            None if !conversation.last && (client.is_empty() || is_unfinished_handshake(client)) => {
                if server.len() >= ENOUGH {
                    return Progress::Complete;
                }
                return Progress::More;
            }
            _ => {}
        }
    }
    match Handshake::read(server) {
        Some(message) if message.kind == SERVER_HELLO => {
            let Some(version) = chosen_version(&message.body).and_then(version_text) else {
                return Progress::Complete;
            };
            if notes.read().and_then(|metadata| metadata.tls_version.as_deref()) != Some(version) {
                let version = notes.texts.share(version);
                notes.write().tls_version = Some(version);
            }
            Progress::Complete
        }
        None if server.is_empty() || is_unfinished_handshake(server) => Progress::More,
        _ => Progress::Complete,
    }
}

/// The first handshake message of a stream.
struct Handshake<'a> {
    kind: u8,
    /// What came of its body.
    body: Cow<'a, [u8]>,
    /// Whether that is all of it.
    whole: bool,
}

impl<'a> Handshake<'a> {
    /// Reads a message that may be spread over records; `None` where the stream does not begin with one, or too little came.
    fn read(stream: &'a [u8]) -> Option<Self> {
        let mut records = Cursor::new(stream);
        let first = record(&mut records)?;
        let mut header = Cursor::new(first);
        let (Some(kind), Some(length)) = (header.u8(), header.u24_be()) else {
            return Self::gather(stream);
        };
        let length = usize::try_from(length).ok()?;
        match header.rest().get(..length) {
            Some(body) => Some(Self { kind, body: Cow::Borrowed(body), whole: true }),
            None if records.is_empty() => {
                Some(Self { kind, body: Cow::Borrowed(header.rest()), whole: false })
            }
            None => Self::gather(stream),
        }
    }

    /// Puts the parts of a message together: an old trick against inspection is to spread it over many records.
    fn gather(stream: &[u8]) -> Option<Self> {
        let mut records = Cursor::new(stream);
        let mut parts = Vec::new();
        while let Some(part) = record(&mut records) {
            parts.extend_from_slice(part);
        }
        let mut header = Cursor::new(&parts);
        let kind = header.u8()?;
        let length = usize::try_from(header.u24_be()?).ok()?;
        let body = header.rest();
        let whole = body.len() >= length;
        Some(Self { kind, body: Cow::Owned(body.get(..length).unwrap_or(body).to_vec()), whole })
    }
}

/// The contents of the next handshake record, as far as they came.
fn record<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if cursor.peek() != Some(HANDSHAKE) {
        return None;
    }
    cursor.skip(3)?;
    let length = usize::from(cursor.u16_be()?);
    Some(cursor.take(length.min(cursor.remaining())).unwrap_or_default())
}

/// Whether a handshake record has begun whose message cannot be read yet.
fn is_unfinished_handshake(stream: &[u8]) -> bool {
    stream.first() == Some(&HANDSHAKE)
}

/// The version of a `ServerHello`: from 1.3 on it stands in an extension (RFC 8446, section 4.2.1).
fn chosen_version(body: &[u8]) -> Option<u16> {
    let mut cursor = Cursor::new(body);
    let version = cursor.u16_be()?;
    let extended = || -> Option<u16> {
        cursor.skip(32)?;
        let session = usize::from(cursor.u8()?);
        cursor.skip(session + 3)?;
        let length = usize::from(cursor.u16_be()?);
        let mut extensions = Cursor::new(cursor.rest().get(..length).unwrap_or(cursor.rest()));
        loop {
            let kind = extensions.u16_be()?;
            let length = usize::from(extensions.u16_be()?);
            let mut contents = extensions.part(length)?;
            if kind == SUPPORTED_VERSIONS {
                return contents.u16_be();
            }
        }
    };
    let mut extended = extended;
    Some(extended().unwrap_or(version))
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Bytes of a server that has said all that it says before its client.
const ENOUGH: usize = 128;
