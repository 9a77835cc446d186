//! What moves the identification of flows over UDP: each datagram stands for itself.

use super::assembly::Limits;
use super::details::{self, Answers, Notes, Progress, google_quic, quic};
use super::identifier::label;
use super::inspection::{Active, READING_BYTES, Stage};
use super::ports::Group;
use super::recognise::{self, Datagram, Verdict};
use super::{Identified, Identifier, Segment, Start};
use crate::network::protocol::Protocol;

impl Identifier {
    /// Takes one datagram; `true` where `identified` changed.
    pub(super) fn udp(
        &mut self,
        active: &mut Active,
        start: &Start,
        segment: &Segment<'_>,
        identified: &mut Identified,
    ) -> bool {
        let mut changed = false;
        if active.stage == Stage::Undecided || active.stage == Stage::Watching(Protocol::Stun) {
            let Some(protocol) = recognised_datagram(active, start, identified.port_protocol, segment) else {
                return false;
            };
            if active.stage == Stage::Watching(protocol) {
                return false;
            }
            label(active, protocol, identified);
            active.enter(if protocol == Protocol::Stun {
                Stage::Watching(protocol)
            } else {
                Stage::Reading(protocol)
            });
            changed = true;
        }
        let Stage::Reading(protocol) = active.stage else { return changed };
        let progress = if protocol == Protocol::Quic {
            self.quic(active, start, segment.payload, identified, &mut changed)
        } else {
            let mut notes = Notes::new(&mut identified.metadata, &mut self.texts, start.server.port());
            let mut answers = Answers::default();
            let progress = details::datagram(protocol, segment.payload, &mut notes, &mut answers);
            changed |= notes.changed;
            self.learn(start.origin, &answers);
            progress
        };
        match progress {
            // A resolver's flow goes on for as long as it lives, since each answer may name a later flow.
            Progress::More if protocol != Protocol::Quic => active.stay(),
            Progress::More => {}
            _ => active.stage = Stage::Done,
        }
        changed
    }

    /// Opens a datagram's Initials and reads the hello, once enough of it has come.
    fn quic(
        &mut self,
        active: &mut Active,
        start: &Start,
        datagram: &[u8],
        identified: &mut Identified,
        changed: &mut bool,
    ) -> Progress {
        let held = active.ticket.filter(|ticket| self.pool.slot(*ticket).is_some());
        let mut keys = held.and_then(|ticket| self.pool.slot_mut(ticket)).and_then(|slot| slot.keys.take());
        self.plain.clear();
        let opened = quic::open(datagram, &mut keys, &mut self.plain);
        let mut notes = Notes::new(&mut identified.metadata, &mut self.texts, start.server.port());
        let frames = quic::crypto_frames(&self.plain);
        // One datagram often has all of it, in order.
        if held.is_none()
            && let [(0, crypto)] = frames[..]
        {
            let progress = quic::read(crypto, false, &mut notes);
            if progress != Progress::More {
                *changed |= notes.changed;
                return progress;
            }
        }
        if !opened && google_quic::read(datagram, &mut notes) {
            *changed |= notes.changed;
            return Progress::Complete;
        }
        if !opened && held.is_none() {
            // A server's packet, or one that cannot be opened: the client's may follow.
            return if active.budget_is_spent() { Progress::Complete } else { Progress::More };
        }
        let ticket = held.unwrap_or_else(|| self.pool.take());
        active.ticket = Some(ticket);
        for (offset, crypto) in frames {
            self.pool.write(ticket, true, offset, crypto, QUIC_LIMITS);
        }
        let Some(slot) = self.pool.slot_mut(ticket) else { return Progress::Complete };
        slot.keys = keys;
        let progress = quic::read(slot.client.prefix(), active.budget_is_spent(), &mut notes);
        *changed |= notes.changed;
        progress
    }
}

/// Asks which protocol a datagram speaks.
fn recognised_datagram(
    active: &mut Active,
    start: &Start,
    hint: Option<Protocol>,
    segment: &Segment<'_>,
) -> Option<Protocol> {
    let (mut bytes, mut wire_length) =
        (segment.payload, usize::try_from(segment.wire_payload).unwrap_or(usize::MAX));
    if active.stage == Stage::Watching(Protocol::Stun)
        && let Some(relayed) = channel_data(bytes)
    {
        (bytes, wire_length) = (relayed, relayed.len());
    }
    let (own, other) = active.suspicions(segment.from_client);
    let datagram = Datagram {
        bytes,
        wire_length,
        ports: start.ports(),
        hint: hint.filter(|_| active.stage == Stage::Undecided),
        group: Group::of(start.server.ip()),
        before: own,
        reply: other,
    };
    match recognise::datagram(&datagram) {
        Verdict::Match(protocol) => return Some(protocol),
        Verdict::Weak(protocol, _) if hint == Some(protocol) && active.stage == Stage::Undecided => {
            return Some(protocol);
        }
        Verdict::Weak(protocol, token) => active.suspect(segment.from_client, protocol, token),
        Verdict::No => {}
    }
    active.look_at(bytes);
    None
}

/// What a TURN server relays in a channel (RFC 8656, section 12.4).
fn channel_data(bytes: &[u8]) -> Option<&[u8]> {
    let [0x40..=0x4f, _, high, low, data @ ..] = bytes else { return None };
    data.get(..usize::from(u16::from_be_bytes([*high, *low])))
}

/// A client's hello comes in pieces shuffled on purpose; this many lie apart at most.
const QUIC_LIMITS: Limits = Limits { bytes: READING_BYTES, pending: 64 };
