//! Small plots in the terminal.

use crate::alert::bytes_in_words;

/// What is usual and what was seen, on one logarithmic line:
///
/// ```text
/// ·····├────●─────┤························▲·····
/// ```
///
/// from the least to the greatest; `├ ┤` end at the median's hundredth and at the 99 % point, `●` is the median, `▲` what was seen.
pub(super) fn amounts(median: u64, p99: u64, seen: u64) -> String {
    let greatest = log(seen.max(p99).max(1)) * 1.05;
    let at = |value: u64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to WIDTH")]
        let place = (log(value) / greatest * (WIDTH - 1) as f64) as usize;
        place.min(WIDTH - 1)
    };
    let (from, to) = (at(median / 100), at(p99.max(median)));
    let mut line = vec!['·'; WIDTH];
    for (place, mark) in line.iter_mut().enumerate() {
        if (from..=to).contains(&place) {
            *mark = '─';
        }
    }
    for (place, mark) in [(from, '├'), (to, '┤'), (at(median), '●'), (at(seen), '▲')] {
        if let Some(slot) = line.get_mut(place) {
            *slot = mark;
        }
    }
    line.into_iter().collect()
}

/// The words beside [`amounts`].
pub(super) fn amounts_in_words(median: u64, p99: u64, seen: u64) -> String {
    let times = seen as f64 / p99.max(1) as f64;
    let times = if times >= 1.5 { format!(", {times:.0} times the 99 % point") } else { String::new() };
    let [seen, median, p99] = [seen, median, p99].map(bytes_in_words);
    format!("{seen} seen; median {median}, 99 % stay below {p99}{times}")
}

/// A bar for a share from 0 to 1.
pub(super) fn bar(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to BAR")]
    let full = (share.clamp(0.0, 1.0) * BAR as f64).ceil() as usize;
    "█".repeat(full)
}

fn log(value: u64) -> f64 {
    (value as f64 + 1.0).log10()
}

/// Characters of a line.
const WIDTH: usize = 48;
/// Characters of a full bar.
const BAR: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn more_stands_further_right() {
        let line = amounts(3_000, 120_000, 23_400_000);
        let at = |mark| line.chars().position(|c| c == mark).unwrap();
        assert!(at('├') < at('●') && at('●') < at('┤') && at('┤') < at('▲'), "{line}");
    }

    proptest! {
        #[test]
        fn a_line_is_as_wide_as_any_other(median: u64, p99: u64, seen: u64) {
            let line = amounts(median, p99, seen);
            prop_assert_eq!(line.chars().count(), WIDTH);
            prop_assert!(line.contains('▲'));
        }
    }
}
