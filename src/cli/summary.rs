//! The summary of a run, for people, on standard error.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::alert::bytes_in_words;
use crate::engine::Engine;
use crate::process::Method;
use crate::source::{Merged, SourceReport};

const BOLD: Style = Style::new().bold();
const WARN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

/// Writes the summary of a replay.
pub(super) fn write(
    engine: &Engine,
    digests: u64,
    reports: &[SourceReport],
    merged: &Merged,
) -> io::Result<()> {
    let mut err = anstream::stderr().lock();
    let tally = engine.tally();
    let losses = engine.losses();
    writeln!(
        err,
        "{BOLD}seen{BOLD:#}      {} observations in {}: {} execs, {} packets, {} flow reports",
        grouped(tally.observations),
        plural(reports.len(), "input"),
        grouped(tally.execs),
        grouped(tally.packets),
        grouped(tally.reports),
    )?;
    if let Some((first, last)) = tally.span {
        let days = last.since(first).as_secs_f64() / SECONDS_A_DAY;
        writeln!(err, "{BOLD}time{BOLD:#}      {first} to {last} ({days:.1} days)")?;
    }
    let flows: u64 = tally.flows.values().sum();
    write!(err, "{BOLD}flows{BOLD:#}     {}", grouped(flows))?;
    let mut separator = ": process found ";
    for (method, count) in &tally.flows {
        write!(err, "{separator}{} {}", method_in_words(*method), grouped(*count))?;
        separator = ", ";
    }
    writeln!(err)?;
    let unattributed = losses.unattributed_bytes;
    let share = if losses.bytes == 0 { 0.0 } else { 100.0 * unattributed as f64 / losses.bytes as f64 };
    writeln!(
        err,
        "{BOLD}bytes{BOLD:#}     {}, of which {} without a process ({share:.1} %)",
        bytes_in_words(losses.bytes),
        bytes_in_words(unattributed),
    )?;
    if losses.gaps > 0 {
        let (gaps, lost) = (grouped(losses.gaps), grouped(losses.lost));
        writeln!(
            err,
            "{WARN}{BOLD}lost{BOLD:#}{WARN}      {gaps} gaps, {lost} observations as far as is known{WARN:#}"
        )?;
    }
    write_unread(&mut err, reports, merged)?;
    let alerts: u64 = tally.subjects.values().map(|s| s.alerts).sum();
    let suppressed: u64 = tally.subjects.values().map(|s| s.suppressed).sum();
    write!(err, "{BOLD}alerts{BOLD:#}    {alerts}, suppressed by exceptions {suppressed}")?;
    if digests > 0 {
        write!(err, ", digests of held findings {digests}")?;
    }
    writeln!(err)?;
    for (exception, count) in &tally.exceptions {
        writeln!(err, "  {count:>6}  suppressed by {exception}")?;
    }
    for (subject, found) in &tally.subjects {
        writeln!(err, "  {:>6}  {subject}", found.alerts.saturating_add(found.suppressed))?;
    }
    err.flush()
}

/// What could not be read: one line an input that has something to say.
pub(super) fn write_unread(
    err: &mut impl Write,
    reports: &[SourceReport],
    merged: &Merged,
) -> io::Result<()> {
    for failure in merged.failures() {
        writeln!(err, "{WARN}{BOLD}unread{BOLD:#}{WARN}    {failure}{WARN:#}")?;
    }
    for warning in merged.warnings() {
        writeln!(err, "{WARN}{BOLD}note{BOLD:#}{WARN}      {warning}{WARN:#}")?;
    }
    for report in reports {
        let mut parts = Vec::new();
        if report.malformed > 0 {
            let first = report.faults.first().map(|fault| format!(" (first: {fault})")).unwrap_or_default();
            parts.push(format!("{} records could not be read{first}", grouped(report.malformed)));
        }
        if report.out_of_order > 0 {
            parts.push(format!("{} observations were out of order", grouped(report.out_of_order)));
        }
        if let Some(end) = &report.ended_early {
            parts.push(format!("ended early at {end}"));
        }
        if !parts.is_empty() {
            writeln!(
                err,
                "{WARN}{BOLD}unread{BOLD:#}{WARN}    {}: {}{WARN:#}",
                report.name,
                parts.join("; ")
            )?;
        }
    }
    Ok(())
}

fn method_in_words(method: Method) -> &'static str {
    match method {
        Method::Exact => "exactly",
        Method::Effective => "as served by a broker",
        Method::Pid => "by number",
        Method::Snapshot => "in the list made at the start",
        Method::None => "not at all",
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

/// A number with its thousands apart: `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len().saturating_add(digits.len() / 3));
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const SECONDS_A_DAY: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }
}
