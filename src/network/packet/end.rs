//! One end of a packet, in the form in which it is looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address and a port: a [`SocketAddr`] of few words, none of which needs to be asked which kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    bits: u128,
    port: u16,
    is_ipv4: bool,
}

impl End {
    /// An IPv4 address.
    #[inline]
    pub(super) const fn ipv4(address: [u8; 4]) -> Self {
        Self { bits: IPV4_MAPPED | u32::from_be_bytes(address) as u128, port: 0, is_ipv4: true }
    }

    /// An IPv6 address.
    #[inline]
    pub(super) const fn ipv6(address: [u8; 16]) -> Self {
        Self { bits: u128::from_be_bytes(address), port: 0, is_ipv4: false }
    }

    /// The same address with a port.
    #[inline]
    pub(super) const fn at_port(self, port: [u8; 2]) -> Self {
        Self { port: u16::from_be_bytes(port), ..self }
    }

    /// The address as IPv6 writes it; for IPv4 the mapped form (RFC 4291 section 2.5.5.2).
    #[inline]
    pub fn bits(self) -> u128 {
        self.bits
    }

    /// The port; zero where the transport has none.
    #[inline]
    pub fn port(self) -> u16 {
        self.port
    }

    /// The address.
    pub fn ip(self) -> IpAddr {
        if self.is_ipv4 {
            let [.., a, b, c, d] = self.bits.to_be_bytes();
            Ipv4Addr::new(a, b, c, d).into()
        } else {
            Ipv6Addr::from_bits(self.bits).into()
        }
    }
}

impl From<End> for SocketAddr {
    fn from(end: End) -> Self {
        Self::new(end.ip(), end.port)
    }
}

impl From<SocketAddr> for End {
    #[inline]
    fn from(address: SocketAddr) -> Self {
        let port = address.port().to_be_bytes();
        match address.ip() {
            IpAddr::V4(ip) => Self::ipv4(ip.octets()).at_port(port),
            IpAddr::V6(ip) => Self::ipv6(ip.octets()).at_port(port),
        }
    }
}

/// `::ffff:0.0.0.0`.
const IPV4_MAPPED: u128 = 0xffff_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_the_address_that_it_was_made_from() {
        for text in ["192.0.2.1:443", "[2001:db8::1]:53", "[::ffff:192.0.2.1]:443", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(End::from(address)), address);
        }
    }

    #[test]
    fn a_mapped_address_has_the_bits_of_the_one_that_it_maps() {
        let [plain, mapped] = ["192.0.2.1:443", "[::ffff:192.0.2.1]:443"]
            .map(|text| End::from(text.parse::<SocketAddr>().unwrap()));
        assert_eq!(plain.bits(), mapped.bits());
        assert_ne!(plain, mapped);
    }
}
