//! From a finding to an exception that covers it and as little else as the evidence allows.

use std::fmt::Write as _;

use super::behaviour::{Behaviour, Program};
use super::pattern::{Domain, Glob};
use super::{Day, Stored};
use crate::alert::bytes_in_words;

/// What a person must add.
#[derive(Debug, Clone)]
pub struct Governance {
    /// Who answers for it; empty where nobody was named, and then the stanza is refused until somebody is.
    pub owner: String,
    /// Why it is accepted; likewise.
    pub reason: String,
    /// Where it was agreed.
    pub ticket: Option<String>,
    /// In force until then.
    pub expires: Day,
}

/// An `[[exception]]` as TOML. Every fact of the finding that would be the same tomorrow is a condition; what changes from run to run (the
/// arguments) stands as a comment. The limit is half as much again as the flow had sent, rounded up to two digits.
pub fn suggest(stored: &Stored, governance: &Governance) -> String {
    let behaviour = stored.behaviour();
    let mut text = String::from("[[exception]]\n");
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    };
    line(
        "id",
        &quoted(&format!("EXC-{}", stored.finding.trim_start_matches("tmk1:").get(..12).unwrap_or("new"))),
    );
    line("owner", &quoted(&governance.owner));
    line("reason", &quoted(&governance.reason));
    if let Some(ticket) = &governance.ticket {
        line("ticket", &quoted(ticket));
    }
    if let Some(created) = Day::of(stored.time) {
        line("created", &created.to_string());
    }
    line("expires", &governance.expires.to_string());
    let channels: Vec<String> = stored.channels().iter().map(|channel| quoted(channel.label())).collect();
    if !channels.is_empty() {
        line("channels", &format!("[{}]", channels.join(", ")));
    }
    let limit = limit(stored.bytes_out());
    line("limits.bytes_out_per_hour", &format!("{limit} # {}", bytes_in_words(limit)));
    who(&behaviour, stored.is_signed(), &mut line);
    whereto(&behaviour, &mut line);
    let length: usize = behaviour.arguments.iter().skip(1).map(|argument| argument.len()).sum();
    if (1..=MOST_ARGUMENTS).contains(&length) {
        let arguments: Vec<String> =
            behaviour.arguments.iter().skip(1).map(|argument| quoted(&Glob::escape(argument))).collect();
        line("# narrower still: match.arguments", &format!("[{}]", arguments.join(", ")));
    }
    text
}

fn who(behaviour: &Behaviour<'_>, signed: bool, line: &mut impl FnMut(&str, &str)) {
    let image = &behaviour.image;
    match image.cdhash.filter(|_| !signed) {
        Some(hash) => line(
            "match.image",
            &format!("{{ identity = {}, cdhash = \"{}\" }}", quoted(image.identity), hex::encode(hash)),
        ),
        None => line("match.image", &quoted(image.identity)),
    }
    let initiator = behaviour.initiator.map_or("none", |program| program.identity);
    line("match.initiator", &quoted(initiator));
    let other = |app: &Program<'_>| app.identity != initiator && app.identity != image.identity;
    if let Some(app) = behaviour.application.filter(other) {
        line("match.application", &quoted(app.identity));
    }
    if let Some(script) = behaviour.script {
        let path = quoted(&Glob::escape(script.name));
        match script.sha256 {
            Some(hash) => line("match.script", &format!("{{ path = {path}, sha256 = \"{hash}\" }}")),
            None => line("match.script", &path),
        }
    }
    match (behaviour.user, behaviour.uid) {
        (Some(name), _) => line("match.user", &format!("[{}]", quoted(name))),
        (None, Some(uid)) => line("match.user", &format!("[{uid}]")),
        (None, None) => {}
    }
}

fn whereto(behaviour: &Behaviour<'_>, line: &mut impl FnMut(&str, &str)) {
    if let Some(protocol) = behaviour.protocol {
        line("match.protocol", &format!("[{}]", quoted(protocol)));
    }
    // The first name is the most particular: what a proxy or the server was asked for goes before the registrable domain.
    let name = behaviour.names.iter().find(|name| Domain::new(name).is_ok());
    if let Some(name) = name {
        line("match.destination.domain", &format!("[{}]", quoted(name)));
    }
    if let Some(remote) = behaviour.remote {
        if name.is_none() {
            line("match.destination.network", &format!("[\"{}\"]", remote.ip().to_canonical()));
        }
        if remote.port() != 0 {
            line("match.destination.port", &format!("[{}]", remote.port()));
        }
    }
}

/// Half as much again, rounded up to two significant digits.
fn limit(bytes: u64) -> u64 {
    let roomy = bytes.saturating_add(bytes / 2).max(LEAST_LIMIT);
    let mut unit = 1_u64;
    while roomy / unit >= 100 {
        unit = unit.saturating_mul(10);
    }
    roomy.div_ceil(unit).saturating_mul(unit)
}

/// Below this a limit would be about the size of a handshake, which differs from one connection to the next.
const LEAST_LIMIT: u64 = 10_000;

/// A TOML basic string: JSON's escapes are among its own, and it wants DEL escaped as well (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A longer command line, in bytes, is no help to whoever reads a stanza.
const MOST_ARGUMENTS: usize = 400;
