//! A source as a flow.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};

use super::message::{Counts, Provider};
use super::session::Lookup;
use super::{Descriptor, property};
use crate::observation::{Direction, FlowReport, FlowState, Observation, Origin, Timestamp, Transport};
use crate::source::packet_tap::{Names, clean_text};
use crate::source::text::NAME_LIMIT;

/// What one message says of a source.
pub(super) struct Seen<'a> {
    pub(super) provider: Provider,
    pub(super) counts: Option<Counts>,
    pub(super) descriptor: Descriptor<'a>,
    pub(super) domain: &'a [u8],
    pub(super) is_closing: bool,
}

/// A source that is followed, and what of it was reported.
#[derive(Debug)]
pub(super) struct Tracked {
    name: String,
    /// Which of its peers it talks to: a UDP socket may have one after the other.
    peer: u32,
    provider: Provider,
    /// Whether its flow began while we watched.
    began: bool,
    unique_pid: u64,
    pid: Option<i32>,
    pidversion: Option<i32>,
    effective_pid: Option<i32>,
    process: Option<Arc<str>>,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    direction: Option<Direction>,
    is_listener: bool,
    interface: Option<Arc<str>>,
    interface_number: u32,
    domain: Option<Arc<str>>,
    /// Since the source came.
    counts: Counts,
    /// What it had moved when it turned to its present peer.
    before_peer: Counts,
    reported: Option<(FlowState, Counts)>,
}

impl Tracked {
    pub(super) fn new(name: String, provider: Provider, began: bool) -> Self {
        Self {
            name,
            peer: 0,
            provider,
            began,
            unique_pid: 0,
            pid: None,
            pidversion: None,
            effective_pid: None,
            process: None,
            local: None,
            remote: None,
            direction: None,
            is_listener: false,
            interface: None,
            interface_number: 0,
            domain: None,
            counts: Counts::default(),
            before_peer: Counts::default(),
            reported: None,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn count(&mut self, counts: Counts) {
        self.counts = counts;
    }

    /// Whether it moved bytes and nobody knows to whom.
    pub(super) fn was_never_addressed(&self) -> bool {
        self.reported.is_none() && self.peer == 0 && !self.is_listener
    }

    /// The port that it waits for connections on, if it does.
    pub(super) fn listens_on(&self) -> Option<u16> {
        self.local.filter(|_| self.is_listener && !self.provider.is_datagram()).map(|local| local.port())
    }

    /// Whether what was reported so far was for another peer than `seen`. Only datagram sockets change theirs.
    pub(super) fn changes_peer(&self, seen: &Seen<'_>) -> bool {
        let next = seen.descriptor.remote.filter(is_peer);
        self.provider.is_datagram() && self.reported.is_some() && next.is_some() && next != self.remote
    }

    /// What it moves from here on is for another peer.
    pub(super) fn turn_to_next_peer(&mut self) {
        self.peer = self.peer.saturating_add(1);
        self.before_peer = self.counts;
        self.reported = None;
        self.began = true;
        self.domain = None;
    }

    /// Takes over what a message says.
    pub(super) fn learn(&mut self, seen: &Seen<'_>, names: &mut Names, lookup: &mut dyn Lookup) {
        let descriptor = &seen.descriptor;
        self.counts = seen.counts.unwrap_or(self.counts);
        if self.pid.is_none() || self.unique_pid != descriptor.unique_pid {
            self.unique_pid = descriptor.unique_pid;
            self.pid = Some(descriptor.pid).filter(|pid| *pid >= 0);
            self.pidversion = self.pid.and_then(|pid| lookup.generation(pid, descriptor.unique_pid));
            self.process = names.intern(descriptor.process);
        }
        self.effective_pid = Some(descriptor.effective_pid).filter(|pid| *pid > 0 && Some(*pid) != self.pid);
        self.local = descriptor.local.or(self.local);
        self.remote = descriptor.remote.filter(is_peer).or(self.remote);
        // A socket that has no peer yet begins its flow when it gets one, however old it is.
        self.began |= self.remote.is_none();
        self.is_listener = descriptor.is_listener();
        if descriptor.interface != 0 && descriptor.interface != self.interface_number {
            self.interface_number = descriptor.interface;
            self.interface = lookup.interface(descriptor.interface);
        }
        if descriptor.properties & property::INBOUND != 0 {
            self.direction = Some(Direction::Inbound);
        } else if descriptor.properties & property::OUTBOUND != 0 {
            self.direction = Some(Direction::Outbound);
        }
        if !seen.domain.is_empty() && self.domain.is_none() {
            let name = seen.domain.strip_suffix(b".").unwrap_or(seen.domain);
            self.domain = clean_text(name, NAME_LIMIT);
        }
    }

    /// Before macOS 14 the kernel does not say who began a connection: it is the peer where a socket of this Mac listens on the port.
    pub(super) fn guess_direction(&mut self, listening: &BTreeMap<u16, u32>) {
        if self.direction.is_some() || self.provider.is_datagram() || self.remote.is_none() {
            return;
        }
        let accepted = self.local.is_some_and(|local| listening.contains_key(&local.port()));
        self.direction = Some(if accepted { Direction::Inbound } else { Direction::Outbound });
    }

    /// A report of this state; an update that begins a flow says so. `None` where there is no flow yet, or nothing new.
    pub(super) fn report(
        &mut self,
        state: FlowState,
        time: Timestamp,
        origin: Origin,
    ) -> Option<Observation> {
        let (local, remote) = (self.local?, self.remote.filter(|_| !self.is_listener)?);
        let totals = self.counts.since(self.before_peer);
        let state = match (self.reported, state) {
            (Some((FlowState::Closed, _)), _) => return None,
            (Some((_, known)), FlowState::Update) if known == totals => return None,
            (None, FlowState::Update) if self.began => FlowState::Open,
            (None, FlowState::Closed) if !self.began => {
                // It was joined in its middle and ended before anything was said of it: all that it moved is older.
                return None;
            }
            (_, state) => state,
        };
        self.reported = Some((state, totals));
        let flow_id = match self.peer {
            0 => CompactString::from(&*self.name),
            peer => format_compact!("{}.{peer}", self.name),
        };
        Some(Observation::Flow(Box::new(FlowReport {
            time,
            flow_id,
            origin,
            pid: self.pid,
            pidversion: self.pidversion,
            effective_pid: self.effective_pid,
            process: self.process.clone(),
            transport: match self.provider {
                Provider::UdpKernel | Provider::UdpUserland | Provider::QuicUserland => Transport::Udp,
                _ => Transport::Tcp,
            },
            local,
            remote,
            direction: self.direction,
            interface: self.interface.clone(),
            protocol: (self.provider == Provider::QuicUserland).then(|| Arc::from(QUIC)),
            server_name: self.domain.clone(),
            bytes_out: totals.bytes_out,
            bytes_in: totals.bytes_in,
            packets_out: totals.packets_out,
            packets_in: totals.packets_in,
            wire_bytes_out: None,
            wire_bytes_in: None,
            state,
        })))
    }
}

/// Whether an address is that of a peer: a socket that waits has the unspecified address there.
fn is_peer(address: &SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}

/// The label of a flow whose provider is QUIC's.
const QUIC: &str = "quic";
