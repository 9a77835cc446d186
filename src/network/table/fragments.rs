//! Which flow the later fragments of a packet belong to.

use std::collections::VecDeque;
use std::time::Duration;

use super::clock::nanos;
use super::slab::Slot;
use crate::network::packet::FragmentKey;
use crate::network::report::Count;
use crate::observation::{Direction, Origin};

/// A packet in fragments, as one side of one interface saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragmented {
    pub(super) origin: Origin,
    /// A loopback packet passes twice, each time in fragments, and each time it is another process's.
    pub(super) direction: Option<Direction>,
    pub(super) key: FragmentKey,
}

/// The flow of a packet whose first fragment was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) slot: Slot,
    /// The slot may house another flow by now.
    pub(super) serial: u64,
    /// Whether the packet goes away from the local end.
    pub(super) outward: bool,
}

/// Counts of fragments that cannot yet be said to go either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) packets: u64,
    pub(super) payload: u64,
    pub(super) wire: u64,
}

impl Waiting {
    pub(super) fn one(payload: u32, wire: u32) -> Self {
        Self { packets: 1, payload: u64::from(payload), wire: u64::from(wire) }
    }
}

/// The packets in fragments that were seen last; the rest is forgotten.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Oldest first.
    packets: VecDeque<Partial>,
}

#[derive(Debug)]
struct Partial {
    of: Fragmented,
    began: u64,
    home: Option<Home>,
    waiting: Waiting,
}

impl Fragments {
    /// Takes a first fragment, and gives back what waited for it.
    pub(super) fn first(&mut self, of: Fragmented, home: Home, steady: u64, lost: &mut Count) -> Waiting {
        let Some(partial) = self.partial(of, steady, lost) else { return Waiting::default() };
        partial.home = Some(home);
        std::mem::take(&mut partial.waiting)
    }

    /// Takes a later fragment: says where it belongs, or lets it wait for the first one.
    pub(super) fn later(
        &mut self,
        of: Fragmented,
        counts: Waiting,
        steady: u64,
        lost: &mut Count,
    ) -> Option<Home> {
        let partial = self.partial(of, steady, lost)?;
        if partial.home.is_none() {
            partial.waiting.packets += counts.packets;
            partial.waiting.payload += counts.payload;
            partial.waiting.wire += counts.wire;
        }
        partial.home
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self, lost: &mut Count) {
        while self.forget_oldest(lost) {}
    }

    fn partial(&mut self, of: Fragmented, steady: u64, lost: &mut Count) -> Option<&mut Partial> {
        let is_old = |partial: &Partial| steady.saturating_sub(partial.began) > nanos(REASSEMBLY_TIME);
        while self.packets.front().is_some_and(is_old) {
            self.forget_oldest(lost);
        }
        if let Some(place) = self.packets.iter().rposition(|partial| partial.of == of) {
            return self.packets.get_mut(place);
        }
        if self.packets.len() >= KEPT {
            self.forget_oldest(lost);
        }
        self.packets.push_back(Partial { of, began: steady, home: None, waiting: Waiting::default() });
        self.packets.back_mut()
    }

    fn forget_oldest(&mut self, lost: &mut Count) -> bool {
        let oldest = self.packets.pop_front();
        if let Some(Partial { waiting, .. }) = &oldest {
            lost.add(waiting.packets, waiting.wire);
        }
        oldest.is_some()
    }
}

/// How long a receiver waits for the rest (RFC 8200 section 4.5).
const REASSEMBLY_TIME: Duration = Duration::from_secs(60);

/// Packets in fragments under way at once. They are searched one by one, youngest first, which is where the next fragment belongs.
const KEPT: usize = 64;
