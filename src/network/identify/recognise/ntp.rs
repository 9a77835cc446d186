//! NTP (RFC 5905, section 7.3; RFC 9327 for control messages).
//!
//! The header has few fixed bits, so a packet alone is weak. The proof is an answer whose origin timestamp is the transmit timestamp
//! of the request.

use super::{Datagram, FirstBytes, OfDatagrams, Recogniser, Verdict};
use crate::cursor::Cursor;
use crate::network::protocol::Protocol;

pub(super) const DATAGRAMS: OfDatagrams = Recogniser { opens: FirstBytes::ANY, recognise: datagrams };

fn datagrams(datagram: &Datagram<'_>) -> Verdict {
    packet(datagram).unwrap_or(Verdict::No)
}

fn packet(datagram: &Datagram<'_>) -> Option<Verdict> {
    let mut cursor = Cursor::new(datagram.bytes);
    let flags = cursor.u8()?;
    let (version, mode) = (flags >> 3 & 7, flags & 7);
    if !(1..=4).contains(&version) {
        return None;
    }
    if mode >= CONTROL {
        return (datagram.wire_length >= SHORTEST_CONTROL).then_some(datagram.on_its_port(Protocol::Ntp));
    }
    let stratum = cursor.u8()?;
    let poll = cursor.u8()?;
    cursor.skip(1)?;
    let delay = cursor.u32_be()?;
    let dispersion = cursor.u32_be()?;
    cursor.skip(4)?;
    let reference = cursor.u64_be()?;
    let origin = cursor.u64_be()?;
    let receive = cursor.u64_be()?;
    let transmit = cursor.u64_be()?;
    let length = datagram.wire_length;
    let sized = length == LENGTH || (LENGTH + 4..=LONGEST).contains(&length) && length.is_multiple_of(4);
    if mode == 0
        || stratum > 16
        || poll > 24
        || !sized
        || transmit == 0
        || delay >> 16 > MOST_SECONDS
        || dispersion >> 16 > MOST_SECONDS
    {
        return None;
    }
    let answers = datagram.reply_token(Protocol::Ntp).is_some_and(|asked| asked == origin && origin != 0);
    // A client that asks for the first time, as nearly all do (RFC 5905, appendix A.5.1.1), has nothing to say but its own time.
    let bare = mode == CLIENT
        && [reference, origin, receive] == [0; 3]
        && stratum == 0
        && is_recent(transmit)
        && length == LENGTH;
    // Otherwise the times that are set lie near each other, or are the same.
    let set = [reference, origin, receive].into_iter().filter(|time| *time != 0);
    let near = set.clone().all(|time| (transmit >> 32).abs_diff(time >> 32) <= A_DAY);
    let consistent = near && set.count() >= 1 && is_recent(transmit);
    Some(if answers || bare || consistent {
        Verdict::Match(Protocol::Ntp)
    } else {
        Verdict::Weak(Protocol::Ntp, transmit)
    })
}

/// Whether a timestamp lies between 2000 and 2036, when the era ends (RFC 5905, section 6), or shortly after.
fn is_recent(timestamp: u64) -> bool {
    let seconds = timestamp >> 32;
    !(A_DAY * 3_650..YEAR_2000).contains(&seconds)
}

const CLIENT: u8 = 3;
const CONTROL: u8 = 6;
/// Bytes of a packet without extensions.
const LENGTH: usize = 48;
/// Extension fields of network time security are the longest seen.
const LONGEST: usize = 2_048;
const SHORTEST_CONTROL: usize = 4;
/// More than any clock's distance to its root, in seconds.
const MOST_SECONDS: u32 = 64;
const A_DAY: u64 = 86_400;
/// Seconds from 1900 to 2000.
const YEAR_2000: u64 = 3_155_673_600;

#[cfg(test)]
mod tests {
    use super::super::testing::{answering_datagram, datagram, hex};
    use crate::network::protocol::Protocol;

    fn packet(head: &str, reference: u64, origin: u64, receive: u64, transmit: u64) -> Vec<u8> {
        let mut bytes = hex(head);
        for time in [reference, origin, receive, transmit] {
            bytes.extend(time.to_be_bytes());
        }
        bytes
    }

    const NOW: u64 = 0xea11_0000_1234_5678;

    #[test]
    fn an_answer_repeats_the_time_of_its_question() {
        let question = packet("e3 01 0a fa 00010000 00010000 7f000001", 1, 1, 1, NOW);
        assert_eq!(datagram(&question), None);
        let answer = packet("24 10 0a fa 00010000 00010000 7f000001", 1, NOW, 1, NOW + 1);
        assert_eq!(answering_datagram(&question, &answer), Some(Protocol::Ntp));
        let stranger = packet("24 10 0a fa 00010000 00010000 7f000001", 1, NOW + 5, 1, NOW + 1);
        assert_eq!(answering_datagram(&question, &stranger), None);
    }

    #[test]
    fn times_that_are_set_lie_near_each_other() {
        assert_eq!(
            datagram(&packet("1c 00 04 fa 00000000 00000000 00000000", 0, NOW, 0, NOW)),
            Some(Protocol::Ntp)
        );
        assert_eq!(datagram(&packet("1c 00 04 fa 00000000 00000000 00000000", 0, NOW, 9, NOW)), None);
    }

    #[test]
    fn a_first_question_is_bare() {
        assert_eq!(
            datagram(&packet("23 00 0a fa 00000000 00000000 00000000", 0, 0, 0, NOW)),
            Some(Protocol::Ntp)
        );
    }
}
