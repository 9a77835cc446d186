//! Connections that a control connection has announced.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::recognise::text;
use crate::observation::Origin;

/// The ends at which FTP data connections are expected, as `PASV`, `EPSV`, `PORT` and `EPRT` named them (RFC 959, section 4.1.2; RFC 2428).
/// Bounded: the oldest announcement is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Expected {
    ends: VecDeque<(Origin, SocketAddr)>,
}

impl Expected {
    /// Reads a line of a control connection between `speaker` and the other end.
    pub(super) fn read(&mut self, origin: Origin, line: &[u8], speaker: IpAddr) {
        let Some(port) = announced_port(line) else { return };
        if self.ends.len() >= MOST {
            self.ends.pop_front();
        }
        // The address in the announcement may be one that translation has made useless, so the speaker's own is taken.
        self.ends.push_back((origin, SocketAddr::new(speaker, port)));
    }

    /// Whether a connection to or from this end was announced. An announcement serves once.
    pub(super) fn claim(&mut self, origin: Origin, end: SocketAddr) -> bool {
        let Some(at) = self.ends.iter().position(|expected| *expected == (origin, end)) else { return false };
        self.ends.remove(at);
        true
    }
}

fn announced_port(line: &[u8]) -> Option<u16> {
    let line = line.get(..line.len().min(LONGEST_LINE))?;
    if text::begins(line, b"227 ") || text::begins(line, b"PORT ") {
        // Six numbers: four of the address, two of the port.
        let numbers: smallvec::SmallVec<[u16; 8]> = line
            .get(4..)?
            .split(|byte| !byte.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .filter_map(decimal)
            .collect();
        let [high, low] = *numbers.last_chunk::<2>()?;
        return (numbers.len() == 6 && high < 256 && low < 256).then_some(high << 8 | low);
    }
    if text::begins(line, b"229 ") || text::begins(line, b"EPRT ") {
        return line.split(|byte| *byte == b'|').rev().nth(1).and_then(decimal);
    }
    None
}

fn decimal(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Announcements kept at a time.
const MOST: usize = 64;
const LONGEST_LINE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_forms_are_read() {
        for line in [
            &b"227 Entering Passive Mode (10,0,0,1,4,210)"[..],
            b"229 Entering Extended Passive Mode (|||1234|)",
            b"PORT 10,0,0,1,4,210",
            b"EPRT |1|10.0.0.1|1234|",
        ] {
            assert_eq!(announced_port(line), Some(1_234), "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(announced_port(b"227 (1,2,3,4,300,1)"), None);
    }

    #[test]
    fn an_announcement_serves_once() {
        let mut expected = Expected::default();
        let speaker = IpAddr::from([10, 0, 0, 1]);
        expected.read(Origin(0), b"PORT 10,0,0,1,4,210", speaker);
        assert!(!expected.claim(Origin(1), SocketAddr::new(speaker, 1_234)));
        assert!(expected.claim(Origin(0), SocketAddr::new(speaker, 1_234)));
        assert!(!expected.claim(Origin(0), SocketAddr::new(speaker, 1_234)));
    }
}
