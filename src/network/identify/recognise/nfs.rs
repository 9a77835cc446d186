//! NFS and its companions over ONC RPC (RFC 5531, section 9 and 11; RFC 7530): a call with RPC version 2 to the program number of NFS,
//! mount, lock, status or access-list service, over TCP behind a record mark.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(&[0x80]), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::ANY, recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let mut cursor = Cursor::new(stream.bytes);
    Verdict::proven(cursor.u32_be().and_then(|_mark| call(cursor)), Protocol::Nfs)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    Verdict::proven(call(Cursor::new(datagram.bytes)), Protocol::Nfs)
}

fn call(mut cursor: Cursor<'_>) -> Option<bool> {
    cursor.skip(4)?;
    let kind = cursor.u32_be()?;
    let version = cursor.u32_be()?;
    let program = cursor.u32_be()?;
    let program_version = cursor.u32_be()?;
    let procedure = cursor.u32_be()?;
    Some(
        kind == CALL
            && version == 2
            && PROGRAMS.contains(&program)
            && (1..=4).contains(&program_version)
            && procedure <= LAST_PROCEDURE,
    )
}

const CALL: u32 = 0;
/// NFS, mount, lock manager, status monitor, access lists (the IANA registry of RPC program numbers).
const PROGRAMS: [u32; 5] = [100_003, 100_005, 100_021, 100_024, 100_227];
const LAST_PROCEDURE: u32 = 40;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn calls_are_known_over_either_transport() {
        let call = "12345678 00000000 00000002 000186a3 00000003 00000000";
        assert_eq!(datagram(&hex(call)), Some(Protocol::Nfs));
        assert_eq!(opening(&hex(&format!("80000028 {call}"))), Some(Protocol::Nfs));
        assert_eq!(datagram(&hex(&call.replace("000186a3", "00018aa3"))), None);
    }
}
