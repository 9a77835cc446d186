//! As much of a TCP connection as its flow needs.

use super::aging::Class;
use crate::network::packet::{TcpFlags, TcpHeader};

/// What was seen of a connection's beginning and end, in one byte: it is looked at with every segment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Connection(u8);

/// The initial sequence numbers of both ends, each meaningful where it has begun.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sequences {
    client: u32,
    server: u32,
}

impl Connection {
    /// Takes note of a segment; whether it shows [where an end begins](Connection::begin).
    #[inline]
    pub(super) fn observe(&mut self, from_client: bool, header: TcpHeader) -> bool {
        let flags = header.flags;
        let finished = if flags.any(TcpFlags::FIN) { FINISHED } else { 0 };
        let reset = if flags.any(TcpFlags::RST) { RESET } else { 0 };
        self.0 |= of_end(from_client, SEEN | finished) | reset;
        flags.any(TcpFlags::SYN)
    }

    /// Takes note of where an end begins, as a SYN says it.
    pub(super) fn begin(&mut self, sequences: &mut Sequences, from_client: bool, header: TcpHeader) {
        let Sequences { client, server } = sequences;
        let (own, other) = if from_client { (client, server) } else { (server, client) };
        *own = header.sequence;
        self.0 |= of_end(from_client, BEGUN);
        if header.flags.any(TcpFlags::ACK) && !self.is(of_end(!from_client, BEGUN)) {
            // The answer says what it answers, should that come late or not at all.
            *other = header.acknowledgement.wrapping_sub(1);
            self.0 |= of_end(!from_client, BEGUN);
        }
    }

    /// Whether a segment that opens a connection opens another one: by its initial sequence number, which a repeated SYN repeats
    /// even after a refusal; where none is known, after the end of this one or in the midst of it. A direction may begin after the
    /// other: both ends may open at once (RFC 9293 section 3.5). A connection that only reports have shown is the one that opens.
    pub(super) fn is_followed_by(self, sequences: Sequences, from_client: bool, header: TcpHeader) -> bool {
        if self.is(of_end(from_client, BEGUN)) {
            let initial = if from_client { sequences.client } else { sequences.server };
            initial != header.sequence
        } else {
            let seen = self.is(of_end(from_client, SEEN)) || self.is(of_end(!from_client, SEEN));
            self.is_closed() || (seen && !self.is(of_end(!from_client, BEGUN)))
        }
    }

    /// How long it may be silent.
    ///
    /// It counts as closed with the second FIN: what is left to come, the ACK of it, comes before the limit. An RST that was forged
    /// does no harm: while segments follow, the flow goes on.
    #[inline]
    pub(super) fn class(self) -> Class {
        if self.is_closed() {
            Class::TcpClosing
        } else if self.is(of_end(false, SEEN)) || !self.is(of_end(true, BEGUN)) {
            Class::TcpOpen
        } else {
            Class::TcpOpening
        }
    }

    #[inline]
    fn is_closed(self) -> bool {
        self.is(RESET) || self.is(of_end(true, FINISHED) | of_end(false, FINISHED))
    }

    /// Whether all of these bits are set.
    #[inline]
    fn is(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// The bits of one end.
#[inline]
const fn of_end(client: bool, bits: u8) -> u8 {
    if client { bits } else { bits << SERVER }
}

/// An end's sequence number is known.
const BEGUN: u8 = 1;
/// An end sent something.
const SEEN: u8 = 2;
/// An end sent FIN.
const FINISHED: u8 = 4;
/// How far the server's bits lie above the client's.
const SERVER: u8 = 3;
/// Either end sent RST.
const RESET: u8 = 1 << 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(flags: TcpFlags, sequence: u32) -> TcpHeader {
        TcpHeader { sequence, acknowledgement: 0, flags }
    }

    fn answer(sequence: u32, acknowledgement: u32) -> TcpHeader {
        TcpHeader { sequence, acknowledgement, flags: TcpFlags::SYN.and(TcpFlags::ACK) }
    }

    /// A connection with all that is kept of it.
    #[derive(Default)]
    struct Whole(Connection, Sequences);

    impl Whole {
        fn observe(&mut self, from_client: bool, header: TcpHeader) {
            if self.0.observe(from_client, header) {
                self.0.begin(&mut self.1, from_client, header);
            }
        }

        fn is_followed_by(&self, from_client: bool, header: TcpHeader) -> bool {
            self.0.is_followed_by(self.1, from_client, header)
        }

        fn class(&self) -> Class {
            self.0.class()
        }
    }

    fn opened() -> Whole {
        let mut connection = Whole::default();
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
        let mut connection = Whole::default();
        connection.observe(true, segment(TcpFlags::ACK, 5));
        assert_eq!(connection.class(), Class::TcpOpen);
        assert!(connection.is_followed_by(true, segment(TcpFlags::SYN, 100)));
    }

    #[test]
    fn a_syn_that_its_answer_overtook_opens_nothing_new() {
        let mut connection = Whole::default();
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
        let mut refused = Whole::default();
        refused.observe(true, segment(TcpFlags::SYN, 1));
        assert_eq!(refused.class(), Class::TcpOpening);
        refused.observe(false, segment(TcpFlags::RST, 0));
        assert_eq!(refused.class(), Class::TcpClosing);
        assert!(!refused.is_followed_by(true, segment(TcpFlags::SYN, 1)));
        assert!(refused.is_followed_by(true, segment(TcpFlags::SYN, 2)));
    }
}
