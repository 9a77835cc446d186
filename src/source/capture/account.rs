//! The last steps from a record to an observation, and the count of what did not get there.

use std::sync::Arc;

use super::window::{Shortage, Window};
use crate::observation::{Gap, LinkType, Origin, Packet, Timestamp};
use crate::source::packet_tap::{Header, Names, Next};
use crate::source::{Position, SourceReport};

/// What the readers of both formats share.
pub(super) struct Account {
    /// What was read, and what was not.
    pub(super) report: SourceReport,
    /// Which capture this is.
    pub(super) origin: Origin,
    names: Names,
    latest: Option<Timestamp>,
    /// What the last record told of a loss.
    gap: Option<Box<Gap>>,
}

/// Nothing more can be read; the report says why, unless it is the end of the input.
#[derive(Debug)]
pub(super) struct Stop;

impl Account {
    /// Of a capture that nothing was read of.
    pub(super) fn new(name: Arc<str>, origin: Origin) -> Self {
        Self { report: SourceReport::new(name), origin, names: Names::default(), latest: None, gap: None }
    }

    /// The latest time that was yielded.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    /// Counts a record that is passed over.
    pub(super) fn skip(&mut self, at: u64, what: impl Into<String>) {
        self.report.skip(Position::Byte(at), what);
    }

    /// The input ends, or fails, where a record of `needed` bytes that begins at `at` was to be read from `window`.
    pub(super) fn stop(&mut self, at: u64, window: &Window, needed: u64, shortage: Shortage) -> Stop {
        match shortage {
            Shortage::Failed(error) => self.refuse(at, format!("the input cannot be read: {error}")),
            Shortage::End { left } => match window.position() - at + left as u64 {
                0 => Stop,
                had => {
                    self.refuse(at, format!("the input ends {had} bytes into a record of {needed} or more"))
                }
            },
        }
    }

    /// Nothing says where the next record begins.
    pub(super) fn refuse(&mut self, at: u64, what: impl Into<String>) -> Stop {
        self.report.end_early(Position::Byte(at), what);
        Stop
    }

    /// What the last record told of a loss.
    #[inline]
    pub(super) fn take_gap(&mut self) -> Option<Box<Gap>> {
        self.gap.take()
    }

    /// Counts the packet of the record at `at`, without its PKTAP header where it has one; `None` where nothing stands behind that.
    pub(super) fn packet(&mut self, at: u64, mut packet: Packet) -> Option<Packet> {
        if may_be_tapped(packet.link_type) && !self.unwrap(at, &mut packet) {
            return None;
        }
        self.count(packet.time);
        Some(packet)
    }

    /// Tells of a loss of so many packets, which the capture itself tells of.
    pub(super) fn gap(&mut self, time: Timestamp, lost: u64) {
        self.count(time);
        let source = Arc::clone(&self.report.name);
        self.gap = Some(Box::new(Gap { time, source, lost: Some(lost) }));
    }

    /// Takes the PKTAP header off; whether there is a packet behind it.
    ///
    /// A drop record is passed over without being counted: it tells of a packet that was never on its way. Link type 149 is anyone's,
    /// so that what has no PKTAP header there stays as it is.
    fn unwrap(&mut self, at: u64, packet: &mut Packet) -> bool {
        // A handle on the bytes, so that the packet itself can change.
        let data = packet.data.clone();
        let header = match Header::parse(&data) {
            Ok(header) => header,
            Err(_) if packet.link_type == LinkType::USER2 => return true,
            Err(error) => {
                self.skip(at, error.to_string());
                return false;
            }
        };
        if header.next != Next::Packet {
            return false;
        }
        header.take_off(packet, &mut self.names);
        true
    }

    /// Counts an observation of this time.
    #[inline]
    pub(super) fn count(&mut self, time: Timestamp) {
        self.report.observations += 1;
        match self.latest {
            Some(latest) if time < latest => self.report.out_of_order += 1,
            _ => self.latest = Some(time),
        }
    }
}

/// Whether packets of this link type may have a PKTAP header.
#[inline]
pub(super) fn may_be_tapped(link_type: LinkType) -> bool {
    matches!(link_type, LinkType::PKTAP | LinkType::USER2)
}
