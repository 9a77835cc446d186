//! The `ClientHello` of TLS, DTLS and QUIC (RFC 8446, section 4.1.2; RFC 6347, section 4.2.1).

use super::{Notes, encrypted_dns, ja4};
use crate::cursor::Cursor;

/// A `ClientHello`, or the beginning of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientHello<'a> {
    /// `legacy_version`.
    pub(super) version: u16,
    /// Cipher suites, two bytes each.
    pub(super) ciphers: Cursor<'a>,
    /// The extensions as far as they came.
    extensions: Cursor<'a>,
    /// Whether it came whole.
    pub(super) whole: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads the body of the message (behind type and length). One that was cut is read as far as it goes; `None` where not even its
    /// cipher suites came.
    pub(super) fn parse(body: &'a [u8], datagram: bool) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let version = cursor.u16_be()?;
        cursor.skip(RANDOM)?;
        let session = usize::from(cursor.u8()?);
        cursor.skip(session)?;
        if datagram {
            let cookie = usize::from(cursor.u8()?);
            cursor.skip(cookie)?;
        }
        let ciphers = usize::from(cursor.u16_be()?);
        let ciphers = cursor.part(ciphers)?;
        let mut hello = Self { version, ciphers, extensions: Cursor::new(&[]), whole: false };
        let Some(()) = cursor.u8().and_then(|methods| cursor.skip(usize::from(methods))) else {
            return Some(hello);
        };
        match cursor.u16_be().map(usize::from) {
            // Extensions are optional before version 1.3.
            None => hello.whole = cursor.is_empty(),
            Some(length) => {
                hello.whole = length <= cursor.remaining();
                hello.extensions = cursor.part(length).unwrap_or(cursor);
            }
        }
        Some(hello)
    }

    /// Type and contents of each extension that came whole.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut cursor = self.extensions;
        std::iter::from_fn(move || {
            let kind = cursor.u16_be()?;
            let length = usize::from(cursor.u16_be()?);
            Some((kind, cursor.take(length)?))
        })
    }

    /// The contents of one extension.
    pub(super) fn extension(&self, wanted: u16) -> Option<Cursor<'a>> {
        self.extensions().find(|(kind, _)| *kind == wanted).map(|(_, body)| Cursor::new(body))
    }

    /// The host name of `server_name` (RFC 6066, section 3).
    pub(super) fn server_name(&self) -> Option<&'a [u8]> {
        let mut list = self.extension(SERVER_NAME)?;
        list.u16_be()?;
        let kind = list.u8()?;
        let length = usize::from(list.u16_be()?);
        list.take(length).filter(|name| kind == 0 && !name.is_empty())
    }

    /// The protocols offered by ALPN (RFC 7301, section 3.1).
    pub(super) fn alpn(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut list = self.extension(ALPN).unwrap_or(Cursor::new(&[]));
        let _length = list.u16_be();
        std::iter::from_fn(move || {
            let length = usize::from(list.u8()?);
            list.take(length)
        })
    }

    /// The highest version offered.
    pub(super) fn highest_version(&self) -> u16 {
        let Some(mut list) = self.extension(SUPPORTED_VERSIONS) else { return self.version };
        let _length = list.u8();
        std::iter::from_fn(|| list.u16_be())
            .filter(|version| !is_grease(*version))
            // DTLS counts downwards from 0xfeff.
            .max_by_key(|version| if *version >= DTLS { u16::MAX - version } else { *version })
            .unwrap_or(self.version)
    }

    /// Writes down what it shows.
    pub(super) fn note(&self, carrier: ja4::Carrier, notes: &mut Notes<'_>) {
        let server_name = self.server_name().map(|name| notes.host(name));
        let mut alpn: Vec<_> = self.alpn().take(MOST_ALPN).filter_map(|offer| notes.shown(offer)).collect();
        alpn.shrink_to_fit();
        let version = version_text(self.highest_version()).map(|version| notes.texts.share(version));
        let ja4 = self.whole.then(|| notes.texts.share(&ja4::fingerprint(self, carrier)));
        let server_port = notes.server_port;
        let metadata = notes.write();
        if let Some(name) = server_name {
            metadata.server_name = name;
        }
        metadata.alpn = alpn;
        metadata.ech |= self.extension(ENCRYPTED_CLIENT_HELLO).is_some();
        metadata.tls_version = metadata.tls_version.take().or(version);
        metadata.ja4 = ja4.or(metadata.ja4.take());
        metadata.encrypted_dns = encrypted_dns::hint(metadata, carrier, server_port);
    }
}

/// The values that clients put in to keep servers tolerant (RFC 8701).
pub(super) fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// A version as people write it.
pub(super) fn version_text(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0304 | 0xfefc => "1.3",
        0x0303 | 0xfefd => "1.2",
        0x0302 => "1.1",
        0x0301 | 0xfeff => "1.0",
        0x0300 => "SSL 3.0",
        0x0002 => "SSL 2.0",
        _ => return None,
    })
}

/// Bytes of `random`.
const RANDOM: usize = 32;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
/// Extension 43, in hellos of either end.
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// Versions of DTLS have this high byte.
const DTLS: u16 = 0xfe00;
/// Offers that are kept.
const MOST_ALPN: usize = 8;
