//! The tap as a source of packets.
//!
//! A packet may be seen more than once, and each copy is somebody's. On the loopback interface it passes on its way out under its sender
//! and on its way in under its receiver: two flows, each end's own, which direction and owner keep apart. What goes through a VPN passes
//! the tunnel's interface under the program that sent it, and the real one, wrapped, under the VPN's own process or under none: two flows
//! with different ends, and of different subjects. What the kernel itself wraps (ESP, AH) the filter keeps out. Bridges, which show the
//! packets of virtual machines a second time, are not tapped at all.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Header, Names, Next, Records};
use crate::observation::{Gap, LinkType, Observation, Origin, Packet, PacketOwner, Timestamp};
use crate::source::live::{Clock, EffortCell};
use crate::source::{Position, Source, SourceReport};

/// The name under which the tap reports.
pub const SOURCE_NAME: &str = "packet_tap";

/// An open tap, or what stands for it in a test.
pub trait Tap {
    /// The size in bytes of the kernel's buffer; a read must ask for exactly as much.
    fn buffer_length(&self) -> usize;

    /// Waits at most so long for packets; how many bytes came, zero where none did.
    ///
    /// # Errors
    /// Where the device fails: nothing more will come.
    fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize>;

    /// The kernel's own count.
    ///
    /// # Errors
    /// What the system says.
    fn statistics(&mut self) -> io::Result<Statistics>;
}

/// `struct bpf_stat`: counts since the device was opened, which run over.
#[doc(alias = "bpf_stat")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Packets that the filter let pass.
    pub received: u32,
    /// Those of them for which the buffer had no room.
    pub dropped: u32,
}

/// What the tap took in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Packets.
    pub packets: u64,
    /// Packets that the kernel named no process for.
    pub unowned: u64,
    /// Records that could not be read.
    pub malformed: u64,
    /// Packets that the kernel had no room for.
    pub dropped: u64,
}

/// Turns what the device gives into observations.
#[derive(Debug, Default)]
pub struct Session {
    origin: Origin,
    names: Names,
    /// Which packets are passed on.
    effort: EffortCell,
    known: Statistics,
    account: Account,
}

impl Session {
    /// A session whose packets belong to `origin`.
    pub fn new(origin: Origin) -> Self {
        Self { origin, ..Self::default() }
    }

    /// Takes what one read gave.
    ///
    /// Each packet is copied: a slice would keep the whole buffer, and a queue of packets many buffers.
    pub fn receive(&mut self, buffer: &[u8], now: Timestamp, out: &mut Vec<Observation>) {
        for record in Records::new(buffer) {
            match record {
                Ok(record) if !self.effort.inspects(record.time) => {}
                Ok(record) => {
                    let packet = Packet {
                        time: record.time,
                        origin: self.origin,
                        interface: None,
                        link_type: LinkType::PKTAP,
                        wire_length: record.original_length,
                        data: Bytes::copy_from_slice(record.data),
                        direction: None,
                        owner: PacketOwner::default(),
                        flow_id: None,
                    };
                    self.untap(packet, out);
                }
                Err(invalid) => {
                    tracing::debug!(%invalid, "the rest of a buffer of the tap cannot be read");
                    self.account.malformed = self.account.malformed.saturating_add(1);
                    // How many records stood behind it nobody knows.
                    out.push(gap(now, None));
                }
            }
        }
    }

    /// Takes the kernel's count; what was dropped since the last one is a gap.
    pub fn count(&mut self, statistics: Statistics, now: Timestamp, out: &mut Vec<Observation>) {
        let dropped = u64::from(statistics.dropped.wrapping_sub(self.known.dropped));
        self.known = statistics;
        if dropped > 0 {
            self.account.dropped = self.account.dropped.saturating_add(dropped);
            out.push(gap(now, Some(dropped)));
        }
    }

    /// What was taken in.
    pub fn account(&self) -> Account {
        self.account
    }

    fn untap(&mut self, mut packet: Packet, out: &mut Vec<Observation>) {
        let data = packet.data.clone();
        match Header::parse(&data) {
            Ok(header) if header.next == Next::Packet => {
                header.take_off(&mut packet, &mut self.names);
                self.account.packets = self.account.packets.saturating_add(1);
                if packet.owner.pid.is_none() {
                    self.account.unowned = self.account.unowned.saturating_add(1);
                }
                out.push(Observation::Packet(packet));
            }
            // A packet that the kernel dropped was never on its way.
            Ok(_) => {}
            Err(invalid) => {
                tracing::debug!(%invalid, "a packet of the tap cannot be read");
                self.account.malformed = self.account.malformed.saturating_add(1);
            }
        }
    }
}

fn gap(time: Timestamp, lost: Option<u64>) -> Observation {
    Observation::Gap(Box::new(Gap { time, source: Arc::from(SOURCE_NAME), lost }))
}

/// The tap as a source. It ends where the device fails; its report says why.
pub struct Reader<T, C> {
    tap: T,
    session: Session,
    clock: C,
    buffer: Vec<u8>,
    ready: VecDeque<Observation>,
    /// When the kernel's count is to be asked for next, by the steady clock.
    count_due: Duration,
    report: SourceReport,
}

impl<T: Tap, C: Clock> Reader<T, C> {
    /// A reader of this tap.
    pub fn new(tap: T, mut clock: C, origin: Origin) -> Self {
        Self {
            session: Session::new(origin),
            buffer: vec![0; tap.buffer_length()],
            ready: VecDeque::new(),
            count_due: clock.now().steady,
            report: SourceReport::new(SOURCE_NAME),
            clock,
            tap,
        }
    }

    /// Keeps to this effort: what it passes over is counted there, and is no gap.
    #[must_use]
    pub fn with_effort(mut self, effort: EffortCell) -> Self {
        self.session.effort = effort;
        self
    }

    /// What was taken in.
    pub fn account(&self) -> Account {
        self.session.account()
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut seen = Vec::new();
        let length = self.tap.read(&mut self.buffer, COUNT_EVERY)?;
        let now = self.clock.now();
        if now.steady >= self.count_due {
            self.count_due = now.steady + COUNT_EVERY;
            self.session.count(self.tap.statistics()?, now.wall, &mut seen);
        }
        let packets = self.buffer.get(..length).unwrap_or(&self.buffer);
        self.session.receive(packets, now.wall, &mut seen);
        self.report.bytes = self.report.bytes.saturating_add(length as u64);
        self.report.malformed = self.session.account().malformed;
        self.ready.extend(seen);
        Ok(())
    }
}

impl<T: Tap, C: Clock> Iterator for Reader<T, C> {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        while self.ready.is_empty() {
            if self.report.ended_early.is_some() {
                return None;
            }
            if let Err(error) = self.turn() {
                let position = Position::Byte(self.report.bytes);
                self.report.end_early(position, format!("the packet tap failed: {error}"));
            }
        }
        self.report.observations = self.report.observations.saturating_add(1);
        self.ready.pop_front()
    }
}

impl<T: Tap, C: Clock> Source for Reader<T, C> {
    fn report(&self) -> &SourceReport {
        &self.report
    }
}

/// How often the kernel is asked what it dropped.
const COUNT_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Direction;
    use crate::source::live::Effort;
    use crate::source::packet_tap::simulation;

    fn packets(buffer: &[u8]) -> (Vec<Observation>, Account) {
        let mut session = Session::new(Origin(2));
        let mut out = Vec::new();
        session.receive(buffer, Timestamp::from_nanos(5), &mut out);
        (out, session.account())
    }

    #[test]
    fn a_packet_has_its_owner_and_its_length_on_the_wire() {
        let frame = [7; 60];
        let buffer = simulation::record(9, 1_514, &frame, Some(501), "en0", Direction::Outbound);
        let (out, account) = packets(&buffer);
        let [Observation::Packet(packet)] = &out[..] else { panic!("{out:?}") };
        assert_eq!((packet.wire_length, &packet.data[..], packet.origin), (1_514, &frame[..], Origin(2)));
        assert_eq!((packet.owner.pid, packet.owner.name.as_deref()), (Some(501), Some("curl")));
        assert_eq!((packet.interface.as_deref(), packet.direction), (Some("en0"), Some(Direction::Outbound)));
        assert_eq!((packet.time, packet.link_type), (Timestamp::from_seconds(9, 0), LinkType::ETHERNET));
        assert_eq!(account, Account { packets: 1, ..Account::default() });
    }

    #[test]
    fn with_less_effort_packets_of_some_seconds_are_passed_over_and_counted() {
        let mut session = Session::new(Origin(0));
        session.effort.set(Effort::FewerPackets);
        let mut out = Vec::new();
        for second in 0..8 {
            let record = simulation::record(second, 60, &[7; 60], Some(1), "en0", Direction::Outbound);
            session.receive(&record, Timestamp::EPOCH, &mut out);
        }
        let times: Vec<i64> = out.iter().map(|seen| seen.time().unwrap().as_seconds()).collect();
        assert_eq!((times, session.effort.passed_over()), (vec![0, 4], 6));
    }

    #[test]
    fn a_packet_without_a_process_is_counted_as_such() {
        let buffer = simulation::record(9, 60, &[7; 60], None, "en0", Direction::Inbound);
        assert_eq!(packets(&buffer).1, Account { packets: 1, unowned: 1, ..Account::default() });
    }

    #[test]
    fn a_buffer_that_cannot_be_read_on_is_a_gap_of_unknown_size() {
        let whole = simulation::record(9, 60, &[7; 60], Some(1), "en0", Direction::Inbound);
        let cut = [&whole[..], &whole[..40]].concat();
        let (out, account) = packets(&cut);
        assert!(matches!(&out[..], [Observation::Packet(_), Observation::Gap(gap)] if gap.lost.is_none()));
        assert_eq!((account.packets, account.malformed), (1, 1));
    }

    #[test]
    fn what_the_kernel_dropped_is_a_gap_though_its_count_runs_over() {
        let mut session = Session::default();
        let mut out = Vec::new();
        for (dropped, lost) in
            [(0, None), (5, Some(5)), (5, None), (u32::MAX, Some(u64::from(u32::MAX) - 5)), (2, Some(3))]
        {
            out.clear();
            session.count(Statistics { received: 0, dropped }, Timestamp::EPOCH, &mut out);
            let told = out.first().map(|gap| match gap {
                Observation::Gap(gap) => gap.lost.unwrap(),
                other => panic!("{other:?}"),
            });
            assert_eq!(told, lost);
        }
        assert_eq!(session.account().dropped, u64::from(u32::MAX) + 3);
    }
}
