//! Which application protocol a flow speaks, from its first bytes.
//!
//! The flow table begins an [`Inspection`] for each flow, hands it the payload of each packet until it [is done](Inspection::is_done),
//! and keeps what was found in [`Identified`]. A decision may come at a later packet; the port is only a hint. All buffers come from
//! one bounded pool that the [`Identifier`] owns.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::protocol::{Evidence, Protocol};
use crate::observation::{Timestamp, Transport};

/// What was found about a flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identified {
    /// The protocol; `None` while it is undecided.
    pub protocol: Option<Protocol>,
    /// What the label rests on.
    pub evidence: Evidence,
    /// What the port would suggest.
    pub port_protocol: Option<Protocol>,
    /// What the flow was upgraded to (STARTTLS, CONNECT, Upgrade).
    pub upgraded: Option<Protocol>,
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
}

/// What an inspection begins from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// IP protocol.
    pub transport: Transport,
    /// Port of the end that sent first.
    pub client_port: u16,
    /// Port of the other end.
    pub server_port: u16,
    /// The flow was joined in its middle (a TCP flow without its SYN).
    pub midstream: bool,
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

/// The state of one flow's identification.
#[derive(Debug, Default)]
pub struct Inspection {
    done: bool,
}

impl Inspection {
    /// Whether nothing more can be learnt: further segments need not be handed over.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

/// Identifies protocols; owns what its inspections share.
#[derive(Debug, Default)]
pub struct Identifier {}

impl Identifier {
    /// Begins a flow.
    pub fn begin(&mut self, start: Start, identified: &mut Identified) -> Inspection {
        let _ = (start, identified);
        Inspection::default()
    }

    /// Takes one segment; `true` where `identified` changed.
    pub fn segment(
        &mut self,
        inspection: &mut Inspection,
        segment: Segment<'_>,
        identified: &mut Identified,
    ) -> bool {
        let _ = (inspection, segment, identified);
        false
    }

    /// The flow ended: decides what can be decided and gives the buffers back; `true` where `identified` changed.
    pub fn finish(&mut self, inspection: Inspection, identified: &mut Identified) -> bool {
        let _ = (inspection, identified);
        false
    }
}
