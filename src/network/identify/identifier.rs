//! The state of each flow's identification, and what moves it.

use std::net::IpAddr;
use std::time::Duration;

use super::assembly::Limits;
use super::details::{self, Answers, Conversation, Notes, Progress};
use super::encrypted::looks_encrypted;
use super::expected::Expected;
use super::pool::{Pool, Ticket};
use super::ports::{self, Group};
use super::recognise::{self, Datagram, Ports, Stream, Verdict};
use super::{Identified, Segment, Start};
use crate::network::names::Names;
use crate::network::protocol::{Evidence, Protocol};
use crate::observation::{Origin, Timestamp, Transport};

/// Identifies protocols; owns what its inspections share.
#[derive(Debug)]
pub struct Identifier {
    pool: Pool,
    names: Names,
    expected: Expected,
    /// Plain text of QUIC Initials, kept for its memory.
    plain: Vec<u8>,
}

/// The state of one flow's identification.
#[derive(Debug)]
pub struct Inspection {
    stage: Stage,
    start: Start,
    /// What the port suggests.
    hint: Option<Protocol>,
    /// The flow was announced by an FTP control connection.
    announced: bool,
    /// What passes inside a proxy or after an upgrade is looked at.
    inside: bool,
    /// The undecided payload so far looks encrypted.
    encrypted: bool,
    /// Payload was seen.
    spoken: bool,
    /// How much attention is left, in [`PACKET_COST`]s.
    budget: u8,
    /// When the first payload of the stage came.
    began: Option<Timestamp>,
    /// Sequence numbers of the first bytes of the client's and the server's stream.
    bases: [Option<u32>; 2],
    /// What the latest datagrams of client and server looked like.
    suspicions: [Option<(Protocol, u64)>; 2],
    /// Its buffers.
    ticket: Option<Ticket>,
}

/// Where an inspection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The protocol is sought.
    Undecided,
    /// The protocol is known and its details are read.
    Reading(Protocol),
    /// The protocol is known and a change is watched for, segment by segment.
    Watching(Protocol),
    /// Nothing more can be learnt.
    Done,
}

impl Inspection {
    /// Whether nothing more can be learnt: further segments need not be handed over.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn ports(&self) -> Ports {
        Ports { client: self.start.client.port(), server: self.start.server.port() }
    }

    /// Pays for one packet of payload; `false` where nothing was left to pay with.
    fn pay(&mut self, segment: &Segment<'_>) -> bool {
        let began = *self.began.get_or_insert(segment.time);
        let cost = if segment.payload.len() < SMALL_SEGMENT { SMALL_COST } else { PACKET_COST };
        let patient = !self.start.transport.is_tcp() || segment.time.since(began) <= PATIENCE;
        let Some(left) = self.budget.checked_sub(cost).filter(|_| patient) else {
            self.budget = 0;
            return false;
        };
        self.budget = left;
        true
    }

    /// Begins a stage with so many packets of attention.
    fn enter(&mut self, stage: Stage, packets: u8) {
        self.stage = stage;
        self.budget = packets.saturating_mul(PACKET_COST);
        self.began = None;
    }
}
