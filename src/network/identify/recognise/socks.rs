//! SOCKS 5 (RFC 1928, sections 3 and 4) and 4, 4a (the memos of NEC).
//!
//! The openings are a handful of bytes, so the proxy's answer is awaited: version 5 and one of the methods that were offered; or a
//! zero, a code from 90 to 93, and no more than eight bytes.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(&[4, 5]), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let (asked, answered) = match stream.bytes {
        [5, count, methods @ ..] => (is_offer(*count, methods), is_choice(*count, methods, stream.reply)),
        [4, 1 | 2, rest @ ..] => {
            (is_version_4_request(rest), matches!(stream.reply, [0, 90..=93, _, _, _, _, _, _, ..]))
        }
        _ => (false, false),
    };
    match (asked, answered) {
        (true, true) => Verdict::Match(Protocol::Socks),
        (true, false) if stream.reply.is_empty() => stream.on_its_port(Protocol::Socks),
        _ => Verdict::No,
    }
}

/// As many methods as are announced; a client that does not wait sends its request behind them.
fn is_offer(count: u8, methods: &[u8]) -> bool {
    let count = usize::from(count);
    let Some((offered, rest)) = methods.split_at_checked(count) else { return false };
    (1..=MOST_METHODS).contains(&count)
        && offered.iter().all(|method| matches!(method, 0..=9 | 0x80..=0xfe))
        && matches!(rest, [] | [5, 1..=3, 0, ..] | [1, ..])
}

fn is_choice(count: u8, methods: &[u8], reply: &[u8]) -> bool {
    let offered = methods.get(..usize::from(count)).unwrap_or_default();
    matches!(reply, [5, method, ..] if *method == REFUSED || offered.contains(method))
}

/// Port, address, and a user name that ends with a zero; 4a adds a host that ends so.
fn is_version_4_request(rest: &[u8]) -> bool {
    matches!(rest, [high, low, a, _, _, _, user @ .., 0]
        if (*high, *low) != (0, 0) && *a < 224 && user.len() <= LONGEST_USER_AND_HOST
            && user.iter().all(|byte| *byte == 0 || byte.is_ascii_graphic()))
}

const MOST_METHODS: usize = 10;
const REFUSED: u8 = 0xff;
const LONGEST_USER_AND_HOST: usize = 320;

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn an_offer_needs_a_choice_out_of_it() {
        assert_eq!(opening(&hex("05 02 00 02")), None);
        assert_eq!(answered(&hex("05 02 00 02"), &hex("05 00")), Some(Protocol::Socks));
        assert_eq!(answered(&hex("05 02 00 02"), &hex("05 01")), None);
    }

    #[test]
    fn version_4_needs_its_answer() {
        let request = hex("04 01 0050 5db8d822 00");
        assert_eq!(opening(&request), None);
        assert_eq!(answered(&request, &hex("00 5a 0000 00000000")), Some(Protocol::Socks));
    }
}
