//! The target that a SOCKS proxy is asked for (RFC 1928, sections 3 to 6; RFC 1929; the memos on SOCKS 4 and 4a), and where what passes
//! through it begins.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Conversation, Notes, Progress};
use crate::cursor::Cursor;

/// Reads both ends' negotiation. Once the request is read, what passes inside begins with the next byte of either end.
pub(super) fn read(conversation: &Conversation<'_>, notes: &mut Notes<'_>) -> Progress {
    let (mut client, mut server) = (Cursor::new(conversation.client), Cursor::new(conversation.server));
    let target = match client.peek() {
        Some(4) => version_4(&mut client),
        _ => version_5(&mut client, &mut server),
    };
    let Some(target) = target else { return Progress::More };
    if notes.read().is_none_or(|metadata| metadata.proxied_to.is_none()) {
        let target = notes.host(target.as_bytes());
        notes.write().proxied_to = target;
    }
    let answered = if conversation.client.first() == Some(&4) { server.skip(8) } else { reply(&mut server) };
    if answered.is_none() {
        return Progress::More;
    }
    Progress::Inside {
        client: conversation.client.len() - client.remaining(),
        server: conversation.server.len() - server.remaining(),
    }
}

fn version_4(client: &mut Cursor<'_>) -> Option<String> {
    client.skip(2)?;
    let port = client.u16_be()?;
    let address = client.array::<4>()?;
    zero_ended(client)?;
    // 4a: an address 0.0.0.x says that a host follows.
    if let [0, 0, 0, 1..=255] = address {
        let host = zero_ended(client)?;
        return Some(format!("{}:{port}", String::from_utf8_lossy(host)));
    }
    Some(format!("{}:{port}", Ipv4Addr::from(address)))
}

fn version_5(client: &mut Cursor<'_>, server: &mut Cursor<'_>) -> Option<String> {
    client.skip(1)?;
    let methods = usize::from(client.u8()?);
    client.skip(methods)?;
    server.skip(1)?;
    if server.u8()? == USER_AND_PASSWORD {
        client.skip(1)?;
        let user = usize::from(client.u8()?);
        client.skip(user)?;
        let password = usize::from(client.u8()?);
        client.skip(password)?;
        server.skip(2)?;
    }
    client.expect(&[5])?;
    client.skip(2)?;
    address(client)
}

fn reply(server: &mut Cursor<'_>) -> Option<()> {
    server.skip(3)?;
    address(server).map(drop)
}

/// An address type, an address, a port.
fn address(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    match cursor.u8()? {
        1 => drop(write!(text, "{}", Ipv4Addr::from(cursor.array::<4>()?))),
        3 => {
            let length = usize::from(cursor.u8()?);
            text.push_str(&String::from_utf8_lossy(cursor.take(length)?));
        }
        4 => drop(write!(text, "[{}]", Ipv6Addr::from(cursor.array::<16>()?))),
        _ => return None,
    }
    let _ = write!(text, ":{}", cursor.u16_be()?);
    Some(text)
}

fn zero_ended<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let end = cursor.rest().iter().position(|byte| *byte == 0)?;
    let text = cursor.take(end)?;
    cursor.skip(1)?;
    Some(text)
}

/// RFC 1929.
const USER_AND_PASSWORD: u8 = 2;
