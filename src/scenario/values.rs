//! Sizes, spans, times of day and sets of days, as people write them.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A number of bytes: `1500`, `"20 kB"`, `"1.5 GB"` (powers of ten).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Bytes(pub(super) u64);

/// A span of time: `"30 s"`, `"5 min"`, `"8 h"`, `"90 days"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Span(pub(super) Duration);

/// A time of day in seconds since midnight: `"10:30"` or `"10:30:15"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Clock(pub(super) u32);

/// Spans of the day: `"09:00-18:00"`, `"09:00-12:00, 13:00-18:00"`. A span that ends before it begins goes on past midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hours(pub(super) Vec<(Clock, Clock)>);

/// Days of the scenario, counted from 1: `15`, `"8-14"`, `"1-9, 12"`, `"10-"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Days(Vec<(u32, u32)>);

/// Days of the week: `"weekdays"`, `"weekends"`, `"mon, thu"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weekdays([bool; 7]);

impl Days {
    /// Whether the day is among them.
    pub(super) fn contains(&self, day: u32) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&day))
    }
}

impl Default for Days {
    /// All.
    fn default() -> Self {
        Self(vec![(1, u32::MAX)])
    }
}

impl Weekdays {
    /// Whether a weekday, 0 for Monday, is among them.
    pub(super) fn contains(self, from_monday: u8) -> bool {
        self.0.get(usize::from(from_monday)).copied().unwrap_or(false)
    }
}

impl Default for Weekdays {
    /// All.
    fn default() -> Self {
        Self([true; 7])
    }
}

impl Default for Hours {
    /// What most people call the working day.
    fn default() -> Self {
        Self(vec![(Clock(9 * 3_600), Clock(18 * 3_600))])
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = number_and_unit(text)?;
        let factor = match unit {
            "" | "B" => 1.0,
            "kB" | "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "TB" => 1e12,
            _ => return Err(format!("`{text}` is no size: write `1500`, `20 kB`, `1.5 MB` or `80 GB`")),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and a cast saturates"
        )]
        let bytes = (number * factor) as u64;
        Ok(Self(bytes))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no span of time: write `30 s`, `5 min`, `8 h` or `90 days`");
        let (number, unit) = number_and_unit(text).map_err(|_| wrong())?;
        let seconds = match unit {
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3_600.0,
            "day" | "days" => 86_400.0,
            _ => return Err(wrong()),
        };
        Duration::try_from_secs_f64(number * seconds)
            .ok()
            .filter(|span| *span <= MOST_SPAN)
            .map(Self)
            .ok_or_else(wrong)
    }
}

impl FromStr for Clock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split(':').map(str::parse::<u32>);
        let clock = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(hour)), Some(Ok(minute)), None, _) if hour <= 24 && minute < 60 => {
                hour * 3_600 + minute * 60
            }
            (Some(Ok(hour)), Some(Ok(minute)), Some(Ok(second)), None)
                if hour < 24 && minute < 60 && second < 60 =>
            {
                hour * 3_600 + minute * 60 + second
            }
            _ => return Err(format!("`{text}` is no time of day: write `10:30` or `10:30:15`")),
        };
        if clock > DAY { Err(format!("`{text}` lies after midnight")) } else { Ok(Self(clock)) }
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = |span: &str| {
            let (from, to) = span
                .split_once('-')
                .ok_or_else(|| format!("`{text}` is no part of a day: write `09:00-18:00`"))?;
            Ok((from.parse()?, to.parse()?))
        };
        text.split(',').map(span).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` names no days: write `15`, `8-14` or `1-9, 12`, counted from 1");
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|day| *day > 0);
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first = number(first).ok_or_else(wrong)?;
            let last = if last.trim().is_empty() { u32::MAX } else { number(last).ok_or_else(wrong)? };
            if first <= last { Ok((first, last)) } else { Err(wrong()) }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Weekdays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut on = [false; 7];
        for name in text.split(',') {
            let among: &[usize] = match name.trim() {
                "weekdays" => &[0, 1, 2, 3, 4],
                "weekends" => &[5, 6],
                "mon" => &[0],
                "tue" => &[1],
                "wed" => &[2],
                "thu" => &[3],
                "fri" => &[4],
                "sat" => &[5],
                "sun" => &[6],
                _ => {
                    return Err(format!(
                        "`{text}` names no weekdays: write `weekdays`, `weekends` or `mon, thu`"
                    ));
                }
            };
            for (day, slot) in on.iter_mut().enumerate() {
                *slot |= among.contains(&day);
            }
        }
        Ok(Self(on))
    }
}

/// A number and what follows it.
fn number_and_unit(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = number.parse::<f64>().map_err(|_| format!("`{text}` does not begin with a number"))?;
    Ok((number, unit.trim()))
}

/// Reads a value from text, or from a number where its text may be one.
fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a whole number")]
    enum Written {
        Text(String),
        Number(u64),
    }
    let text = match Written::deserialize(deserializer)? {
        Written::Text(text) => text,
        Written::Number(number) => number.to_string(),
    };
    text.parse().map_err(de::Error::custom)
}

macro_rules! deserialize_from_text {
    ($($name:ty),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }
    )+};
}
deserialize_from_text!(Bytes, Span, Clock, Hours, Days, Weekdays);

/// Seconds of a day.
pub(super) const DAY: u32 = 86_400;
/// No scenario is longer than this.
const MOST_SPAN: Duration = Duration::from_secs(3_650 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_ten() {
        assert_eq!("1.5 GB".parse(), Ok(Bytes(1_500_000_000)));
        assert_eq!("1500".parse(), Ok(Bytes(1_500)));
        assert!("20 MiB".parse::<Bytes>().unwrap_err().contains("20 kB"));
    }

    #[test]
    fn spans_and_times_say_what_they_would_take() {
        assert_eq!("90 days".parse(), Ok(Span(Duration::from_secs(90 * 86_400))));
        assert_eq!("10:30:15".parse(), Ok(Clock(37_815)));
        for wrong in ["5", "5 m", "-5 min", "1e99 h"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        for wrong in ["24:30", "9", "10:60"] {
            assert!(wrong.parse::<Clock>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_are_counted_from_one() {
        let days: Days = "1-9, 12, 20-".parse().unwrap();
        let within: Vec<u32> = (1..=22).filter(|day| days.contains(*day)).collect();
        assert_eq!(within, [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 20, 21, 22]);
        assert!("0".parse::<Days>().is_err() && "9-8".parse::<Days>().is_err());
    }

    #[test]
    fn weekdays_begin_with_monday() {
        let days: Weekdays = "mon, sun".parse().unwrap();
        assert!(days.contains(0) && days.contains(6) && !days.contains(3));
    }
}
