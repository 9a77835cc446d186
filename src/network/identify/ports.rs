//! What a port suggests: a hint, and what payload is compared with.
//!
//! The entries are those of IANA's Service Name and Transport Protocol Port Number Registry for the labels that tidemark knows, with the
//! few that are used without being registered. A port that many protocols share in practice (8000) suggests only what it nearly always
//! carries.

use std::net::IpAddr;

use crate::network::protocol::Protocol;
use crate::observation::Transport;

/// What a port suggests.
pub(super) fn suggestion(transport: Transport, port: u16) -> Option<Protocol> {
    let table = match transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
        _ => return None,
    };
    let at = table.binary_search_by_key(&port, |entry| entry.0).ok()?;
    table.get(at).map(|entry| entry.1)
}

/// What a client's own port suggests: as much as a server's where the client chose it (NTP, IKE), nothing where the system may have. One of the
/// 16,384 ports that macOS chooses from is `WireGuard`'s, and whatever leaves from it would contradict its port.
pub(super) fn client_suggestion(transport: Transport, port: u16) -> Option<Protocol> {
    if port < FIRST_EPHEMERAL_PORT { suggestion(transport, port) } else { None }
}

/// A group address that fixes a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// 224.0.0.251 and `ff02::fb` (RFC 6762, section 3).
    Mdns,
    /// 224.0.0.252 and `ff02::1:3` (RFC 4795, section 2).
    Llmnr,
}

impl Group {
    /// The group that an address belongs to.
    pub(super) fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) if v4.octets() == [224, 0, 0, 251] => Some(Self::Mdns),
            IpAddr::V4(v4) if v4.octets() == [224, 0, 0, 252] => Some(Self::Llmnr),
            IpAddr::V6(v6) if v6.segments() == [0xff02, 0, 0, 0, 0, 0, 0, 0xfb] => Some(Self::Mdns),
            IpAddr::V6(v6) if v6.segments() == [0xff02, 0, 0, 0, 0, 0, 1, 3] => Some(Self::Llmnr),
            _ => None,
        }
    }
}

/// Systems choose client ports from here on: Linux; macOS and RFC 6335, section 6, begin at 49152.
const FIRST_EPHEMERAL_PORT: u16 = 32_768;

/// TCP ports in ascending order.
const TCP: &[(u16, Protocol)] = &[
    (20, Protocol::FtpData),
    (21, Protocol::Ftp),
    (22, Protocol::Ssh),
    (23, Protocol::Telnet),
    (25, Protocol::Smtp),
    (53, Protocol::Dns),
    (80, Protocol::Http),
    (88, Protocol::Kerberos),
    (110, Protocol::Pop3),
    (119, Protocol::Nntp),
    (135, Protocol::Dcerpc),
    (139, Protocol::Smb),
    (143, Protocol::Imap),
    (389, Protocol::Ldap),
    (443, Protocol::Tls),
    (445, Protocol::Smb),
    (464, Protocol::Kerberos),
    (465, Protocol::Tls),
    (514, Protocol::Syslog),
    (548, Protocol::Afp),
    (554, Protocol::Rtsp),
    (563, Protocol::Tls),
    (587, Protocol::Smtp),
    (636, Protocol::Tls),
    (853, Protocol::Tls),
    (873, Protocol::Rsync),
    (989, Protocol::Tls),
    (990, Protocol::Tls),
    (993, Protocol::Tls),
    (995, Protocol::Tls),
    (1080, Protocol::Socks),
    (1194, Protocol::Openvpn),
    (1433, Protocol::Mssql),
    (1883, Protocol::Mqtt),
    (2049, Protocol::Nfs),
    (3268, Protocol::Ldap),
    (3269, Protocol::Tls),
    (3306, Protocol::Mysql),
    (3389, Protocol::Rdp),
    (3478, Protocol::Stun),
    (5060, Protocol::Sip),
    (5061, Protocol::Tls),
    (5222, Protocol::Xmpp),
    (5223, Protocol::Tls),
    (5269, Protocol::Xmpp),
    (5432, Protocol::Postgres),
    (5671, Protocol::Tls),
    (5672, Protocol::Amqp),
    (5900, Protocol::Vnc),
    (6379, Protocol::Redis),
    (6667, Protocol::Irc),
    (6697, Protocol::Tls),
    (6881, Protocol::Bittorrent),
    (8080, Protocol::Http),
    (8443, Protocol::Tls),
    (8883, Protocol::Tls),
    (9418, Protocol::Git),
    (27017, Protocol::Mongodb),
];

/// UDP ports in ascending order.
const UDP: &[(u16, Protocol)] = &[
    (53, Protocol::Dns),
    (67, Protocol::Dhcp),
    (68, Protocol::Dhcp),
    (69, Protocol::Tftp),
    (88, Protocol::Kerberos),
    (123, Protocol::Ntp),
    (137, Protocol::Netbios),
    (138, Protocol::Netbios),
    (161, Protocol::Snmp),
    (162, Protocol::Snmp),
    (389, Protocol::Ldap),
    (443, Protocol::Quic),
    (464, Protocol::Kerberos),
    (500, Protocol::Ipsec),
    (514, Protocol::Syslog),
    (546, Protocol::Dhcpv6),
    (547, Protocol::Dhcpv6),
    (853, Protocol::Quic),
    (1194, Protocol::Openvpn),
    (1434, Protocol::Mssql),
    (1812, Protocol::Radius),
    (1813, Protocol::Radius),
    (1900, Protocol::Ssdp),
    (2049, Protocol::Nfs),
    (3389, Protocol::Rdp),
    (3478, Protocol::Stun),
    (4500, Protocol::Ipsec),
    (5004, Protocol::Rtp),
    (5005, Protocol::Rtcp),
    (5060, Protocol::Sip),
    (5349, Protocol::Dtls),
    (5353, Protocol::Mdns),
    (5355, Protocol::Llmnr),
    (6881, Protocol::Bittorrent),
    (51820, Protocol::Wireguard),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_port_that_the_system_may_have_chosen_suggests_nothing() {
        assert_eq!(suggestion(Transport::Udp, 51_820), Some(Protocol::Wireguard));
        assert_eq!(client_suggestion(Transport::Udp, 51_820), None);
        assert_eq!(client_suggestion(Transport::Udp, 500), Some(Protocol::Ipsec));
    }

    #[test]
    fn the_tables_can_be_searched() {
        for table in [TCP, UDP] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
        }
        assert_eq!(suggestion(Transport::Tcp, 22), Some(Protocol::Ssh));
        assert_eq!(suggestion(Transport::Udp, 22), None);
        assert_eq!(suggestion(Transport::Icmp, 22), None);
    }
}
