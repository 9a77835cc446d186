//! `tidemark status`: how the daemon does, for people, for scripts and for an MDM.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use super::run::DEFAULT_STATE;
use super::{Code, Failure};
use crate::alert::bytes_in_words;
use crate::daemon::{Client, ControlError, Request};

/// Says how the daemon does.
///
/// Exit codes: 0 all is well, 1 something needs a look (it is named), 69 no daemon runs, 77 not for this user. With --line everything stands in one line
/// that begins with OK, LOOK, DOWN or DENIED, for an extension attribute of an MDM:
///
///   echo "<result>$(/usr/local/bin/tidemark status --line)</result>"
///
/// Examples:
///   sudo tidemark status
///   sudo tidemark status --json | jq .engine.coverage
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Prints the whole status as JSON.
    #[arg(long, conflicts_with = "line")]
    json: bool,
    /// Prints one line.
    #[arg(long)]
    line: bool,
    #[command(flatten)]
    daemon: DaemonPlace,
}

/// Which daemon is asked.
#[derive(Debug, clap::Args)]
pub(super) struct DaemonPlace {
    /// The state's folder, as given to `tidemark run`.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
}

impl DaemonPlace {
    /// A connection to it.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        Client::connect(&self.state).map_err(|error| failure(&error))
    }
}

/// Why the daemon gave no answer, as an exit code and a sentence.
pub(super) fn failure(error: &ControlError) -> Failure {
    let code = match error {
        ControlError::Absent { .. } | ControlError::Ended => Code::Unavailable,
        ControlError::Denied(_) => Code::NotPermitted,
        ControlError::Broken(_) => Code::Io,
        ControlError::Refused(_) => Code::CheckFailed,
    };
    Failure::new(code, error)
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let answer = args.daemon.connect().and_then(|mut client| {
        client.ask(Request::Status { subjects: SUBJECTS }).map_err(|error| failure(&error))
    });
    let status = match answer {
        Ok(status) => Told(status),
        Err(failure) if args.line => {
            let word = if failure.code == Code::NotPermitted { "DENIED" } else { "DOWN" };
            writeln!(out, "{word} {}", failure.message)?;
            return Err(Failure { message: String::new(), ..failure });
        }
        Err(failure) => return Err(failure),
    };
    let text = match (args.json, args.line) {
        (true, _) => format!("{:#}\n", status.0),
        (_, true) => one_line(&status),
        _ => page(&status),
    };
    out.write_all(text.as_bytes())?;
    match status.list("/reasons").len() {
        0 => Ok(()),
        // It has been named.
        _ => Err(Failure { code: Code::CheckFailed, message: String::new() }),
    }
}

/// A status as the daemon told it. A member that it does not have (another version) is empty.
#[derive(Debug, Clone)]
pub(super) struct Told(pub(super) Value);

impl Told {
    pub(super) fn number(&self, path: &str) -> u64 {
        self.0.pointer(path).and_then(Value::as_u64).unwrap_or(0)
    }

    pub(super) fn fraction(&self, path: &str) -> f64 {
        self.0.pointer(path).and_then(Value::as_f64).unwrap_or(0.0)
    }

    pub(super) fn text(&self, path: &str) -> &str {
        self.0.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn list(&self, path: &str) -> &[Value] {
        self.0.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn members(&self, path: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.0.pointer(path).and_then(Value::as_object).into_iter().flatten()
    }

    /// A part of a whole under one path, in percent; 100 of nothing.
    pub(super) fn percent(&self, whole: &str, part: &str) -> f64 {
        match self.number(&format!("{whole}/all")) {
            0 => 100.0,
            all => self.number(&format!("{whole}/{part}")) as f64 / all as f64 * 100.0,
        }
    }

    /// Events that wait for a sink, of all queues.
    pub(super) fn waiting(&self) -> u64 {
        self.members("/spool/queues").filter_map(|(_, queue)| queue.get("waiting")?.as_u64()).sum()
    }

    /// Observations that sources lost, as far as they know.
    pub(super) fn dropped(&self) -> u64 {
        self.members("/engine/coverage/gaps").filter_map(|(_, source)| source.get("lost")?.as_u64()).sum()
    }
}

fn one_line(status: &Told) -> String {
    let reasons: Vec<&str> = status.list("/reasons").iter().filter_map(Value::as_str).collect();
    let word = if reasons.is_empty() { "OK" } else { "LOOK" };
    let attributed = status.percent("/engine/coverage/bytes", "attributed");
    let mut line = format!(
        "{word} {} up={}s state={} subjects={} alerts={} waiting={} attributed={attributed:.0}%",
        status.text("/version"),
        status.number("/uptime_seconds"),
        status.text("/engine/baselines/state"),
        status.number("/engine/baselines/subjects"),
        status.number("/engine/alerts"),
        status.waiting(),
    );
    if !reasons.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(line, ": {}", reasons.join("; ").replace('\n', " "));
    }
    line + "\n"
}

fn page(status: &Told) -> String {
    let number = |path: &str| status.number(path);
    let bytes = "/engine/coverage/bytes";
    let cpu = status.fraction("/usage/cpu_seconds") / (number("/uptime_seconds").max(1) as f64) * 100.0;
    let sinks: Vec<String> = status
        .list("/sinks")
        .iter()
        .map(|sink| {
            let told = Told(sink.clone());
            format!("{} {} ({} sent)", told.text("/name"), told.text("/state"), told.number("/sent"))
        })
        .collect();
    let mut page = format!(
        "tidemark {} on {}, process {}, up {}\n",
        status.text("/version"),
        status.text("/host"),
        number("/pid"),
        duration(number("/uptime_seconds")),
    );
    let seen = format!(
        "{} observations: {} execs, {} flow reports, {} packets; {} lost",
        number("/engine/observations"),
        number("/engine/coverage/seen/execs"),
        number("/engine/coverage/seen/flow_reports"),
        number("/engine/coverage/seen/packets"),
        status.dropped(),
    );
    let attributed = format!(
        "{:.0} % of the bytes to a process, {:.0} % to an initiator",
        status.percent(bytes, "attributed"),
        status.percent(bytes, "initiator"),
    );
    let identified = format!(
        "{:.0} % of the bytes by payload, {:.0} % by port",
        status.percent(bytes, "by_payload"),
        if number(&format!("{bytes}/all")) == 0 { 0.0 } else { status.percent(bytes, "by_port") },
    );
    let baselines = format!(
        "{}, {} subjects ({} on the network), {} days",
        status.text("/engine/baselines/state"),
        number("/engine/baselines/subjects"),
        number("/engine/baselines/networked"),
        number("/engine/baselines/observed_days"),
    );
    let findings = format!(
        "{} since the start, {} accepted by {} exceptions, {} open",
        number("/engine/alerts"),
        number("/engine/suppressed"),
        number("/engine/exceptions"),
        number("/engine/open_findings"),
    );
    let uses = format!("{cpu:.1} % of a core, {}", bytes_in_words(number("/usage/resident_bytes")));
    let delivery = format!("{} wait; {}", status.waiting(), sinks.join(", "));
    for (name, value) in [
        ("observes", status.text("/sources/rung")),
        ("seen", &seen),
        ("attributed", &attributed),
        ("identified", &identified),
        ("baselines", &baselines),
        ("findings", &findings),
        ("delivery", &delivery),
        ("uses", &uses),
    ] {
        // Writing to a string does not fail.
        let _ = writeln!(page, "  {name:<11} {value}");
    }
    let reasons = status.list("/reasons");
    if !reasons.is_empty() {
        page.push_str("needs a look:\n");
        for reason in reasons.iter().filter_map(Value::as_str) {
            let _ = writeln!(page, "  - {}", reason.replace('\n', "\n    "));
        }
    }
    page
}

/// Seconds as people say them, in the largest unit of which there are two.
pub(super) fn duration(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60)];
    let unit = units.into_iter().find(|(_, length)| seconds >= 2 * length);
    unit.map_or_else(|| format!("{seconds} s"), |(name, length)| format!("{} {name}", seconds / length))
}

/// Subjects that the JSON names.
const SUBJECTS: u32 = 20;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// A status as the daemon tells it.
    pub(in crate::cli) fn sample(reasons: &[&str]) -> Told {
        Told(json!({
            "version": "0.1.0", "host": "mac", "pid": 77, "uptime_seconds": 7_300, "reasons": reasons,
            "usage": { "cpu_seconds": 73.0, "resident_bytes": 48_000_000 },
            "sources": { "rung": "process events from eslogger, flows from the packet tap",
                         "refused": ["no kernel statistics: not on this system"], "blind_spots": ["ICMP and raw sockets"] },
            "spool": { "bytes": 4_096, "queues": { "alerts": { "waiting": 2 }, "health": { "waiting": 1 } } },
            "sinks": [{ "name": "splunk", "state": "waiting", "sent": 12, "retries": 3 }],
            "engine": {
                "observations": 1_000, "alerts": 3, "suppressed": 4, "open_findings": 1, "exceptions": 9, "live_flows": 55,
                "baselines": { "state": "active", "subjects": 200, "networked": 120, "observed_days": 30 },
                "coverage": {
                    "seen": { "execs": 100, "packets": 300, "flow_reports": 600 },
                    "gaps": { "ntstat": { "gaps": 1, "lost": 5 } },
                    "bytes": { "all": 1_000, "attributed": 980, "initiator": 900, "by_payload": 870, "by_port": 30 },
                    "flows": { "all": 10, "attributed": 9, "initiator": 8, "by_payload": 7, "by_port": 1 },
                    "asleep_seconds": 3_600, "silent_seconds": 0,
                    "dc0064_command_execution": true, "dc0078_network_traffic_flow": true
                },
                "protocols": { "tls": 80, "dns": 20 },
                "busiest": [
                    { "subject": { "image": "apple:com.apple.curl", "initiator": "apple:com.apple.Automator" },
                      "day_bytes_out": 24_000_000, "day_bytes_in": 1_490, "day_flows": 1, "score": 2.59, "alerts": 1, "protocols": ["tls/well-known"] },
                    { "subject": { "image": "com.example.backup" }, "day_bytes_out": 9_000_000_000_u64, "day_bytes_in": 10, "day_flows": 12,
                      "score": null, "alerts": 0, "protocols": ["ssh/well-known", "tls/well-known"] }
                ]
            }
        }))
    }

    #[test]
    fn a_line_begins_with_its_word_and_is_one_line() {
        assert_eq!(
            one_line(&sample(&[])),
            "OK 0.1.0 up=7300s state=active subjects=200 alerts=3 waiting=3 attributed=98%\n"
        );
        let line = one_line(&sample(&["sink splunk waits: x\ny"]));
        assert!(line.starts_with("LOOK ") && line.ends_with(": sink splunk waits: x y\n"), "{line}");
    }

    #[test]
    fn a_page_names_what_needs_a_look() {
        let page = page(&sample(&["sink splunk waits: no route"]));
        assert!(page.starts_with("tidemark 0.1.0 on mac, process 77, up 2 h\n"), "{page}");
        assert!(page.contains("98 % of the bytes to a process, 90 % to an initiator"), "{page}");
        assert!(page.contains("1.0 % of a core, 48.0 MB"), "{page}");
        assert!(page.ends_with("needs a look:\n  - sink splunk waits: no route\n"), "{page}");
    }

    #[test]
    fn a_status_of_another_version_is_read_as_far_as_it_goes() {
        assert!(page(&Told(json!({}))).contains("0 observations"));
    }
}
