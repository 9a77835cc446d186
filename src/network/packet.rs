//! The walk through a packet's headers.

use thiserror::Error;

/// Why a frame belongs to no flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Undecoded {
    /// The link type is none that tidemark reads.
    #[error("a link type that tidemark does not read")]
    LinkType,
    /// ARP, LLDP, spanning tree and the like.
    #[error("not an IP packet")]
    NotIp,
    /// The capture holds too little of it.
    #[error("captured too short to hold its headers")]
    Truncated,
    /// A version, length or offset that cannot be.
    #[error("headers contradict themselves")]
    Malformed,
    /// More tunnels, tags or extension headers than [the walk](self) follows.
    #[error("nested too deeply")]
    TooDeep,
}
