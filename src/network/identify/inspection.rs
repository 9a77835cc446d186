//! The state of one flow's identification.

use std::time::Duration;

use super::Segment;
use super::assembly::Limits;
use super::encrypted::looks_encrypted;
use super::pool::Ticket;
use super::recognise::Suspicion;
use crate::network::protocol::Protocol;
use crate::observation::{Timestamp, Transport};

/// The state of one flow's identification: two words, and more only from the first payload that left it open.
#[derive(Debug, Default)]
pub struct Inspection(pub(super) State);

/// How far an inspection is.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Nothing more can be learnt.
    #[default]
    Done,
    /// No payload came yet. Of a flow that nobody answers, none ever will.
    Silent(Beginning),
    /// Payload came, and more of it is awaited.
    Active(Box<Active>),
}

/// What is known of a flow before its first payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning {
    /// An FTP control connection announced it.
    announced: bool,
    /// Sequence numbers of the first byte of the server's and the client's stream, meaningful where they are based.
    bases: [u32; 2],
    based: [bool; 2],
}

impl Beginning {
    /// As in [`Active`].
    fn bases(self) -> [Option<u32>; 2] {
        let ([server, client], [server_based, client_based]) = (self.bases, self.based);
        [server_based.then_some(server), client_based.then_some(client)]
    }
}

impl Inspection {
    /// Whether nothing more can be learnt: further segments need not be handed over.
    #[inline]
    pub fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Begins an inspection of a flow over TCP or UDP.
    pub(super) fn begin(announced: bool) -> Self {
        Self(State::Silent(Beginning { announced, bases: [0; 2], based: [false; 2] }))
    }

    /// Takes note of where one end's stream begins.
    pub(super) fn note_base(&mut self, client: bool, sequence: u32) {
        match &mut self.0 {
            State::Done => {}
            State::Silent(beginning) => {
                *of_end(&mut beginning.bases, client) = sequence;
                *of_end(&mut beginning.based, client) = true;
            }
            State::Active(active) => *active.base(client) = Some(sequence),
        }
    }
}

/// What is kept of a flow that is not decided yet, or is still read.
#[derive(Debug)]
pub(super) struct Active {
    /// Where it stands.
    pub(super) stage: Stage,
    /// An FTP control connection announced it.
    pub(super) announced: bool,
    /// Which layer of it is looked at.
    pub(super) layer: Layer,
    /// Payload of that layer was seen.
    pub(super) spoken: bool,
    /// Whether the layer's first undecided payload looks encrypted; `None` before there was one.
    pub(super) looks_encrypted: Option<bool>,
    /// Buffers.
    pub(super) ticket: Option<Ticket>,
    /// Attention that is left, in units of [`SMALL_COST`].
    budget: u16,
    /// When the first payload of the stage came.
    began: Option<Timestamp>,
    /// Sequence numbers of the first byte of the server's and the client's stream.
    bases: [Option<u32>; 2],
    /// What the latest datagrams of server and client looked like.
    suspicions: [Option<Suspicion>; 2],
}

/// Which part of a flow is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// The flow itself.
    Outer,
    /// What passes inside a proxy, or after an upgrade.
    Inner,
}

/// Where an inspection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The protocol is sought.
    Undecided,
    /// The protocol is known and its details are read.
    Reading(Protocol),
    /// The protocol is known, and each segment is looked at for a change.
    Watching(Protocol),
    /// Nothing more can be learnt.
    Done,
}

impl Stage {
    /// Payload packets that the stage may see.
    fn packets(self) -> u16 {
        match self {
            Self::Undecided => UNDECIDED_PACKETS,
            Self::Reading(_) => READING_PACKETS,
            Self::Watching(_) => WATCHING_PACKETS,
            Self::Done => 0,
        }
    }

    fn patience(self) -> Duration {
        match self {
            Self::Undecided => UNDECIDED_PATIENCE,
            Self::Reading(_) => READING_PATIENCE,
            // Nothing is kept meanwhile.
            Self::Watching(_) | Self::Done => Duration::MAX,
        }
    }
}

impl Active {
    /// At the first payload.
    pub(super) fn new(beginning: Beginning) -> Self {
        let mut active = Self {
            stage: Stage::Undecided,
            announced: beginning.announced,
            layer: Layer::Outer,
            spoken: false,
            looks_encrypted: None,
            ticket: None,
            budget: 0,
            began: None,
            bases: beginning.bases(),
            suspicions: [None; 2],
        };
        active.enter(Stage::Undecided);
        active
    }

    /// Begins a stage.
    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.stay();
    }

    /// Turns to what passes inside.
    pub(super) fn look_inside(&mut self, stage: Stage) {
        self.layer = Layer::Inner;
        self.spoken = false;
        self.looks_encrypted = None;
        self.enter(stage);
    }

    /// Gives the stage all its attention again.
    pub(super) fn stay(&mut self) {
        self.budget = self.stage.packets() * PACKET_COST;
        self.began = None;
    }

    /// Pays for a packet of payload; `false` where it is the last that the stage sees, since it saw enough of them or lasted too long.
    pub(super) fn pay(&mut self, transport: Transport, segment: &Segment<'_>) -> bool {
        let cost = if segment.payload.len() < SMALL_SEGMENT { SMALL_COST } else { PACKET_COST };
        let began = *self.began.get_or_insert(segment.time);
        // A datagram stands for itself, and its answer may come late; a stream that says nothing keeps buffers.
        let waits = transport == Transport::Udp || segment.time.since(began) <= self.stage.patience();
        self.budget = self.budget.saturating_sub(cost);
        waits && self.budget > 0
    }

    /// Whether no packet more can be paid for.
    pub(super) fn budget_is_spent(&self) -> bool {
        self.budget < PACKET_COST
    }

    /// Whether the stage looks back at payload.
    pub(super) fn keeps_payload(&self) -> bool {
        matches!(self.stage, Stage::Undecided | Stage::Reading(_))
    }

    /// How much of each direction is kept.
    pub(super) fn limits(&self) -> Limits {
        match self.stage {
            Stage::Undecided => Limits { bytes: UNDECIDED_BYTES, pending: PENDING },
            _ => Limits { bytes: READING_BYTES, pending: PENDING },
        }
    }

    /// The sequence number of the first byte of one end's stream.
    pub(super) fn base(&mut self, client: bool) -> &mut Option<u32> {
        of_end(&mut self.bases, client)
    }

    /// Moves the beginning of both streams on.
    pub(super) fn advance(&mut self, client: usize, server: usize) {
        for (is_client, count) in [(true, client), (false, server)] {
            let base = self.base(is_client);
            *base = base.map(|base| base.wrapping_add(u32::try_from(count).unwrap_or_default()));
        }
    }

    /// What the latest datagrams of one end and of the other looked like.
    pub(super) fn suspicions(&self, client: bool) -> (Option<Suspicion>, Option<Suspicion>) {
        let [from_server, from_client] = self.suspicions;
        if client { (from_client, from_server) } else { (from_server, from_client) }
    }

    /// Notes what a datagram looked like.
    pub(super) fn suspect(&mut self, client: bool, protocol: Protocol, token: u64) {
        let [from_server, from_client] = &mut self.suspicions;
        *(if client { from_client } else { from_server }) = Some((protocol, token));
    }

    /// Looks at the first undecided payload.
    pub(super) fn look_at(&mut self, payload: &[u8]) {
        self.looks_encrypted.get_or_insert_with(|| looks_encrypted(payload));
    }
}

fn of_end<T>(ends: &mut [T; 2], client: bool) -> &mut T {
    let [server, of_client] = ends;
    if client { of_client } else { server }
}

/// Payload packets until an undecided flow is given up. Of the flows that can be labelled, 98.9 % are by their third.
const UNDECIDED_PACKETS: u16 = 8;
/// How long a stream may stay undecided after its first payload.
const UNDECIDED_PATIENCE: Duration = Duration::from_secs(3);
/// Payload packets in which details are read: a long hello in small segments, the answer to it.
const READING_PACKETS: u16 = 16;
/// Payload packets in which a change is watched for: a mail client says a dozen lines before it asks for TLS.
const WATCHING_PACKETS: u16 = 32;
/// How long details are awaited.
const READING_PATIENCE: Duration = Duration::from_secs(30);
/// Payload below this costs little, so that whoever sends byte by byte is read as well.
const SMALL_SEGMENT: usize = 16;
const SMALL_COST: u16 = 1;
const PACKET_COST: u16 = 8;
/// Bytes of a direction that are kept while the protocol is sought. Measured: 64 give the same labels as all.
const UNDECIDED_BYTES: usize = 256;
/// Bytes of a direction that are kept while details are read. The longest hello measured has 11 KiB, 99 % have less than 2 KiB.
pub(super) const READING_BYTES: usize = 4_096;
/// Segments that may lie apart from the beginning of a direction.
const PENDING: usize = 4;
