//! The first bytes of payloads.

/// The bytes that a protocol can begin with, as a set.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstBytes([u64; 4]);

impl FirstBytes {
    /// Every byte.
    pub(super) const ANY: Self = Self([u64::MAX; 4]);
    /// Capital letters.
    pub(super) const CAPITALS: Self = Self::range(b'A', b'Z');
    /// Letters of either case.
    pub(super) const LETTERS: Self = Self::CAPITALS.or(Self::range(b'a', b'z'));
    /// Decimal digits.
    pub(super) const DIGITS: Self = Self::range(b'0', b'9');

    /// The bytes of a list.
    pub(super) const fn of(list: &[u8]) -> Self {
        let mut set = Self([0; 4]);
        let mut rest = list;
        while let [byte, tail @ ..] = rest {
            set = set.or(Self::range(*byte, *byte));
            rest = tail;
        }
        set
    }

    /// The bytes from `low` to `high`, both included.
    pub(super) const fn range(low: u8, high: u8) -> Self {
        let [mut a, mut b, mut c, mut d] = [0_u64; 4];
        let mut byte = low;
        while byte <= high {
            let bit = 1_u64 << (byte % 64);
            match byte / 64 {
                0 => a |= bit,
                1 => b |= bit,
                2 => c |= bit,
                _ => d |= bit,
            }
            if byte == u8::MAX {
                break;
            }
            byte += 1;
        }
        Self([a, b, c, d])
    }

    /// The bytes in either set.
    pub(super) const fn or(self, other: Self) -> Self {
        let (Self([a0, a1, a2, a3]), Self([b0, b1, b2, b3])) = (self, other);
        Self([a0 | b0, a1 | b1, a2 | b2, a3 | b3])
    }

    /// Whether the set holds `byte`.
    pub(super) const fn holds(self, byte: u8) -> bool {
        let Self([first, second, third, fourth]) = self;
        let word = match byte / 64 {
            0 => first,
            1 => second,
            2 => third,
            _ => fourth,
        };
        word >> (byte % 64) & 1 == 1
    }
}
