//! As much of a TCP connection as its flow needs.

use super::aging::Class;
use crate::network::packet::{TcpFlags, TcpHeader};

/// What was seen of a connection's beginning and end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Connection {
    client: Half,
    server: Half,
    reset: bool,
}

/// One direction.
#[derive(Debug, Clone, Copy, Default)]
struct Half {
    /// Meaningful where it has begun.
    initial_sequence: u32,
    begun: bool,
    seen: bool,
    finished: bool,
}

impl Half {
    fn initial_sequence(self) -> Option<u32> {
        self.begun.then_some(self.initial_sequence)
    }

    fn begin(&mut self, initial_sequence: u32) {
        (self.initial_sequence, self.begun) = (initial_sequence, true);
    }
}

impl Connection {
    /// Takes note of a segment.
    #[inline]
    pub(super) fn observe(&mut self, from_client: bool, header: TcpHeader) {
        let (own, other) = if from_client {
            (&mut self.client, &mut self.server)
        } else {
            (&mut self.server, &mut self.client)
        };
        own.seen = true;
        if header.flags.any(TcpFlags::SYN) {
            own.begin(header.sequence);
            if header.flags.any(TcpFlags::ACK) && !other.begun {
                // The answer says what it answers, should that come late or not at all.
                other.begin(header.acknowledgement.wrapping_sub(1));
            }
        }
        own.finished |= header.flags.any(TcpFlags::FIN);
        self.reset |= header.flags.any(TcpFlags::RST);
    }

    /// Whether a segment that opens a connection opens another one: by its initial sequence number, which a repeated SYN repeats
    /// even after a refusal; where none is known, after the end of this one or in the midst of it. A direction may begin after the
    /// other: both ends may open at once (RFC 9293 section 3.5). A connection that only reports have shown is the one that opens.
    pub(super) fn is_followed_by(&self, from_client: bool, header: TcpHeader) -> bool {
        let (own, other) = if from_client { (self.client, self.server) } else { (self.server, self.client) };
        match own.initial_sequence() {
            Some(initial) => initial != header.sequence,
            None if self.is_closed() => true,
            None => (own.seen || other.seen) && !other.begun,
        }
    }

    /// How long it may be silent.
    ///
    /// It counts as closed with the second FIN: what is left to come, the ACK of it, comes before the limit. An RST that was forged
    /// does no harm: while segments follow, the flow goes on.
    pub(super) fn class(&self) -> Class {
        if self.is_closed() {
            Class::TcpClosing
        } else if self.server.seen || !self.client.begun {
            Class::TcpOpen
        } else {
            Class::TcpOpening
        }
    }

    fn is_closed(&self) -> bool {
        self.reset || (self.client.finished && self.server.finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(flags: TcpFlags, sequence: u32) -> TcpHeader {
        TcpHeader { sequence, acknowledgement: 0, flags }
    }

    fn answer(sequence: u32, acknowledgement: u32) -> TcpHeader {
        TcpHeader { sequence, acknowledgement, flags: TcpFlags::SYN.and(TcpFlags::ACK) }
    }

    fn opened() -> Connection {
        let mut connection = Connection::default();
        connection.observe(true, segment(TcpFlags::SYN, 100));
        connection.observe(false, answer(900, 101));
        connection
    }

    #[test]
    fn a_repeated_syn_is_the_same_connection_and_another_number_is_another() {
        let connection = opened();
        assert!(!connection.is_followed_by(true, segment(TcpFlags::SYN, 100)));
        assert!(connection.is_followed_by(true, segment(TcpFlags::SYN, 101)));
        assert!(connection.is_followed_by(false, segment(TcpFlags::SYN, 901)));
    }

    #[test]
    fn a_connection_joined_in_its_middle_ends_where_another_opens() {
        let mut connection = Connection::default();
        connection.observe(true, segment(TcpFlags::ACK, 5));
        assert_eq!(connection.class(), Class::TcpOpen);
        assert!(connection.is_followed_by(true, segment(TcpFlags::SYN, 100)));
    }

    #[test]
    fn a_syn_that_its_answer_overtook_opens_nothing_new() {
        let mut connection = Connection::default();
        connection.observe(false, answer(900, 101));
        assert!(!connection.is_followed_by(true, segment(TcpFlags::SYN, 100)));
        assert!(connection.is_followed_by(true, segment(TcpFlags::SYN, 102)));
    }

    #[test]
    fn it_closes_with_both_fins_or_one_reset() {
        let mut connection = opened();
        connection.observe(true, segment(TcpFlags::FIN, 200));
        assert_eq!(connection.class(), Class::TcpOpen);
        connection.observe(false, segment(TcpFlags::FIN, 950));
        assert_eq!(connection.class(), Class::TcpClosing);
        assert!(!connection.is_followed_by(true, segment(TcpFlags::SYN, 100)), "a late repetition");
        assert!(connection.is_followed_by(true, segment(TcpFlags::SYN, 7)));
    }

    #[test]
    fn an_attempt_that_is_repeated_after_a_refusal_is_one_attempt() {
        let mut refused = Connection::default();
        refused.observe(true, segment(TcpFlags::SYN, 1));
        assert_eq!(refused.class(), Class::TcpOpening);
        refused.observe(false, segment(TcpFlags::RST, 0));
        assert_eq!(refused.class(), Class::TcpClosing);
        assert!(!refused.is_followed_by(true, segment(TcpFlags::SYN, 1)));
        assert!(refused.is_followed_by(true, segment(TcpFlags::SYN, 2)));
    }
}
