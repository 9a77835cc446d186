//! `tidemark evidence`: the minutes around an alert, cut out of what was recorded.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::alerts::Lookup;
use super::inputs::{self, Setup};
use super::{Code, Failure, state};
use crate::alert::Alert;
use crate::engine::Engine;
use crate::observation::{Observation, Timestamp};
use crate::source::capture::write::Writer;
use crate::source::{Origins, RecordingWriter};

/// Keeps what an alert rests on: the ten minutes around it, and what was usual before them.
///
/// Reads the inputs that gave the alert and writes a folder: `recording.ndjson` (every process event and flow report of the window),
/// `packets.pcapng` where there were packets, `state` (baselines, processes and open flows as they were when the window began) and
/// `alert.json`. Replaying it gives the same finding on any machine: a false alarm becomes a regression test, a true one an attack that
/// exceptions must not hide. The window begins earlier where the alert's flow, or its finding, did.
///
/// Examples:
///   tidemark evidence 019ecaa8-ca8e-79b2-8e63-5660c93dd1cb --alerts alerts.ndjson --inputs exec.ndjson packets.pcapng -o case-17
///   tidemark replay --from case-17/state case-17/recording.ndjson case-17/packets.pcapng
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// File with one alert, `-`, or id.
    alert: String,
    #[command(flatten)]
    lookup: Lookup,
    /// The recordings and captures that gave the alert.
    #[arg(long, value_name = "INPUT", required = true, num_args = 1..)]
    inputs: Vec<PathBuf>,
    /// The folder to write; it must not be there yet.
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    #[command(flatten)]
    setup: Setup,
}

/// Half of the window.
const AROUND: Duration = Duration::from_secs(5 * 60);

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.setup.config()?;
    let found = args.lookup.find(&args.alert, &config)?;
    let [alert] = found.as_slice() else {
        let message = format!("{} names {} alerts: give the id of one event", args.alert, found.len());
        return Err(Failure::new(Code::Usage, message));
    };
    let unwritable = |error: io::Error| {
        Failure::new(Code::Io, format!("cannot write the folder {}: {error}", args.output.display()))
    };
    let mut engine = Engine::new(Setup::engine(&config)?);
    let mut source = inputs::open_paths(&args.inputs, Origins::Joined, true)?;
    fs::create_dir(&args.output).map_err(unwritable)?;
    let mut cut = Cut::new(alert, args.output.clone()).map_err(unwritable)?;
    let mut verdicts = Vec::new();
    for observation in &mut source {
        let time = observation.time();
        if time.is_some_and(|time| time > cut.to) {
            break;
        }
        // What was usual is what was known before the first observation of the window.
        if time.is_some_and(|time| time >= cut.from) && !cut.begun {
            cut.begun = true;
            let store = state::open(&args.output.join("state"))?.store;
            state::suspend(&store, &mut engine, &mut verdicts)?;
        }
        if !cut.begun {
            engine.observe(&observation, &mut verdicts);
            verdicts.clear();
            continue;
        }
        cut.take(&observation).map_err(unwritable)?;
    }
    let begun = cut.begun;
    let packets = cut.finish(alert).map_err(unwritable)?;
    source.finish()?;
    if !begun {
        let message = "the inputs end before the window of the alert begins: they are not those that gave it";
        return Err(Failure::new(Code::BadData, message));
    }
    let folder = args.output.display();
    let capture = if packets { format!(" {folder}/packets.pcapng") } else { String::new() };
    let mut out = io::stdout().lock();
    writeln!(out, "tidemark replay --from {folder}/state {folder}/recording.ndjson{capture}")?;
    Ok(())
}

/// The folder in the making.
struct Cut {
    folder: PathBuf,
    from: Timestamp,
    to: Timestamp,
    recording: RecordingWriter<BufWriter<File>>,
    packets: Option<Writer<BufWriter<File>>>,
    begun: bool,
}

impl Cut {
    fn new(alert: &Alert, folder: PathBuf) -> io::Result<Self> {
        let file = File::create_new(folder.join("recording.ndjson"))?;
        Ok(Self {
            from: alert.time.before(AROUND).min(alert.flow.start).min(alert.stage.first_time),
            to: alert.time.after(AROUND),
            recording: RecordingWriter::new(BufWriter::new(file)),
            packets: None,
            begun: false,
            folder,
        })
    }

    /// Keeps one observation: a packet in the capture, anything else in the recording.
    fn take(&mut self, observation: &Observation) -> io::Result<()> {
        let Observation::Packet(packet) = observation else {
            return self.recording.write(observation).map(|_| ());
        };
        let writer = if let Some(writer) = self.packets.take() {
            writer
        } else {
            let file = File::create_new(self.folder.join("packets.pcapng"))?;
            Writer::new(BufWriter::new(file), concat!("tidemark ", env!("CARGO_PKG_VERSION")))?
        };
        self.packets.insert(writer).packet(packet)
    }

    /// Ends the files; `true` where there are packets.
    fn finish(self, alert: &Alert) -> io::Result<bool> {
        self.recording.finish()?.flush()?;
        let packets = self.packets.is_some();
        if let Some(writer) = self.packets {
            writer.finish()?.flush()?;
        }
        fs::write(self.folder.join("alert.json"), alert.to_json() + "\n")?;
        Ok(packets)
    }
}
