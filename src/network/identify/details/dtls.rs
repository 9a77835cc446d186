//! What the client's hello of DTLS shows (RFC 6347, section 4.2.2).

use super::client_hello::ClientHello;
use super::ja4::Carrier;
use super::{Notes, Progress};
use crate::cursor::Cursor;

/// Reads a hello that came in one fragment, as nearly all do; others show nothing.
pub(super) fn read(datagram: &[u8], notes: &mut Notes<'_>) -> Progress {
    if let Some(hello) = hello(datagram) {
        hello.note(Carrier::Dtls, notes);
    }
    Progress::Complete
}

fn hello(datagram: &[u8]) -> Option<ClientHello<'_>> {
    let mut cursor = Cursor::new(datagram);
    let record = cursor.u8()?;
    cursor.skip(12)?;
    let kind = cursor.u8()?;
    let length = cursor.u24_be()?;
    cursor.skip(2)?;
    let offset = cursor.u24_be()?;
    let fragment = cursor.u24_be()?;
    if record != HANDSHAKE || kind != CLIENT_HELLO || offset != 0 || fragment != length {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    let body = cursor.rest();
    ClientHello::parse(body.get(..length).unwrap_or(body), true)
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
