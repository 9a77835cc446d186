//! Remote Desktop (MS-RDPBCGR, section 2.2.1.1) over TCP, and the SYN of its UDP transport (MS-RDPEUDP, section 2.2.2).
//!
//! An X.224 connection request in a TPKT (RFC 1006, section 6) with a routing cookie or a negotiation request, or the confirm that
//! answers one. Other users of TPKT (ISO 8073 in automation) put their own parameters there.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(&[3]), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::of(&[0xff]), recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    match connection(stream.bytes) {
        Some(true) => Verdict::Match(Protocol::Rdp),
        // A bare request is RDP's oldest form: the answer must be as bare.
        Some(false) if connection_is_bare(stream.reply) => Verdict::Match(Protocol::Rdp),
        Some(false) => stream.on_its_port(Protocol::Rdp),
        None => Verdict::No,
    }
}

/// Whether a connection request or confirm proves to be RDP's; `Some(false)` where it is bare.
fn connection(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    cursor.expect(&[3, 0])?;
    let length = usize::from(cursor.u16_be()?);
    let indicator = usize::from(cursor.u8()?);
    let code = cursor.u8()?;
    cursor.skip(4)?;
    let class = cursor.u8()?;
    if !matches!(code, REQUEST | CONFIRM) || class != 0 || length != indicator + 5 {
        return None;
    }
    match cursor.rest() {
        [] => (indicator == 6).then_some(false),
        [b'C', b'o', b'o', b'k', b'i', b'e', b':', ..] => Some(true),
        [kind @ 1..=3, _, 8, 0, ..] => Some((*kind == 1) == (code == REQUEST)).filter(|fits| *fits),
        _ => None,
    }
}

fn connection_is_bare(bytes: &[u8]) -> bool {
    connection(bytes) == Some(false)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::proven(udp_syn(datagram), Protocol::Rdp)
}

fn udp_syn(datagram: &Datagram<'_>) -> Option<bool> {
    let mut cursor = Cursor::new(datagram.bytes);
    let acknowledged = cursor.u32_be()?;
    cursor.skip(2)?;
    let flags = cursor.u16_be()?;
    cursor.skip(4)?;
    let (up, down) = (cursor.u16_be()?, cursor.u16_be()?);
    let mtu = 1_132..=1_232;
    // The SYN is padded to the size of the MTU, so that a path which cannot carry it is found at once.
    Some(
        acknowledged == u32::MAX
            && flags & 1 == 1
            && mtu.contains(&up)
            && mtu.contains(&down)
            && datagram.wire_length >= 1_132,
    )
}

const REQUEST: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn cookies_and_negotiations_are_known() {
        assert_eq!(opening(&hex("03000013 0e e0 0000 0000 00 01 00 0800 03000000")), Some(Protocol::Rdp));
        assert_eq!(opening(b"\x03\0\0\x27\x22\xe0\0\0\0\0\0Cookie: mstshash="), Some(Protocol::Rdp));
        assert_eq!(opening(&hex("03000013 0e d0 0000 1234 00 02 1f 0800 02000000")), Some(Protocol::Rdp));
    }

    #[test]
    fn a_bare_request_needs_a_bare_answer() {
        let request = hex("0300000b 06 e0 0000 0000 00");
        assert_eq!(opening(&request), None);
        assert_eq!(answered(&request, &hex("0300000b 06 d0 0000 1234 00")), Some(Protocol::Rdp));
    }

    #[test]
    fn automation_is_not_rdp() {
        assert_eq!(opening(&hex("03000016 11 e0 0000 0001 00 c1020100 c2020102 c0010a")), None);
    }
}
