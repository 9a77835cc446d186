//! Link headers (<https://www.tcpdump.org/linktypes.html>), tags and sessions, down to the IP header.

use super::{Depth, Layer, Undecoded, Walk, ip, wlan};
use crate::observation::LinkType;

/// Walks from the link header on.
#[inline]
pub(super) fn walk(link_type: LinkType, layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    match link_type {
        LinkType::ETHERNET => ethernet(layer, depth),
        _ => other_link(link_type, layer, depth),
    }
}

/// The links that are not Ethernet.
fn other_link(link_type: LinkType, mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    match link_type {
        LinkType::NULL => {
            let family: [u8; 4] = layer.array()?;
            address_family(u32::from_le_bytes(family))
                .or_else(|_| address_family(u32::from_be_bytes(family)))
                .and_then(|()| ip::walk(layer, depth))
        }
        LinkType::LOOP => {
            address_family(u32::from_be_bytes(layer.array()?)).and_then(|()| ip::walk(layer, depth))
        }
        LinkType::RAW | LinkType::RAW_BSD | RAW_OPENBSD | LinkType::IPV4 | LinkType::IPV6 => {
            ip::walk(layer, depth)
        }
        LinkType::LINUX_SLL => {
            let [.., high, low]: [u8; 16] = layer.array()?;
            ethertype(u16::from_be_bytes([high, low]), layer, depth)
        }
        LinkType::LINUX_SLL2 => {
            let [high, low, ..]: [u8; 20] = layer.array()?;
            ethertype(u16::from_be_bytes([high, low]), layer, depth)
        }
        // Serial lines are captured under either number, whichever of the two framings they use.
        LinkType::PPP | LinkType::PPP_HDLC => match layer.captured.peek() {
            Some(CISCO_UNICAST | CISCO_MULTICAST) => cisco_hdlc(layer, depth),
            _ => ppp(layer, depth),
        },
        LinkType::PPP_ETHER => pppoe(layer, depth),
        CISCO_HDLC => cisco_hdlc(layer, depth),
        FDDI => {
            layer.skip(FDDI_HEADER)?;
            llc(layer, depth)
        }
        IEEE802_11 => wlan::walk(layer, depth),
        IEEE802_11_RADIOTAP => wlan::radiotap(layer, depth),
        PPI => wlan::per_packet_information(layer, depth),
        _ => Err(Undecoded::LinkType),
    }
}

/// A frame from the destination address on.
#[inline]
pub(super) fn ethernet(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let [.., high, low]: [u8; 14] = layer.array()?;
    match u16::from_be_bytes([high, low]) {
        // The most frequent of all, which would be found on the other way as well.
        IPV4 if layer.captured.peek().is_some_and(ip::is_version_4) => ip::ipv4(layer, depth),
        kind => ethertype(kind, layer, depth),
    }
}

/// What an `EtherType` announces: up to 1,500 it is a length, and an LLC header follows (IEEE 802.3 clause 3.2.6).
pub(super) fn ethertype(kind: u16, mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    match kind {
        IPV4 | IPV6 => ip::walk(layer, depth),
        VLAN | SERVICE_VLAN | OLD_VLAN_9100 | OLD_VLAN_9200 | OLD_VLAN_9300 => {
            let [_, _, high, low] = layer.array()?;
            ethertype(u16::from_be_bytes([high, low]), layer, depth.deeper()?)
        }
        MPLS | MPLS_UPSTREAM => mpls(layer, depth),
        PPPOE_SESSION => pppoe(layer, depth),
        LLC_IN_COOKED => llc(layer, depth),
        length @ 5..=1_500 => llc(layer.bounded(u32::from(length)), depth),
        _ => Err(Undecoded::NotIp),
    }
}

/// An 802.2 header: IP directly, or by an `EtherType` in a SNAP header (RFC 1042).
pub(super) fn llc(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    match layer.array()? {
        [SAP_IP, SAP_IP, UNNUMBERED] => ip::walk(layer, depth),
        [SAP_SNAP, SAP_SNAP, UNNUMBERED] => {
            let [_, _, _, high, low] = layer.array()?;
            ethertype(u16::from_be_bytes([high, low]), layer, depth.deeper()?)
        }
        _ => Err(Undecoded::NotIp),
    }
}

/// A PPP frame (RFC 1661, RFC 1662): the address and control bytes may be left out, and the protocol's first byte where it is zero.
pub(super) fn ppp(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    if layer.rest().starts_with(&PPP_ADDRESS_CONTROL) {
        layer.skip(2)?;
    }
    let [first] = layer.array()?;
    let protocol = if first & 1 == 1 {
        u16::from(first)
    } else {
        let [second] = layer.array()?;
        u16::from_be_bytes([first, second])
    };
    match protocol {
        PPP_IPV4 | PPP_IPV6 => ip::walk(layer, depth),
        PPP_MPLS => mpls(layer, depth),
        _ => Err(Undecoded::NotIp),
    }
}

/// A Cisco HDLC frame (RFC 1547 section 4.3.1): address, control, and an `EtherType`.
fn cisco_hdlc(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let [_address, _control, high, low] = layer.array()?;
    ethertype(u16::from_be_bytes([high, low]), layer, depth)
}

/// A `PPPoE` session header (RFC 2516 section 4), then a PPP frame.
fn pppoe(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let [_version, code, _, _, high, low] = layer.array()?;
    if code != PPPOE_DATA {
        return Err(Undecoded::NotIp);
    }
    ppp(layer.bounded(u32::from(u16::from_be_bytes([high, low]))), depth.deeper()?)
}

/// A stack of MPLS labels (RFC 3032). Nothing says what follows; the first four bits of IP do, and anything else may be a
/// pseudowire, which is not followed.
fn mpls(mut layer: Layer<'_>, mut depth: Depth) -> Result<Walk<'_>, Undecoded> {
    loop {
        depth = depth.deeper()?;
        let [_, _, label, _time_to_live]: [u8; 4] = layer.array()?;
        if label & MPLS_BOTTOM != 0 {
            return match layer.captured.peek().map(|byte| byte >> 4) {
                Some(4 | 6) => ip::walk(layer, depth),
                Some(_) => Err(Undecoded::NotIp),
                None => Err(Undecoded::Truncated),
            };
        }
    }
}

/// Whether this address family is IP; the number of IPv6 differs between systems.
fn address_family(family: u32) -> Result<(), Undecoded> {
    match family {
        AF_INET | AF_INET6_LINUX | AF_INET6_WINDOWS | AF_INET6_BSD | AF_INET6_FREEBSD | AF_INET6_DARWIN => {
            Ok(())
        }
        _ => Err(Undecoded::NotIp),
    }
}

/// Raw IP, by OpenBSD's number.
const RAW_OPENBSD: LinkType = LinkType(14);
const FDDI: LinkType = LinkType(10);
/// `LINKTYPE_C_HDLC`.
const CISCO_HDLC: LinkType = LinkType(104);
const IEEE802_11: LinkType = LinkType(105);
const IEEE802_11_RADIOTAP: LinkType = LinkType(127);
/// Per-Packet Information, which names another link type inside.
const PPI: LinkType = LinkType(192);

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// 802.1Q.
const VLAN: u16 = 0x8100;
/// 802.1ad.
const SERVICE_VLAN: u16 = 0x88a8;
/// Used for outer tags before 802.1ad.
const OLD_VLAN_9100: u16 = 0x9100;
const OLD_VLAN_9200: u16 = 0x9200;
const OLD_VLAN_9300: u16 = 0x9300;
const MPLS: u16 = 0x8847;
const MPLS_UPSTREAM: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
/// `LINUX_SLL_P_802_2`: the cooked header's own number for an LLC header.
const LLC_IN_COOKED: u16 = 0x0004;

/// Frame control and two addresses.
const FDDI_HEADER: u32 = 13;
const SAP_IP: u8 = 0x06;
const SAP_SNAP: u8 = 0xaa;
const UNNUMBERED: u8 = 0x03;
const PPP_ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];
/// Addresses in a Cisco HDLC frame; no PPP frame begins with either.
const CISCO_UNICAST: u8 = 0x0f;
const CISCO_MULTICAST: u8 = 0x8f;
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
const PPP_MPLS: u16 = 0x0281;
const PPPOE_DATA: u8 = 0;
const MPLS_BOTTOM: u8 = 1;

const AF_INET: u32 = 2;
const AF_INET6_LINUX: u32 = 10;
const AF_INET6_WINDOWS: u32 = 23;
const AF_INET6_BSD: u32 = 24;
const AF_INET6_FREEBSD: u32 = 28;
const AF_INET6_DARWIN: u32 = 30;
