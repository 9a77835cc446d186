//! TDS (MS-TDS, section 2.2.3.1) over TCP, and the browser service that finds instances (MC-SQLR) over UDP.
//!
//! A packet header has a type, a status, a length, and a window of zero; what follows a pre-login, login or batch header begins in a
//! way that the type fixes.

use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser {
    opens: FirstBytes::of(&[BATCH, OLD_LOGIN, RPC, RESPONSE, LOGIN, PRELOGIN]),
    recognise: streams,
};
pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::range(2, 5), recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    Verdict::proven(packet(stream.bytes), Protocol::Mssql)
}

fn packet(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.u8()?;
    let status = cursor.u8()?;
    let length = usize::from(cursor.u16_be()?);
    cursor.skip(3)?;
    let window = cursor.u8()?;
    if status > 0x1f
        || window != 0
        || !(8..=LONGEST).contains(&length)
        || cursor.remaining() > length - 8 && kind != RESPONSE
    {
        return Some(false);
    }
    Some(match kind {
        PRELOGIN => is_prelogin(cursor)?,
        RESPONSE => is_prelogin(cursor) == Some(true) || is_token(cursor)?,
        LOGIN => {
            let whole = usize::try_from(cursor.u32_le()?).ok()?;
            let version = cursor.u32_le()?;
            whole + 8 >= length && version >> 24 >= 0x70 && version >> 24 <= 0x80
        }
        BATCH | RPC => {
            cursor.u32_le()? == HEADERS && cursor.u32_le()? == TRANSACTION_HEADER && cursor.u16_le()? == 2
        }
        OLD_LOGIN => length == OLD_LOGIN_LENGTH && status <= 1,
        _ => false,
    })
}

/// The first option is the version; its offset is that of the end of the option list (MS-TDS, section 2.2.6.5).
fn is_prelogin(mut cursor: Cursor<'_>) -> Option<bool> {
    let token = cursor.u8()?;
    let offset = cursor.u16_be()?;
    let length = cursor.u16_be()?;
    Some(token == 0 && (6..=64).contains(&offset) && offset % 5 == 1 && length == 6)
}

/// `ENVCHANGE`, `INFO`, `ERROR`, `LOGINACK` with a length that fits their packet.
fn is_token(mut cursor: Cursor<'_>) -> Option<bool> {
    let token = cursor.u8()?;
    let length = usize::from(cursor.u16_le()?);
    Some(matches!(token, 0xe3 | 0xab | 0xaa | 0xad) && length > 4 && length <= LONGEST)
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    match datagram.bytes {
        [5, low, high, b'S', b'e', b'r', b'v', b'e', b'r', b'N', b'a', b'm', b'e', b';', ..]
            if usize::from(u16::from_le_bytes([*low, *high])) + 3 >= datagram.wire_length =>
        {
            Verdict::Match(Protocol::Mssql)
        }
        [2 | 3] => datagram.on_its_port(Protocol::Mssql),
        [4, name @ .., 0] if (1..=32).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic) => {
            datagram.on_its_port(Protocol::Mssql)
        }
        _ => Verdict::No,
    }
}

const BATCH: u8 = 0x01;
const OLD_LOGIN: u8 = 0x02;
const RPC: u8 = 0x03;
const RESPONSE: u8 = 0x04;
const LOGIN: u8 = 0x10;
const PRELOGIN: u8 = 0x12;
/// The largest packet size that can be agreed, in bytes.
const LONGEST: usize = 32_767;
/// `ALL_HEADERS` with the one header that every request has, in bytes.
const HEADERS: u32 = 22;
const TRANSACTION_HEADER: u32 = 18;
/// The first packet of a TDS 4.2 or 5 login is full, in bytes.
const OLD_LOGIN_LENGTH: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_prelogin_is_known() {
        let prelogin =
            "12 01 002f 0000 01 00 00 001a 0006 01 0020 0001 02 0021 0001 03 0022 0004 04 0026 0001 ff";
        assert_eq!(opening(&hex(prelogin)), Some(Protocol::Mssql));
        assert_eq!(opening(&hex("12 01 002f 0000 01 01 00 001a 0006")), None);
    }

    #[test]
    fn the_browser_answers_with_a_server_name() {
        assert_eq!(datagram(b"\x05\x0f\0ServerName;A;;;"), Some(Protocol::Mssql));
    }
}
