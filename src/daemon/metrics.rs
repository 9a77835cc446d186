//! Metrics in the text format of Prometheus (0.0.4), over HTTP on a Unix socket:
//! `curl --unix-socket metrics.sock http://localhost/metrics`, which may as well write the file of a textfile collector.
//!
//! Nothing listens on the network unless the configuration says so, and then on this machine alone. No label names a program, a person or a
//! destination: the number of series is bounded, and nobody's behaviour is in them. Names follow prometheus.io/docs/practices/naming: base units,
//! and `_total` on what only grows. (The `OpenMetrics` form, which the crate `prometheus-client` writes, is not what `promtool check metrics` and
//! textfile collectors read.)

use std::fmt::{Display, Write as _};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::control::Desk;
use super::vitals::{Snapshot, Status};
use crate::source::live::{Condition, Effort};

/// The socket's name in the state's folder.
pub const SOCKET: &str = "metrics.sock";

/// Answers scrapes of root and of the daemon's own user, for ever.
pub(super) async fn serve(listener: UnixListener, desk: Desk) {
    let own = rustix::process::geteuid().as_raw();
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let accepted = listener.accept().await;
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        if stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own) {
            answer(stream, &places, &desk);
        }
    }
}

/// Answers scrapes of anybody on this machine, for ever.
pub(super) async fn serve_loopback(listener: TcpListener, desk: Desk) {
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => answer(stream, &places, &desk),
            Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
        }
    }
}

/// Answers one client; one too many finds its connection closed.
fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    places: &Arc<Semaphore>,
    desk: &Desk,
) {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else { return };
    let desk = desk.clone();
    tokio::spawn(async move {
        // A client that goes before it has the answer does not need it.
        let _ = timeout(PATIENCE, exchange(stream, &desk)).await;
        drop(place);
    });
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, desk: &Desk) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(END_OF_HEAD.len()).any(|part| part == END_OF_HEAD) {
        if request.len() >= MOST_REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let wanted = request.starts_with(b"GET /metrics ") || request.starts_with(b"GET / ");
    let (status, body) = if wanted {
        let snapshot = desk.mailbox.ask(|engine| Snapshot::of(engine, 0)).await;
        ("200 OK", render(&desk.vitals.status(snapshot)))
    } else {
        ("404 Not Found", "GET /metrics\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The metrics of a status.
pub fn render(status: &Status) -> String {
    let mut text = Text::default();
    text.gauge("build_info", "The version of tidemark; always 1.").of(&[("version", status.version)], 1);
    text.gauge("healthy", "1 where nothing needs a person's look.").is(u8::from(status.reasons.is_empty()));
    text.gauge("uptime_seconds", "Seconds since the daemon began.").is(status.uptime_seconds);
    text.plain("process_cpu_seconds_total", "counter", "Processor time, user and system.")
        .is(status.usage.cpu_seconds);
    if let Some(bytes) = status.usage.resident_bytes {
        text.plain("process_resident_memory_bytes", "gauge", "Resident memory.").is(bytes);
    }
    text.gauge("forward_queue_bytes", "Bytes of the spool on the disk.").is(status.spool.bytes);
    let queues = &status.spool.queues;
    let mut family = text.gauge("forward_queue_events", "Events that the slowest sink has still to pass.");
    for (name, queue) in queues {
        family.of(&[("queue", name)], queue.waiting);
    }
    let mut family = text
        .counter("forwarded_events_dropped_total", "Events that no longer can be sent, by what took them.");
    for (name, queue) in queues {
        family.of(&[("queue", name), ("reason", "cap")], queue.dropped);
        family.of(&[("queue", name), ("reason", "damage")], queue.damaged);
    }
    family.of(&[("queue", "all"), ("reason", "no_spool")], status.lost);
    let mut family = text.counter("forwarded_events_total", "Events that a sink's receiver has.");
    for sink in &status.sinks {
        family.of(&[("sink", &sink.name)], sink.sent);
    }
    let mut family = text.counter("forward_failures_total", "Attempts to send that were to be repeated.");
    for sink in &status.sinks {
        family.of(&[("sink", &sink.name)], sink.retries);
    }
    let mut family = text.counter(
        "forwarded_events_repeated_total",
        "Events sent again since the receiver went away shortly after it had taken them.",
    );
    for sink in &status.sinks {
        family.of(&[("sink", &sink.name)], sink.repeated);
    }
    let sources = &status.sources.each;
    let mut family = text
        .gauge("source_up", "1 where a source observes, 0 where it is away or has yet to tell something.");
    for (name, source) in sources {
        family.of(&[("source", name)], u8::from(source.condition == Condition::Running));
    }
    let mut family = text.counter("source_restarts_total", "Times that a source ended and was begun anew.");
    for (name, source) in sources {
        family.of(&[("source", name)], source.restarts);
    }
    let effort = status.strain.as_ref().map_or(Effort::Full, |strain| strain.effort);
    text.gauge("effort_reduced_steps", "Steps by which sources try less than they can; 0 at full effort.")
        .is(effort as u8);
    text.counter("packets_passed_over_total", "Packets that were not looked into, to keep the budget.")
        .is(status.packets_passed_over);
    text.gauge("tampered", "Files that somebody else could change, or did.").is(status.tampered.len());
    if let Some(engine) = &status.engine {
        engine_metrics(&mut text, engine);
    }
    text.0
}

fn engine_metrics(text: &mut Text, engine: &Snapshot) {
    let coverage = &engine.coverage;
    let mut family = text.counter("events_total", "Observations by kind.");
    family.of(&[("kind", "process")], coverage.seen.process_events);
    family.of(&[("kind", "packet")], coverage.seen.packets);
    family.of(&[("kind", "flow")], coverage.seen.flow_reports);
    let mut family =
        text.counter("events_dropped_total", "Observations that a source lost, as far as it knows.");
    for (source, lost) in &coverage.gaps {
        family.of(&[("source", source)], lost.lost);
    }
    let mut family =
        text.counter("gaps_total", "Losses that a source reported, of known and of unknown size.");
    for (source, lost) in &coverage.gaps {
        family.of(&[("source", source)], lost.gaps);
    }
    let bytes = &coverage.bytes;
    let mut family = text.counter("flow_bytes_total", "Bytes of flows, by what is known of their process.");
    family.of(&[("attribution", "initiator")], bytes.initiator);
    family.of(&[("attribution", "process")], bytes.attributed.saturating_sub(bytes.initiator));
    family.of(&[("attribution", "unknown")], bytes.all.saturating_sub(bytes.attributed));
    let mut family =
        text.counter("flow_protocol_bytes_total", "Bytes of flows, by what their protocol is told from.");
    family.of(&[("evidence", "payload")], bytes.by_payload);
    family.of(&[("evidence", "port")], bytes.by_port);
    let told = bytes.by_payload.saturating_add(bytes.by_port);
    family.of(&[("evidence", "none")], bytes.all.saturating_sub(told));
    text.counter("asleep_seconds_total", "Seconds that the Mac slept.").is(coverage.asleep_seconds);
    text.counter("silent_seconds_total", "Seconds in which nothing came though the Mac was awake.")
        .is(coverage.silent_seconds);
    if let Some(until) = coverage.until {
        text.gauge("last_event_timestamp_seconds", "When the latest observation was made.")
            .is(until.as_seconds());
    }
    text.gauge("flows", "Flows that are live.").is(engine.live_flows);
    text.counter("flows_evicted_total", "Flows that made room for others.").is(engine.evicted_flows);
    let subjects = &engine.baselines;
    let mut family =
        text.gauge("baseline_subjects", "Subjects that are known, by whether they used the network.");
    family.of(&[("network", "yes")], subjects.networked);
    family.of(&[("network", "no")], subjects.subjects.saturating_sub(subjects.networked));
    text.counter("baseline_subjects_evicted_total", "Subjects that made room for others.")
        .is(subjects.evicted);
    text.counter("findings_total", "Findings that stood since the daemon began.").is(engine.alerts);
    text.counter("findings_suppressed_total", "Findings that an exception covered.").is(engine.suppressed);
    text.gauge("findings_open", "Findings that are open.").is(engine.open_findings);
    text.gauge("exceptions", "Exceptions that are read.").is(engine.exceptions);
}

/// The text as it grows.
#[derive(Default)]
struct Text(String);

/// Samples of one metric.
struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Text {
    fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.plain(&format!("tidemark_{name}"), "gauge", help)
    }

    fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        self.plain(&format!("tidemark_{name}"), "counter", help)
    }

    /// Under a name that is not ours to prefix.
    fn plain(&mut self, name: &str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.0, name: name.to_owned() }
    }
}

impl Family<'_> {
    fn is(&mut self, value: impl Display) {
        self.of(&[], value);
    }

    fn of(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let pairs: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }
}

/// A label's value as the format quotes it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// Bytes of a request: Prometheus sends about 300.
const MOST_REQUEST: usize = 8 << 10;
/// Scrapes at one time.
const MOST_CLIENTS: usize = 8;
/// For a whole scrape.
const PATIENCE: Duration = Duration::from_secs(15);
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_a_help_and_a_type_and_appears_once() {
        let status = crate::daemon::vitals::sample();
        let text = render(&status);
        let mut typed = std::collections::BTreeMap::new();
        let mut series = std::collections::BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                assert!(typed.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else if !line.starts_with('#') {
                let (of, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(typed.contains_key(of.split('{').next().unwrap()), "{line}");
                assert!(series.insert(of.to_owned()), "twice: {line}");
            }
        }
        assert!(series.contains("tidemark_flow_bytes_total{attribution=\"unknown\"}"), "{text}");
        // No label names a program, a person or a destination.
        assert!(!text.contains("curl") && !text.contains("com.apple"), "{text}");
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut text = Text::default();
        text.gauge("x", "y").of(&[("source", "a\"b\\c\nd")], 1);
        assert!(text.0.ends_with("tidemark_x{source=\"a\\\"b\\\\c\\nd\"} 1\n"), "{}", text.0);
    }

    /// `promtool` is Prometheus' own check, of Debian's package `prometheus`.
    #[test]
    fn promtool_finds_nothing_to_say() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let check = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut check) = check else {
            println!("skipped: promtool is not installed");
            return;
        };
        check.stdin.take().unwrap().write_all(render(&crate::daemon::vitals::sample()).as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
