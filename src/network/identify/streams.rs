//! What moves the identification of flows over TCP: payload is put in order, examined, and kept as far as it is needed.

use super::details::{self, Answers, Conversation, Notes, Progress};
use super::identifier::label;
use super::inspection::{Active, Layer, READING_BYTES, Stage};
use super::recognise::{self, Stream, Verdict};
use super::{Identified, Identifier, Segment, Start};
use crate::network::protocol::Protocol;

impl Identifier {
    /// Takes one segment; `true` where `identified` changed.
    pub(super) fn tcp(
        &mut self,
        active: &mut Active,
        start: &Start,
        segment: &Segment<'_>,
        identified: &mut Identified,
    ) -> bool {
        let mut changed = false;
        if let Stage::Watching(protocol) = active.stage {
            if !self.watch(active, start, protocol, segment, identified) {
                return false;
            }
            changed = true;
        }
        let base = *active.base(segment.from_client).get_or_insert(segment.sequence);
        let Some((offset, payload)) = in_order(base, segment).filter(|(_, payload)| !payload.is_empty())
        else {
            return changed;
        };
        changed
            | match active.ticket {
                // Nearly always: the first payload, looked at where it lies.
                None if offset == 0 => {
                    self.examine_unbuffered(active, start, segment.from_client, payload, identified)
                }
                None => {
                    active.ticket = Some(self.pool.take());
                    self.buffer(active, start, segment, identified)
                }
                Some(ticket) if self.pool.slot(ticket).is_some() => {
                    self.buffer(active, start, segment, identified)
                }
                // Its buffers were taken away: what follows cannot be put in order any more.
                Some(_) => self.settle(active, start, identified),
            }
    }

    /// Examines the first payload of a flow in the packet, and keeps what of it is needed later.
    fn examine_unbuffered(
        &mut self,
        active: &mut Active,
        start: &Start,
        from_client: bool,
        payload: &[u8],
        identified: &mut Identified,
    ) -> bool {
        let (client, server): (&[u8], &[u8]) = if from_client { (payload, &[]) } else { (&[], payload) };
        let seen =
            self.examine(active, start, Conversation { client, server, last: false }, payload, identified);
        if active.keeps_payload() {
            let consumed = if from_client { seen.client } else { seen.server };
            let ticket = *active.ticket.insert(self.pool.take());
            self.pool.write(
                ticket,
                from_client,
                0,
                payload.get(consumed..).unwrap_or_default(),
                active.limits(),
            );
        }
        seen.changed
    }

    /// Puts a segment where it belongs and examines what is there.
    fn buffer(
        &mut self,
        active: &mut Active,
        start: &Start,
        segment: &Segment<'_>,
        identified: &mut Identified,
    ) -> bool {
        let mut changed = false;
        while let Some(ticket) = active.ticket {
            let limits = active.limits();
            // What an examination consumed moves the base, and with it the segment's place.
            let base = *active.base(segment.from_client).get_or_insert(segment.sequence);
            let Some((offset, payload)) = in_order(base, segment) else { return changed };
            self.pool.write(ticket, segment.from_client, offset, payload, limits);
            changed |= self.examine_buffered(active, start, payload, false, identified);
            if !active.keeps_payload() {
                self.pool.give_back(ticket);
                active.ticket = None;
            }
            // A label that came with this segment may allow more of it to be kept.
            if active.limits() == limits {
                break;
            }
        }
        changed
    }

    /// Looks at one segment of a flow that may change; `true` where it did.
    fn watch(
        &mut self,
        active: &mut Active,
        start: &Start,
        protocol: Protocol,
        segment: &Segment<'_>,
        identified: &mut Identified,
    ) -> bool {
        if protocol == Protocol::Ftp {
            let speaker = if segment.from_client { start.client.ip() } else { start.server.ip() };
            self.expected.read(start.origin, segment.payload, speaker);
            active.stay();
        }
        if !details::begins_tls(segment.payload) || active.layer == Layer::Inner {
            return false;
        }
        *active.base(segment.from_client) = Some(segment.sequence);
        // Where the other end's part begins is known when it speaks.
        *active.base(!segment.from_client) = None;
        identified.upgraded = Some(Protocol::Tls);
        active.look_inside(Stage::Reading(Protocol::Tls));
        true
    }

    /// Examines what is buffered.
    pub(super) fn examine_buffered(
        &mut self,
        active: &mut Active,
        start: &Start,
        fresh: &[u8],
        last: bool,
        identified: &mut Identified,
    ) -> bool {
        let Some(ticket) = active.ticket else { return false };
        // Taken out while it is looked at, so that the rest of the identifier can be used meanwhile.
        let Some(slot) = self.pool.slot_mut(ticket) else { return false };
        let (client, server) = (std::mem::take(&mut slot.client), std::mem::take(&mut slot.server));
        let conversation = Conversation { client: client.prefix(), server: server.prefix(), last };
        let seen = self.examine(active, start, conversation, fresh, identified);
        if let Some(slot) = self.pool.slot_mut(ticket) {
            (slot.client, slot.server) = (client, server);
        }
        self.pool.drop_front(ticket, seen.client, seen.server);
        seen.changed
    }

    /// Seeks the protocol and reads its details, as far as the bytes go. `fresh` is the segment that came.
    fn examine(
        &mut self,
        active: &mut Active,
        start: &Start,
        conversation: Conversation<'_>,
        fresh: &[u8],
        identified: &mut Identified,
    ) -> Seen {
        let mut seen = Seen::default();
        let mut rest = conversation;
        loop {
            match active.stage {
                Stage::Undecided => {
                    let Some(protocol) = recognised(active, start, identified.port_protocol, &rest, fresh)
                    else {
                        return seen;
                    };
                    label(active, protocol, identified);
                    active.enter(Stage::Reading(protocol));
                    seen.changed = true;
                }
                Stage::Reading(protocol) => {
                    let mut notes =
                        Notes::new(&mut identified.metadata, &mut self.texts, start.server.port());
                    let mut answers = Answers::default();
                    let progress = details::stream(protocol, &rest, &mut notes, &mut answers);
                    seen.changed |= notes.changed;
                    self.learn(start.origin, &answers);
                    match progress {
                        Progress::More => return seen,
                        Progress::Complete => active.stage = Stage::Done,
                        Progress::Watch if active.layer == Layer::Inner => active.stage = Stage::Done,
                        Progress::Watch => {
                            if protocol == Protocol::Ftp {
                                self.expected.read(start.origin, fresh, start.client.ip());
                            }
                            active.enter(Stage::Watching(protocol));
                        }
                        Progress::Upgraded(to) => {
                            identified.upgraded = Some(to);
                            seen.changed = true;
                            active.stage = Stage::Done;
                        }
                        Progress::Inside { client, server } => {
                            seen.client += client;
                            seen.server += server;
                            active.advance(client, server);
                            rest.client = rest.client.get(client..).unwrap_or_default();
                            rest.server = rest.server.get(server..).unwrap_or_default();
                            match active.layer {
                                Layer::Outer => active.look_inside(Stage::Undecided),
                                Layer::Inner => active.stage = Stage::Done,
                            }
                            if rest.client.is_empty() && rest.server.is_empty() {
                                return seen;
                            }
                        }
                    }
                }
                Stage::Watching(_) | Stage::Done => return seen,
            }
        }
    }
}

/// What an examination found, and how many bytes of each end are done with.
#[derive(Debug, Default)]
struct Seen {
    changed: bool,
    client: usize,
    server: usize,
}

/// Asks which protocol both ends of a stream speak.
fn recognised(
    active: &mut Active,
    start: &Start,
    hint: Option<Protocol>,
    conversation: &Conversation<'_>,
    fresh: &[u8],
) -> Option<Protocol> {
    let Conversation { client, server, last } = *conversation;
    // The port of a proxy says nothing about what passes inside.
    let hint = hint.filter(|_| active.layer == Layer::Outer);
    let ask =
        |bytes, reply| match recognise::stream(&Stream { bytes, reply, ports: start.ports(), hint, last }) {
            Verdict::Match(protocol) => Some(protocol),
            // Streams have no second datagram that could make a suspicion a proof.
            Verdict::Weak(..) | Verdict::No => None,
        };
    let mut answer = ask(client, server).or_else(|| ask(server, client));
    // Where the beginning is missing, each segment may be the beginning of a message.
    let incomplete = start.midstream || (client.is_empty() && server.is_empty());
    if answer.is_none() && incomplete && !fresh.is_empty() {
        answer = ask(fresh, &[]);
    }
    if active.announced && answer != Some(Protocol::Tls) && !(client.is_empty() && server.is_empty()) {
        answer = Some(Protocol::FtpData);
    }
    active.spoken |= !(client.is_empty() && server.is_empty());
    if answer.is_none() {
        active.look_at(if client.is_empty() { server } else { client });
    }
    answer
}

/// Where a segment lies in its stream, and the part of it that does; `None` for what is far from where the stream is.
fn in_order<'a>(base: u32, segment: &Segment<'a>) -> Option<(usize, &'a [u8])> {
    let distance = segment.sequence.wrapping_sub(base).cast_signed();
    if let Ok(offset) = usize::try_from(distance) {
        return (offset <= READING_BYTES).then_some((offset, segment.payload));
    }
    let repeated = usize::try_from(distance.unsigned_abs()).ok()?;
    segment.payload.get(repeated..).map(|payload| (0, payload))
}
