//! Points in time, and the zone whose hours and days count.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize, de};
use thiserror::Error;

/// Nanoseconds since the Unix epoch, UTC: 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The text is no RFC 3339 date and time, or lies outside 1677 to 2262.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not an RFC 3339 date and time between 1677 and 2262")]
pub struct InvalidTimestamp;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Timestamp {
    /// The earliest point.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest point.
    pub const MAX: Self = Self(i64::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From seconds and nanoseconds since the epoch, clamped to the range.
    pub fn from_seconds(seconds: i64, nanos: u32) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(i64::from(nanos)))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// Milliseconds since the epoch, rounded towards the past.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Time from `earlier` to `self`; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        u64::try_from(self.0.saturating_sub(earlier.0)).map_or(Duration::ZERO, Duration::from_nanos)
    }

    /// This point moved into the future, clamped to the range.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This point moved into the past, clamped to the range.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// Reads RFC 3339 text with up to nine fraction digits.
    ///
    /// # Errors
    /// Where the text is something else or out of range.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let point: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        i64::try_from(point.as_nanosecond()).map(Self).map_err(|_| InvalidTimestamp)
    }

    /// Which calendar hour of the zone this is, counted from the epoch.
    pub fn hour_in(self, zone: ZoneOffset) -> i64 {
        self.as_seconds().saturating_add(i64::from(zone.0)).div_euclid(3_600)
    }

    /// Which calendar day of the zone this is, counted from the epoch (a Thursday).
    pub fn day_in(self, zone: ZoneOffset) -> i64 {
        self.as_seconds().saturating_add(i64::from(zone.0)).div_euclid(86_400)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with nine fraction digits, as `eslogger` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = jiff::Timestamp::from_nanosecond(i128::from(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{point:.9}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 date and time")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Seconds east of UTC, within a day and a bit (real zones lie within ±14 hours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZoneOffset(pub i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        let text = "2025-08-07T15:13:09.811587464Z";
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn the_ends_of_the_range_can_be_written() {
        for end in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(Timestamp::parse(&end.to_string()).unwrap(), end);
        }
    }

    #[test]
    fn days_follow_the_zone() {
        let late = Timestamp::parse("2026-01-01T23:30:00Z").unwrap();
        assert_eq!(late.day_in(ZoneOffset(3_600)), late.day_in(ZoneOffset(0)) + 1);
        assert_eq!(Timestamp::from_nanos(-1).day_in(ZoneOffset(0)), -1);
    }
}
