//! TFTP (RFC 1350, section 5; RFC 2347): a request has a file name and a mode in text. The transfer that follows runs on other ports:
//! data of at most 512 bytes and acknowledgements of four, whose block numbers must agree.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::of(&[0]), recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    packet(datagram).unwrap_or(Verdict::No)
}

fn packet(datagram: &Datagram<'_>) -> Option<Verdict> {
    let mut cursor = Cursor::new(datagram.bytes);
    Some(match cursor.u16_be()? {
        READ | WRITE => Verdict::when(is_request(cursor.rest()), Protocol::Tftp),
        operation @ (DATA | ACKNOWLEDGEMENT) => {
            let block = cursor.u16_be()?;
            let length = datagram.wire_length;
            let possible = if operation == DATA {
                (4..=LONGEST_DATA).contains(&length) && block > 0
            } else {
                length == 4
            };
            // An acknowledgement names the block before the next data packet, or the data packet itself.
            let agrees = |token: u64| {
                let (other, before) = (token >> 16, token & 0xffff);
                other != u64::from(operation)
                    && (u64::from(block) == before || u64::from(block) == before + 1)
            };
            match datagram.reply_token(Protocol::Tftp) {
                _ if !possible => Verdict::No,
                Some(token) if agrees(token) => Verdict::Match(Protocol::Tftp),
                _ => Verdict::Weak(Protocol::Tftp, u64::from(operation) << 16 | u64::from(block)),
            }
        }
        ERROR => {
            let code = cursor.u16_be()?;
            let text = cursor.rest();
            let is_text =
                matches!(text, [message @ .., 0] if message.iter().all(|byte| matches!(byte, b' '..=b'~')));
            if code <= LAST_ERROR && is_text {
                Verdict::Weak(Protocol::Tftp, u64::from(ERROR) << 16)
            } else {
                Verdict::No
            }
        }
        OPTIONS => Verdict::when(is_option(cursor.rest()), Protocol::Tftp),
        _ => Verdict::No,
    })
}

/// A name, a mode, both in text and ended by a zero; options may follow.
fn is_request(bytes: &[u8]) -> bool {
    let mut fields = bytes.split(|byte| *byte == 0);
    let (Some(name), Some(mode)) = (fields.next(), fields.next()) else { return false };
    let named = !name.is_empty() && name.iter().all(|byte| matches!(byte, b' '..=b'~' | 0x80..));
    named && MODES.iter().any(|known| mode.eq_ignore_ascii_case(known))
}

fn is_option(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == 0)
        .next()
        .is_some_and(|name| OPTION_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

const READ: u16 = 1;
const WRITE: u16 = 2;
const DATA: u16 = 3;
const ACKNOWLEDGEMENT: u16 = 4;
const ERROR: u16 = 5;
const OPTIONS: u16 = 6;
const LAST_ERROR: u16 = 8;
/// Header and block, in bytes; a larger block size is agreed with options, which are known themselves.
const LONGEST_DATA: usize = 516;
const MODES: [&[u8]; 3] = [b"octet", b"netascii", b"mail"];
const OPTION_NAMES: [&[u8]; 4] = [b"blksize", b"tsize", b"timeout", b"windowsize"];

#[cfg(test)]
mod tests {
    use super::super::testing::{answering_datagram, datagram, hex};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_request_is_known_and_a_transfer_needs_both_ends() {
        assert_eq!(datagram(b"\0\x01boot.img\0octet\0"), Some(Protocol::Tftp));
        let data = hex("0003 0001 aabb");
        assert_eq!(datagram(&data), None);
        assert_eq!(answering_datagram(&data, &hex("0004 0001")), Some(Protocol::Tftp));
        assert_eq!(answering_datagram(&data, &hex("0004 0007")), None);
    }
}
