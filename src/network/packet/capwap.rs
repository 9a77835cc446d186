//! CAPWAP (RFC 5415), in which a wireless access point hands the frames of its stations to a controller, over UDP.

use super::{Depth, Layer, Undecoded, Walk, link, wlan};

/// A preamble and header (RFC 5415 sections 4.1 and 4.3), then a frame.
pub(super) fn data(mut layer: Layer<'_>) -> Result<Walk<'_>, Undecoded> {
    let [preamble, length, binding, flags, ..]: [u8; 8] = layer.array()?;
    // Encrypted, a fragment of a frame, or a sign of life.
    if preamble != CLEAR || flags & (FRAGMENT | KEEP_ALIVE) != 0 {
        return Err(Undecoded::NotIp);
    }
    let header_length = u32::from(length >> 3) * 4;
    layer.skip(header_length.checked_sub(HEADER).ok_or(Undecoded::Malformed)?)?;
    if binding & NATIVE == 0 {
        return link::ethernet(layer, Depth::FULL);
    }
    match binding >> 1 & BINDING_MASK {
        BINDING_802_11 => wlan::tunnelled(layer, Depth::FULL),
        _ => Err(Undecoded::NotIp),
    }
}

/// `capwap-data` (IANA).
pub(super) const DATA_PORT: u16 = 5_247;
/// Version 0, type 0: a CAPWAP header follows, not one of DTLS.
const CLEAR: u8 = 0;
/// The header without its optional parts, preamble included, in bytes.
const HEADER: u32 = 8;
/// The T bit: the frame is as it was on the air, not of Ethernet.
const NATIVE: u8 = 0x01;
const BINDING_MASK: u8 = 0x1f;
/// RFC 5416 section 2.1.
const BINDING_802_11: u8 = 1;
const FRAGMENT: u8 = 0x80;
const KEEP_ALIVE: u8 = 0x08;
