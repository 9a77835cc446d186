//! Findings that were written down, read back as behaviours.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::behaviour::{Behaviour, Code, Program, host_of};
use crate::alert::{Alert, native};
use crate::detect::Channel;
use crate::observation::Timestamp;
use crate::process::{Script, Subject};

/// A finding as its document tells it: what exceptions ask of it and no more, so that a document of another version is read as long as
/// these members stand.
#[derive(Debug, Clone, Deserialize)]
pub struct Stored {
    /// Names the event.
    pub id: String,
    /// When.
    pub time: Timestamp,
    /// One sentence.
    #[serde(default)]
    pub summary: String,
    /// Names the behaviour on its Mac.
    pub finding: String,
    /// What was scored.
    pub subject: Subject,
    channels: Vec<ChannelRecord>,
    process: ProgramRecord,
    initiator: Option<ProgramRecord>,
    application: Option<ProgramRecord>,
    #[serde(default)]
    user: UserRecord,
    flow: FlowRecord,
    exception: Option<ExceptionRecord>,
}

#[derive(Debug, Clone, Deserialize)]
struct ChannelRecord {
    name: Channel,
    #[serde(default)]
    counted: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct ProgramRecord {
    identity: String,
    path: Arc<str>,
    #[serde(default)]
    arguments: Vec<Arc<str>>,
    #[serde(default)]
    signing: SigningRecord,
    script: Option<Script>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct SigningRecord {
    #[serde(default)]
    platform_binary: bool,
    signing_id: Option<String>,
    team_id: Option<String>,
    cdhash: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct UserRecord {
    uid: Option<u32>,
    name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct FlowRecord {
    protocol: Option<String>,
    remote: String,
    destination: Option<String>,
    server_name: Option<String>,
    proxied_to: Option<String>,
    #[serde(default)]
    ech: bool,
    #[serde(default)]
    bytes_out: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct ExceptionRecord {
    id: String,
}

/// The text is no alert of tidemark's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoAlert {
    /// No such document in it.
    #[error("holds no alert: neither a native document, nor one in OCSF's raw_data or ECS's event.original")]
    Absent,
    /// A document with a member that cannot be.
    #[error("holds an alert that cannot be read: {0}")]
    Malformed(String),
}

impl Stored {
    /// From an alert's document in any form (native, OCSF, ECS, slim), however deep a SIEM has wrapped it.
    ///
    /// # Errors
    /// Where there is none in it, or it lacks what exceptions ask for.
    pub fn read(document: Value) -> Result<Self, NoAlert> {
        let found = native(document).ok_or(NoAlert::Absent)?;
        serde_json::from_value(found).map_err(|error| NoAlert::Malformed(error.to_string()))
    }

    /// From an alert that was read already.
    ///
    /// # Errors
    /// Where it lacks what exceptions ask for, which no alert that tidemark wrote does.
    pub fn of(alert: &Alert) -> Result<Self, NoAlert> {
        let malformed = |error: serde_json::Error| NoAlert::Malformed(error.to_string());
        serde_json::from_value(serde_json::to_value(alert).map_err(malformed)?).map_err(malformed)
    }

    /// The behaviour that it tells of.
    pub fn behaviour(&self) -> Behaviour<'_> {
        let flow = &self.flow;
        let proxied = flow.proxied_to.as_deref().map(host_of);
        let asked = flow.server_name.as_deref().filter(|_| !flow.ech);
        let initiator = self.subject.initiator.as_ref().map(|identity| {
            let told = self.initiator.as_ref().map(ProgramRecord::program);
            Program { identity: identity.as_str(), ..told.unwrap_or(Program::named(identity.as_str())) }
        });
        Behaviour {
            time: self.time,
            image: Program { identity: self.subject.image.as_str(), ..self.process.program() },
            initiator,
            application: self.application.as_ref().map(ProgramRecord::program),
            script: self
                .process
                .script
                .as_ref()
                .map(|script| Code { name: &script.name, sha256: script.sha256.as_deref() }),
            arguments: &self.process.arguments,
            uid: self.user.uid,
            user: self.user.name.as_deref(),
            protocol: flow.protocol.as_deref(),
            names: [proxied, asked, flow.destination.as_deref()].into_iter().flatten().collect(),
            remote: flow.remote.parse::<SocketAddr>().ok(),
        }
    }

    /// The channels that count in it.
    pub fn channels(&self) -> Vec<Channel> {
        self.channels.iter().filter(|channel| channel.counted).map(|channel| channel.name).collect()
    }

    /// Bytes that its flow had sent.
    pub fn bytes_out(&self) -> u64 {
        self.flow.bytes_out
    }

    /// The exception that covered it when it was made.
    pub fn exception(&self) -> Option<&str> {
        self.exception.as_ref().map(|exception| exception.id.as_str())
    }

    /// Whether its image is Apple's or a team's: then an identity is proof, and a cdhash would only break at the next update.
    pub(super) fn is_signed(&self) -> bool {
        self.process.signing.platform_binary || self.process.signing.team_id.is_some()
    }
}

impl ProgramRecord {
    fn program(&self) -> Program<'_> {
        let mut cdhash = [0; 20];
        let known = self.signing.cdhash.as_deref().map(|text| hex::decode_to_slice(text, &mut cdhash));
        Program {
            identity: &self.identity,
            path: Some(&self.path),
            team_id: self.signing.team_id.as_deref(),
            signing_id: self.signing.signing_id.as_deref(),
            cdhash: matches!(known, Some(Ok(()))).then_some(cdhash),
        }
    }
}
