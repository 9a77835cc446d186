//! Method, host and user agent of the first HTTP request (RFC 9110, 9112), and where what passes through a proxy begins.

use std::net::IpAddr;

use super::super::recognise::text as lines;
use super::{Conversation, Notes, Progress, Protocol};

/// Reads the first request; a `CONNECT` or an upgrade also waits for what the server says to it.
pub(super) fn read(conversation: &Conversation<'_>, notes: &mut Notes<'_>) -> Progress {
    let swapped = is_answer(conversation.client);
    let (client, server) = if swapped {
        (conversation.server, conversation.client)
    } else {
        (conversation.client, conversation.server)
    };
    if client.is_empty() || is_answer(client) {
        return Progress::Complete;
    }
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let end = match request.parse(client) {
        Ok(httparse::Status::Complete(end)) => Some(end),
        Ok(httparse::Status::Partial) if !conversation.last => return Progress::More,
        // What was read of an unfinished or odd head is still worth keeping.
        Ok(httparse::Status::Partial) | Err(_) => None,
    };
    let (method, target) = match (request.method, request.path) {
        (Some(method), Some(target)) => (method.as_bytes(), target.as_bytes()),
        _ => start_line(client),
    };
    if notes.read().is_none_or(|metadata| metadata.http_method.is_none()) {
        note(method, target, |name| header(&request, client, name), notes);
    }
    let Some(end) = end else { return Progress::Complete };
    let upgrade = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("upgrade"));
    if method != b"CONNECT" && upgrade.is_none() {
        return Progress::Complete;
    }
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    match (answer.parse(server), answer.code) {
        (Ok(httparse::Status::Complete(answered)), Some(200..=299)) if method == b"CONNECT" => {
            if swapped {
                Progress::Inside { client: answered, server: end }
            } else {
                Progress::Inside { client: end, server: answered }
            }
        }
        (Ok(httparse::Status::Complete(_)), Some(101)) => match upgrade.map(|header| header.value) {
            Some(value) if value.eq_ignore_ascii_case(b"websocket") => {
                Progress::Upgraded(Protocol::Websocket)
            }
            Some(value) if value.eq_ignore_ascii_case(b"h2c") => Progress::Upgraded(Protocol::Http2),
            _ => Progress::Complete,
        },
        (Ok(httparse::Status::Partial), _) => Progress::More,
        _ => Progress::Complete,
    }
}

fn note<'a>(method: &[u8], target: &[u8], header: impl Fn(&str) -> Option<&'a [u8]>, notes: &mut Notes<'_>) {
    let http_method = notes.shown(method);
    let user_agent = header("user-agent").and_then(|agent| notes.shown(agent));
    let authority = if method == b"CONNECT" { Some(target) } else { absolute_authority(target) };
    let proxied_to = authority.map(|authority| {
        // A target with a host in it is what only proxies are asked for (RFC 9112, sections 3.2.2 and 3.2.3).
        let ported = without_port(authority) != authority;
        let with_port = if ported { authority.to_vec() } else { [authority, b":80"].concat() };
        notes.host(&with_port)
    });
    let http_host = header("host").or(authority).and_then(|host| notes.host(host));
    let name = authority.or_else(|| header("host")).map(without_port).and_then(|host| notes.host(host));
    let metadata = notes.write();
    (metadata.http_method, metadata.user_agent, metadata.http_host) = (http_method, user_agent, http_host);
    if let Some(proxied_to) = proxied_to {
        metadata.proxied_to = proxied_to;
    }
    metadata.server_name = name.filter(|name| name.trim_matches(['[', ']']).parse::<IpAddr>().is_err());
}

/// A header's value: as it was parsed, or else, where the head is too odd for that, from its line.
fn header<'a>(request: &httparse::Request<'_, 'a>, head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let parsed = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value);
    parsed.or_else(|| {
        lines::lines(head).skip(1).take_while(|line| !line.is_empty()).find_map(|line| {
            let value = line.get(name.len()..)?.strip_prefix(b":")?;
            lines::begins(line, name.as_bytes()).then_some(value.trim_ascii())
        })
    })
}

fn start_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let line = lines::line(bytes).unwrap_or(bytes);
    let Some((method, rest)) = lines::word(line) else { return (&[], &[]) };
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    (method, rest.get(..end).unwrap_or_default())
}

/// Host and port of a target in absolute form.
fn absolute_authority(target: &[u8]) -> Option<&[u8]> {
    let rest = target.get(b"http://".len()..).filter(|_| lines::begins(target, b"http://"))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    rest.get(..end).filter(|authority| !authority.is_empty())
}

/// The host of an authority; an IPv6 address keeps its brackets.
fn without_port(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|byte| *byte == b':') {
        Some(colon) if authority.get(colon + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit)) => {
            authority.get(..colon).unwrap_or(authority)
        }
        _ => authority,
    }
}

fn is_answer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/")
}

/// Headers that are read.
const MOST_HEADERS: usize = 64;
