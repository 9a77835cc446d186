//! The little of BER (X.690) that SNMP, LDAP and Kerberos begin with.

use crate::cursor::Cursor;

/// A tag and the length that follows it, both well-formed.
pub(super) struct Header {
    /// The identifier octet.
    pub(super) tag: u8,
    /// Length of the contents in bytes, which may reach beyond what was captured.
    pub(super) length: usize,
}

/// Reads a single-byte tag and a definite length of at most four bytes (X.690, 8.1.3).
pub(super) fn header(cursor: &mut Cursor<'_>) -> Option<Header> {
    let tag = cursor.u8()?;
    let length = match cursor.u8()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(cursor.u8()?),
        0x82 => usize::from(cursor.u16_be()?),
        0x83 => usize::try_from(cursor.u24_be()?).ok()?,
        0x84 => usize::try_from(cursor.u32_be()?).ok()?,
        _ => return None,
    };
    Some(Header { tag, length })
}

/// Reads a header with this tag and gives the length of its contents.
pub(super) fn tagged(cursor: &mut Cursor<'_>, tag: u8) -> Option<usize> {
    let header = header(cursor)?;
    (header.tag == tag).then_some(header.length)
}

/// Reads an INTEGER of at most four bytes that is not negative.
pub(super) fn integer(cursor: &mut Cursor<'_>) -> Option<u32> {
    let length = tagged(cursor, INTEGER)?;
    let mut value = 0_u32;
    if length == 0 || length > 5 {
        return None;
    }
    for _ in 0..length {
        value = value.checked_shl(8)? | u32::from(cursor.u8()?);
    }
    Some(value)
}

/// `INTEGER`.
pub(super) const INTEGER: u8 = 0x02;
/// `OCTET STRING`.
pub(super) const OCTET_STRING: u8 = 0x04;
/// `SEQUENCE`, constructed.
pub(super) const SEQUENCE: u8 = 0x30;
