//! Asking the whole table, so that a test of one recogniser also shows that no other one takes its bytes first.

use super::{Datagram, Ports, Stream, Verdict};
use crate::network::protocol::Protocol;

/// Ports that suggest nothing.
const NO_HINT: Ports = Ports { client: 50_001, server: 50_002 };

/// What one end's first bytes are taken for, while the other end is silent.
pub(super) fn opening(bytes: &[u8]) -> Option<Protocol> {
    answered(bytes, b"")
}

/// What one end's first bytes are taken for, given what the other end said.
pub(super) fn answered(bytes: &[u8], reply: &[u8]) -> Option<Protocol> {
    proof(super::stream(&Stream { bytes, reply, ports: NO_HINT, hint: None, last: false }))
}

/// What is decided when nothing more will come.
pub(super) fn at_the_end(bytes: &[u8], reply: &[u8]) -> Option<Protocol> {
    proof(super::stream(&Stream { bytes, reply, ports: NO_HINT, hint: None, last: true }))
}

/// What one datagram is taken for.
pub(super) fn datagram(bytes: &[u8]) -> Option<Protocol> {
    proof(verdict(bytes, None, None))
}

/// What a datagram is taken for after one of the same end.
pub(super) fn second_datagram(first: &[u8], second: &[u8]) -> Option<Protocol> {
    let Verdict::Weak(protocol, token) = verdict(first, None, None) else { return None };
    proof(verdict(second, Some((protocol, token)), None))
}

/// What a datagram is taken for after one of the other end.
pub(super) fn answering_datagram(first: &[u8], second: &[u8]) -> Option<Protocol> {
    let Verdict::Weak(protocol, token) = verdict(first, None, None) else { return None };
    proof(verdict(second, None, Some((protocol, token))))
}

fn verdict(bytes: &[u8], before: Option<(Protocol, u64)>, reply: Option<(Protocol, u64)>) -> Verdict {
    super::datagram(&Datagram {
        bytes,
        wire_length: bytes.len(),
        ports: NO_HINT,
        hint: None,
        group: None,
        before,
        reply,
    })
}

fn proof(verdict: Verdict) -> Option<Protocol> {
    match verdict {
        Verdict::Match(protocol) => Some(protocol),
        Verdict::No | Verdict::Weak(..) => None,
    }
}

/// Bytes from hex digits; spaces are for the reader.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}
