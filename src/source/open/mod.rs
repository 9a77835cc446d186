//! Opens an input, whatever it is: plain, gzip or zstd; pcap, pcapng or a recording.
//!
//! What an input is, its first bytes say, never its name. At most two layers of compression are taken off. What is neither compressed
//! nor a capture is a recording; an input is refused only where it is plainly something else. Reading is streaming from the first byte
//! on, so standard input and FIFOs will do.

mod compression;
mod prefix;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use self::compression::Compression;
use self::prefix::Prefix;
use super::{RecordingReader, Source, capture, recording};
use crate::observation::Origin;

/// How an input is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Which road its packets and flows belong to.
    pub origin: Origin,
    /// Where the bytes read from the file, before decompression, are added up: for a progress bar.
    pub progress: Option<Arc<AtomicU64>>,
}

/// Why an input cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no such file.
    #[error("{}: there is no such file", path.display())]
    Missing {
        /// The input.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("{}: is a directory; name the files in it", path.display())]
    Directory {
        /// The input.
        path: PathBuf,
    },
    /// It may not be read.
    #[error("{}: permission denied", path.display())]
    Permission {
        /// The input.
        path: PathBuf,
    },
    /// The system refused for another reason.
    #[error("{}: {error}", path.display())]
    System {
        /// The input.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is nothing that tidemark reads.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The input.
        path: PathBuf,
        /// Why, as half a sentence.
        reason: String,
    },
}

impl OpenError {
    /// Whether there are data, and it is they that cannot be read (exit code 65), rather than no data at all (66).
    pub fn is_bad_data(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }
}

/// Opens the input at `path`; `-` is standard input.
///
/// An empty input is one without observations. Damage after the beginning does not keep an input from being opened: it stands in the
/// source's report.
///
/// # Errors
/// Where there is no such input, or it may not be read, or its beginning shows that it is nothing that tidemark reads.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source + Send>, OpenError> {
    if is_standard_input(path) {
        return open_reader(io::stdin(), path, options);
    }
    let refused = |error: io::Error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => OpenError::Missing { path },
            io::ErrorKind::PermissionDenied => OpenError::Permission { path },
            _ => OpenError::System { path, error },
        }
    };
    let file = File::open(path).map_err(refused)?;
    if file.metadata().map_err(refused)?.is_dir() {
        return Err(OpenError::Directory { path: path.to_owned() });
    }
    open_reader(file, path, options)
}

/// As [`open`], from any reader; `path` is its name in reports.
///
/// # Errors
/// Where the beginning shows that the input is nothing that tidemark reads.
pub fn open_reader(
    input: impl Read + Send + 'static,
    path: &Path,
    options: &OpenOptions,
) -> Result<Box<dyn Source + Send>, OpenError> {
    let unreadable = |reason: String| OpenError::Unreadable { path: path.to_owned(), reason };
    let name = path.to_string_lossy();
    let input: Box<dyn Read + Send> = match &options.progress {
        Some(progress) => Box::new(Counted { input, progress: Arc::clone(progress) }),
        None => Box::new(input),
    };
    let mut prefix = decompress(input).map_err(unreadable)?;
    if capture::is_capture(prefix.seen()) {
        return capture::open(prefix, name, options.origin).map_err(|error| unreadable(error.to_string()));
    }
    check_recording(&mut prefix).map_err(unreadable)?;
    Ok(Box::new(RecordingReader::new(prefix, name, options.origin)))
}

/// Whether this names standard input.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Takes off the layers of compression.
fn decompress(input: Box<dyn Read + Send>) -> Result<Prefix, String> {
    let mut prefix = Prefix::new(input);
    for layers in 0.. {
        prefix.see(MAGIC_BYTES);
        let Some(compression) = Compression::of(prefix.seen()) else {
            break;
        };
        if layers == COMPRESSION_LAYERS {
            return Err(format!("is compressed more than {COMPRESSION_LAYERS} times"));
        }
        prefix = Prefix::new(compression.decoder(prefix));
    }
    match prefix.failure() {
        Some(failure) if prefix.seen().is_empty() => Err(failure.to_string()),
        _ => Ok(prefix),
    }
}

/// Looks for one readable line. A long text in which none is found at once may still have some; bytes that are no text, and a short text
/// without any, are refused.
fn check_recording(prefix: &mut Prefix) -> Result<(), String> {
    const REFUSAL: &str = "is neither a capture (pcap, pcapng) nor a recording (NDJSON), plain, gzip or zstd";
    let mut checked = 0;
    // Whole lines that are at hand may be enough: a pipe may have no more to say for hours.
    let whole = prefix.seen().iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    if prefix.seen().get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').any(recording::recognises)
    {
        return Ok(());
    }
    loop {
        let more = prefix.seen().len() < SAMPLE_BYTES && prefix.see(prefix.seen().len() + 1);
        let seen = prefix.seen();
        let unchecked = seen.get(checked..).unwrap_or_default();
        // The last line may be going on, unless this is all there is.
        let lines = match unchecked.iter().rposition(|byte| *byte == b'\n') {
            Some(end) if more => unchecked.get(..=end).unwrap_or_default(),
            None if more => continue,
            _ => unchecked,
        };
        if lines.split(|byte| *byte == b'\n').any(recording::recognises) {
            return Ok(());
        }
        checked += lines.len();
        if more {
            continue;
        }
        let whole = seen.len() < SAMPLE_BYTES;
        return match prefix.failure() {
            Some(failure) if whole => {
                Err(format!("holds no readable record up to where it fails: {failure}"))
            }
            None if whole && seen.trim_ascii().is_empty() => Ok(()),
            None if !whole && is_text(seen) => Ok(()),
            _ => Err(REFUSAL.to_owned()),
        };
    }
}

/// Whether these bytes could be the beginning of a text.
fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // Cut within a character.
        Err(error) => error.error_len().is_none(),
    };
    valid && !bytes.iter().any(control)
}

/// Adds up what is read.
struct Counted<R> {
    input: R,
    progress: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The longest magic number: zstd, pcap, pcapng.
const MAGIC_BYTES: usize = 4;

/// Layers of compression that are taken off: a log shipper that compresses what was compressed already is seen, a third time is not.
const COMPRESSION_LAYERS: usize = 2;

/// How much of an input is looked at before it is taken for a recording or refused.
const SAMPLE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;
