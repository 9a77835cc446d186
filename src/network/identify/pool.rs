//! The one bounded store of everything that undecided flows keep.

use std::collections::VecDeque;

use super::assembly::{Assembly, Limits};
use super::details::quic::InitialKeys;

/// Buffers by ticket. When the bytes held reach the cap, the oldest ticket loses its buffers: an adversary who opens many flows and
/// says nothing in them makes tidemark forget those, and what is lost is counted.
#[derive(Debug)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Tickets in the order in which they were given out; some may have come back since.
    order: VecDeque<Ticket>,
    held: usize,
    cap: usize,
    evicted: u64,
}

/// A claim to a slot, void once the slot is given to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    index: u32,
    generation: u32,
}

/// What one flow keeps.
#[derive(Debug, Default)]
pub(super) struct Slot {
    generation: u32,
    taken: bool,
    held: usize,
    /// What the end that sent first has said.
    pub(super) client: Assembly,
    /// What the other end has said.
    pub(super) server: Assembly,
    /// Keys of the flow's QUIC Initials.
    pub(super) keys: Option<Box<InitialKeys>>,
}

impl Slot {
    fn side_mut(&mut self, client: bool) -> &mut Assembly {
        if client { &mut self.client } else { &mut self.server }
    }

    fn measure(&self) -> usize {
        SLOT_BYTES + self.client.held() + self.server.held()
    }
}

impl Pool {
    /// A pool that holds at most `cap` bytes.
    pub(super) fn new(cap: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), order: VecDeque::new(), held: 0, cap, evicted: 0 }
    }

    /// Gives out a slot.
    pub(super) fn take(&mut self) -> Ticket {
        self.make_room(SLOT_BYTES);
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut ticket = Ticket { index, generation: 0 };
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.taken = true;
            slot.held = SLOT_BYTES;
            ticket.generation = slot.generation;
        }
        self.held += SLOT_BYTES;
        self.order.push_back(ticket);
        self.forget_returned_tickets();
        ticket
    }

    /// The slot of a ticket that is still good.
    pub(super) fn slot(&self, ticket: Ticket) -> Option<&Slot> {
        self.slots
            .get(ticket.index as usize)
            .filter(|slot| slot.taken && slot.generation == ticket.generation)
    }

    /// The keys of a flow's Initials, to be filled or used, and its assembled bytes.
    pub(super) fn slot_mut(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        self.slots
            .get_mut(ticket.index as usize)
            .filter(|slot| slot.taken && slot.generation == ticket.generation)
    }

    /// Writes into one side of a slot.
    pub(super) fn write(&mut self, ticket: Ticket, client: bool, offset: usize, data: &[u8], limits: Limits) {
        let Some(slot) = self.slot_mut(ticket) else { return };
        slot.side_mut(client).write(offset, data, limits);
        let (before, after) = (slot.held, slot.measure());
        slot.held = after;
        self.held = self.held + after - before;
        if self.held > self.cap {
            self.make_room(0);
        }
    }

    /// Takes consumed bytes away from both sides.
    pub(super) fn drop_front(&mut self, ticket: Ticket, client: usize, server: usize) {
        if let Some(slot) = self.slot_mut(ticket) {
            slot.client.drop_front(client);
            slot.server.drop_front(server);
        }
    }

    /// Takes a slot back.
    pub(super) fn give_back(&mut self, ticket: Ticket) {
        let Some(slot) = self.slot_mut(ticket) else { return };
        slot.client.clear();
        slot.server.clear();
        slot.keys = None;
        slot.taken = false;
        slot.generation = slot.generation.wrapping_add(1);
        let held = std::mem::take(&mut slot.held);
        self.held = self.held.saturating_sub(held);
        self.free.push(ticket.index);
    }

    /// Bytes held now.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Flows that lost their buffers to make room.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Evicts the oldest until `wanted` bytes fit.
    fn make_room(&mut self, wanted: usize) {
        while self.held + wanted > self.cap {
            let Some(oldest) = self.order.pop_front() else { return };
            if self.slot(oldest).is_some() {
                self.give_back(oldest);
                self.evicted += 1;
            }
        }
    }

    /// Keeps the list of tickets within twice the number of slots; the work is paid for by the tickets given out since the last time.
    fn forget_returned_tickets(&mut self) {
        if self.order.len() > 2 * self.slots.len() + 64 {
            let slots = &self.slots;
            self.order.retain(|ticket| {
                slots
                    .get(ticket.index as usize)
                    .is_some_and(|slot| slot.taken && slot.generation == ticket.generation)
            });
        }
    }
}

/// What a slot is charged for itself and its place in the lists, in bytes.
const SLOT_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes: 256, pending: 4 };

    #[test]
    fn the_oldest_makes_room_and_is_counted() {
        let mut pool = Pool::new(4 * SLOT_BYTES);
        let tickets: Vec<_> = (0..5).map(|_| pool.take()).collect();
        assert!(pool.slot(tickets[0]).is_none());
        assert!(tickets[1..].iter().all(|ticket| pool.slot(*ticket).is_some()));
        assert_eq!(pool.evicted(), 1);
    }

    #[test]
    fn what_is_given_back_is_free_again() {
        let mut pool = Pool::new(1 << 20);
        let first = pool.take();
        pool.write(first, true, 0, &[1; 200], LIMITS);
        assert!(pool.held() >= SLOT_BYTES + 200);
        pool.give_back(first);
        assert_eq!(pool.held(), 0);
        let second = pool.take();
        assert!(pool.slot(first).is_none());
        assert!(pool.slot(second).is_some_and(|slot| slot.client.prefix().is_empty()));
    }

    #[test]
    fn the_list_of_tickets_stays_small() {
        let mut pool = Pool::new(1 << 20);
        for _ in 0..10_000 {
            let ticket = pool.take();
            pool.give_back(ticket);
        }
        assert!(pool.order.len() < 200);
    }

    #[test]
    fn bytes_never_exceed_the_cap() {
        let mut pool = Pool::new(8_192);
        for _ in 0..100 {
            let ticket = pool.take();
            pool.write(ticket, true, 0, &[7; 256], LIMITS);
            assert!(pool.held() <= 8_192);
        }
    }
}
