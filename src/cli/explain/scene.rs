//! Who acted, and what was done.

use std::io::{self, Write};

use super::{BOLD, DIM};
use crate::alert::{Alert, ProcessSection, bytes_in_words};
use crate::cli::plot;
use crate::cli::printable::printable;
use crate::process::Method;

/// The chain from the oldest ancestor down to the process.
pub(super) fn tree(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
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

pub(super) fn what(alert: &Alert, out: &mut impl Write) -> io::Result<()> {
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
