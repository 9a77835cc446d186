//! GTP for user data (3GPP TS 29.281), in which a mobile network carries the packets of its telephones, over UDP.

use super::{Depth, Layer, Undecoded, Walk, ip};

/// A header (section 5.1), headers that extend it (5.2), then an IP packet.
pub(super) fn user_data(mut layer: Layer<'_>) -> Result<Walk<'_>, Undecoded> {
    let [flags, kind, high, low, ..]: [u8; 8] = layer.array()?;
    if flags & VERSION_AND_PROTOCOL != VERSION_1_GTP || kind != G_PDU {
        return Err(Undecoded::NotIp);
    }
    // The length counts what follows the eight bytes.
    let mut layer = layer.bounded(u16::from_be_bytes([high, low]).into());
    if flags & HAS_OPTIONAL != 0 {
        let [.., mut next]: [u8; 4] = layer.array()?;
        // One flag says that all of the optional part stands there, another whether its last byte means something.
        if flags & HAS_EXTENSION == 0 {
            next = 0;
        }
        while next != 0 {
            let [fours]: [u8; 1] = layer.array()?;
            let length = u32::from(fours) * 4;
            layer.skip(length.checked_sub(2).ok_or(Undecoded::Malformed)?)?;
            [next] = layer.array()?;
        }
    }
    ip::walk(layer, Depth::FULL)
}

/// `gtp-user` (IANA).
pub(super) const USER_PORT: u16 = 2_152;
/// Three bits of version, and PT, which tells GTP from GTP'.
const VERSION_AND_PROTOCOL: u8 = 0xf0;
const VERSION_1_GTP: u8 = 0x30;
/// E, S and PN: extension header, sequence number, N-PDU number.
const HAS_OPTIONAL: u8 = 0x07;
const HAS_EXTENSION: u8 = 0x04;
/// A user's packet, not a message between the network's nodes (table 6.1-1).
const G_PDU: u8 = 255;
