//! Which application protocol a flow speaks, from its first bytes.
//!
//! The flow table [begins](Identifier::begin) an [`Inspection`] for each flow, hands it the payload of each packet until it
//! [is done](Inspection::is_done), and keeps what was found in [`Identified`]. The way of a payload through this room:
//!
//! 1. `streams` puts TCP payload in order (`assembly`, in buffers of one bounded `pool`); `datagrams` takes those of UDP as they are. The
//!    state of a flow is its `inspection`; `identifier` owns what flows share.
//! 2. `recognise` asks the protocols, each in a file of its own, whether the bytes are theirs. Both directions are seen, a decision may
//!    come at a later packet, and the port is only a hint (`ports`) that the payload is compared with.
//! 3. `details` reads what an analyst needs (names, versions, fingerprints), and notices proxies and upgrades, behind which the question
//!    of the protocol begins anew.
//!
//! Most flows are decided by their first payload, straight from the packet, without a buffer. What stays undecided is given up after
//! eight payload packets or three seconds and is called `unknown`, or `unknown-encrypted` (`encrypted`).

mod assembly;
mod datagrams;
mod details;
mod encrypted;
mod expected;
mod identifier;
mod inspection;
mod pool;
mod ports;
mod recognise;
mod shared;
mod streams;

pub use identifier::Identifier;
pub use inspection::Inspection;

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::protocol::{Evidence, Protocol};
use crate::observation::{Origin, Timestamp, Transport};

/// What was found about a flow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identified {
    /// The protocol; `None` while it is undecided.
    pub protocol: Option<Protocol>,
    /// What the label rests on.
    pub evidence: Evidence,
    /// What the port would suggest.
    pub port_protocol: Option<Protocol>,
    /// What the flow was upgraded to (STARTTLS, Upgrade), or what passes inside it (CONNECT, SOCKS).
    pub upgraded: Option<Protocol>,
    /// The name whose DNS answer gave the server's address, where one was seen before the flow began: for flows whose client names no
    /// server itself.
    pub resolved_name: Option<Arc<str>>,
    /// Details for an analyst, where there are any.
    pub metadata: Option<Box<Metadata>>,
}

/// Details of a flow that an analyst needs. Texts are bounded and hold no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// The name that the client asked for, in TLS, QUIC, HTTP or of a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Arc<str>>,
    /// The protocols that the client offered by ALPN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<Arc<str>>,
    /// The TLS version, as `1.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<Arc<str>>,
    /// JA4 fingerprint of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ja4: Option<Arc<str>>,
    /// Whether Encrypted Client Hello was offered: then `server_name` is only the outer name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ech: bool,
    /// HTTP `Host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_host: Option<Arc<str>>,
    /// HTTP method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<Arc<str>>,
    /// HTTP `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Arc<str>>,
    /// The first DNS question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_query: Option<Arc<str>>,
    /// Its answers, as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_answers: Vec<Arc<str>>,
    /// The server's SSH identification, else the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_banner: Option<Arc<str>>,
    /// The host and port that a proxy was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxied_to: Option<Arc<str>>,
    /// DNS inside TLS, QUIC or HTTPS, as far as name, port and ALPN suggest it: a hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_dns: Option<EncryptedDns>,
}

/// A way to ask DNS unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncryptedDns {
    /// DNS over HTTPS, RFC 8484: the name of a public resolver.
    Doh,
    /// DNS over TLS, RFC 7858: its ALPN or port.
    Dot,
    /// DNS over QUIC, RFC 9250: its ALPN or port.
    Doq,
}

/// What a flow is before anything was said in it. It is handed over with each segment, since the flow table has it anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The capture that the flow belongs to.
    pub origin: Origin,
    /// IP protocol.
    pub transport: Transport,
    /// The end that sent first.
    pub client: SocketAddr,
    /// The other end.
    pub server: SocketAddr,
    /// The flow was joined in its middle (a TCP flow without its SYN).
    pub midstream: bool,
}

impl Start {
    fn ports(&self) -> recognise::Ports {
        recognise::Ports { client: self.client.port(), server: self.server.port() }
    }
}

/// One packet's payload.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// When.
    pub time: Timestamp,
    /// Whether the end that sent first sent this one too.
    pub from_client: bool,
    /// TCP sequence number of the first payload byte; for a SYN, of the SYN plus one.
    pub sequence: u32,
    /// Whether SYN is set.
    pub syn: bool,
    /// Whether FIN or RST is set.
    pub end: bool,
    /// The payload that was captured.
    pub payload: &'a [u8],
    /// Length of the payload on the wire, in bytes; more than `payload` where the capture was cut.
    pub wire_payload: u32,
}

#[cfg(test)]
mod tests;
