//! IPv4 (RFC 791), IPv6 (RFC 8200) and the tunnels that carry them.

use super::{Datagram, Depth, End, FragmentKey, LaterFragment, Layer, Undecoded, Walk, link, transport};
use crate::observation::Transport;

/// Walks from an IP header on, by the version that it states.
pub(super) fn walk(layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    match layer.captured.peek().map(|byte| byte >> 4) {
        Some(4) => ipv4(layer, depth),
        Some(6) => ipv6(layer, depth),
        Some(_) => Err(Undecoded::Malformed),
        None => Err(Undecoded::Truncated),
    }
}

/// Whether a header that begins with this byte is one of IPv4.
#[inline]
pub(super) fn is_version_4(first: u8) -> bool {
    first >> 4 == 4
}

/// What the transport layer needs to know of the IP headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier {
    pub(super) source: End,
    pub(super) destination: End,
    /// The packet is the first of several fragments, with this identification.
    pub(super) first_of: Option<u32>,
}

/// Walks from an IPv4 header on, as most packets do.
#[inline]
pub(super) fn ipv4(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let on_wire = layer.wire;
    let header: [u8; 20] = layer.array()?;
    let [version, _, l0, l1, i0, i1, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let header_length = u32::from(version & 0x0f) * 4;
    let options = header_length.checked_sub(20).ok_or(Undecoded::Malformed)?;
    layer.skip(options)?;
    // A sender with segmentation offload hands over packets longer than the field can say, and leaves it zero.
    let total_length = match u32::from(u16::from_be_bytes([l0, l1])) {
        0 => on_wire.max(header_length),
        stated => stated,
    };
    let layer = layer.bounded(total_length.checked_sub(header_length).ok_or(Undecoded::Malformed)?);
    let source = End::ipv4([s0, s1, s2, s3]);
    let destination = End::ipv4([d0, d1, d2, d3]);
    let fragment = u16::from_be_bytes([f0, f1]);
    let identification = u32::from(u16::from_be_bytes([i0, i1]));
    if fragment & IPV4_OFFSET != 0 {
        return Ok(later_fragment(source, destination, protocol, identification, layer));
    }
    let first_of = (fragment & IPV4_MORE_FRAGMENTS != 0).then_some(identification);
    payload(protocol, Carrier { source, destination, first_of }, layer, depth)
}

fn ipv6(mut layer: Layer<'_>, mut depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let on_wire = layer.wire;
    let header: [u8; 8] = layer.array()?;
    let source = End::ipv6(layer.array()?);
    let destination = End::ipv6(layer.array()?);
    let [_, _, _, _, l0, l1, mut next, _hop_limit] = header;
    // Zero stands for a jumbogram (RFC 2675) or for segmentation offload; either is as long as the frame says.
    let mut layer = layer.bounded(match u32::from(u16::from_be_bytes([l0, l1])) {
        0 => on_wire.saturating_sub(IPV6_HEADER),
        stated => stated,
    });
    let mut first_of = None;
    loop {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                let [following, length] = layer.array()?;
                layer.skip(u32::from(length) * 8 + 6)?;
                next = following;
            }
            FRAGMENT => {
                let [following, _, o0, o1, i0, i1, i2, i3] = layer.array()?;
                let offset = u16::from_be_bytes([o0, o1]);
                let identification = u32::from_be_bytes([i0, i1, i2, i3]);
                if offset & IPV6_OFFSET != 0 {
                    return Ok(later_fragment(source, destination, following, identification, layer));
                }
                first_of = (offset & IPV6_MORE_FRAGMENTS != 0).then_some(identification);
                next = following;
            }
            protocol => return payload(protocol, Carrier { source, destination, first_of }, layer, depth),
        }
        depth = depth.deeper()?;
    }
}

/// A fragment that is not the first. Where the transport has no ports nothing is missing, and it counts like any other packet.
fn later_fragment(
    source: End,
    destination: End,
    protocol: u8,
    identification: u32,
    layer: Layer<'_>,
) -> Walk<'_> {
    let transport = Transport::from(protocol);
    if transport.has_ports() {
        let (source_ip, destination_ip) = (source.ip(), destination.ip());
        let key = FragmentKey { source: source_ip, destination: destination_ip, transport, identification };
        Walk::LaterFragment(LaterFragment { key, wire_payload: layer.wire })
    } else {
        let carrier = Carrier { source, destination, first_of: None };
        transport::opaque(transport, carrier, Layer { captured: crate::cursor::Cursor::new(&[]), ..layer })
    }
}

/// What the IP header carries.
#[inline]
fn payload(protocol: u8, carrier: Carrier, layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    match protocol {
        TCP => transport::tcp(carrier, layer),
        UDP => transport::udp(carrier, layer),
        _ => Ok(other_payload(protocol, carrier, layer, depth)),
    }
}

/// A tunnel, or a transport without ports.
fn other_payload(protocol: u8, carrier: Carrier, layer: Layer<'_>, depth: Depth) -> Walk<'_> {
    match protocol {
        IP_IN_IP | IPV6_IN_IP | GRE if carrier.first_of.is_none() => tunnel(protocol, carrier, layer, depth),
        _ => transport::opaque(Transport::from(protocol), carrier, layer),
    }
}

/// What a tunnel carries, or the tunnel itself where that cannot be read.
fn tunnel(protocol: u8, carrier: Carrier, layer: Layer<'_>, depth: Depth) -> Walk<'_> {
    let inside = depth.deeper().and_then(|depth| match protocol {
        GRE => gre(layer, depth),
        _ => walk(layer, depth),
    });
    match inside {
        Ok(Walk::Datagram(datagram)) => Walk::Datagram(Datagram { tunnelled: true, ..datagram }),
        Ok(fragment @ Walk::LaterFragment(_)) => fragment,
        Err(_) => transport::opaque(Transport::from(protocol), carrier, layer),
    }
}

/// A GRE header: RFC 2784 with the key and sequence of RFC 2890, or the enhanced one of PPTP (RFC 2637).
fn gre(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let [flags, low_flags, p0, p1] = layer.array()?;
    let protocol = u16::from_be_bytes([p0, p1]);
    let sequence = flags & GRE_SEQUENCE != 0;
    if flags & GRE_CHECKSUM != 0 {
        layer.skip(4)?;
    }
    if flags & GRE_KEY != 0 {
        layer.skip(4)?;
    }
    if sequence {
        layer.skip(4)?;
    }
    match low_flags & GRE_VERSION {
        0 if flags & GRE_ROUTING == 0 => {}
        1 => {
            if low_flags & GRE_ACKNOWLEDGEMENT != 0 {
                layer.skip(4)?;
            }
        }
        _ => return Err(Undecoded::NotIp),
    }
    match protocol {
        GRE_PPP => link::ppp(layer, depth),
        GRE_ETHERNET => link::ethernet(layer, depth),
        // Type I has no header of its own, type II one of 8 bytes; only type II sets the sequence bit (draft-foschiano-erspan).
        GRE_ERSPAN => {
            if sequence {
                layer.skip(8)?;
            }
            link::ethernet(layer, depth)
        }
        GRE_ERSPAN_3 => {
            let [.., last]: [u8; 12] = layer.array()?;
            if last & ERSPAN_SUBHEADER != 0 {
                layer.skip(8)?;
            }
            link::ethernet(layer, depth)
        }
        other => link::ethertype(other, layer, depth),
    }
}

const IPV4_OFFSET: u16 = 0x1fff;
const IPV4_MORE_FRAGMENTS: u16 = 0x2000;
const IPV6_HEADER: u32 = 40;
const IPV6_OFFSET: u16 = 0xfff8;
const IPV6_MORE_FRAGMENTS: u16 = 0x0001;

// IP protocol numbers (IANA).
const HOP_BY_HOP: u8 = 0;
const IP_IN_IP: u8 = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
const IPV6_IN_IP: u8 = 41;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

const GRE_CHECKSUM: u8 = 0x80;
const GRE_ROUTING: u8 = 0x40;
const GRE_KEY: u8 = 0x20;
const GRE_SEQUENCE: u8 = 0x10;
const GRE_ACKNOWLEDGEMENT: u8 = 0x80;
const GRE_VERSION: u8 = 0x07;
const GRE_PPP: u16 = 0x880b;
const GRE_ETHERNET: u16 = 0x6558;
const GRE_ERSPAN: u16 = 0x88be;
const GRE_ERSPAN_3: u16 = 0x22eb;
const ERSPAN_SUBHEADER: u8 = 0x01;
