//! The kernel's messages on connections (`bsd/netinet/tcp_log.c` and `udp_log.c` of XNU).

use std::net::IpAddr;

use crate::observation::Transport;

/// A message of the kernel on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary<'a> {
    /// What happened.
    pub kind: Kind,
    /// TCP or UDP.
    pub transport: Transport,
    /// The Mac's end.
    pub local: (Address, u16),
    /// The other end.
    pub remote: (Address, u16),
    /// The interface's name; empty where none was chosen.
    pub interface: &'a str,
    /// How many such messages the kernel had passed over by then, to limit their rate.
    pub skipped: u64,
    /// `so_gencnt`: the kernel's number of the socket, never used again until the next boot.
    pub socket: u64,
    /// The process's name, cut; it may hold anything.
    pub process: &'a str,
    /// The process.
    pub pid: i32,
    /// What was moved, where the message says so.
    pub totals: Option<Totals>,
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This Mac asked for it.
    ConnectOutgoing,
    /// The peer asked for it.
    ConnectIncoming,
    /// It stands.
    Connected,
    /// It ended.
    Ended,
}

/// Transport payload both ways, since the connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Packets received.
    pub packets_in: u64,
    /// Packets sent.
    pub packets_out: u64,
}

/// An address in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// As it is.
    Known(IpAddr),
    /// Withheld by the log's rules on privacy.
    Redacted {
        /// Whether it stands for an IPv6 address.
        is_v6: bool,
    },
}

impl<'a> Summary<'a> {
    /// Reads a message. `None` where it is none of those that count, or lacks a part that it should have.
    ///
    /// The process's name is the one part that somebody else chooses. It is found from both sides, by the member before it and by the
    /// last place where the member after it can begin, so that a name cannot add members.
    pub fn parse(message: &'a str) -> Option<Self> {
        let (transport, kind, after) =
            BEGINNINGS.iter().find_map(|(beginning, transport, kind, after)| {
                message.starts_with(beginning).then_some((*transport, *kind, *after))
            })?;
        let (_, rest) = message.split_once('[')?;
        let (ends, rest) = rest.split_once("] interface: ")?;
        let (local, remote) = ends.split_once("<->")?;
        let (interface, rest) = rest.split_once(" (skipped: ")?;
        let (skipped, rest) = rest.split_once(')')?;
        let (_, rest) = rest.split_once("so_gencnt: ")?;
        let (socket, rest) = rest.split_once(' ')?;
        let (_, rest) = rest.split_once(" process: ")?;
        // The second summary of a TCP connection has other members, and nothing that counts here.
        let after = rest.rfind(after).or_else(|| rest.rfind(SECOND_SUMMARY))?;
        let (owner, members) = rest.split_at_checked(after)?;
        let (process, pid) = owner.rsplit_once(':')?;
        Some(Self {
            kind,
            transport,
            local: end(local)?,
            remote: end(remote)?,
            interface,
            skipped: skipped.parse().ok()?,
            socket: socket.parse().ok()?,
            process,
            pid: pid.parse().ok().filter(|pid| *pid >= 0)?,
            totals: totals(members),
        })
    }
}

/// An address and its port, with a colon between whatever the family.
fn end(text: &str) -> Option<(Address, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    // An address of the link has the interface behind it.
    let plain = address.split_once('%').map_or(address, |(plain, _)| plain);
    let address = match plain.parse() {
        Ok(address) => Address::Known(address),
        Err(_) if address.starts_with('<') => Address::Redacted { is_v6: address.contains("IPv6") },
        Err(_) => return None,
    };
    Some((address, port))
}

fn totals(members: &str) -> Option<Totals> {
    let pair = |name: &str| {
        let (_, rest) = members.split_once(name)?;
        let value = rest.split([' ', '\n']).next()?;
        let (inward, outward) = value.split_once('/')?;
        Some((inward.parse().ok()?, outward.parse().ok()?))
    };
    let (bytes_in, bytes_out) = pair("bytes in/out: ")?;
    let (packets_in, packets_out) = pair("pkts in/out: ")?;
    Some(Totals { bytes_in, bytes_out, packets_in, packets_out })
}

/// How a message begins, and which member follows the process.
const BEGINNINGS: [(&str, Transport, Kind, &str); 6] = [
    ("tcp_connection_summary", Transport::Tcp, Kind::Ended, " Duration: "),
    ("udp_connection_summary", Transport::Udp, Kind::Ended, " Duration: "),
    ("tcp connect outgoing", Transport::Tcp, Kind::ConnectOutgoing, " SYN in/out: "),
    ("tcp connect incoming", Transport::Tcp, Kind::ConnectIncoming, " SYN in/out: "),
    ("tcp connected", Transport::Tcp, Kind::Connected, " SYN in/out: "),
    ("udp connect", Transport::Udp, Kind::ConnectOutgoing, " bytes in/out: "),
];
/// The member that follows the process in the second summary of a TCP connection.
const SECOND_SUMMARY: &str = " flowctl: ";
