//! From values to exceptions: what is kept is what can be meant.

use std::path::Path;
use std::sync::Arc;

use super::condition::{Condition, Trait, User, Whose};
use super::fields::{Fault, Fields, nearest, parsed, text};
use super::node::{Data, Node};
use super::pattern::{Domain, Glob, Network, WEEKDAYS, Window, bytes, hours, zone};
use super::{Action, Day, Exception, Policy, Source};
use crate::detect::Channel;
use crate::network::Protocol;

/// The exceptions of a document, or everything that is wrong with it: at most one fault for each exception.
pub(super) fn document(node: Node, path: &Arc<Path>, policy: Policy) -> Result<Vec<Exception>, Vec<Wrong>> {
    let unnamed = |fault| vec![Wrong { id: None, fault }];
    let mut fields = Fields::of(node, "", &["exception"]).map_err(unnamed)?;
    let Some(node) = fields.take("exception") else { return Ok(Vec::new()) };
    let Data::List(tables) = node.data else {
        return Err(unnamed(Fault::new(
            node.line,
            "exceptions are tables; write [[exception]] with two brackets",
        )));
    };
    let (mut exceptions, mut wrong) = (Vec::new(), Vec::new());
    for table in tables {
        let id = id_of(&table);
        match exception(table, path, policy) {
            Ok(exception) => exceptions.push(exception),
            Err(fault) => wrong.push(Wrong { id, fault }),
        }
    }
    if wrong.is_empty() { Ok(exceptions) } else { Err(wrong) }
}

/// A fault and the exception in which it stands.
pub(super) struct Wrong {
    pub(super) id: Option<String>,
    pub(super) fault: Fault,
}

fn id_of(node: &Node) -> Option<String> {
    let Data::Table(entries) = &node.data else { return None };
    entries.iter().find_map(|entry| match &entry.value.data {
        Data::Text(id) if entry.key == "id" => Some(id.clone()),
        _ => None,
    })
}

fn exception(node: Node, path: &Arc<Path>, policy: Policy) -> Result<Exception, Fault> {
    let mut fields = Fields::of(node, "", &KEYS)?;
    let line = fields.line();
    let (id, id_line) = fields.required("id")?;
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(Fault::new(id_line, "the id must be letters, digits, '-', '_' or '.'"));
    }
    let owner = said(&mut fields, "owner", "say who answers for it")?;
    let reason = said(&mut fields, "reason", "say why it is accepted")?;
    let ticket = fields.text("ticket")?.map(|(text, _)| text);
    let (created, _) = day(&mut fields, "created")?
        .ok_or_else(|| Fault::new(line, "`created` is missing; write created = 2026-12-31"))?;
    let expires = match day(&mut fields, "expires")? {
        Some((expires, at)) if expires < created => {
            return Err(Fault::new(
                at,
                format!("it expires on {expires}, before it was created on {created}"),
            ));
        }
        Some((expires, _)) => Some(expires),
        None if policy.require_expiry => {
            return Err(Fault::new(
                line,
                "`expires` is missing; every exception ends (or set require_expiry = false under [exceptions])",
            ));
        }
        None => None,
    };
    let channels = channels(&mut fields)?;
    let (action, action_line) = action(&mut fields)?;
    let learn = fields.flag("learn")?;
    if learn && action == Action::Lower {
        return Err(Fault::new(
            action_line,
            "learn = true says that it is normal and action = \"lower\" that it is to be seen; choose one",
        ));
    }
    let hourly_limit = limits(&mut fields)?;
    let scope = fields
        .take("match")
        .ok_or_else(|| Fault::new(line, "`match` is missing; name at least the image"))?;
    let match_line = scope.line.or(line);
    let conditions = conditions(scope)?;
    if !conditions.iter().any(Condition::binds) {
        return Err(Fault::new(
            match_line,
            "match names neither a program nor a destination, so it would cover nearly everything; name at least the image",
        ));
    }
    let source = Source { path: Arc::clone(path), line };
    Ok(Exception {
        id,
        owner,
        reason,
        ticket,
        created,
        expires,
        channels,
        learn,
        action,
        hourly_limit,
        conditions,
        source,
    })
}

fn said(fields: &mut Fields, key: &str, step: &str) -> Result<String, Fault> {
    let (text, line) = fields.required(key)?;
    if text.trim().is_empty() {
        return Err(Fault::new(line, format!("`{key}` is empty; {step}")));
    }
    Ok(text)
}

fn day(fields: &mut Fields, key: &str) -> Result<Option<(Day, Option<usize>)>, Fault> {
    let Some(node) = fields.take(key) else { return Ok(None) };
    let (Data::Date(written) | Data::Text(written)) = &node.data else {
        let what = format!("`{key}` must be a date, not {}; write {key} = 2026-12-31", node.data.kind());
        return Err(Fault::new(node.line, what));
    };
    // A property list knows only moments, and an organisation means the day.
    let date = written.split(['T', ' ']).next().unwrap_or_default();
    match date.parse() {
        Ok(date) => Ok(Some((Day(date), node.line))),
        Err(_) => {
            Err(Fault::new(node.line, format!("`{key}`: {written} is no date; write {key} = 2026-12-31")))
        }
    }
}

fn channels(fields: &mut Fields) -> Result<Vec<Channel>, Fault> {
    let mut seen = Vec::new();
    let listed = fields.list("channels", |name, node| {
        let line = node.line;
        let channel = parsed(name, node, |label| {
            let known = CHANNELS.iter().find(|channel| channel.label() == label);
            known.copied().ok_or_else(|| no_such("channel", label, CHANNELS.iter().map(|c| c.label())))
        })?;
        if seen.contains(&channel) {
            return Err(Fault::new(line, format!("the channel {} stands twice", channel.label())));
        }
        seen.push(channel);
        Ok(channel)
    })?;
    Ok(listed.unwrap_or_else(|| CHANNELS.to_vec()))
}

fn action(fields: &mut Fields) -> Result<(Action, Option<usize>), Fault> {
    let Some((label, line)) = fields.text("action")? else { return Ok((Action::Suppress, None)) };
    let action = match label.as_str() {
        "suppress" => Action::Suppress,
        "lower" => Action::Lower,
        _ => return Err(Fault::new(line, no_such("action", &label, ["suppress", "lower"].into_iter()))),
    };
    Ok((action, line))
}

fn limits(fields: &mut Fields) -> Result<Option<u64>, Fault> {
    let Some(node) = fields.take("limits") else { return Ok(None) };
    let mut fields = Fields::of(node, "limits.", &["bytes_out_per_hour"])?;
    let Some(node) = fields.take("bytes_out_per_hour") else {
        return Err(Fault::new(fields.line(), "limits is empty; write limits.bytes_out_per_hour = \"50MB\""));
    };
    let limit = match &node.data {
        Data::Integer(number) => u64::try_from(*number).ok(),
        Data::Text(text) => bytes(text),
        _ => None,
    };
    match limit {
        Some(0) => {
            Err(Fault::new(node.line, "a limit of no bytes would cover nothing; leave the exception out"))
        }
        Some(limit) => Ok(Some(limit)),
        None => Err(Fault::new(
            node.line,
            "`limits.bytes_out_per_hour` is a whole number of bytes, or as \"50MB\" or \"50MiB\"",
        )),
    }
}

fn conditions(node: Node) -> Result<Vec<Condition>, Fault> {
    let mut fields = Fields::of(node, "match.", &MATCH_KEYS)?;
    let mut conditions = Vec::new();
    for whose in [Whose::Image, Whose::Initiator, Whose::Application] {
        if let Some(node) = fields.take(whose.key()) {
            program(whose, node, &mut conditions)?;
        }
    }
    if let Some(node) = fields.take("script") {
        script(node, &mut conditions)?;
    }
    if let Some(globs) = fields.list("arguments", |name, node| parsed(name, node, Glob::argument))? {
        conditions.push(Condition::Arguments(globs));
    }
    if let Some(users) = fields.list("user", user)? {
        conditions.push(Condition::User(users));
    }
    let protocols = fields.list("protocol", |name, node| {
        parsed(name, node, |label| {
            label.parse::<Protocol>().map_err(|_| {
                no_such("protocol", label, Protocol::ALL.iter().map(|protocol| protocol.label()))
            })
        })
    })?;
    conditions.extend(protocols.map(Condition::Protocol));
    if let Some(node) = fields.take("destination") {
        destination(node, &mut conditions)?;
    }
    conditions.extend(window(&mut fields)?.map(Condition::Window));
    Ok(conditions)
}

/// An identity as text, or a table of traits.
fn program(whose: Whose, node: Node, conditions: &mut Vec<Condition>) -> Result<(), Fault> {
    if let Data::Text(text) = &node.data {
        if text == "none" && whose == Whose::Image {
            return Err(Fault::new(node.line, "a flow always has an image; name it"));
        }
        let wanted = if text == "none" { Trait::Absent } else { identity(text, node.line)? };
        conditions.push(Condition::Program(whose, wanted));
        return Ok(());
    }
    let mut fields = Fields::of(node, "", &["identity", "team_id", "signing_id", "path", "cdhash"])
        .map_err(|fault| Fault { what: format!("in match.{}: {}", whose.key(), fault.what), ..fault })?;
    let line = fields.line();
    let before = conditions.len();
    let named = fields.text("identity")?;
    let team = fields.text("team_id")?;
    let signing_id = fields.text("signing_id")?;
    if let Some((team, line)) = &team
        && !(team.len() == TEAM_ID && team.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
    {
        return Err(Fault::new(
            *line,
            format!("{team:?} is no team id: ten capitals and digits, as `codesign -dv` prints it"),
        ));
    }
    if let (Some((identity, line)), Some((team, _))) = (&named, &team)
        && identity.split_once(':').is_some_and(|(prefix, _)| prefix != team)
    {
        return Err(Fault::new(
            *line,
            format!("contradiction: {identity} is not of team {team}, so nothing would match"),
        ));
    }
    if let (Some((_, line)), None, None) = (&signing_id, &team, &named) {
        return Err(Fault::new(
            *line,
            "a signing_id alone is what any ad-hoc signature may claim; add team_id, or write the identity (apple:<signing id>)",
        ));
    }
    let mut add = |wanted| conditions.push(Condition::Program(whose, wanted));
    if let Some((text, line)) = named {
        add(identity(&text, line)?);
    }
    if let Some((team, _)) = team {
        add(Trait::TeamId(team));
    }
    if let Some((id, _)) = signing_id {
        add(Trait::SigningId(id));
    }
    if let Some(node) = fields.take("path") {
        add(Trait::Path(parsed("path", node, Glob::path)?));
    }
    if let Some(node) = fields.take("cdhash") {
        add(Trait::Cdhash(parsed("cdhash", node, |text| {
            let mut hash = [0; 20];
            hex::decode_to_slice(text, &mut hash).map(|()| hash).map_err(|_| {
                format!("{text:?} is no cdhash: 40 digits of hex, as `codesign -dvvv` prints it")
            })
        })?));
    }
    if conditions.len() == before {
        return Err(Fault::new(line, format!("match.{} is empty; leave it out", whose.key())));
    }
    Ok(())
}

fn identity(text: &str, line: Option<usize>) -> Result<Trait, Fault> {
    match text.split_once(':') {
        Some((prefix, rest)) if !prefix.is_empty() && !rest.is_empty() => {
            Ok(Trait::Identity(text.to_owned()))
        }
        _ => Err(Fault::new(
            line,
            format!(
                "{text:?} is no image identity; write apple:<signing id>, <team id>:<signing id> or path:<path> as an alert shows it"
            ),
        )),
    }
}

fn script(node: Node, conditions: &mut Vec<Condition>) -> Result<(), Fault> {
    if let Data::Text(_) = node.data {
        conditions.push(Condition::Script(parsed("match.script", node, Glob::path)?));
        return Ok(());
    }
    let mut fields = Fields::of(node, "match.script.", &["path", "sha256"])?;
    let before = conditions.len();
    if let Some(node) = fields.take("path") {
        conditions.push(Condition::Script(parsed("match.script.path", node, Glob::path)?));
    }
    if let Some(node) = fields.take("sha256") {
        conditions.push(Condition::ScriptHash(parsed("match.script.sha256", node, |text| {
            let hash = hex::decode(text).ok().filter(|bytes| bytes.len() == 32);
            hash.map(hex::encode).ok_or_else(|| format!("{text:?} is no SHA-256: 64 digits of hex"))
        })?));
    }
    if conditions.len() == before {
        return Err(Fault::new(fields.line(), "match.script is empty; leave it out"));
    }
    Ok(())
}

fn user(name: &str, node: Node) -> Result<User, Fault> {
    if let Data::Integer(number) = node.data {
        return u32::try_from(number)
            .map(User::Id)
            .map_err(|_| Fault::new(node.line, format!("{number} is no user id")));
    }
    let (text, line) = text(name, node)?;
    if text.is_empty() {
        return Err(Fault::new(line, format!("`{name}` is empty")));
    }
    Ok(User::Name(text))
}

fn destination(node: Node, conditions: &mut Vec<Condition>) -> Result<(), Fault> {
    let mut fields = Fields::of(node, "match.destination.", &["domain", "network", "port"])?;
    let before = conditions.len();
    let domains = fields.list("domain", |name, node| parsed(name, node, Domain::new))?;
    conditions.extend(domains.map(Condition::Domain));
    let networks = fields.list("network", |name, node| {
        let line = node.line;
        let network = parsed(name, node, Network::new)?;
        if network.is_everything() {
            return Err(Fault::new(line, format!("{network} is every address; leave it out")));
        }
        Ok(network)
    })?;
    conditions.extend(networks.map(Condition::Network));
    let ports = fields.list("port", |name, node| match node.data {
        Data::Integer(port @ 1..=65_535) => {
            u16::try_from(port).map_err(|_| Fault::new(node.line, format!("`{name}` must be 1 to 65535")))
        }
        _ => Err(Fault::new(node.line, format!("`{name}` must be a number from 1 to 65535"))),
    })?;
    conditions.extend(ports.map(Condition::Port));
    if conditions.len() == before {
        return Err(Fault::new(fields.line(), "match.destination is empty; leave it out"));
    }
    Ok(())
}

fn window(fields: &mut Fields) -> Result<Option<Window>, Fault> {
    let line = fields.line();
    let spans = fields.take("hours").map(|node| parsed("match.hours", node, hours)).transpose()?;
    let days = fields.list("weekdays", |name, node| {
        parsed(name, node, |label| {
            let known = WEEKDAYS.iter().find(|(known, _)| *known == label).map(|(_, day)| *day);
            known.ok_or_else(|| no_such("weekday", label, WEEKDAYS.iter().map(|(name, _)| *name)))
        })
    })?;
    let named = fields.text("zone")?;
    if spans.is_none() && days.is_none() {
        return match named {
            Some((_, line)) => {
                Err(Fault::new(line, "match.zone without hours or weekdays says nothing; leave it out"))
            }
            None => Ok(None),
        };
    }
    let Some((zone_name, zone_line)) = named else {
        return Err(Fault::new(
            line,
            "hours and weekdays need their zone; write match.zone = \"Europe/Berlin\"",
        ));
    };
    let zone = zone(&zone_name).map_err(|what| Fault::new(zone_line, what))?;
    Ok(Some(Window { hours: spans, weekdays: days.unwrap_or_default(), zone, zone_name }))
}

fn no_such<'a>(what: &str, label: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(label, known.clone()) {
        return format!("there is no {what} {label:?}; did you mean \"{near}\"?");
    }
    let some: Vec<&str> = known.take(MOST_NAMED).collect();
    format!("there is no {what} {label:?}; there are {}", some.join(", "))
}

const KEYS: [&str; 11] = [
    "id", "owner", "reason", "ticket", "created", "expires", "channels", "learn", "action", "match", "limits",
];

const MATCH_KEYS: [&str; 11] = [
    "image",
    "initiator",
    "application",
    "script",
    "arguments",
    "user",
    "protocol",
    "destination",
    "hours",
    "weekdays",
    "zone",
];

/// Channels that an exception may name. Those that are off by default are among them, for whoever switches them on.
const CHANNELS: [Channel; 6] = [
    Channel::Volume,
    Channel::Destination,
    Channel::Protocol,
    Channel::Initiator,
    Channel::Received,
    Channel::FanOut,
];

/// Characters of a team id.
const TEAM_ID: usize = 10;
/// Names that a message lists.
const MOST_NAMED: usize = 8;
