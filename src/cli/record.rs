//! `tidemark record`: what the live sources see, kept in files.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::source::SourceName;
use super::{Code, Failure};
use crate::daemon::StopSignal;
use crate::observation::Observation;
use crate::source::RecordingWriter;
use crate::source::capture::write::Writer as CaptureWriter;

/// Records what is seen: process events and flows as NDJSON, packets as pcapng beside it.
///
/// It ends at a signal, at a limit, or when its source ends. Nothing is judged or learnt; `tidemark replay` does that with the files:
///
///   sudo tidemark record monday.ndjson --seconds 3600
///   tidemark replay monday.ndjson monday.pcapng
///
/// The recording holds the arguments of programs, and the packets what was said unencrypted: it is made readable for its owner alone.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The recording; packets go to a file of the same name that ends in `.pcapng`. Neither may exist.
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
    /// What is recorded: `live` (the sources of this Mac) or `eslogger:-` (standard input).
    #[arg(long, value_name = "SOURCE", default_value = "live")]
    source: SourceName,
    /// Ends after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Ends when both files together have so many mebibytes.
    #[arg(long, value_name = "N", default_value_t = 1_024)]
    mebibytes: u64,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut files = Files::create(&args.output)?;
    let stop = StopSignal::catch().map_err(|error| Failure::new(Code::Io, error))?;
    let live = args.source.follow()?;
    let began = Instant::now();
    let longest = args.seconds.map_or(Duration::MAX, Duration::from_secs);
    let most = args.mebibytes.saturating_mul(MEBIBYTE);
    for observation in live {
        files.write(&observation)?;
        if stop.is_raised() || began.elapsed() >= longest || files.bytes() >= most {
            break;
        }
    }
    files.finish()
}

/// The two files of a recording.
struct Files {
    recording: RecordingWriter<BufWriter<Counted>>,
    capture: PathBuf,
    /// Made when there is a packet.
    packets: Option<CaptureWriter<BufWriter<Counted>>>,
    written: Rc<Cell<u64>>,
    unwritable: u64,
}

impl Files {
    fn create(path: &Path) -> Result<Self, Failure> {
        let capture = path.with_extension("pcapng");
        if capture == path {
            let message = format!("{}: the recording cannot end in .pcapng, its packets do", path.display());
            return Err(Failure::new(Code::Usage, message));
        }
        if capture.exists() {
            return Err(Failure::new(Code::Io, format!("{}: exists already", capture.display())));
        }
        let written = Rc::new(Cell::new(0));
        let out = Counted { file: private(path)?, written: written.clone() };
        let recording = RecordingWriter::new(BufWriter::new(out));
        Ok(Self { recording, capture, packets: None, written, unwritable: 0 })
    }

    fn bytes(&self) -> u64 {
        self.written.get()
    }

    fn write(&mut self, observation: &Observation) -> Result<(), Failure> {
        if self.recording.write(observation)? {
            // A quiet second: what was seen until now is safe whatever happens.
            if let Observation::Clock(_) = observation {
                self.recording.flush()?;
            }
            return Ok(());
        }
        let Observation::Packet(packet) = observation else { return Ok(()) };
        let packets = match &mut self.packets {
            Some(packets) => packets,
            none => {
                let out = Counted { file: private(&self.capture)?, written: self.written.clone() };
                none.insert(CaptureWriter::new(BufWriter::new(out), APPLICATION)?)
            }
        };
        match packets.packet(packet) {
            // The format cannot hold it; the next one may fit.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.unwritable += 1,
            written => written?,
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        self.recording.finish()?;
        if let Some(packets) = self.packets {
            packets.finish()?;
        }
        if self.unwritable > 0 {
            tracing::warn!(packets = self.unwritable, "some packets do not fit into pcapng");
        }
        tracing::info!(bytes = self.written.get(), "recorded");
        Ok(())
    }
}

/// A new file that its owner alone may read.
fn private(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path);
    opened.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => "exists already".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(Code::Io, format!("{}: {why}", path.display()))
    })
}

/// Adds up what is written to both files.
struct Counted {
    file: File,
    written: Rc<Cell<u64>>,
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.written.set(self.written.get().saturating_add(written as u64));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

const APPLICATION: &str = concat!("tidemark ", env!("CARGO_PKG_VERSION"));
const MEBIBYTE: u64 = 1 << 20;
const OWNER_ONLY: u32 = 0o600;
