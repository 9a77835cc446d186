//! Telnet (RFC 854, RFC 855): negotiation of options, `IAC` and `WILL`, `WONT`, `DO` or `DONT` and an option, one after another.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams = Recogniser { opens: FirstBytes::of(&[IAC]), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let commands = negotiations(stream.bytes);
    let proven =
        commands >= 2 || (commands == 1 && (stream.bytes.len() == 3 || negotiations(stream.reply) >= 1));
    Verdict::when(proven, Protocol::Telnet)
}

/// How many option commands stand at the front.
fn negotiations(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut count = 0;
    while let [IAC, WILL..=DONT, option, tail @ ..] = rest {
        if *option > LAST_OPTION && *option != EXTENDED {
            break;
        }
        count += 1;
        rest = tail;
    }
    count
}

const IAC: u8 = 255;
const WILL: u8 = 251;
const DONT: u8 = 254;
/// The registry's last option of the first block; MUD clients use some up to 93, and 200, 201.
const LAST_OPTION: u8 = 93;
const EXTENDED: u8 = 200;

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn negotiations_are_known() {
        assert_eq!(opening(&hex("fffd18 fffd20")), Some(Protocol::Telnet));
        assert_eq!(opening(&hex("fffb01 68656c6c6f")), None);
        assert_eq!(opening(&hex("ffffff ffffff")), None);
    }
}
