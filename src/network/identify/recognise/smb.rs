//! SMB 1, 2 and 3 over TCP (MS-SMB2, section 2.1; MS-CIFS, section 2.2.3.1), behind the session service of NetBIOS or alone.
//!
//! Each message follows a four-byte header, a zero and a length of three bytes (RFC 1002, section 4.3.1 makes it a session message),
//! and starts with `ff`, `fe`, `fd` or `fc` and `SMB`. On port 139 a session request and its answer come first.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, netbios};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::range(0x81, 0x83).or(FirstBytes::of(&[0])), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::when(is_message(stream.bytes) == Some(true), Protocol::Smb)
}

fn is_message(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    netbios::skip_session_setup(&mut cursor)?;
    let kind = cursor.u8()?;
    let length = cursor.u24_be()?;
    let [version, magic @ ..] = cursor.array::<4>()?;
    Some(kind == 0 && length >= SHORTEST && version >= 0xfc && magic == *b"SMB")
}

/// The header of SMB 1, the shortest, in bytes.
const SHORTEST: u32 = 32;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn both_generations_are_known() {
        assert_eq!(opening(&hex("00000040 fe534d42 4000")), Some(Protocol::Smb));
        assert_eq!(opening(&hex("00000054 ff534d42 72")), Some(Protocol::Smb));
    }

    #[test]
    fn a_session_request_may_come_first() {
        let mut bytes = hex("81000044 20");
        bytes.extend([b'C'; 32]);
        bytes.extend(hex("00 20"));
        bytes.extend([b'A'; 32]);
        bytes.extend(hex("00"));
        assert_eq!(opening(&bytes), None);
        bytes.extend(hex("00000054 ff534d42 72"));
        assert_eq!(opening(&bytes), Some(Protocol::Smb));
    }
}
