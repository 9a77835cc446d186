//! TCP (RFC 9293), UDP (RFC 768), and everything else as it is.

use super::ip::Carrier;
use super::{Datagram, Layer, TcpFlags, TcpHeader, Undecoded, Walk};
use crate::observation::Transport;

/// A transport without ports, whose payload is the IP payload.
pub(super) fn opaque(transport: Transport, carrier: Carrier, layer: Layer<'_>) -> Walk<'_> {
    Walk::Datagram(Datagram {
        transport,
        source: carrier.source,
        destination: carrier.destination,
        payload: layer.rest(),
        wire_payload: layer.wire,
        tcp: None,
        first_of: None,
        tunnelled: false,
    })
}

/// Walks from a TCP header on.
#[inline]
pub(super) fn tcp(carrier: Carrier, mut layer: Layer<'_>) -> Result<Walk<'_>, Undecoded> {
    let segment = layer.wire;
    // The flags end at byte 14; a capture that holds them holds all that a flow needs.
    let [s0, s1, d0, d1, n0, n1, n2, n3, a0, a1, a2, a3, offset, flags] = layer.array()?;
    let header_length = u32::from(offset >> 4) * 4;
    if header_length < TCP_HEADER {
        return Err(Undecoded::Malformed);
    }
    let wire_payload = segment.checked_sub(header_length).ok_or(Undecoded::Malformed)?;
    let payload = match layer.skip(header_length - 14) {
        Ok(()) => layer.rest(),
        Err(_) => &[],
    };
    Ok(Walk::Datagram(Datagram {
        transport: Transport::Tcp,
        source: carrier.source.at_port([s0, s1]),
        destination: carrier.destination.at_port([d0, d1]),
        payload,
        wire_payload,
        tcp: Some(TcpHeader {
            sequence: u32::from_be_bytes([n0, n1, n2, n3]),
            acknowledgement: u32::from_be_bytes([a0, a1, a2, a3]),
            flags: TcpFlags(flags),
        }),
        first_of: carrier.first_of,
        tunnelled: false,
    }))
}

/// Walks from a UDP header on.
#[inline]
pub(super) fn udp(carrier: Carrier, mut layer: Layer<'_>) -> Result<Walk<'_>, Undecoded> {
    let [s0, s1, d0, d1, l0, l1, _, _] = layer.array()?;
    let stated = u32::from(u16::from_be_bytes([l0, l1]));
    // What lies between the end of the datagram and the end of the IP packet is no payload. A length of zero stands for one that
    // the field cannot hold (RFC 2675 section 4), and the first of several fragments is shorter than the datagram.
    if let Some(stated) = stated.checked_sub(UDP_HEADER).filter(|stated| *stated < layer.wire) {
        layer = layer.bounded(stated);
    } else if (1..UDP_HEADER).contains(&stated) {
        return Err(Undecoded::Malformed);
    }
    Ok(Walk::Datagram(Datagram {
        transport: Transport::Udp,
        source: carrier.source.at_port([s0, s1]),
        destination: carrier.destination.at_port([d0, d1]),
        payload: layer.rest(),
        wire_payload: layer.wire,
        tcp: None,
        first_of: carrier.first_of,
        tunnelled: false,
    }))
}

/// The least a TCP header can be, in bytes.
const TCP_HEADER: u32 = 20;
const UDP_HEADER: u32 = 8;
