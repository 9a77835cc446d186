//! JA4, the fingerprint of a TLS client.
//!
//! Written from `FoxIO`'s description of JA4 (`technical_details/JA4.md`), which is under the BSD 3-Clause licence, without patent claims:
//!
//! > Copyright (c) 2023, FoxIO, LLC. All rights reserved. JA4 TLS Client Fingerprinting is licensed under BSD 3-Clause.
//!
//! The other fingerprints of the JA4+ suite are under a licence that forbids their use here, and are left out.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::client_hello::{ClientHello, is_grease};

/// What carries the hello: the fingerprint's first letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
    /// DTLS.
    Dtls,
}

/// The fingerprint `a_b_c` of a whole hello: what is offered, and the truncated hashes of cipher suites and extensions.
pub(super) fn fingerprint(hello: &ClientHello<'_>, carrier: Carrier) -> Arc<str> {
    let mut cursor = hello.ciphers;
    let mut ciphers: Values =
        std::iter::from_fn(|| cursor.u16_be()).filter(|cipher| !is_grease(*cipher)).collect();
    let mut extensions: Values =
        hello.extensions().map(|(kind, _)| kind).filter(|kind| !is_grease(*kind)).collect();
    let named = extensions.contains(&SERVER_NAME);
    let [first, last] = alpn_ends(hello);
    let mut text = String::with_capacity(LENGTH);
    text.push(match carrier {
        Carrier::Tcp => 't',
        Carrier::Quic => 'q',
        Carrier::Dtls => 'd',
    });
    text.push_str(version(hello.highest_version()));
    text.push(if named { 'd' } else { 'i' });
    // Writing to a string cannot fail.
    let _ = write!(text, "{:02}{:02}", ciphers.len().min(99), extensions.len().min(99));
    text.push(first);
    text.push(last);
    ciphers.sort_unstable();
    text.push('_');
    push_truncated_hash(&mut text, &ciphers, &[]);
    let mut signatures = hello.extension(SIGNATURE_ALGORITHMS).unwrap_or(crate::cursor::Cursor::new(&[]));
    let _length = signatures.u16_be();
    let signatures: Values =
        std::iter::from_fn(|| signatures.u16_be()).filter(|value| !is_grease(*value)).collect();
    extensions.retain(|kind| !matches!(*kind, SERVER_NAME | ALPN));
    extensions.sort_unstable();
    text.push('_');
    push_truncated_hash(&mut text, &extensions, &signatures);
    text.into()
}

type Values = SmallVec<[u16; 32]>;

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// First and last character of the first protocol offered; where one of them is no letter or digit, the first and last digit of its
/// bytes in hex; zeros where nothing is offered.
fn alpn_ends(hello: &ClientHello<'_>) -> [char; 2] {
    let Some(offer) = hello.alpn().next() else { return ['0', '0'] };
    let (Some(first), Some(last)) = (offer.first(), offer.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)];
    }
    let ([digit, _], [_, last_digit]) = (hex(*first), hex(*last));
    [digit, last_digit].map(char::from)
}

/// Twelve hex digits of the hash of the values in hex, joined by commas; `more` follows behind an underscore where there is any.
fn push_truncated_hash(text: &mut String, values: &[u16], more: &[u16]) {
    if values.is_empty() {
        text.extend(std::iter::repeat_n('0', 2 * HASH_BYTES));
        return;
    }
    // By hand and not through `fmt`, which would take as long as the hash itself.
    let mut list: SmallVec<[u8; 256]> = SmallVec::new();
    for (part, before_first) in [(values, b','), (more, b'_')] {
        let mut separator = before_first;
        for value in part {
            let [[first, second], [third, fourth]] = value.to_be_bytes().map(hex);
            list.extend_from_slice(&[separator, first, second, third, fourth]);
            separator = b',';
        }
    }
    // Nothing stands before the first value.
    let list = list.get(1..).unwrap_or_default();
    let hash = Sha256::digest(list);
    text.extend(hash.iter().take(HASH_BYTES).copied().flat_map(hex).map(char::from));
}

/// The two hex digits of a byte.
fn hex(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| b'0' + nibble + u8::from(nibble > 9) * (b'a' - b'0' - 10);
    [digit(byte >> 4), digit(byte & 0x0f)]
}

/// Characters of a fingerprint.
const LENGTH: usize = 36;
/// Bytes of a hash that are shown.
const HASH_BYTES: usize = 6;
const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
