//! Numbers as people say them.

/// Bytes in decimal units with three significant digits: `23.4 MB` is 23.4 · 10^6 bytes.
pub fn bytes_in_words(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1_000.0;
    let mut unit = UNITS[0];
    for larger in UNITS.into_iter().skip(1) {
        // What would be printed as 1000 is printed in the next unit.
        if value < 999.5 {
            break;
        }
        value /= 1_000.0;
        unit = larger;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {unit}")
}

/// A return period for people: `about once in 7 months`.
pub fn return_period_in_words(days: f64) -> String {
    let (count, unit) = if days < 0.75 {
        return "more often than once a day".to_owned();
    } else if days < 13.5 {
        (days, "day")
    } else if days < 60.0 {
        (days / 7.0, "week")
    } else if days < 700.0 {
        (days / DAYS_A_MONTH, "month")
    } else {
        (days / DAYS_A_YEAR, "year")
    };
    let count = count.round().max(1.0);
    if count > MOST_YEARS && unit == "year" {
        return format!("less than once in {MOST_YEARS:.0} years");
    }
    if count < 1.5 { format!("about once a {unit}") } else { format!("about once in {count:.0} {unit}s") }
}

const DAYS_A_MONTH: f64 = 30.44;
const DAYS_A_YEAR: f64 = 365.25;
/// Beyond this a number of years only pretends to be known.
const MOST_YEARS: f64 = 1_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_three_digits() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.00 kB"),
            (23_400_000, "23.4 MB"),
            (999_600, "1.00 MB"),
            (5_000_000_000, "5.00 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes_in_words(bytes), text);
        }
    }

    #[test]
    fn periods_round_to_what_people_say() {
        for (days, text) in [
            (0.1, "more often than once a day"),
            (1.0, "about once a day"),
            (20.0, "about once in 3 weeks"),
            (213.0, "about once in 7 months"),
            (365.0, "about once in 12 months"),
            (3_650.0, "about once in 10 years"),
            (1e6, "less than once in 1000 years"),
        ] {
            assert_eq!(return_period_in_words(days), text);
        }
    }
}
