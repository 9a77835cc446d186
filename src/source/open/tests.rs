//! What is opened as what, and what is refused.

use std::fmt::Write as _;
use std::io::{Cursor, Write};

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;
use crate::observation::Observation;
use crate::source::SourceReport;

/// A recording of that many gaps, which differ enough not to compress to nothing.
fn recording(lines: u32) -> Vec<u8> {
    let mut text = String::new();
    for number in 0..lines {
        let scattered = number.wrapping_mul(2_654_435_761);
        writeln!(
            text,
            "{{\"gap\":{{\"time\":\"2026-01-01T00:00:00Z\",\"source\":\"{scattered:08x}\",\"lost\":{number}}}}}"
        )
        .unwrap();
    }
    text.into_bytes()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    compress_to_vec(data, CompressionLevel::Fastest)
}

fn open_bytes(data: impl Into<Vec<u8>>) -> Result<Box<dyn Source + Send>, OpenError> {
    open_reader(Cursor::new(data.into()), Path::new("test"), &OpenOptions::default())
}

/// The numbers of the gaps read, and the account.
fn numbers(data: impl Into<Vec<u8>>) -> (Vec<u64>, SourceReport) {
    let mut source = open_bytes(data).unwrap();
    let number = |observation| match observation {
        Observation::Gap(gap) => gap.lost,
        _ => None,
    };
    let numbers = source.by_ref().filter_map(number).collect();
    (numbers, source.report().clone())
}

fn refusal(data: impl Into<Vec<u8>>) -> String {
    match open_bytes(data) {
        Ok(_) => panic!("was opened"),
        Err(error) => {
            assert!(error.is_bad_data());
            error.to_string()
        }
    }
}

#[test]
fn layers_of_compression_are_taken_off() {
    let plain = recording(3);
    for data in [plain.clone(), gzip(&plain), zstd(&plain), gzip(&zstd(&plain)), zstd(&gzip(&plain))] {
        let (read, report) = numbers(data);
        assert_eq!(read, [0, 1, 2]);
        assert_eq!((report.malformed, report.bytes), (0, plain.len() as u64));
        assert_eq!(report.ended_early, None);
    }
    assert_eq!(refusal(gzip(&gzip(&gzip(&plain)))), "test: is compressed more than 2 times");
}

#[test]
fn members_and_frames_in_a_row_are_one_input() {
    let whole = recording(40);
    let (first, second) = whole.split_at(1_000);
    assert_eq!(numbers([gzip(first), gzip(second)].concat()).0.len(), 40);
    let skippable = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 9, 9, 9];
    let frames = [&skippable[..], &zstd(first), &skippable, &zstd(second), &skippable].concat();
    let (read, report) = numbers(frames);
    assert_eq!((read.len(), report.ended_early), (40, None));
}

#[test]
fn damage_in_compressed_data_is_reported_after_what_was_read() {
    let data = recording(20_000);
    for (compressed, words) in [(gzip(&data), "gzip"), (zstd(&data), "zstd")] {
        let mut damaged = compressed.clone();
        let middle = damaged.len() / 2;
        damaged.truncate(middle);
        let (read, report) = numbers(damaged);
        assert!(read.len() > 5_000, "{words}: {}", read.len());
        let fault = report.ended_early.unwrap();
        assert!(fault.what.contains(words), "{fault}");
    }
    let mut odd = zstd(&data);
    *odd.last_mut().unwrap() ^= 1;
    let (read, report) = numbers(odd);
    assert_eq!(read.len(), 20_000);
    assert!(report.ended_early.unwrap().what.contains("checksum"));
}

#[test]
fn captures_are_known_by_their_magic() {
    let pcap = [0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 1, 0, 0, 0];
    for data in [pcap.to_vec(), gzip(&pcap)] {
        let (read, report) = numbers(data);
        assert_eq!((read.len(), report.malformed), (0, 0));
        assert!(report.ended_early.is_none());
    }
    assert!(refusal(&pcap[..10]).contains("file header"), "{}", refusal(&pcap[..10]));
}

#[test]
fn an_input_that_holds_nothing_is_no_error() {
    for data in [Vec::new(), b"\n \r\n".to_vec(), gzip(b"")] {
        assert!(numbers(data).0.is_empty());
    }
}

#[test]
fn what_is_plainly_something_else_is_refused() {
    let binary: Vec<u8> =
        (0..200_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1] | 1).collect();
    let log = b"Nov 24 08:00:00 mac kernel[0]: nothing of interest\n";
    for data in
        [binary.clone(), binary[..100].to_vec(), log.to_vec(), b"{\"alert\":1}\n".to_vec(), gzip(&binary)]
    {
        assert!(refusal(data).contains("neither a capture"));
    }
    assert!(refusal(b"\x1F\x8B\x08").contains("gzip"));
    assert!(refusal(&zstd(&binary)[..20]).contains("zstd"));
}

#[test]
fn a_record_behind_a_long_text_is_still_found() {
    let log = b"Nov 24 08:00:00 mac kernel[0]: nothing of interest\n".repeat(4_000);
    let (read, report) = numbers([log, recording(2)].concat());
    assert_eq!((read.len(), report.malformed), (2, 4_000));
    // And behind a line of 100 MB, which is never held.
    let endless = io::repeat(b'x').take(100_000_000).chain(&b"\n"[..]).chain(Cursor::new(recording(1)));
    let mut source = open_reader(endless, Path::new("test"), &OpenOptions::default()).unwrap();
    assert_eq!(source.by_ref().count(), 1);
    assert_eq!(source.report().malformed, 1);
}

#[test]
fn a_slow_pipe_is_read_no_further_than_needed() {
    /// Gives out a few bytes at a time, and fails the test where more is asked for than its beginning.
    struct Pipe(Cursor<Vec<u8>>);
    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(self.0.position() < 400, "read ahead");
            let few = buffer.len().min(50);
            self.0.read(&mut buffer[..few])
        }
    }
    assert!(
        open_reader(Pipe(Cursor::new(recording(100))), Path::new("test"), &OpenOptions::default()).is_ok()
    );
}

#[test]
fn a_path_that_cannot_be_read_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let opened = |path: &Path| open(path, &OpenOptions::default()).err().unwrap();
    assert!(matches!(opened(directory.path()), OpenError::Directory { .. }));
    let missing = opened(&directory.path().join("none"));
    assert!(missing.to_string().ends_with("none: there is no such file"));
    assert!(!missing.is_bad_data());
}

#[test]
fn progress_counts_the_bytes_of_the_file() {
    let data = gzip(&recording(1_000));
    let length = data.len() as u64;
    let progress = Arc::new(AtomicU64::new(0));
    let options = OpenOptions { progress: Some(Arc::clone(&progress)), ..OpenOptions::default() };
    let source = open_reader(Cursor::new(data), Path::new("test"), &options).unwrap();
    assert_eq!(source.count(), 1_000);
    assert_eq!(progress.load(Ordering::Relaxed), length);
}

proptest! {
    #[test]
    fn of_a_compressed_recording_cut_anywhere_a_beginning_is_read(cut: prop::sample::Index, lines in 1..400_u32) {
        for compressed in [gzip(&recording(lines)), zstd(&recording(lines))] {
            let cut = cut.index(compressed.len());
            if let Ok(source) = open_bytes(&compressed[..cut]) {
                let read: Vec<_> = source.filter_map(|seen| match seen { Observation::Gap(gap) => gap.lost, _ => None }).collect();
                prop_assert!(read.iter().copied().eq(0..read.len() as u64));
                prop_assert!(read.len() <= lines as usize);
            }
        }
    }

    #[test]
    fn no_damage_to_a_compressed_recording_panics(place: prop::sample::Index, byte: u8, lines in 1..200_u32) {
        for mut compressed in [gzip(&recording(lines)), zstd(&recording(lines))] {
            let place = place.index(compressed.len());
            compressed[place] = byte;
            if let Ok(source) = open_bytes(compressed) {
                source.for_each(drop);
            }
        }
    }
}

/// A pipe to which one line was written, and which nobody will write to for hours.
struct Quiet(Option<&'static [u8]>);

impl Read for Quiet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.0.take().expect("it waits for a line that does not come");
        buffer[..line.len()].copy_from_slice(line);
        Ok(line.len())
    }
}

#[test]
fn one_line_of_a_pipe_is_enough_to_know_what_it_carries() {
    let line = b"{\"clock\":{\"time\":\"2026-01-01T00:00:00Z\"}}\n";
    let mut source = open_reader(Quiet(Some(line)), Path::new("pipe"), &OpenOptions::default()).unwrap();
    assert!(matches!(source.next(), Some(Observation::Clock(_))));
}
