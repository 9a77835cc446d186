//! Where things stand in a picture.

use serde::Serialize;

use crate::alert::bytes_in_words;

/// What is usual and what was seen, on a logarithmic line. Coordinates in the picture's own units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Strip {
    label: &'static str,
    median: f64,
    p99: f64,
    seen: f64,
    ticks: Vec<Tick>,
    words: String,
}

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Tick {
    x: f64,
    label: String,
}

impl Strip {
    /// From bytes.
    pub(super) fn new(label: &'static str, median: u64, p99: u64, seen: u64) -> Self {
        let ticks = [1_000, 1_000_000, 1_000_000_000, 1_000_000_000_000];
        let greatest = seen.max(p99);
        let words = format!(
            "{} seen; median {}, 99 % stay below {}",
            bytes_in_words(seen),
            bytes_in_words(median),
            bytes_in_words(p99)
        );
        let scale = log(greatest.max(1_000)) * 1.08;
        let place = |bytes: u64| rounded(LEFT + log(bytes) / scale * (RIGHT - LEFT));
        Self {
            label,
            median: place(median),
            p99: place(p99.max(median)),
            seen: place(seen),
            ticks: ticks
                .into_iter()
                .filter(|tick| log(*tick) <= scale)
                .map(|tick| Tick { x: place(tick), label: bytes_in_words(tick).replace(".00", "") })
                .collect(),
            words,
        }
    }
}

/// Columns over days, each a stack by severity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Columns {
    bars: Vec<Bar>,
    ticks: Vec<Tick>,
    most: u32,
}

/// One part of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    class: String,
    title: String,
}

impl Columns {
    /// From each day's counts by class, the days in order and without a hole.
    pub(super) fn new(days: &[(String, Vec<(String, u32)>)]) -> Self {
        let total = |counts: &[(String, u32)]| counts.iter().map(|(_, n)| n).sum::<u32>();
        let most = days.iter().map(|(_, counts)| total(counts)).max().unwrap_or(0).max(1);
        let width = (RIGHT - LEFT) / days.len().max(1) as f64;
        let mut bars = Vec::new();
        let mut ticks = Vec::new();
        let every = days.len().div_ceil(MOST_LABELS).max(1);
        for (at, (day, counts)) in days.iter().enumerate() {
            let x = LEFT + at as f64 * width;
            let mut base = HEIGHT;
            for (class, count) in counts {
                let height = f64::from(*count) / f64::from(most) * HEIGHT;
                base -= height;
                bars.push(Bar {
                    x: rounded(x + width * 0.1),
                    y: rounded(base),
                    width: rounded((width * 0.8).min(WIDEST)),
                    height: rounded(height),
                    class: class.clone(),
                    title: format!("{day}: {count} {class}"),
                });
            }
            if at.is_multiple_of(every) {
                ticks.push(Tick {
                    x: rounded(x + (width / 2.0).min(WIDEST / 2.0 + width * 0.1)),
                    label: day.clone(),
                });
            }
        }
        Self { bars, ticks, most }
    }
}

fn log(bytes: u64) -> f64 {
    (bytes as f64 + 1.0).log10()
}

/// A tenth of a unit is less than a pixel.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The drawing's edges: the template's pictures are 640 units wide.
const LEFT: f64 = 20.0;
const RIGHT: f64 = 620.0;
/// Height of the highest column.
const HEIGHT: f64 = 100.0;
/// A column is no wider, so that one day alone is no wall.
const WIDEST: f64 = 48.0;
/// Days that are named below the columns.
const MOST_LABELS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_stands_further_right_and_inside() {
        let strip = Strip::new("hour", 3_000, 120_000, 23_400_000);
        assert!(
            LEFT < strip.median && strip.median < strip.p99 && strip.p99 < strip.seen && strip.seen < RIGHT
        );
        let extreme = Strip::new("hour", 0, 0, u64::MAX);
        assert!(extreme.seen <= RIGHT && extreme.median >= LEFT);
    }

    #[test]
    fn the_highest_day_fills_the_height() {
        let day = |n| ("d".to_owned(), vec![("high".to_owned(), n), ("low".to_owned(), n)]);
        let columns = Columns::new(&[day(1), day(3)]);
        assert_eq!(columns.most, 6);
        assert!((columns.bars.iter().skip(2).map(|bar| bar.height).sum::<f64>() - HEIGHT).abs() < 0.2);
    }
}
