//! What is missing between two lines, by their sequence numbers.

use crate::observation::Message;

/// The type of a process event, as far as it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventType {
    Exec,
    Fork,
    Exit,
}

/// The sequence numbers that come next if nothing is lost.
///
/// Endpoint Security counts the messages of a client by type (`seq_num`) and all together (`global_seq_num`). The numbers by type are
/// the ones followed here: they are not disturbed by events of other types that the same client asked for. Only a line without them is
/// judged by the other.
///
/// A first number only sets the expectation, wherever it stands, since a recording may begin at any time; and a number below the
/// expected one is the beginning of another client. What is expected at the end of a file can be inherited by the reader of the file
/// that goes on from there, and then the losses found do not depend on where a recording was split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sequence {
    exec: Expected,
    fork: Expected,
    exit: Expected,
    global: Expected,
}

/// What is known of one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Expected {
    /// Nothing was read yet.
    #[default]
    Unread,
    /// Nothing was read yet, and the file before this one ended there.
    Inherited(u64),
    /// The number after the last one read.
    Next(u64),
    /// A loss was told of in the recording itself: the jump that follows is the same loss.
    Anything,
}

impl Expected {
    fn number(self) -> Option<u64> {
        match self {
            Self::Inherited(number) | Self::Next(number) => Some(number),
            Self::Unread | Self::Anything => None,
        }
    }

    fn inherited(self) -> Self {
        self.number().map_or(Self::Unread, Self::Inherited)
    }

    fn absorb(&mut self, later: Self) {
        if matches!(later, Self::Next(_) | Self::Anything) {
            *self = later;
        }
    }
}

impl Sequence {
    /// Takes note of a line; how many lines before it were lost.
    pub(crate) fn advance(&mut self, event_type: EventType, message: &Message) -> u64 {
        let (expected, number) = match (message.seq_num, event_type) {
            (Some(number), EventType::Exec) => (&mut self.exec, number),
            (Some(number), EventType::Fork) => (&mut self.fork, number),
            (Some(number), EventType::Exit) => (&mut self.exit, number),
            (None, _) => match message.global_seq_num {
                Some(number) => (&mut self.global, number),
                None => return 0,
            },
        };
        let lost = expected.number().map_or(0, |expected| number.saturating_sub(expected));
        *expected = number.checked_add(1).map_or(Expected::Anything, Expected::Next);
        lost
    }

    /// Accepts any numbers next.
    pub(crate) fn forget(&mut self) {
        let Self { exec, fork, exit, global } = self;
        for expected in [exec, fork, exit, global] {
            *expected = Expected::Anything;
        }
    }

    /// What the reader of the next file is to expect.
    #[must_use]
    pub(crate) fn inherited(self) -> Self {
        Self {
            exec: self.exec.inherited(),
            fork: self.fork.inherited(),
            exit: self.exit.inherited(),
            global: self.global.inherited(),
        }
    }

    /// Takes over what a later reader came to expect by what it read.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.exec.absorb(later.exec);
        self.fork.absorb(later.fork);
        self.exit.absorb(later.exit);
        self.global.absorb(later.global);
    }

    /// Whether nothing was read that has a number.
    pub(crate) fn is_unread(self) -> bool {
        let Self { exec, fork, exit, global } = self;
        [exec, fork, exit, global]
            .iter()
            .all(|expected| matches!(expected, Expected::Unread | Expected::Inherited(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Timestamp;

    fn message(seq_num: Option<u64>, global_seq_num: Option<u64>) -> Message {
        Message { time: Timestamp::EPOCH, mach_time: None, version: 9, seq_num, global_seq_num }
    }

    #[test]
    fn a_first_number_is_no_loss_and_a_jump_is() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.advance(EventType::Exec, &message(Some(362), Some(1_103))), 0);
        assert_eq!(sequence.advance(EventType::Exec, &message(Some(363), Some(1_200))), 0);
        assert_eq!(sequence.advance(EventType::Exec, &message(Some(370), Some(1_210))), 6);
        assert_eq!(sequence.advance(EventType::Exec, &message(Some(371), Some(1_211))), 0);
    }

    #[test]
    fn each_type_is_counted_by_itself() {
        let mut sequence = Sequence::default();
        sequence.advance(EventType::Exec, &message(Some(0), None));
        assert_eq!(sequence.advance(EventType::Fork, &message(Some(9), None)), 0);
        assert_eq!(sequence.advance(EventType::Exec, &message(Some(1), None)), 0);
        assert_eq!(sequence.advance(EventType::Fork, &message(Some(11), None)), 1);
    }

    #[test]
    fn a_number_that_falls_is_another_client() {
        let mut sequence = Sequence::default();
        sequence.advance(EventType::Exit, &message(Some(500), None));
        assert_eq!(sequence.advance(EventType::Exit, &message(Some(0), None)), 0);
        assert_eq!(sequence.advance(EventType::Exit, &message(Some(2), None)), 1);
    }

    #[test]
    fn without_numbers_by_type_the_global_one_counts() {
        let mut sequence = Sequence::default();
        sequence.advance(EventType::Exec, &message(None, Some(7)));
        assert_eq!(sequence.advance(EventType::Exit, &message(None, Some(10))), 2);
        assert_eq!(sequence.advance(EventType::Exit, &message(None, Some(u64::MAX))), u64::MAX - 11);
        assert_eq!(sequence.advance(EventType::Exit, &message(None, Some(3))), 0);
    }

    #[test]
    fn what_the_file_before_expected_is_inherited_but_not_passed_on() {
        let mut first = Sequence::default();
        first.advance(EventType::Exec, &message(Some(4), None));
        first.advance(EventType::Fork, &message(Some(20), None));
        let mut second = first.inherited();
        assert!(second.is_unread());
        assert_eq!(second.advance(EventType::Exec, &message(Some(7), None)), 2);
        assert!(!second.is_unread());

        let mut carried = first;
        carried.absorb(second);
        let mut third = carried.inherited();
        assert_eq!(third.advance(EventType::Exec, &message(Some(9), None)), 1);
        assert_eq!(third.advance(EventType::Fork, &message(Some(22), None)), 1);
        let mut untouched = Sequence::default();
        untouched.absorb(first.inherited());
        assert_eq!(untouched, Sequence::default());
    }

    #[test]
    fn a_loss_told_of_is_not_found_again() {
        let mut sequence = Sequence::default();
        sequence.advance(EventType::Exec, &message(Some(4), None));
        sequence.forget();
        assert_eq!(sequence.advance(EventType::Exec, &message(Some(9), None)), 0);
        assert_eq!(sequence.advance(EventType::Exec, &message(Some(11), None)), 1);
        let mut carried = Sequence::default();
        carried.advance(EventType::Fork, &message(Some(1), None));
        sequence.forget();
        carried.absorb(sequence);
        assert_eq!(carried.inherited(), Sequence::default());
    }
}
