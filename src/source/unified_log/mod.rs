//! Flows as the kernel logs them: the connection summaries in macOS's unified log, one of the two log sources that AN1227 names.
//!
//! When a connection begins and ends the kernel writes a message with its process, its ports and what it moved. [`Summary`] reads such
//! a message, [`LogReader`] the stream of `log stream --style ndjson` ([`COMMAND`]). It is the lowest of the sources of flows: addresses
//! may be redacted (they are then the unspecified address of their family), the kernel limits the rate at which it logs (what it passed
//! over it counts, and is told as a gap), nothing is told of a connection while it lasts, and whether the kernel logs at all is a setting
//! (`net.inet.tcp.log.level_info` and its kin) that varies by system.
//!
//! Any process can log a text that looks like a summary; only messages of the kernel itself are believed.

mod summary;

pub use summary::{Kind, Summary};

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use compact_str::format_compact;
use serde::Deserialize;

use self::summary::Address;
use super::eslogger::Text;
use super::lines::Lines;
use super::text::{Interner, NAME_LIMIT, clip};
use super::{Source, SourceReport};
use crate::observation::{Direction, FlowReport, FlowState, Gap, Observation, Origin, Timestamp};

/// The command whose output is read.
pub const COMMAND: [&str; 6] = [
    "/usr/bin/log",
    "stream",
    "--style",
    "ndjson",
    "--predicate",
    "processID == 0 AND (eventMessage BEGINSWITH \"tcp_connection_summary\" OR eventMessage BEGINSWITH \"udp_connection_summary\" \
     OR eventMessage BEGINSWITH \"tcp connect\" OR eventMessage BEGINSWITH \"udp connect\")",
];

/// What the log tells while it runs.
#[cfg(target_os = "macos")]
pub(crate) fn live() -> super::live::CommandSource {
    super::live::CommandSource::new(SOURCE_NAME, &COMMAND, |output| {
        Box::new(LogReader::new(output, Origin::default()))
    })
}

/// The name under which losses of the log are reported.
pub const SOURCE_NAME: &str = "unified_log";

/// Reads the stream of the log.
pub struct LogReader<R> {
    lines: Lines<R>,
    interner: Interner,
    origin: Origin,
    /// How many messages the kernel had passed over when it logged last.
    skipped: Option<u64>,
    held: Option<Observation>,
    report: SourceReport,
    ended: bool,
}

/// One line of `log stream --style ndjson`, as far as it is read.
#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(rename = "eventMessage", borrow, default)]
    message: Text<'a>,
    #[serde(rename = "eventType", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(rename = "processID", default)]
    process_id: Option<i64>,
}

impl<R: Read> LogReader<R> {
    /// A reader of the output of [`COMMAND`].
    pub fn new(input: R, origin: Origin) -> Self {
        Self {
            lines: Lines::new(input),
            interner: Interner::default(),
            origin,
            skipped: None,
            held: None,
            report: SourceReport::new(SOURCE_NAME),
            ended: false,
        }
    }

    fn read(&mut self) -> Option<Observation> {
        while !self.ended {
            let Some((position, text)) = self.lines.next_text(&mut self.report) else { break };
            // The command says first what it filters by.
            if text.is_empty() || !text.starts_with(b"{") {
                continue;
            }
            let read = serde_json::from_slice(text).map_err(|error| error.to_string());
            match read.and_then(|event: Event<'_>| event.observe(self.origin, &mut self.interner)) {
                Ok(Observed::Nothing) => self.report.other = self.report.other.saturating_add(1),
                Ok(Observed::Loss(time)) => return Some(gap(time, None)),
                Ok(Observed::Flow { flow, skipped }) => {
                    let before = self.skipped.replace(skipped);
                    let lost = before.map_or(0, |before| skipped.saturating_sub(before));
                    let flow = Observation::Flow(flow);
                    if lost == 0 {
                        return Some(flow);
                    }
                    let time = flow.time().unwrap_or_default();
                    self.held = Some(flow);
                    return Some(gap(time, Some(lost)));
                }
                Err(why) => self.report.skip(position, why),
            }
        }
        self.ended = true;
        None
    }
}

impl<R: Read> Iterator for LogReader<R> {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        let observation = self.held.take().or_else(|| self.read());
        self.report.bytes = self.lines.bytes();
        let observation = observation?;
        self.report.observations = self.report.observations.saturating_add(1);
        Some(observation)
    }
}

impl<R: Read> Source for LogReader<R> {
    fn report(&self) -> &SourceReport {
        &self.report
    }
}

/// What a line says.
enum Observed {
    Flow {
        flow: Box<FlowReport>,
        skipped: u64,
    },
    /// The log itself lost messages.
    Loss(Timestamp),
    Nothing,
}

impl Event<'_> {
    fn observe(&self, origin: Origin, interner: &mut Interner) -> Result<Observed, String> {
        let time = Timestamp::parse(&self.timestamp.0).map_err(|error| error.to_string())?;
        if self.kind.0 == LOSS {
            return Ok(Observed::Loss(time));
        }
        if self.process_id != Some(KERNEL) {
            return Ok(Observed::Nothing);
        }
        let Some(summary) = Summary::parse(&self.message.0) else { return Ok(Observed::Nothing) };
        let skipped = summary.skipped;
        let flow = summary.report(time, origin, interner);
        Ok(flow.map_or(Observed::Nothing, |flow| Observed::Flow { flow: Box::new(flow), skipped }))
    }
}

impl Summary<'_> {
    /// As a report of the flow's counters. `None` for the second of the two summaries of a TCP connection, which has none.
    fn report(&self, time: Timestamp, origin: Origin, interner: &mut Interner) -> Option<FlowReport> {
        let (state, direction) = match self.kind {
            Kind::ConnectOutgoing => (FlowState::Open, Some(Direction::Outbound)),
            Kind::ConnectIncoming => (FlowState::Open, Some(Direction::Inbound)),
            Kind::Connected => (FlowState::Update, None),
            Kind::Ended => (FlowState::Closed, None),
        };
        let totals = self.totals?;
        let name = interner.name(clip(self.process, NAME_LIMIT));
        Some(FlowReport {
            time,
            flow_id: format_compact!("log:{}", self.socket),
            origin,
            pid: Some(self.pid),
            pidversion: None,
            effective_pid: None,
            process: (!name.is_empty()).then_some(name),
            transport: self.transport,
            local: end(self.local),
            remote: end(self.remote),
            direction,
            interface: (!self.interface.is_empty()).then(|| interner.name(self.interface)),
            protocol: None,
            server_name: None,
            bytes_out: totals.bytes_out,
            bytes_in: totals.bytes_in,
            packets_out: totals.packets_out,
            packets_in: totals.packets_in,
            wire_bytes_out: None,
            wire_bytes_in: None,
            state,
        })
    }
}

fn end((address, port): (Address, u16)) -> SocketAddr {
    let address = match address {
        Address::Known(address) => address,
        Address::Redacted { is_v6: false } => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Address::Redacted { is_v6: true } => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(address, port)
}

fn gap(time: Timestamp, lost: Option<u64>) -> Observation {
    Observation::Gap(Box::new(Gap { time, source: Arc::from(SOURCE_NAME), lost }))
}

/// `eventType` of a line that says that messages were lost.
const LOSS: &str = "lossEvent";
/// The kernel's process number.
const KERNEL: i64 = 0;

#[cfg(test)]
mod tests;
