//! `tidemark flows`: one line a flow.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use serde::Serialize;

use super::Failure;
use super::inputs::{self, Inputs};
use crate::alert::bytes_in_words;
use crate::network::{FlowRecord, FlowTable, FlowUpdate, Limits, Phase};
use crate::observation::{FlowState, Observation};
use crate::process::{Attribution, Method, Processes, Settings, Subject};
use crate::source::Origins;

/// Prints the flows in captures and recordings, one line each, in the order in which they end.
///
/// Works without any process information; where process events are among the inputs, each flow names its image. Every input stands alone:
/// equal addresses in two captures are two flows.
///
/// Examples:
///   tidemark flows capture.pcapng
///   tidemark flows --json *.pcap | jq .flow.protocol
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// Prints the `flow` record of the recording format as NDJSON, with `capture`, `subject` and whatever else is known.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    flow: Attributed<'a>,
}

/// The record, and whose it is where process events are among the inputs.
#[derive(Serialize)]
struct Attributed<'a> {
    #[serde(flatten)]
    record: &'a FlowRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a Subject>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut source = inputs::open(&args.inputs, Origins::PerInput)?;
    let mut table = FlowTable::new(Limits::default());
    let mut printer = Printer {
        out: BufWriter::new(io::stdout().lock()),
        json: args.json,
        names: args.inputs.names(),
        processes: Processes::new(Settings::default()),
        failed: None,
    };
    for observation in &mut source {
        match &observation {
            Observation::Exec(exec) => {
                printer.processes.exec(exec);
            }
            Observation::Fork(fork) => printer.processes.fork(fork),
            Observation::Exit(exit) => printer.processes.exit(exit),
            Observation::Running(running) => printer.processes.running(running),
            Observation::Packet(packet) => table.packet(packet, &mut |update| printer.update(update)),
            Observation::Flow(report) => table.report(report, &mut |update| printer.update(update)),
            Observation::Clock(clock) => table.advance(clock.time, &mut |update| printer.update(update)),
            Observation::Recording(_) | Observation::Gap(_) => {}
        }
        if printer.failed.is_some() {
            break;
        }
    }
    table.finish(&mut |update| printer.update(update));
    if let Some(error) = printer.failed {
        return Err(error.into());
    }
    printer.out.flush()?;
    source.finish()
}

/// Prints flows when they end.
struct Printer<W> {
    out: W,
    json: bool,
    /// Names of the inputs, by origin.
    names: Vec<Arc<str>>,
    processes: Processes,
    /// Why nothing more is printed.
    failed: Option<io::Error>,
}

impl<W: Write> Printer<W> {
    fn update(&mut self, update: FlowUpdate<'_, Attribution>) {
        let FlowUpdate { flow, tag, phase, .. } = update;
        if tag.method == Method::None {
            *tag = self.processes.attribute(flow.owner.process, flow.owner.effective_pid, flow.start);
        }
        if phase != Phase::Ended || self.failed.is_some() {
            return;
        }
        let mut record = FlowRecord::new(flow, FlowState::Closed).attributed(tag.method.label());
        if let Some(name) = usize::try_from(flow.origin.0).ok().and_then(|place| self.names.get(place)) {
            record = record.in_capture(name.clone());
        }
        let out = &mut self.out;
        let written = if self.json { write_json(out, &record, tag) } else { write_text(out, &record, tag) };
        self.failed = written.err();
    }
}

fn write_json(out: &mut impl Write, record: &FlowRecord, attribution: &Attribution) -> io::Result<()> {
    let subject = attribution.who.as_ref().map(|who| &who.subject);
    serde_json::to_writer(&mut *out, &Line { flow: Attributed { record, subject } })?;
    out.write_all(b"\n")
}

/// `start  transport  local > remote  protocol  server name  bytes out/in  process`.
fn write_text(out: &mut impl Write, record: &FlowRecord, attribution: &Attribution) -> io::Result<()> {
    let report = &record.report;
    let process = match (&attribution.who, &report.process) {
        (Some(who), _) => who.subject.to_string(),
        (None, Some(name)) => name.to_string(),
        (None, None) => "-".to_owned(),
    };
    writeln!(
        out,
        "{}  {:<5} {} > {}  {:<10} {}  out {} in {}  {process}",
        record.start,
        report.transport,
        report.local,
        report.remote,
        report.protocol.as_deref().unwrap_or("-"),
        report.server_name.as_deref().unwrap_or("-"),
        bytes_in_words(report.bytes_out),
        bytes_in_words(report.bytes_in),
    )
}
