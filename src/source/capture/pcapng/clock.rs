//! An interface's clock: what a tick is worth.

use crate::observation::Timestamp;

/// Turns the 64-bit counter of an interface into a time (`if_tsresol` and `if_tsoffset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    tick: Tick,
    offset_nanoseconds: i64,
}

/// The length of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tick {
    /// So many nanoseconds.
    Nanoseconds(u64),
    /// So many to a nanosecond.
    PerNanosecond(u64),
    /// Two to this power to a second.
    PowerPerSecond(u8),
}

impl Clock {
    /// The clock of an interface that says nothing: microseconds since the epoch.
    pub(super) const DEFAULT: Self = Self { tick: Tick::Nanoseconds(1_000), offset_nanoseconds: 0 };

    /// With the resolution of `if_tsresol`: ten, or with the highest bit set two, to the negative power of the rest.
    #[must_use]
    pub(super) fn with_resolution(self, resolution: u8) -> Self {
        let power = resolution & !POWER_OF_TWO;
        let tick = if resolution & POWER_OF_TWO != 0 {
            Tick::PowerPerSecond(power)
        } else if let Some(coarser) = NANOSECOND_POWER.checked_sub(power) {
            Tick::Nanoseconds(10_u64.pow(coarser.into()))
        } else {
            // Beyond 10^-28 a full counter is less than two nanoseconds.
            let finer = u32::from(power - NANOSECOND_POWER);
            Tick::PerNanosecond(10_u64.checked_pow(finer).unwrap_or(u64::MAX))
        };
        Self { tick, ..self }
    }

    /// With the offset of `if_tsoffset`, in seconds, kept within what a time can be.
    #[must_use]
    pub(super) fn with_offset(self, seconds: i64) -> Self {
        Self { offset_nanoseconds: Timestamp::from_seconds(seconds, 0).as_nanos(), ..self }
    }

    /// The time of a counter value; `None` outside 1677 to 2262.
    #[inline]
    pub(super) fn time(self, ticks: u64) -> Option<Timestamp> {
        let nanoseconds = match self.tick {
            Tick::Nanoseconds(length) => ticks.checked_mul(length)?,
            Tick::PerNanosecond(count) => ticks / count,
            Tick::PowerPerSecond(power) => u64::try_from((u128::from(ticks) * NANOSECONDS) >> power).ok()?,
        };
        i64::try_from(nanoseconds).ok()?.checked_add(self.offset_nanoseconds).map(Timestamp::from_nanos)
    }
}

/// The bit of `if_tsresol` that makes the base two.
const POWER_OF_TWO: u8 = 0x80;
/// A nanosecond is ten to the negative power of this.
const NANOSECOND_POWER: u8 = 9;
const NANOSECONDS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn nanoseconds(clock: Clock, ticks: u64) -> Option<i64> {
        clock.time(ticks).map(Timestamp::as_nanos)
    }

    #[test]
    fn a_tick_is_a_microsecond_where_nothing_is_said() {
        assert_eq!(nanoseconds(Clock::DEFAULT, 1_500_000), Some(1_500_000_000));
        assert_eq!(Clock::DEFAULT.with_resolution(6), Clock::DEFAULT);
    }

    #[test]
    fn every_resolution_gives_the_same_second() {
        for power in 0..=19 {
            let ticks = 10_u64.pow(power.into());
            assert_eq!(nanoseconds(Clock::DEFAULT.with_resolution(power), ticks), Some(1_000_000_000));
        }
        for power in 0..=63 {
            let clock = Clock::DEFAULT.with_resolution(POWER_OF_TWO | power);
            assert_eq!(nanoseconds(clock, 1 << power), Some(1_000_000_000));
        }
        for power in 38..=127 {
            assert!(nanoseconds(Clock::DEFAULT.with_resolution(power), u64::MAX).unwrap() <= 1);
        }
    }

    #[test]
    fn the_offset_is_added_in_seconds() {
        let clock = Clock::DEFAULT.with_offset(-2).with_resolution(9);
        assert_eq!(nanoseconds(clock, 500_000_000), Some(-1_500_000_000));
    }

    #[test]
    fn a_time_that_cannot_be_is_none() {
        assert_eq!(nanoseconds(Clock::DEFAULT, u64::MAX), None);
        assert_eq!(nanoseconds(Clock::DEFAULT.with_resolution(0), 1 << 40), None);
        assert_eq!(nanoseconds(Clock::DEFAULT.with_offset(i64::MAX), 1), None);
        assert_eq!(nanoseconds(Clock::DEFAULT.with_resolution(POWER_OF_TWO), 1 << 40), None);
    }
}
