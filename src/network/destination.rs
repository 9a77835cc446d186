//! The far end of a flow as a baseline knows it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Turns remote ends into destinations.
///
/// A name is worth more than an address: one service has many addresses, and they change. It is cut to what one party registered, by
/// the public suffix list (<https://publicsuffix.org>) with its private section, so that two customers of one host are two
/// destinations. The name is the client's own claim; that is enough for a baseline of what the client does, and no proof of who answers.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    tenant_suffixes: BTreeSet<Arc<str>>,
}

impl Destinations {
    /// With suffixes, beside those of the list, below which every label is a tenant of its own: `example.com` makes `a.example.com`
    /// and `b.example.com` two destinations. In lower case, without a dot at either end.
    pub fn new(tenant_suffixes: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { tenant_suffixes: tenant_suffixes.into_iter().collect() }
    }

    /// The destination of a flow: the registrable domain of the name that the client asked for, else the network of the address.
    pub fn of(&self, remote: IpAddr, server_name: Option<&str>) -> Destination {
        let remote = plain(remote);
        let key = server_name.and_then(|name| self.registrable(name)).unwrap_or_else(|| network(remote));
        Destination { key, reach: Reach::of(remote) }
    }

    /// What one party registered of a host name: the whole of it where it is a public suffix itself or has one label. `None` for
    /// what is no host name.
    fn registrable(&self, name: &str) -> Option<Arc<str>> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if !is_host_name(&name) {
            return None;
        }
        let listed = psl::domain_str(&name).unwrap_or(&name);
        let tenant = self.tenant(&name).unwrap_or_default();
        Some(if tenant.len() > listed.len() { tenant } else { listed }.into())
    }

    /// The name from one label above its longest tenant suffix on.
    fn tenant<'a>(&self, name: &'a str) -> Option<&'a str> {
        let mut from = name;
        while let Some((_, suffix)) = from.split_once('.') {
            if self.tenant_suffixes.contains(suffix) {
                return Some(from);
            }
            from = suffix;
        }
        None
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
    /// This Mac: 127/8, `::1`.
    Loopback,
    /// This link: 169.254/16, `fe80::/10`; or no address yet.
    LinkLocal,
    /// A group, or everyone on the link.
    Multicast,
    /// A private network: RFC 1918, RFC 4193, and the space that carriers and overlay networks share (RFC 6598).
    Private,
    /// The Internet.
    Global,
}

impl Reach {
    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        match plain(address) {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [127, ..] => Self::Loopback,
            [0, ..] | [169, 254, ..] => Self::LinkLocal,
            [224..=239, ..] | [255, 255, 255, 255] => Self::Multicast,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Self::Private,
            _ => Self::Global,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0, 0, 0, 0, 0, 0, 0, 0] | [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xff00..=0xffff, ..] => Self::Multicast,
            [0xfc00..=0xfdff, ..] => Self::Private,
            _ => Self::Global,
        }
    }
}

/// The network of an address: IPv4 /24, the least that is routed on the Internet; IPv6 /48, what one site is given (RFC 6177).
fn network(address: IpAddr) -> Arc<str> {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            // Asked for at every update of a flow: `format!` took a sixth of what the whole engine did at twenty thousand updates a second.
            let mut text = String::with_capacity("255.255.255.0/24".len());
            for octet in [a, b, c] {
                for unit in [100, 10, 1] {
                    if octet >= unit || unit == 1 {
                        text.push(char::from(b'0' + octet / unit % 10));
                    }
                }
                text.push('.');
            }
            text.push_str("0/24");
            text.into()
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)).into()
        }
    }
}

/// The IPv4 address within an IPv6 one, mapped or translated: on a network with IPv6 alone, macOS reaches the whole of the IPv4 Internet
/// through `64:ff9b::/96` (RFC 6052), which must not become one destination.
fn plain(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => match address.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
            }
            _ => address.into(),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Whether a text is a host name (RFC 1123 section 2.1, with the underscore that is seen in practice) and no address.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(remote: &str, name: Option<&str>) -> String {
        let tenants = Destinations::new(["atlassian.net".into(), "eu.atlassian.net".into()]);
        tenants.of(remote.parse().unwrap(), name).key.to_string()
    }

    #[test]
    fn a_name_is_cut_to_what_one_party_registered() {
        for (name, expected) in [
            ("www.example.com", "example.com"),
            ("WWW.Example.CO.UK.", "example.co.uk"),
            ("a.b.someone.github.io", "someone.github.io"),
            ("bucket.s3.amazonaws.com", "bucket.s3.amazonaws.com"),
            ("github.io", "github.io"),
            ("printer.local", "printer.local"),
            ("localhost", "localhost"),
            ("www.xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        ] {
            assert_eq!(key("192.0.2.1", Some(name)), expected);
        }
    }

    #[test]
    fn tenants_below_a_suffix_are_told_apart() {
        assert_eq!(key("192.0.2.1", Some("x.acme.atlassian.net")), "acme.atlassian.net");
        assert_eq!(key("192.0.2.1", Some("x.acme.eu.atlassian.net")), "acme.eu.atlassian.net");
        assert_eq!(key("192.0.2.1", Some("atlassian.net")), "atlassian.net");
        assert_eq!(key("192.0.2.1", Some("notatlassian.net")), "notatlassian.net");
    }

    #[test]
    fn without_a_name_the_network_counts() {
        assert_eq!(key("203.0.113.77", None), "203.0.113.0/24");
        assert_eq!(key("2001:db8:1:2::3", None), "2001:db8:1::/48");
        for no_name in ["", ".", "203.0.113.9", "a b.example", "a..example", &"a".repeat(300)] {
            assert_eq!(key("203.0.113.77", Some(no_name)), "203.0.113.0/24", "{no_name:?}");
        }
    }

    #[test]
    fn translated_addresses_are_the_ones_they_stand_for() {
        assert_eq!(key("64:ff9b::203.0.113.77", None), "203.0.113.0/24");
        assert_eq!(key("::ffff:203.0.113.77", None), "203.0.113.0/24");
        assert_eq!(Reach::of("::ffff:127.0.0.1".parse().unwrap()), Reach::Loopback);
    }

    #[test]
    fn reach_follows_the_special_purpose_registries() {
        for (address, expected) in [
            ("127.3.2.1", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("169.254.1.1", Reach::LinkLocal),
            ("fe80::1", Reach::LinkLocal),
            ("0.0.0.0", Reach::LinkLocal),
            ("224.0.0.251", Reach::Multicast),
            ("255.255.255.255", Reach::Multicast),
            ("ff02::fb", Reach::Multicast),
            ("172.31.255.255", Reach::Private),
            ("172.32.0.0", Reach::Global),
            ("100.64.0.1", Reach::Private),
            ("fd00::1", Reach::Private),
            ("8.8.8.8", Reach::Global),
            ("2606:4700::1111", Reach::Global),
        ] {
            assert_eq!(Reach::of(address.parse().unwrap()), expected, "{address}");
        }
    }
}
