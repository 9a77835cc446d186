//! `tidemark coverage`: what the daemon sees, and what it does not.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::{Value, json};

use super::Failure;
use super::status::{DaemonPlace, Told, duration, failure};
use crate::daemon::Request;

/// Says what was seen since the daemon began and what was not, against the data that AN1227 asks for: where observations come from, what was lost, what
/// part of the traffic has a process, an initiator and a known protocol, how long the Mac slept, how long nothing came.
///
/// Example:
///   sudo tidemark coverage --json | jq .bytes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonPlace,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut client = args.daemon.connect()?;
    let status = client.ask(Request::Status { subjects: 0 }).map_err(|error| failure(&error))?;
    let text = if args.json { format!("{:#}\n", document(&status)) } else { page(&Told(status)) };
    anstream::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// The engine's account with what the sources cannot see.
fn document(status: &Value) -> Value {
    let mut document = status.pointer("/engine/coverage").cloned().unwrap_or_else(|| json!({}));
    if let Some(members) = document.as_object_mut() {
        members.insert("sources".to_owned(), status.get("sources").cloned().unwrap_or_default());
        members
            .insert("baselines".to_owned(), status.pointer("/engine/baselines").cloned().unwrap_or_default());
    }
    document
}

fn page(status: &Told) -> String {
    let at = |rest: &str| format!("/engine/coverage/{rest}");
    let present = |name: &str| {
        let seen = status.0.pointer(&at(name)).and_then(Value::as_bool).unwrap_or(false);
        if seen { "present" } else { "NOT seen" }
    };
    let mut page = format!(
        "observes {}\n  DC0064 command execution     {} ({} execs)\n  DC0078 network traffic flow  {} ({} flow reports, {} packets)\n",
        status.text("/sources/rung"),
        present("dc0064_command_execution"),
        status.number(&at("seen/execs")),
        present("dc0078_network_traffic_flow"),
        status.number(&at("seen/flow_reports")),
        status.number(&at("seen/packets")),
    );
    // Writing to a string does not fail, here and below.
    let _ = writeln!(page, "\n{:<30} {:>8} {:>8}", "share of", "flows", "bytes");
    for (name, part) in [
        ("with a process", "attributed"),
        ("with an initiator", "initiator"),
        ("protocol told from payload", "by_payload"),
        ("protocol told from the port", "by_port"),
    ] {
        let share = |whole: &str| match status.number(&at(&format!("{whole}/all"))) {
            0 => "-".to_owned(),
            _ => format!("{:.1} %", status.percent(&at(whole), part)),
        };
        let _ = writeln!(page, "{name:<30} {:>8} {:>8}", share("flows"), share("bytes"));
    }
    let _ = writeln!(
        page,
        "\nasleep {}, silent while awake {}",
        duration(status.number(&at("asleep_seconds"))),
        duration(status.number(&at("silent_seconds")))
    );
    let _ = writeln!(
        page,
        "baselines {}: {} subjects, {} of them on the network",
        status.text("/engine/baselines/state"),
        status.number("/engine/baselines/subjects"),
        status.number("/engine/baselines/networked"),
    );
    section(
        &mut page,
        "lost",
        status.members(&at("gaps")).map(|(source, lost)| {
            let count = |name: &str| lost.get(name).and_then(Value::as_u64).unwrap_or(0);
            format!("{source}: {} observations in {} gaps", count("lost"), count("gaps"))
        }),
    );
    let texts = |path: &str| {
        status.list(path).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    section(&mut page, "cannot be seen", texts("/sources/blind_spots").into_iter());
    section(&mut page, "could not be had", texts("/sources/refused").into_iter());
    page
}

fn section(page: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        let _ = writeln!(page, "{title}:");
    }
    for line in lines {
        let _ = writeln!(page, "  - {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::tests::sample;

    #[test]
    fn what_is_not_seen_is_said_as_plainly_as_what_is() {
        let mut status = sample(&[]);
        let text = page(&status);
        for part in [
            "DC0064 command execution     present (100 execs)",
            "with an initiator                80.0 %   90.0 %",
            "asleep 60 min, silent while awake 0 s",
            "ntstat: 5 observations in 1 gaps",
            "- ICMP and raw sockets",
            "- no kernel statistics",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        status.0["engine"]["coverage"]["dc0064_command_execution"] = false.into();
        assert!(page(&status).contains("DC0064 command execution     NOT seen"));
        let document = document(&status.0);
        assert!(document["sources"]["blind_spots"].is_array() && document["bytes"]["all"] == 1_000);
    }
}
