//! Packets for tests, built from the inside out.

use std::net::{IpAddr, SocketAddr};

use super::TcpFlags;

/// A TCP segment.
pub(in crate::network) fn tcp(
    from: SocketAddr,
    to: SocketAddr,
    flags: TcpFlags,
    sequence: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(from.port().to_be_bytes());
    segment.extend(to.port().to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(0_u32.to_be_bytes());
    // Eight words of header: three of options.
    segment.extend([0x80, flags.0, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend([1; 12]);
    segment.extend(payload);
    ip(from.ip(), to.ip(), 6, &segment)
}

/// A UDP datagram.
pub(in crate::network) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    ip(from.ip(), to.ip(), 17, &udp_header(from, to, payload))
}

/// A UDP datagram without its IP header.
pub(in crate::network) fn udp_header(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(from.port().to_be_bytes());
    datagram.extend(to.port().to_be_bytes());
    datagram.extend(u16::try_from(payload.len() + 8).unwrap().to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// An IP packet, of the version of its addresses.
pub(in crate::network) fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(_), _) => ipv4(from, to, protocol, 0, 0, payload),
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            packet.extend([protocol, 64]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            packet.extend(payload);
            packet
        }
        _ => panic!("addresses of two versions"),
    }
}

/// An IPv4 packet with this identification and these flags and offset.
pub(in crate::network) fn ipv4(
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    identification: u16,
    fragment: u16,
    payload: &[u8],
) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) else { panic!("not IPv4") };
    let mut packet = vec![0x45, 0];
    packet.extend(u16::try_from(payload.len() + 20).unwrap().to_be_bytes());
    packet.extend(identification.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    packet
}

/// An Ethernet frame.
pub(in crate::network) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}
