//! One flow that ended, as a line of the journal.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{Person, Privacy};
use crate::engine::Ended;
use crate::network::identify::{Identified, Metadata};
use crate::network::{Counters, Evidence, Flow, FlowId, FlowOwner, Protocol};
use crate::observation::{
    CodeSigning, Credentials, Direction, Origin, ProcessKey, Timestamp, Transport, ZoneOffset,
};
use crate::process::{Attribution, Identity, Method, ProcessFacts, Role, Script, Subject, Who};

/// What is kept of a flow: enough to find it again, and to judge it anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was first seen.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// The zone of the Mac then.
    pub zone: ZoneOffset,
    /// Whose it was; `None` where no process was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// The process number that the source named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Its generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pidversion: Option<i32>,
    /// Transport protocol.
    pub transport: Transport,
    /// The Mac's end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Who began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What it spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// What that rests on.
    pub evidence: Evidence,
    /// What the port suggests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_protocol: Option<Protocol>,
    /// The server's name, as far as it may be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Arc<str>>,
    /// The host that a proxy was asked for, as far as it may be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxied_to: Option<Arc<str>>,
    /// The name is only the outer one (Encrypted Client Hello).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ech: bool,
    /// Bytes sent while it was observed.
    pub bytes_out: u64,
    /// Bytes received while it was observed.
    pub bytes_in: u64,
    /// It was joined in its middle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub midstream: bool,
    /// No payload passed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attempted: bool,
}

/// Whose a flow was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Image and initiator.
    #[serde(flatten)]
    pub subject: Subject,
    /// What kinds of program they are.
    pub role: Role,
    /// Whether an absent initiator means that there is none.
    pub initiator_known: bool,
    /// How the process was found.
    pub method: Method,
    /// The executable, names of users as far as they may be told.
    pub path: Arc<str>,
    /// Its team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<Arc<str>>,
    /// Its signing identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_id: Option<Arc<str>>,
    /// The script, where it is an interpreter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// The app that macOS holds responsible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Identity>,
    /// Effective user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

impl Entry {
    /// Of a flow, as the privacy settings let it be told.
    pub fn new(ended: &Ended, privacy: &Privacy) -> Self {
        let Ended { flow, attribution, .. } = ended;
        let identified = &flow.identified;
        let metadata = identified.metadata.as_deref();
        let image = attribution.who.as_ref().map_or("", |who| who.subject.image.as_str());
        let told = |name: Option<&Arc<str>>| name.and_then(|name| privacy.server_name(image, name));
        // What had passed before it was observed counts for nobody.
        let counters = flow.counters.beyond(flow.unwindowed());
        Self {
            start: flow.start,
            end: ended.time,
            zone: ended.zone,
            program: attribution.who.as_deref().map(|who| Program::new(who, attribution.method, privacy)),
            pid: flow.owner.process.map(|process| process.pid),
            pidversion: flow.owner.process.and_then(|process| process.pidversion),
            transport: flow.transport,
            local: flow.local,
            remote: flow.remote,
            direction: flow.direction,
            protocol: identified.protocol,
            evidence: identified.evidence,
            port_protocol: identified.port_protocol,
            server_name: told(metadata.and_then(|m| m.server_name.as_ref())),
            proxied_to: told(metadata.and_then(|m| m.proxied_to.as_ref())),
            ech: metadata.is_some_and(|m| m.ech),
            bytes_out: counters.bytes_out,
            bytes_in: counters.bytes_in,
            midstream: flow.midstream,
            attempted: flow.attempted,
        }
    }

    /// The flow again, to be judged anew. What the journal does not keep (arguments, ancestors, packets) is not in it.
    pub fn to_ended(&self) -> Ended {
        let who = self.program.as_ref().map(|program| Arc::new(program.to_who(self.key())));
        let metadata = (self.server_name.is_some() || self.proxied_to.is_some()).then(|| {
            Box::new(Metadata {
                server_name: self.server_name.clone(),
                proxied_to: self.proxied_to.clone(),
                ech: self.ech,
                ..Metadata::default()
            })
        });
        let flow = Flow {
            id: FlowId::Numbered(0),
            serial: 0,
            origin: Origin::default(),
            owner: FlowOwner { process: self.pid.map(|_| self.key()), ..FlowOwner::default() },
            transport: self.transport,
            local: self.local,
            remote: self.remote,
            direction: self.direction,
            interface: None,
            counters: Counters { bytes_out: self.bytes_out, bytes_in: self.bytes_in, ..Counters::default() },
            unwindowed: None,
            start: self.start,
            last: self.end,
            midstream: self.midstream,
            attempted: self.attempted,
            identified: Identified {
                protocol: self.protocol,
                evidence: self.evidence,
                port_protocol: self.port_protocol,
                metadata,
                ..Identified::default()
            },
        };
        let method = self.program.as_ref().map_or(Method::None, |program| program.method);
        Ended { time: self.end, zone: self.zone, flow, attribution: Attribution { method, who, via: None } }
    }

    fn key(&self) -> ProcessKey {
        ProcessKey { pid: self.pid.unwrap_or_default(), pidversion: self.pidversion }
    }

    /// Whether it tells of a user: by number, or by a folder in a path.
    pub fn tells_of(&self, person: &Person) -> bool {
        self.program.as_ref().is_some_and(|program| {
            program.uid.is_some_and(|uid| person.has(uid))
                || person.is_in_text(&program.path)
                || program.script.as_ref().is_some_and(|script| person.is_in_text(&script.name))
        })
    }
}

impl Program {
    fn new(who: &Who, method: Method, privacy: &Privacy) -> Self {
        let process = &who.process;
        let hide = |text: &str| Arc::from(privacy.path(text));
        Self {
            subject: who.subject.clone(),
            role: who.role,
            initiator_known: who.initiator_known,
            method,
            path: hide(&process.path),
            team_id: process.signing.team_id.clone(),
            signing_id: process.signing.signing_id.clone(),
            script: process
                .script
                .as_ref()
                .map(|script| Script { name: hide(&script.name), ..script.clone() }),
            application: who.application.as_ref().map(|application| application.identity.clone()),
            uid: process.credentials.euid,
        }
    }

    fn to_who(&self, key: ProcessKey) -> Who {
        let facts = |identity: &Identity| {
            Arc::new(ProcessFacts {
                identity: identity.clone(),
                path: Arc::from(""),
                key,
                arguments: Vec::new(),
                signing: CodeSigning::default(),
                script: None,
                cwd: None,
                credentials: Credentials::default(),
                session_id: None,
                tty: None,
                start: None,
            })
        };
        let process = ProcessFacts {
            path: self.path.clone(),
            script: self.script.clone(),
            signing: CodeSigning {
                is_platform_binary: self.subject.image.is_apple(),
                team_id: self.team_id.clone(),
                signing_id: self.signing_id.clone(),
                ..CodeSigning::default()
            },
            credentials: Credentials { euid: self.uid, ..Credentials::default() },
            ..(*facts(&self.subject.image)).clone()
        };
        Who {
            subject: self.subject.clone(),
            role: self.role,
            process: Arc::new(process),
            initiator_known: self.initiator_known,
            initiator: self.subject.initiator.as_ref().map(facts),
            application: self.application.as_ref().map(facts),
            ancestors: Vec::new(),
            volatile: false,
        }
    }
}
