//! Hints that a TLS or QUIC flow carries DNS.

use super::super::{EncryptedDns, Metadata};
use super::ja4::Carrier;

/// What name, ALPN and port suggest. The ALPN of RFC 7858 and RFC 9250 is nearly proof, their port 853 a good sign; DNS over HTTPS shows
/// only in the name of its resolver.
pub(super) fn hint(metadata: &Metadata, carrier: Carrier, server_port: u16) -> Option<EncryptedDns> {
    let offers = |wanted: &str| metadata.alpn.iter().any(|offer| &**offer == wanted);
    let unnamed = metadata.alpn.is_empty();
    match carrier {
        Carrier::Quic if offers("doq") || (server_port == DOT_PORT && unnamed) => {
            return Some(EncryptedDns::Doq);
        }
        Carrier::Tcp if offers("dot") || (server_port == DOT_PORT && !offers("h2")) => {
            return Some(EncryptedDns::Dot);
        }
        _ => {}
    }
    let name = metadata.server_name.as_deref()?;
    let is_resolver = RESOLVERS.iter().any(|resolver| {
        name.strip_suffix(resolver).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
    });
    is_resolver.then_some(EncryptedDns::Doh)
}

/// The port of RFC 7858, section 3.1 and RFC 9250, section 4.1.1.
const DOT_PORT: u16 = 853;

/// Public resolvers, by the names that their operators publish; names below them count too.
const RESOLVERS: &[&str] = &[
    "dns.google",
    "dns.google.com",
    "cloudflare-dns.com",
    "one.one.one.one",
    "dns.quad9.net",
    "dns9.quad9.net",
    "dns10.quad9.net",
    "dns11.quad9.net",
    "doh.opendns.com",
    "dns.opendns.com",
    "dns.umbrella.com",
    "dns.nextdns.io",
    "dns.adguard.com",
    "dns.adguard-dns.com",
    "doh.dns.apple.com",
    "doh.cleanbrowsing.org",
    "dns.mullvad.net",
    "doh.mullvad.net",
    "doh.xfinity.com",
    "dns.alidns.com",
    "doh.pub",
    "dot.pub",
    "dns.controld.com",
    "freedns.controld.com",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_a_resolver_count_and_look_alikes_do_not() {
        let named = |name: &str| Metadata { server_name: Some(name.into()), ..Metadata::default() };
        assert_eq!(hint(&named("abc.dns.nextdns.io"), Carrier::Tcp, 443), Some(EncryptedDns::Doh));
        assert_eq!(hint(&named("notdns.google"), Carrier::Tcp, 443), None);
        assert_eq!(hint(&named("x.example"), Carrier::Tcp, 853), Some(EncryptedDns::Dot));
    }
}
