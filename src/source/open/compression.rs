//! Layers of compression.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// A compression that is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// By the first four bytes. The frame of gzip must name the one method there is, so that few other files look like it.
    pub(super) fn of(prefix: &[u8]) -> Option<Self> {
        match prefix {
            [0x1F, 0x8B, 0x08, ..] => Some(Self::Gzip),
            // A frame, or one of the sixteen kinds of skippable frame, with which parallel compressors begin.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What was compressed. Several members or frames in a row are one input. Where the input is cut off or damaged, everything before
    /// the damage is given out, then the error.
    pub(super) fn decoder(self, input: impl Read + Send + 'static) -> Box<dyn Read + Send> {
        let input = BufReader::new(input);
        match self {
            Self::Gzip => Box::new(Gzip(MultiGzDecoder::new(input))),
            Self::Zstd => Box::new(Zstd::new(input)),
        }
    }
}

/// Gzip, whose errors say so.
struct Gzip<R>(MultiGzDecoder<R>);

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the gzip data are cut off"),
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, format!("the gzip data are damaged: {error}")),
        })
    }
}

/// Zstandard: frame after frame.
struct Zstd<R> {
    input: R,
    decoder: FrameDecoder,
    within_frame: bool,
    /// Kept until everything before it was given out.
    failure: Option<io::Error>,
}

impl<R: BufRead> Zstd<R> {
    fn new(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Self { input, decoder, within_frame: false, failure: None }
    }

    /// Begins the next frame; `false` at the end of the input.
    fn begin_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.input.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut (&mut self.input).take(length), &mut io::sink())? < length {
                        return Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the zstd data are cut off",
                        ));
                    }
                }
                Err(error) => return Err(damaged(&error)),
            }
        }
    }

    /// Decodes until there is something to give out or the frame ends.
    fn decode(&mut self) {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            if let Err(error) =
                self.decoder.decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
            {
                self.failure = Some(damaged(&error));
                // The decoder holds back as much as a later block may refer to. A last block without content makes it give out all.
                let end: &[u8] = &LAST_EMPTY_BLOCK;
                if self.decoder.decode_blocks(end, BlockDecodingStrategy::UptoBlocks(1)).is_err() {
                    return;
                }
            }
        }
    }

    /// Compares the frame's checksum, which is reckoned as bytes are given out.
    fn check(&mut self) {
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            let what = "the zstd data are damaged: the checksum does not match";
            self.failure.get_or_insert(io::Error::new(io::ErrorKind::InvalidData, what));
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.within_frame {
                let read = self.decoder.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
                if self.failure.is_none() && !self.decoder.is_finished() {
                    self.decode();
                    continue;
                }
                self.within_frame = false;
                self.check();
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if !self.begin_frame()? {
                return Ok(0);
            }
            self.within_frame = true;
        }
    }
}

fn damaged(error: &FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zstd data are cut off or damaged: {error}"))
}

/// The largest window that a frame may ask for, in bytes: what the `zstd` tool itself accepts without being told
/// (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`, 27 bits).
const ZSTD_WINDOW: u64 = 1 << 27;

/// RFC 8878, 3.1.1.2: a raw block, last of its frame, of length zero; and a checksum, should the frame have one.
const LAST_EMPTY_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
