//! What a program did, in the terms that exceptions ask for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::network::Flow;
use crate::observation::Timestamp;
use crate::process::{ProcessFacts, Who};

/// One activity of one program. It is borrowed from a flow on the road, or from an alert that was written down: both are judged alike.
#[derive(Debug, Clone)]
pub struct Behaviour<'a> {
    /// When.
    pub time: Timestamp,
    /// The image.
    pub image: Program<'a>,
    /// What made it run.
    pub initiator: Option<Program<'a>>,
    /// The app that macOS holds responsible.
    pub application: Option<Program<'a>>,
    /// What an interpreter runs.
    pub script: Option<Code<'a>>,
    /// `argv`.
    pub arguments: &'a [Arc<str>],
    /// Effective user id.
    pub uid: Option<u32>,
    /// The user's name, where it is known.
    pub user: Option<&'a str>,
    /// Label of the application protocol.
    pub protocol: Option<&'a str>,
    /// Names of the far end: what the payload asked for, and the registrable domain that the baseline counts.
    pub names: Vec<&'a str>,
    /// The far end.
    pub remote: Option<SocketAddr>,
}

/// A program.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Image identity.
    pub identity: &'a str,
    /// Executable as observed; `None` where only the identity is known.
    pub path: Option<&'a str>,
    /// Team.
    pub team_id: Option<&'a str>,
    /// Signing identifier.
    pub signing_id: Option<&'a str>,
    /// Code directory hash.
    pub cdhash: Option<[u8; 20]>,
}

/// What an interpreter runs.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// Normalised path, module, `inline` or `stdin`.
    pub name: &'a str,
    /// SHA-256 of inline code, in hex.
    pub sha256: Option<&'a str>,
}

impl<'a> Behaviour<'a> {
    /// From a flow and its process; `destination` is the key that the baseline counts.
    pub fn new(time: Timestamp, who: &'a Who, flow: &'a Flow, destination: Option<&'a str>) -> Self {
        let metadata = flow.identified.metadata.as_deref();
        let proxied = metadata.and_then(|m| m.proxied_to.as_deref()).map(host_of);
        // With Encrypted Client Hello the name in the clear is the provider's, not the server's (RFC 9849, section 3.1).
        let asked = metadata.filter(|m| !m.ech).and_then(|m| m.server_name.as_deref());
        let process = &*who.process;
        Self {
            time,
            image: Program { identity: who.subject.image.as_str(), ..Program::of(process) },
            initiator: match (&who.initiator, &who.subject.initiator) {
                (Some(facts), Some(identity)) => {
                    Some(Program { identity: identity.as_str(), ..Program::of(facts) })
                }
                (None, Some(identity)) => Some(Program::named(identity.as_str())),
                (_, None) => None,
            },
            application: who.application.as_deref().map(Program::of),
            script: process
                .script
                .as_ref()
                .map(|script| Code { name: &script.name, sha256: script.sha256.as_deref() }),
            arguments: &process.arguments,
            uid: process.credentials.euid,
            user: None,
            protocol: flow.identified.protocol.map(crate::network::Protocol::label),
            names: [proxied, asked, destination].into_iter().flatten().collect(),
            remote: Some(flow.remote),
        }
    }

    /// With the user's name, where these login names by user id have it.
    #[must_use]
    pub fn of_users(self, users: &'a BTreeMap<u32, Arc<str>>) -> Self {
        Self { user: self.uid.and_then(|uid| users.get(&uid)).map(|name| &**name), ..self }
    }
}

impl<'a> Program<'a> {
    fn of(facts: &'a ProcessFacts) -> Self {
        Self {
            identity: facts.identity.as_str(),
            path: Some(&facts.path),
            team_id: facts.signing.team_id.as_deref(),
            signing_id: facts.signing.signing_id.as_deref(),
            cdhash: facts.signing.cdhash,
        }
    }

    /// One of which only the identity is known.
    pub fn named(identity: &'a str) -> Self {
        Self { identity, path: None, team_id: None, signing_id: None, cdhash: None }
    }
}

/// The host of `host:port` or `[address]:port`.
pub(super) fn host_of(text: &str) -> &str {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}
