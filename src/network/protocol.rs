//! The labels of application protocols.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, de};
use thiserror::Error;

macro_rules! protocols {
    ($($(#[$doc:meta])* $variant:ident = $label:literal,)+) => {
        /// An application protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Protocol {
            $($(#[$doc])* $variant,)+
        }

        impl Protocol {
            /// Every label, in declaration order. Serial numbers may change between versions; what is stored is the label.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }

        impl FromStr for Protocol {
            type Err = UnknownProtocol;
            fn from_str(label: &str) -> Result<Self, UnknownProtocol> {
                match label {
                    $($label => Ok(Self::$variant),)+
                    _ => Err(UnknownProtocol),
                }
            }
        }
    };
}

protocols! {
    /// TLS over TCP, RFC 8446 and before.
    Tls = "tls",
    /// DTLS, RFC 9147 and before.
    Dtls = "dtls",
    /// HTTP/1, RFC 9112.
    Http = "http",
    /// HTTP/2 in the clear, RFC 9113.
    Http2 = "http2",
    /// QUIC, RFC 9000.
    Quic = "quic",
    /// DNS, RFC 1035.
    Dns = "dns",
    /// Multicast DNS, RFC 6762.
    Mdns = "mdns",
    /// LLMNR, RFC 4795.
    Llmnr = "llmnr",
    /// NetBIOS over TCP/UDP, RFC 1001 and 1002.
    Netbios = "netbios",
    /// DHCP, RFC 2131.
    Dhcp = "dhcp",
    /// DHCPv6, RFC 8415.
    Dhcpv6 = "dhcpv6",
    /// NTP, RFC 5905.
    Ntp = "ntp",
    /// SNMP, RFC 3411 and before.
    Snmp = "snmp",
    /// SSDP, UPnP device architecture.
    Ssdp = "ssdp",
    /// SSH, RFC 4253.
    Ssh = "ssh",
    /// FTP control connection, RFC 959.
    Ftp = "ftp",
    /// FTP data connection.
    FtpData = "ftp-data",
    /// TFTP, RFC 1350.
    Tftp = "tftp",
    /// SMTP, RFC 5321.
    Smtp = "smtp",
    /// IMAP, RFC 9051 and before.
    Imap = "imap",
    /// POP3, RFC 1939.
    Pop3 = "pop3",
    /// SMB, MS-SMB2 and MS-CIFS.
    Smb = "smb",
    /// DCE/RPC, C706 and MS-RPCE.
    Dcerpc = "dcerpc",
    /// Remote Desktop, MS-RDPBCGR.
    Rdp = "rdp",
    /// VNC, RFC 6143.
    Vnc = "vnc",
    /// Telnet, RFC 854.
    Telnet = "telnet",
    /// IRC, RFC 1459.
    Irc = "irc",
    /// MQTT 3 and 5, OASIS.
    Mqtt = "mqtt",
    /// BitTorrent, BEP 3, 5 and 29.
    Bittorrent = "bittorrent",
    /// LDAP and CLDAP, RFC 4511.
    Ldap = "ldap",
    /// Kerberos, RFC 4120.
    Kerberos = "kerberos",
    /// MySQL client/server protocol.
    Mysql = "mysql",
    /// PostgreSQL frontend/backend protocol.
    Postgres = "postgres",
    /// RESP, Redis serialisation protocol.
    Redis = "redis",
    /// MongoDB wire protocol.
    Mongodb = "mongodb",
    /// TDS, MS-TDS.
    Mssql = "mssql",
    /// SOCKS 4 and 5, RFC 1928.
    Socks = "socks",
    /// WireGuard.
    Wireguard = "wireguard",
    /// OpenVPN.
    Openvpn = "openvpn",
    /// IKE, ESP, AH: RFC 7296, 4303, 4302, 3948.
    Ipsec = "ipsec",
    /// STUN and TURN, RFC 8489.
    Stun = "stun",
    /// RTP, RFC 3550.
    Rtp = "rtp",
    /// RTCP, RFC 3550.
    Rtcp = "rtcp",
    /// SIP, RFC 3261.
    Sip = "sip",
    /// RTSP, RFC 7826 and before.
    Rtsp = "rtsp",
    /// ICMP, RFC 792.
    Icmp = "icmp",
    /// ICMPv6, RFC 4443.
    Icmpv6 = "icmpv6",
    /// IGMP, RFC 9776 and before.
    Igmp = "igmp",
    /// AMQP 0-9-1 and 1.0.
    Amqp = "amqp",
    /// XMPP, RFC 6120.
    Xmpp = "xmpp",
    /// NNTP, RFC 3977.
    Nntp = "nntp",
    /// NFS over ONC RPC, RFC 7530 and before.
    Nfs = "nfs",
    /// Syslog, RFC 5424 and 3164.
    Syslog = "syslog",
    /// RADIUS, RFC 2865.
    Radius = "radius",
    /// Git's own transport.
    Git = "git",
    /// rsync daemon protocol.
    Rsync = "rsync",
    /// Apple Filing Protocol over DSI.
    Afp = "afp",
    /// Stratum mining protocol.
    Stratum = "stratum",
    /// WebSocket, RFC 6455.
    Websocket = "websocket",
    /// No payload passed.
    Attempted = "attempted",
    /// Payload that matches nothing.
    Unknown = "unknown",
    /// Payload that matches nothing and looks fully encrypted from its first byte.
    UnknownEncrypted = "unknown-encrypted",
}

impl Protocol {
    /// Whether it names a protocol, rather than the absence of one.
    pub const fn is_identified(self) -> bool {
        !matches!(self, Self::Attempted | Self::Unknown | Self::UnknownEncrypted)
    }
}

/// The label names no protocol that tidemark knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no such protocol label")]
pub struct UnknownProtocol;

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

impl Serialize for Protocol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        label.parse().map_err(de::Error::custom)
    }
}

/// What a label rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The bytes themselves, or a producer that saw them.
    Payload,
    /// The port alone: a hint.
    Port,
    /// Nothing.
    #[default]
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_reads_back() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.label().parse(), Ok(*protocol));
        }
    }
}
