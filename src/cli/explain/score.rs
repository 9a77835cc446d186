//! What was usual and what was seen, why that scores as it does, and what would silence it.

use std::io::{self, Write};

use serde_json::Value;

use super::{BOLD, DIM};
use crate::alert::{Alert, bytes_in_words};
use crate::cli::plot;
use crate::cli::printable::printable;
use crate::detect::{BaselineState, Channel, ChannelScore, Condition};

pub(super) fn usual(channel: &ChannelScore, out: &mut impl Write) -> io::Result<()> {
    let counts = if channel.counted { "" } else { "  (adds nothing to the score)" };
    writeln!(
        out,
        "  {BOLD}{}{BOLD:#}  once in 10^{:.1} days for this subject{counts}",
        channel.name.label(),
        channel.z
    )?;
    match channel.name {
        Channel::Volume | Channel::Destination | Channel::Received => {
            for window in ["hour", "day"] {
                let key = format!("{window}_bytes");
                let point =
                    |name| channel.expected.pointer(&format!("/{key}/{name}")).and_then(Value::as_u64);
                let seen = channel.observed.get(&key).and_then(Value::as_u64);
                if let (Some(seen), Some(median), Some(p99)) = (seen, point("median"), point("p99")) {
                    writeln!(out, "    {window:<4} {}", plot::amounts(median, p99, seen))?;
                    writeln!(out, "         {DIM}{}{DIM:#}", plot::amounts_in_words(median, p99, seen))?;
                }
            }
        }
        Channel::Protocol => {
            writeln!(out, "    seen:  {}", printable(&text(&channel.observed)))?;
            let known = channel
                .expected
                .get("known")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            if known.is_empty() {
                writeln!(out, "    usual: nothing yet")?;
            }
            let days = |spoken: &Value| spoken.get("days").and_then(Value::as_u64).unwrap_or(0);
            let most = known.iter().map(days).max().unwrap_or(1).max(1);
            for spoken in known {
                let name = spoken.get("protocol").map(text).unwrap_or_default();
                let bar = plot::bar(days(spoken) as f64 / most as f64);
                writeln!(
                    out,
                    "    usual: {:<22} {:>4} days  {DIM}{bar}{DIM:#}",
                    printable(&name),
                    days(spoken)
                )?;
            }
        }
        Channel::Initiator => {
            writeln!(out, "    seen:  run by {}", printable(&text(&channel.observed)))?;
            writeln!(
                out,
                "    usual: {}",
                printable(&channel.expected.get("pairs").map(text).unwrap_or_default())
            )?;
        }
        Channel::FanOut => {
            writeln!(out, "    seen:  {}", printable(&text(&channel.observed)))?;
        }
    }
    Ok(())
}

pub(super) fn why(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "  score {:.2}: {} on this Mac; alerts begin at {:.2} (trim in force {:+.2}, {} subjects active)",
        alert.score,
        alert.return_period.words,
        alert.context.threshold,
        alert.context.trim,
        alert.context.active_subjects,
    )?;
    let baseline = &alert.baseline;
    let state = match baseline.state {
        BaselineState::Learning => "still learning",
        BaselineState::Active => "in force",
        BaselineState::Settling => "settling",
    };
    writeln!(
        out,
        "  its baseline is {:.1} days old, {state}: traffic in {} hours of {} days, {} destinations",
        baseline.age_days, baseline.active_hours, baseline.active_days, baseline.destinations,
    )?;
    writeln!(out, "  risk beside rarity: {} of 100 ({})", alert.risk.points, factors(alert))?;
    let context = &alert.context;
    for (time, words) in [
        (context.woke, "the Mac had just woken"),
        (context.system_updated, "the system was updated lately"),
        (context.image_changed, "the program's code changed lately"),
    ] {
        if let Some(time) = time {
            writeln!(out, "  {words}: {time}")?;
        }
    }
    if context.tunnel {
        writeln!(out, "  it left through a tunnel's interface")?;
    }
    if context.held_back > 0 {
        writeln!(out, "  {} findings of this subject were held back before", context.held_back)?;
        for held in &context.held {
            writeln!(
                out,
                "    {}  {:.2}  {}",
                held.time,
                held.score,
                printable(held.command.as_deref().unwrap_or_default())
            )?;
        }
    }
    let coverage = &alert.coverage;
    if coverage.gaps_last_hour > 0 {
        let (gaps, lost) = (coverage.gaps_last_hour, coverage.lost_last_hour);
        writeln!(out, "  not everything was seen: {gaps} gaps with {lost} observations in the last hour")?;
    }
    Ok(())
}

fn factors(alert: &Alert) -> String {
    let names: Vec<String> = alert
        .risk
        .factors
        .iter()
        .map(|factor| {
            serde_json::to_value(factor).map(|name| text(&name).replace('_', " ")).unwrap_or_default()
        })
        .collect();
    if names.is_empty() { "nothing makes it worse".to_owned() } else { names.join(", ") }
}

pub(super) fn silence(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
    for line in &alert.unless {
        match line.condition {
            Condition::BytesAtMost { bytes, share } => writeln!(
                out,
                "  it would not have alerted with at most {} in the day on the {} channel ({:.0} % of what was seen)",
                bytes_in_words(bytes),
                line.channel.label(),
                share * 100.0,
            )?,
            Condition::SeenBefore => {
                writeln!(
                    out,
                    "  it would not have alerted had the {} been seen before",
                    line.channel.label()
                )?;
            }
        }
    }
    if alert.unless.is_empty() {
        writeln!(out, "  no single difference would have kept it quiet")?;
    }
    writeln!(
        out,
        "  to accept it for good, as narrowly as it can be told: tidemark exceptions suggest {}",
        printable(&alert.id)
    )
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
