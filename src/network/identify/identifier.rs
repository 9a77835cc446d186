//! What moves each flow's identification.

use super::details::Answers;
use super::expected::Expected;
use super::inspection::{Active, Inspection, Layer, Stage, State};
use super::pool::Pool;
use super::ports;
use super::shared::SharedTexts;
use super::{Identified, Segment, Start};
use crate::network::names::Names;
use crate::network::protocol::{Evidence, Protocol};
use crate::observation::{Origin, Transport};

/// Identifies protocols; owns what its inspections share.
#[derive(Debug)]
pub struct Identifier {
    pub(super) pool: Pool,
    names: Names,
    pub(super) expected: Expected,
    texts: SharedTexts,
    /// Plain text of QUIC Initials, kept for its memory.
    pub(super) plain: Vec<u8>,
}

impl Default for Identifier {
    fn default() -> Self {
        Self {
            pool: Pool::new(POOL_BYTES),
            names: Names::default(),
            expected: Expected::default(),
            texts: SharedTexts::default(),
            plain: Vec::new(),
        }
    }
}

impl Identifier {
    /// Begins a flow.
    pub fn begin(&mut self, start: &Start, identified: &mut Identified) -> Inspection {
        identified.port_protocol = ports::suggestion(start.transport, start.server.port())
            .or_else(|| ports::client_suggestion(start.transport, start.client.port()));
        identified.resolved_name = self.names.name_of(start.origin, start.server.ip()).cloned();
        let by_number = match start.transport {
            Transport::Tcp | Transport::Udp => {
                let announced = start.transport == Transport::Tcp
                    && (self.expected.claim(start.origin, start.server)
                        || self.expected.claim(start.origin, start.client));
                return Inspection::begin(announced);
            }
            Transport::Icmp => Protocol::Icmp,
            Transport::Icmp6 => Protocol::Icmpv6,
            Transport::Other(IGMP) => Protocol::Igmp,
            Transport::Other(ESP | AH) => Protocol::Ipsec,
            Transport::Other(_) => Protocol::Unknown,
        };
        identified.protocol = Some(by_number);
        identified.evidence = if by_number.is_identified() { Evidence::Payload } else { Evidence::None };
        Inspection::default()
    }

    /// Takes one segment of a flow that began like this; `true` where `identified` changed.
    pub fn segment(
        &mut self,
        inspection: &mut Inspection,
        start: &Start,
        segment: Segment<'_>,
        identified: &mut Identified,
    ) -> bool {
        if segment.syn {
            inspection.note_base(segment.from_client, segment.sequence);
        }
        if segment.wire_payload == 0 {
            return false;
        }
        match std::mem::take(&mut inspection.0) {
            State::Done => false,
            State::Silent(beginning) => {
                // Most flows are decided here, and need no memory of their own.
                let mut active = Active::new(beginning);
                let changed = self.payload(&mut active, start, &segment, identified);
                if active.stage != Stage::Done {
                    inspection.0 = State::Active(Box::new(active));
                }
                changed
            }
            State::Active(mut active) => {
                let changed = self.payload(&mut active, start, &segment, identified);
                if active.stage != Stage::Done {
                    inspection.0 = State::Active(active);
                }
                changed
            }
        }
    }

    /// The flow ended: decides what can be decided and gives the buffers back; `true` where `identified` changed.
    pub fn finish(&mut self, inspection: Inspection, start: &Start, identified: &mut Identified) -> bool {
        let mut active = match inspection.0 {
            State::Done => return false,
            State::Silent(beginning) => Active::new(beginning),
            State::Active(active) => *active,
        };
        let changed = self.settle(&mut active, start, identified);
        if changed {
            self.tidy(identified);
        }
        self.close(&mut active);
        changed
    }

    fn payload(
        &mut self,
        active: &mut Active,
        start: &Start,
        segment: &Segment<'_>,
        identified: &mut Identified,
    ) -> bool {
        active.spoken = true;
        let attentive = active.pay(start.transport, segment);
        let mut changed = match start.transport {
            Transport::Tcp => self.tcp(active, start, segment, identified),
            _ => self.udp(active, start, segment, identified),
        };
        if !attentive && active.stage != Stage::Done {
            changed |= self.settle(active, start, identified);
        }
        if changed {
            self.tidy(identified);
        }
        if active.stage == Stage::Done {
            self.close(active);
        }
        changed
    }

    /// The names that DNS answers gave so far.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Flows whose buffers were taken away to make room, and which may therefore be `unknown`.
    pub fn evicted(&self) -> u64 {
        self.pool.evicted()
    }

    /// Bytes of payload kept now, with what keeping them costs; never more than 1 MiB.
    pub fn held_bytes(&self) -> usize {
        self.pool.held()
    }

    /// Keeps what was found once where other flows have the same. This is done as it is found: when the flow ends, its texts have long left
    /// the processor's caches.
    fn tidy(&mut self, identified: &mut Identified) {
        if let Some(metadata) = identified.metadata.as_deref_mut() {
            metadata.alpn.shrink_to_fit();
            metadata.dns_answers.shrink_to_fit();
            self.texts.share(metadata);
        }
    }

    /// Gives the buffers back.
    fn close(&mut self, active: &mut Active) {
        if let Some(ticket) = active.ticket.take() {
            self.pool.give_back(ticket);
        }
    }

    /// Remembers the addresses of an answer.
    pub(super) fn learn(&mut self, origin: Origin, answers: &Answers) {
        if let Some(name) = &answers.name {
            for address in &answers.addresses {
                self.names.learn(origin, *address, name);
            }
        }
    }

    /// Decides with what there is.
    pub(super) fn settle(&mut self, active: &mut Active, start: &Start, identified: &mut Identified) -> bool {
        let mut changed = false;
        if start.transport == Transport::Tcp && active.stage != Stage::Done {
            changed = self.examine_buffered(active, start, &[], true, identified);
        }
        if active.stage == Stage::Undecided {
            let unknown = match active.spoken {
                // Without a handshake, silence says nothing about an attempt.
                false if start.midstream => Protocol::Unknown,
                false => Protocol::Attempted,
                true if active.looks_encrypted == Some(true) => Protocol::UnknownEncrypted,
                true => Protocol::Unknown,
            };
            match active.layer {
                Layer::Inner if active.spoken => identified.upgraded = Some(unknown),
                Layer::Inner => {}
                Layer::Outer => {
                    identified.protocol = Some(unknown);
                    identified.evidence = Evidence::None;
                }
            }
            changed = true;
        }
        active.stage = Stage::Done;
        changed
    }
}

/// Writes the label down.
pub(super) fn label(active: &Active, protocol: Protocol, identified: &mut Identified) {
    match active.layer {
        Layer::Inner => identified.upgraded = Some(protocol),
        Layer::Outer => {
            identified.protocol = Some(protocol);
            identified.evidence = Evidence::Payload;
        }
    }
}

/// Bytes that all undecided flows together may keep: five hundred flows with a long hello each, or more than a thousand that are undecided.
const POOL_BYTES: usize = 1 << 20;

const IGMP: u8 = 2;
const ESP: u8 = 50;
const AH: u8 = 51;
