//! Counters of one flow, as a source reports them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize, de};

use super::{Direction, Origin, ProcessKey, Timestamp};

/// The `flow` record of the recording format: cumulative counters of one flow at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowReport {
    /// When the report was made.
    pub time: Timestamp,
    /// Names the flow; unique in its recording.
    pub flow_id: CompactString,
    /// Which recording it belongs to; never written.
    #[serde(skip)]
    pub origin: Origin,
    /// The process that owns the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Its generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pidversion: Option<i32>,
    /// The process on whose behalf it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_pid: Option<i32>,
    /// A name, display only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Arc<str>>,
    /// Transport protocol.
    pub transport: Transport,
    /// The Mac's end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Who began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The interface's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Arc<str>>,
    /// The application protocol, where the producer identified it from the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Arc<str>>,
    /// The name that the client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Arc<str>>,
    /// Bytes of transport payload sent since the flow began.
    #[serde(default)]
    pub bytes_out: u64,
    /// Bytes of transport payload received since the flow began.
    #[serde(default)]
    pub bytes_in: u64,
    /// Packets sent since the flow began.
    #[serde(default)]
    pub packets_out: u64,
    /// Packets received since the flow began.
    #[serde(default)]
    pub packets_in: u64,
    /// Bytes of whole frames sent, where packets were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire_bytes_out: Option<u64>,
    /// Bytes of whole frames received, where packets were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire_bytes_in: Option<u64>,
    /// Where the flow stands.
    pub state: FlowState,
}

impl FlowReport {
    /// The owner as a process key, where the report names one.
    pub fn owner(&self) -> Option<ProcessKey> {
        self.pid.map(|pid| ProcessKey { pid, pidversion: self.pidversion })
    }
}

/// Where a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowState {
    /// It begins with this report.
    Open,
    /// It goes on.
    Update,
    /// It ended.
    Closed,
}

/// An IP protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP, 6.
    Tcp,
    /// UDP, 17.
    Udp,
    /// ICMP, 1.
    Icmp,
    /// `ICMPv6`, 58.
    Icmp6,
    /// Any other IP protocol number.
    Other(u8),
}

impl Transport {
    /// The IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Icmp => 1,
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmp6 => 58,
            Self::Other(number) => number,
        }
    }

    /// Whether its endpoints have ports.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

impl From<u8> for Transport {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Icmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            58 => Self::Icmp6,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.pad("tcp"),
            Self::Udp => f.pad("udp"),
            Self::Icmp => f.pad("icmp"),
            Self::Icmp6 => f.pad("icmp6"),
            Self::Other(number) => f.pad(&number.to_string()),
        }
    }
}

impl Serialize for Transport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Other(number) => serializer.serialize_u8(*number),
            named => serializer.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for Transport {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrNumber;
        impl de::Visitor<'_> for NameOrNumber {
            type Value = Transport;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tcp, udp, icmp, icmp6 or an IP protocol number")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Transport, E> {
                u8::try_from(number)
                    .map(Transport::from)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Transport, E> {
                match text {
                    "tcp" => Ok(Transport::Tcp),
                    "udp" => Ok(Transport::Udp),
                    "icmp" => Ok(Transport::Icmp),
                    "icmp6" | "icmpv6" => Ok(Transport::Icmp6),
                    other => other
                        .parse::<u8>()
                        .map(Transport::from)
                        .map_err(|_| E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(NameOrNumber)
    }
}
