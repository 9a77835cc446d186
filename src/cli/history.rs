//! `tidemark history`: the flows that ended on this Mac.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::printable::printable;
use super::run::DEFAULT_STATE;
use super::{Code, Failure};
use crate::alert::bytes_in_words;
use crate::journal::{Entries, Entry, FOLDER};
use crate::network::Protocol;
use crate::observation::Timestamp;

/// Prints the flows that ended on this Mac, the earliest first: what else did the program of an alert talk to, and who else talked to that server?
///
/// Flows that are live are not in it yet. Server names that the privacy settings hide were never kept.
///
/// Examples:
///   sudo tidemark history --image curl --since 2d
///   sudo tidemark history --destination files.example.net --json | jq -r .program.image | sort | uniq -c
///   sudo tidemark history --pid 4711 --since 2026-11-24T08:00:00Z
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only flows of programs whose identity, path or initiator holds this text.
    #[arg(long, value_name = "TEXT")]
    image: Option<String>,
    /// Only flows of this process.
    #[arg(long, value_name = "PID")]
    pid: Option<i32>,
    /// Only flows to a server whose name ends in this, or whose address it is.
    #[arg(long, value_name = "HOST")]
    destination: Option<String>,
    #[command(flatten)]
    kept: KeptFlows,
    /// Prints one JSON object a flow.
    #[arg(long)]
    json: bool,
}

/// Which journal, and from when on.
#[derive(Debug, clap::Args)]
pub(super) struct KeptFlows {
    /// Only flows that ended since then: a time (RFC 3339), or a span back from the latest flow, such as `90min`, `12h` or `7d`.
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
    /// The state's folder, as given to `tidemark run`.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Time(Timestamp),
    /// Nanoseconds back.
    Back(i64),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(time) = Timestamp::parse(text) {
        return Ok(Since::Time(time));
    }
    let span: jiff::Span = text.parse().map_err(|_| format!("{text:?} is no time and no span of time"))?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let nanos = span.total((jiff::Unit::Nanosecond, relative)).map_err(|error| error.to_string())?;
    if nanos < 0.0 {
        return Err("a span back is written without a sign".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "a span over 292 years is all that there is")]
    Ok(Since::Back(nanos as i64))
}

impl KeptFlows {
    /// The flows, the earliest first.
    pub(super) fn entries(&self) -> Result<impl Iterator<Item = Entry>, Failure> {
        let folder = self.state.join(FOLDER);
        let unreadable = |error: std::io::Error| {
            let code = if error.kind() == std::io::ErrorKind::PermissionDenied {
                Code::NotPermitted
            } else {
                Code::NoInput
            };
            Failure::new(code, format!("cannot read {}: {error}", folder.display()))
        };
        if !folder.exists() && !self.state.exists() {
            return Err(unreadable(std::io::ErrorKind::NotFound.into()));
        }
        let earliest = match self.since {
            None => None,
            Some(Since::Time(time)) => Some(time),
            Some(Since::Back(nanos)) => {
                let latest = Entries::of(&folder).map_err(unreadable)?.map(|entry| entry.end).max();
                latest.map(|latest| Timestamp::from_nanos(latest.as_nanos().saturating_sub(nanos)))
            }
        };
        let entries = Entries::of(&folder).map_err(unreadable)?;
        Ok(entries.filter(move |entry| earliest.is_none_or(|earliest| entry.end >= earliest)))
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    for entry in args.kept.entries()?.filter(|entry| is_asked_for(args, entry)) {
        if args.json {
            let line = serde_json::to_string(&entry).map_err(|error| Failure::new(Code::Io, error))?;
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{}", line(&entry))?;
        }
    }
    out.flush()?;
    Ok(())
}

fn is_asked_for(args: &Args, entry: &Entry) -> bool {
    let program = entry.program.as_ref();
    let image = args.image.as_ref().is_none_or(|text| {
        program.is_some_and(|program| {
            let initiator = program.subject.initiator.as_ref().map_or("", |initiator| initiator.as_str());
            [program.subject.image.as_str(), &program.path, initiator]
                .iter()
                .any(|of| of.contains(text.as_str()))
        })
    });
    let pid = args.pid.is_none_or(|pid| entry.pid == Some(pid));
    let destination = args.destination.as_ref().is_none_or(|host| {
        let names = [&entry.server_name, &entry.proxied_to];
        entry.remote.ip().to_string() == *host || names.into_iter().flatten().any(|name| is_of(name, host))
    });
    image && pid && destination
}

/// Whether a name is this host or lies below it.
fn is_of(name: &str, host: &str) -> bool {
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    name.strip_suffix(host).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn line(entry: &Entry) -> String {
    let subject =
        entry.program.as_ref().map_or("no process".to_owned(), |program| program.subject.to_string());
    let pid = entry.pid.map_or(String::new(), |pid| format!("[{pid}]"));
    let protocol = entry.protocol.map_or("unknown", Protocol::label);
    let server = match (&entry.proxied_to, &entry.server_name) {
        (Some(host), _) => format!("{host} through {}", entry.remote),
        (None, Some(name)) => format!("{name} ({})", entry.remote),
        (None, None) => entry.remote.to_string(),
    };
    let (sent, received) = (bytes_in_words(entry.bytes_out), bytes_in_words(entry.bytes_in));
    printable(&format!(
        "{}  {subject}{pid}  {protocol} {server}  sent {sent}, received {received}",
        entry.end
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_or_a_span_back() {
        assert_eq!(since("2d"), Ok(Since::Back(2 * 86_400 * 1_000_000_000)));
        assert_eq!(since("90min"), Ok(Since::Back(5_400 * 1_000_000_000)));
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Since::Time(Timestamp::from_seconds(1, 0))));
        for wrong in ["", "yesterday", "-2d"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_destination_is_a_host_or_what_lies_below_it() {
        for name in ["example.net", "files.example.net", "files.example.net:443"] {
            assert!(is_of(name, "example.net"), "{name}");
        }
        assert!(!is_of("badexample.net", "example.net") && !is_of("example.net.evil.org", "example.net"));
    }
}
