//! How a connection through a proxy begins, as packets: only they show where it leads.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use super::traffic::Wire;
use crate::observation::{Direction, LinkType, Observation, Origin, Packet, PacketOwner, Timestamp};

/// The handshake with the proxy, the `CONNECT` (RFC 9110, section 9.3.6), its answer, and the first bytes of what passes inside.
pub(super) fn connect(wire: &Wire, host: &str, port: u16) -> Vec<(Timestamp, Observation)> {
    let connect = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    let mut talk = Talk::begin(wire);
    talk.say(true, ACK, connect.as_bytes());
    talk.say(false, ACK, b"HTTP/1.1 200 Connection established\r\n\r\n");
    talk.enter(host, port)
}

/// The same with a SOCKS proxy, version 5 (RFC 1928).
pub(super) fn socks(wire: &Wire, host: &str, port: u16) -> Vec<(Timestamp, Observation)> {
    let mut request = vec![5, 1, 0, 3, u8::try_from(host.len()).unwrap_or(u8::MAX)];
    request.extend(host.bytes().take(usize::from(u8::MAX)));
    request.extend(port.to_be_bytes());
    let mut talk = Talk::begin(wire);
    talk.say(true, ACK, &[5, 1, 0]);
    talk.say(false, ACK, &[5, 0]);
    talk.say(true, ACK, &request);
    talk.say(false, ACK, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    talk.enter(host, port)
}

/// A conversation in the making.
struct Talk<'a> {
    wire: &'a Wire,
    sent: u32,
    received: u32,
    packets: Vec<(Timestamp, Observation)>,
}

impl<'a> Talk<'a> {
    fn begin(wire: &'a Wire) -> Self {
        let mut talk = Self { wire, sent: 1_000, received: 9_000, packets: Vec::new() };
        talk.say(true, SYN, &[]);
        talk.say(false, SYN | ACK, &[]);
        talk
    }

    /// The first bytes of what passes inside.
    fn enter(mut self, host: &str, port: u16) -> Vec<(Timestamp, Observation)> {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let inside: &[u8] = if port == PLAIN_WEB { request.as_bytes() } else { &HELLO };
        self.say(true, ACK, inside);
        self.packets
    }

    fn say(&mut self, ours: bool, flags: u8, payload: &[u8]) {
        let Wire { local, remote, owner, interface, start, .. } = self.wire;
        let (from, to) = if ours { (*local, *remote) } else { (*remote, *local) };
        let (own, other) = if ours { (self.sent, self.received) } else { (self.received, self.sent) };
        let frame = segment(from, to, own, if flags & ACK == 0 { 0 } else { other }, flags, payload);
        let length = u32::try_from(payload.len()).unwrap_or(0) + u32::from(flags & SYN != 0);
        *(if ours { &mut self.sent } else { &mut self.received }) += length;
        let packet = Packet {
            time: *start,
            origin: Origin::default(),
            interface: Some(Arc::from(*interface)),
            link_type: LinkType::RAW,
            wire_length: u32::try_from(frame.len()).unwrap_or(0),
            data: Bytes::from(frame),
            direction: Some(if ours { Direction::Outbound } else { Direction::Inbound }),
            owner: PacketOwner {
                pid: Some(owner.info.key.pid),
                name: Some(Arc::clone(&owner.name)),
                effective_pid: self.wire.behalf,
                effective_name: None,
            },
            flow_id: None,
        };
        self.packets.push((*start, Observation::Packet(packet)));
    }
}

/// A TCP segment in IPv4 (RFC 9293, section 3.1; RFC 791, section 3.1), without checksums, as an interface that computes them in hardware shows it.
fn segment(
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let octets = |end: SocketAddr| match end.ip() {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    let length = u16::try_from(HEADERS + payload.len()).unwrap_or(u16::MAX);
    let mut frame = Vec::with_capacity(usize::from(length));
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, TCP, 0, 0]);
    frame.extend(octets(from));
    frame.extend(octets(to));
    frame.extend(from.port().to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    frame.extend(sequence.to_be_bytes());
    frame.extend(acknowledged.to_be_bytes());
    frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// The front of a `ClientHello` (RFC 8446, section 4.1.2), where the capture cut it off.
const HELLO: [u8; 11] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
const PLAIN_WEB: u16 = 80;
const HEADERS: usize = 40;
const TCP: u8 = 6;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
