//! DNS (RFC 1035, section 4) over UDP and, behind a length of two bytes, over TCP; multicast DNS (RFC 6762) and LLMNR (RFC 4795).
//!
//! The header leaves little free: known opcodes and response codes, a reserved bit, few records. Then the first question, or without
//! one the first record, must read to its end: labels within 63 and 255 bytes, a type and a class that exist. That is strict enough
//! to do without the port. Multicast DNS and LLMNR share the format and are told apart by their group or port.

use super::super::ports::Group;
use super::{Datagram, FirstBytes, OfDatagrams, OfStreams, Ports, Recogniser, Stream, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::range(0, 0x3f), recognise: streams };
pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::ANY, recognise: datagrams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let mut cursor = Cursor::new(stream.bytes);
    let Some(length) = cursor.u16_be() else { return Verdict::No };
    let length = usize::from(length);
    let message = cursor.rest().get(..length).unwrap_or(cursor.rest());
    let proof = length >= SHORTEST && is_message(message) == Some(true);
    Verdict::when(proof, variant(None, stream.ports))
}

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    let protocol = variant(datagram.group, datagram.ports);
    match is_message(datagram.bytes) {
        Some(true) => Verdict::Match(protocol),
        // What is malformed, or an opcode of tomorrow, is still a message where the port says so.
        _ if has_questions(datagram.bytes) => datagram.on_its_port(protocol),
        _ => Verdict::No,
    }
}

fn variant(group: Option<Group>, ports: Ports) -> Protocol {
    match group {
        Some(Group::Mdns) => Protocol::Mdns,
        Some(Group::Llmnr) => Protocol::Llmnr,
        _ if ports.include(MDNS_PORT) => Protocol::Mdns,
        _ if ports.include(LLMNR_PORT) => Protocol::Llmnr,
        _ => Protocol::Dns,
    }
}

fn is_message(bytes: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(bytes);
    cursor.skip(2)?;
    let flags = cursor.u16_be()?;
    let [questions, answers, authorities, additional] =
        [cursor.u16_be()?, cursor.u16_be()?, cursor.u16_be()?, cursor.u16_be()?];
    let response = flags & RESPONSE != 0;
    let opcode = flags >> 11 & 0xf;
    let sensible = matches!(opcode, 0..=2 | 4..=6)
        && flags & RESERVED == 0
        && flags & RESPONSE_CODE <= LAST_RESPONSE_CODE
        && (response || flags & RESPONSE_CODE == 0)
        && questions <= MOST_QUESTIONS
        && answers.max(authorities).max(additional) <= MOST_RECORDS
        && (response || opcode == 5 || answers <= MOST_KNOWN_ANSWERS);
    if !sensible {
        return Some(false);
    }
    if questions > 0 {
        return question(&mut cursor);
    }
    let records = answers.max(authorities).max(additional);
    if records > 0 {
        return record(&mut cursor);
    }
    // A refusal may be a bare header (RFC 2136, section 3.8; seen of servers that answer FORMERR).
    Some(false)
}

fn has_questions(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, _, 0, 1..=8, 0..=3, _, 0..=3, _, 0..=3, _, ..])
}

fn question(cursor: &mut Cursor<'_>) -> Option<bool> {
    name(cursor)?;
    let kind = cursor.u16_be()?;
    let class = cursor.u16_be()?;
    Some(is_type(kind) && is_class(class))
}

fn record(cursor: &mut Cursor<'_>) -> Option<bool> {
    name(cursor)?;
    let kind = cursor.u16_be()?;
    let class = cursor.u16_be()?;
    cursor.skip(4)?;
    let length = usize::from(cursor.u16_be()?);
    let fits = length <= cursor.remaining();
    // An OPT record puts a buffer size where others have their class (RFC 6891, section 6.1.2).
    Some(fits && is_type(kind) && (is_class(class) || kind == OPT))
}

/// Moves past a name; the first name of a message has nothing to point back to.
fn name(cursor: &mut Cursor<'_>) -> Option<()> {
    let mut total = 0;
    loop {
        match cursor.u8()? {
            0 => return Some(()),
            length @ 1..=63 => {
                total += usize::from(length) + 1;
                if total > LONGEST_NAME {
                    return None;
                }
                cursor.skip(usize::from(length))?;
            }
            _ => return None,
        }
    }
}

/// The types of the IANA registry, with the private ones of WINS and ANAME.
fn is_type(kind: u16) -> bool {
    matches!(kind, 1..=66 | 99..=110 | 128 | 249..=262 | 32_768..=32_770 | 65_280..=65_534)
}

/// IN, CH, HS, NONE and ANY; the top bit is a wish or a flush in multicast DNS (RFC 6762, sections 5.4 and 10.2).
fn is_class(class: u16) -> bool {
    matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255)
}

const RESPONSE: u16 = 0x8000;
/// The field of the response code.
const RESPONSE_CODE: u16 = 0x000f;
/// The one bit of the header that is still to be zero.
const RESERVED: u16 = 0x0040;
/// `NOTZONE`; RFC 2136, section 2.2, and DSOTYPENI of RFC 8490.
const LAST_RESPONSE_CODE: u16 = 11;
/// Multicast DNS asks for many names at once; unicast for one.
const MOST_QUESTIONS: u16 = 64;
const MOST_RECORDS: u16 = 1_024;
/// Known answers that a query of multicast DNS carries (RFC 6762, section 7.1).
const MOST_KNOWN_ANSWERS: u16 = 256;
const LONGEST_NAME: usize = 255;
/// Header and the root question.
const SHORTEST: usize = 12 + 5;
const OPT: u16 = 41;
const MDNS_PORT: u16 = 5_353;
const LLMNR_PORT: u16 = 5_355;

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram, hex, opening};
    use crate::network::protocol::Protocol;

    const QUERY: &str = "1234 0100 0001 0000 0000 0000 03 777777 07 6578616d706c65 03 636f6d 00 0001 0001";

    #[test]
    fn a_query_is_known_without_its_port() {
        assert_eq!(datagram(&hex(QUERY)), Some(Protocol::Dns));
        assert_eq!(opening(&hex(&format!("0021 {QUERY}"))), Some(Protocol::Dns));
    }

    #[test]
    fn a_class_that_does_not_exist_is_no_query() {
        assert_eq!(datagram(&hex(&QUERY.replace("0001 0001", "0001 0009"))), None);
        assert_eq!(datagram(&hex(&QUERY.replace("0100", "0140"))), None);
    }
}
