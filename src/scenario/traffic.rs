//! The flows of a process, as the kernel's own statistics report them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use super::language::{Flow, Transport as Written};
use super::mac::Task;
use super::schedule::{Absence, Calendar};
use crate::observation::{Direction, FlowReport, FlowState, Observation, Origin, Timestamp, Transport};

/// One flow, with all that it moves.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) owner: Task,
    /// The process on whose behalf the owner acts.
    pub(super) behalf: Option<i32>,
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) direction: Direction,
    pub(super) interface: &'static str,
    /// The label; none where packets beside the reports show it.
    pub(super) protocol: Option<Arc<str>>,
    pub(super) server_name: Option<Arc<str>>,
    pub(super) start: Timestamp,
    pub(super) lasts: Duration,
    pub(super) load: Load,
}

/// What a flow moves, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    pub(super) out: u64,
    pub(super) back: u64,
}

/// What became of a flow.
#[derive(Debug)]
pub(super) enum End<'a> {
    /// It ended at this time.
    At(Timestamp),
    /// The Mac went down under it, with so much still to move.
    Cut { by: Absence<'a>, rest: Load, left: Duration },
}

impl Load {
    /// The part of it that has moved after a share of its time.
    fn part(self, share: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a number that is not negative"
        )]
        let of = |bytes: u64| (bytes as f64 * share.clamp(0.0, 1.0)) as u64;
        Self { out: of(self.out), back: of(self.back) }
    }

    /// What one occurrence of a flow moves: both ways by one factor, since who sends more also receives more.
    pub(super) fn of(flow: &Flow, dice: &mut Dice) -> Self {
        let factor = dice.factor(flow.spread);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and a cast saturates"
        )]
        let of = |bytes: u64| (bytes as f64 * factor) as u64;
        Self { out: of(flow.sends.0), back: of(flow.receives.0) }
    }
}

impl Wire {
    /// Tells it in reports; what falls into the Mac's sleep is told when it wakes.
    pub(super) fn tell<'a>(
        &self,
        id: &str,
        calendar: &Calendar<'a>,
        told: &mut Vec<(Timestamp, Observation)>,
    ) -> End<'a> {
        let end = self.start.after(self.lasts);
        let cut = calendar.next_restart(self.start).filter(|absence| absence.from < end).copied();
        let reports = u32::try_from((self.lasts.as_secs() / A_REPORT).min(MOST_REPORTS)).unwrap_or(1);
        let mut tell =
            |time: Timestamp, load: Load, state| told.push((time, self.report(id, time, load, state)));
        if reports > 0 {
            tell(self.start, Load::default(), FlowState::Open);
        }
        for step in 1..reports {
            let share = f64::from(step) / f64::from(reports);
            let time = self.start.after(self.lasts.mul_f64(share));
            let seen = cut.is_none_or(|cut| time < cut.from) && calendar.absence(time).is_none();
            if seen {
                tell(time, self.load.part(share), FlowState::Update);
            }
        }
        match cut {
            None => {
                let end =
                    calendar.absence(end).map_or(end, |absence| absence.to.after(Duration::from_secs(1)));
                tell(end, self.load, FlowState::Closed);
                End::At(end)
            }
            Some(by) => {
                let done = by.from.since(self.start).as_secs_f64() / self.lasts.as_secs_f64().max(1.0);
                let moved = self.load.part(done);
                tell(by.from.before(Duration::from_secs(1)), moved, FlowState::Update);
                let rest = Load { out: self.load.out - moved.out, back: self.load.back - moved.back };
                End::Cut { by, rest, left: self.lasts.mul_f64(1.0 - done.clamp(0.0, 1.0)) }
            }
        }
    }

    pub(super) fn report(&self, id: &str, time: Timestamp, load: Load, state: FlowState) -> Observation {
        let info = &self.owner.info;
        Observation::Flow(Box::new(FlowReport {
            time,
            flow_id: id.into(),
            origin: Origin::default(),
            pid: Some(info.key.pid),
            pidversion: info.key.pidversion,
            effective_pid: self.behalf,
            process: Some(Arc::clone(&self.owner.name)),
            transport: self.transport,
            local: self.local,
            remote: self.remote,
            direction: Some(self.direction),
            interface: Some(self.interface.into()),
            protocol: self.protocol.clone(),
            server_name: self.server_name.clone(),
            bytes_out: load.out,
            bytes_in: load.back,
            packets_out: load.out.div_ceil(PACKET),
            packets_in: load.back.div_ceil(PACKET),
            wire_bytes_out: None,
            wire_bytes_in: None,
            state,
        }))
    }
}

/// Where a flow goes: an address, or a host with an address of its own that is always the same.
pub(super) fn address(host: &str) -> (IpAddr, bool) {
    if let Ok(address) = host.parse() {
        return (address, false);
    }
    let [a, b, c, d, ..] = Dice::of(0, &["host", host]).next().to_be_bytes();
    // 11 to 90: public space without a special range but 10/8, which lies below.
    (Ipv4Addr::new(11 + a % 80, b, c, 1 + d % 250).into(), true)
}

/// Transport and server port of a flow.
pub(super) fn endpoint(flow: &Flow) -> (Transport, u16) {
    let (usual_transport, usual_port) = usual(flow.protocol.get_ref());
    let transport = match flow.transport {
        Some(Written::Tcp) => Transport::Tcp,
        Some(Written::Udp) => Transport::Udp,
        None => usual_transport,
    };
    (transport, flow.port.unwrap_or(usual_port))
}

/// Where a protocol is usually spoken (IANA's registry).
fn usual(label: &str) -> (Transport, u16) {
    match label {
        "quic" => (Transport::Udp, 443),
        "http" => (Transport::Tcp, 80),
        "dns" => (Transport::Udp, 53),
        "mdns" => (Transport::Udp, 5_353),
        "ntp" => (Transport::Udp, 123),
        "ssh" => (Transport::Tcp, 22),
        "ftp" => (Transport::Tcp, 21),
        "smtp" => (Transport::Tcp, 587),
        "imap" => (Transport::Tcp, 143),
        "smb" => (Transport::Tcp, 445),
        "afp" => (Transport::Tcp, 548),
        "postgres" => (Transport::Tcp, 5_432),
        "mysql" => (Transport::Tcp, 3_306),
        "redis" => (Transport::Tcp, 6_379),
        "git" => (Transport::Tcp, 9_418),
        "rsync" => (Transport::Tcp, 873),
        "socks" => (Transport::Tcp, 1_080),
        "irc" => (Transport::Tcp, 6_667),
        "vnc" => (Transport::Tcp, 5_900),
        "rtsp" => (Transport::Tcp, 554),
        "stun" => (Transport::Udp, 3_478),
        "rtp" => (Transport::Udp, 49_200),
        "ipsec" => (Transport::Udp, 4_500),
        "wireguard" => (Transport::Udp, 51_820),
        "openvpn" => (Transport::Udp, 1_194),
        "icmp" => (Transport::Icmp, 0),
        _ => (Transport::Tcp, 443),
    }
}

/// Seconds between two reports of a flow that lasts.
const A_REPORT: u64 = 60;
/// Reports of one flow: a day in steps of half an hour.
const MOST_REPORTS: u64 = 48;
/// Bytes that a packet carries.
const PACKET: u64 = 1_400;
