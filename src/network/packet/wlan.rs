//! IEEE 802.11 data frames, as a Mac in monitor mode captures them, or as an access point hands them on.

use super::{Depth, Layer, Undecoded, Walk, link};
use crate::observation::LinkType;

/// A frame from its frame control field on (IEEE 802.11 clause 9.2).
pub(super) fn walk(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let [control, flags, ..] = layer.array::<HEADER>()?;
    behind_header(control, flags, layer, depth)
}

/// A frame that an access point hands on. Some (Cisco's) swap the two bytes of the frame control field. A frame in a tunnel goes to or
/// comes from the distribution system, so its flags are no frame control: they would state another version than the only one.
pub(super) fn tunnelled(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let [first, second, ..] = layer.array::<HEADER>()?;
    let (control, flags) = if first & VERSION_MASK == 0 { (first, second) } else { (second, first) };
    behind_header(control, flags, layer, depth)
}

/// What follows the header of three addresses. Only data in the clear is followed.
fn behind_header(control: u8, flags: u8, mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    if control & (VERSION_MASK | TYPE_MASK) != TYPE_DATA
        || control & SUBTYPE_NO_DATA != 0
        || flags & PROTECTED != 0
    {
        return Err(Undecoded::NotIp);
    }
    if flags & BOTH_DISTRIBUTION == BOTH_DISTRIBUTION {
        layer.skip(FOURTH_ADDRESS)?;
    }
    if control & SUBTYPE_QOS != 0 {
        let [quality, _] = layer.array()?;
        if quality & AGGREGATE != 0 {
            return Err(Undecoded::NotIp);
        }
        if flags & ORDER != 0 {
            layer.skip(HIGH_THROUGHPUT_CONTROL)?;
        }
    }
    link::llc(layer, depth)
}

/// A radiotap header (<https://www.radiotap.org>), then the frame.
pub(super) fn radiotap(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let [_version, _pad, low, high] = layer.array()?;
    let length = u16::from_le_bytes([low, high]).checked_sub(4).ok_or(Undecoded::Malformed)?;
    layer.skip(u32::from(length))?;
    walk(layer, depth)
}

/// A PPI header (CACE Technologies, "Per-Packet Information", 2007), then a frame of the link type that it names.
pub(super) fn per_packet_information(mut layer: Layer<'_>, depth: Depth) -> Result<Walk<'_>, Undecoded> {
    let [_version, _flags, low, high, kind @ ..]: [u8; 8] = layer.array()?;
    let length = u16::from_le_bytes([low, high]).checked_sub(8).ok_or(Undecoded::Malformed)?;
    layer.skip(u32::from(length))?;
    link::walk(LinkType(u32::from_le_bytes(kind)), layer, depth.deeper()?)
}

/// Frame control, duration, three addresses, sequence control.
const HEADER: usize = 24;
const VERSION_MASK: u8 = 0x03;
const TYPE_MASK: u8 = 0x0c;
const TYPE_DATA: u8 = 0x08;
const SUBTYPE_NO_DATA: u8 = 0x40;
const SUBTYPE_QOS: u8 = 0x80;
/// To and from the distribution system: a fourth address follows.
const BOTH_DISTRIBUTION: u8 = 0x03;
const FOURTH_ADDRESS: u32 = 6;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
const HIGH_THROUGHPUT_CONTROL: u32 = 4;
/// Several frames in one (A-MSDU).
const AGGREGATE: u8 = 0x80;
