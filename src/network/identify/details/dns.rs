//! Question and answers of DNS (RFC 1035, section 4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Conversation, Notes, Progress, text};
use crate::cursor::Cursor;

/// The addresses that an answer gave to the name that was asked for.
#[derive(Debug, Default)]
pub(in super::super) struct Answers {
    /// The name.
    pub(in super::super) name: Option<Arc<str>>,
    /// Its addresses.
    pub(in super::super) addresses: SmallVec<[IpAddr; 4]>,
}

/// Reads one message. A flow of DNS stays interesting, since every answer names later flows.
pub(super) fn read(message: &[u8], notes: &mut Notes<'_>, answers: &mut Answers) -> Progress {
    // A message that cannot be read to its end shows what came before that.
    let _ = read_message(message, notes, answers);
    Progress::More
}

/// Reads the first message of either end behind its length (RFC 1035, section 4.2.2).
pub(super) fn read_stream(
    conversation: &Conversation<'_>,
    notes: &mut Notes<'_>,
    answers: &mut Answers,
) -> Progress {
    let mut whole = true;
    for bytes in [conversation.client, conversation.server] {
        let mut cursor = Cursor::new(bytes);
        let message = cursor.u16_be().and_then(|length| cursor.take(usize::from(length)));
        match message {
            Some(message) => {
                let _ = read_message(message, notes, answers);
            }
            None if conversation.last => {
                let _ = read_message(cursor.rest(), notes, answers);
            }
            None => whole = false,
        }
    }
    if whole { Progress::Complete } else { Progress::More }
}

fn read_message(message: &[u8], notes: &mut Notes<'_>, answers: &mut Answers) -> Option<()> {
    let mut cursor = Cursor::new(message);
    cursor.skip(2)?;
    let response = cursor.u16_be()? & 0x8000 != 0;
    let questions = cursor.u16_be()?;
    let records = cursor.u16_be()?;
    cursor.skip(4)?;
    let mut asked = None;
    for _ in 0..questions.min(MOST_QUESTIONS) {
        let name = read_name(message, &mut cursor)?;
        cursor.skip(4)?;
        asked = asked.or(Some(name));
    }
    // A resolver's flow has many questions, and only the first is kept: the others become text only where they name addresses.
    if notes.read().is_none_or(|metadata| metadata.dns_query.is_none())
        && let Some(question) = asked.as_deref().and_then(text::host)
    {
        notes.write().dns_query = Some(question);
    }
    if !response {
        return Some(());
    }
    // The first answer is kept with the flow; all of them name addresses.
    let keep = notes.read().is_none_or(|metadata| metadata.dns_answers.is_empty());
    let mut texts = Vec::new();
    for _ in 0..records.min(MOST_ANSWERS) {
        let Some(answer) = read_answer(message, &mut cursor, keep) else { break };
        if let Answer::Address(address) = answer {
            answers.addresses.push(address);
        }
        if keep && let Some(text) = answer.shown() {
            texts.push(text);
        }
    }
    if !answers.addresses.is_empty() {
        answers.name = asked.as_deref().and_then(text::host);
    }
    if !texts.is_empty() {
        notes.write().dns_answers = texts;
    }
    Some(())
}

/// What a record says.
enum Answer {
    Address(IpAddr),
    Name(Name),
    Text(String),
    Other,
}

impl Answer {
    fn shown(&self) -> Option<Arc<str>> {
        match self {
            Self::Address(address) => Some(address.to_string().into()),
            Self::Name(name) => text::host(name),
            Self::Text(text) => text::shown(text.as_bytes()),
            Self::Other => None,
        }
    }
}

/// Reads a record: one that names no address only where it is wanted.
fn read_answer<'a>(message: &'a [u8], cursor: &mut Cursor<'a>, wants_all: bool) -> Option<Answer> {
    skip_name(cursor)?;
    let kind = cursor.u16_be()?;
    cursor.skip(6)?;
    let length = usize::from(cursor.u16_be()?);
    let mut data = cursor.part(length)?;
    let answer = match kind {
        1 => data.array::<4>().map(|octets| Answer::Address(Ipv4Addr::from(octets).into())),
        28 => data.array::<16>().map(|octets| Answer::Address(Ipv6Addr::from(octets).into())),
        _ if !wants_all => None,
        2 | 5 | 12 | 39 => read_name(message, &mut data).map(Answer::Name),
        15 => data.skip(2).and_then(|()| read_name(message, &mut data)).map(Answer::Name),
        33 => data.skip(4).and_then(|()| {
            let port = data.u16_be()?;
            let target = read_name(message, &mut data)?;
            Some(Answer::Text(format!("{}:{port}", String::from_utf8_lossy(&target))))
        }),
        16 => data.u8().map(|length| {
            let length = usize::from(length).min(data.remaining());
            Answer::Text(text::replaced(data.take(length).unwrap_or_default()))
        }),
        _ => None,
    };
    Some(answer.unwrap_or(Answer::Other))
}

/// A name as text without its last dot.
type Name = SmallVec<[u8; 64]>;

/// Reads a name with its pointers (RFC 1035, section 4.1.4). A pointer must lead backwards, so that reading ends.
fn read_name<'a>(message: &'a [u8], cursor: &mut Cursor<'a>) -> Option<Name> {
    let mut name = Name::new();
    let mut at = *cursor;
    let mut jumped = false;
    let mut limit = message.len();
    loop {
        match at.u8()? {
            0 => break,
            length @ 1..=63 => {
                if name.len() + usize::from(length) > LONGEST_NAME {
                    return None;
                }
                if !name.is_empty() {
                    name.push(b'.');
                }
                name.extend_from_slice(at.take(usize::from(length))?);
            }
            high @ 0xc0.. => {
                let target = usize::from(high & 0x3f) << 8 | usize::from(at.u8()?);
                if !std::mem::replace(&mut jumped, true) {
                    *cursor = at;
                }
                if target >= limit {
                    return None;
                }
                limit = target;
                at = Cursor::new(message.get(target..)?);
            }
            _ => return None,
        }
    }
    if !jumped {
        *cursor = at;
    }
    Some(name)
}

/// Moves past a name without reading what it points to.
fn skip_name(cursor: &mut Cursor<'_>) -> Option<()> {
    loop {
        match cursor.u8()? {
            0 => return Some(()),
            length @ 1..=63 => cursor.skip(usize::from(length))?,
            0xc0.. => return cursor.skip(1),
            _ => return None,
        }
    }
}

const MOST_QUESTIONS: u16 = 8;
/// Answers that are read; a message of 4 KiB holds no more addresses worth naming.
const MOST_ANSWERS: u16 = 32;
/// RFC 1035, section 2.3.4.
const LONGEST_NAME: usize = 255;
