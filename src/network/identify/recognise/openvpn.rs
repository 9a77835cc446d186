//! OpenVPN (OpenVPN protocol, "wire format"; `ssl_pkt.h`): the hard resets that open a session, over UDP or behind a length over TCP.
//!
//! Opcode 7 or 10 of the client, 8 of the server, an eight-byte session number; then either the bare acknowledgement count and packet
//! number, or the signature of tls-auth and tls-crypt with a replay number of 1 and a time. Every length is known beforehand.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::range(0, 5), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser {
    opens: FirstBytes::of(&[CLIENT_RESET_V2, SERVER_RESET_V2, CLIENT_RESET_V3]),
    recognise: datagrams,
};

fn streams(stream: &Stream<'_>) -> Verdict {
    let mut cursor = Cursor::new(stream.bytes);
    let Some(length) = cursor.u16_be() else { return Verdict::No };
    let packet = cursor.take(usize::from(length)).unwrap_or_default();
    Verdict::proven(reset(packet), Protocol::Openvpn)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    if !datagram.is_whole() {
        return Verdict::No;
    }
    Verdict::proven(reset(datagram.bytes), Protocol::Openvpn)
}

fn reset(packet: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(packet);
    let opcode = cursor.u8()?;
    let session = cursor.u64_be()?;
    if session == 0 {
        return Some(false);
    }
    let body = cursor.rest();
    Some(match opcode {
        CLIENT_RESET_V2 => {
            matches!(body, [0, 0, 0, 0, 0])
                || (is_signed(body) && body.ends_with(&[0, 0, 0, 0, 0]))
                || is_encrypted(body)
        }
        CLIENT_RESET_V3 => is_encrypted(body),
        // One acknowledgement, of packet 0 of the client's session, then the server's own packet 0.
        SERVER_RESET_V2 => {
            matches!(body, [1, 0, 0, 0, 0, _, _, _, _, _, _, _, _, 0, 0, 0, 0])
                || (is_signed(body) && body.ends_with(&[0, 0, 0, 0]))
                || (is_encrypted(body) && body.len() >= ENCRYPTED)
        }
        _ => false,
    })
}

/// tls-auth: a digest, replay number 1, a time.
fn is_signed(body: &[u8]) -> bool {
    DIGESTS.iter().any(|digest| body.get(*digest..).is_some_and(is_first_replay))
}

/// tls-crypt: replay number 1, a time, then a digest and what it covers.
fn is_encrypted(body: &[u8]) -> bool {
    body.len() >= ENCRYPTED && is_first_replay(body)
}

fn is_first_replay(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    let number = cursor.u32_be();
    let time = cursor.u32_be();
    number == Some(1) && time.is_some_and(|time| time >= FIRST_RELEASE)
}

const CLIENT_RESET_V2: u8 = 7 << 3;
const SERVER_RESET_V2: u8 = 8 << 3;
const CLIENT_RESET_V3: u8 = 10 << 3;
/// Bytes of the digests that `--auth` may name: MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
const DIGESTS: [usize; 6] = [16, 20, 28, 32, 48, 64];
/// Replay number, time, SHA-256 and the least that can be encrypted, in bytes.
const ENCRYPTED: usize = 8 + 32 + 5;
/// May 2001, in seconds: no packet is older than OpenVPN.
const FIRST_RELEASE: u32 = 989_700_000;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_reset_is_known_over_either_transport() {
        let reset = "38 0102030405060708 00 00000000";
        assert_eq!(datagram(&hex(reset)), Some(Protocol::Openvpn));
        assert_eq!(opening(&hex(&format!("000e {reset}"))), Some(Protocol::Openvpn));
        assert_eq!(datagram(&hex("38 0102030405060708 00 00000001")), None);
    }

    #[test]
    fn a_signed_reset_is_known_by_its_replay_number() {
        let mut reset = hex("38 0102030405060708");
        reset.extend([0xaa; 20]);
        reset.extend(hex("00000001 5f000000 00 00000000"));
        assert_eq!(datagram(&reset), Some(Protocol::Openvpn));
    }
}
