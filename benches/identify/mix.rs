//! Makes the captures that are measured.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tidemark::observation::{LinkType, Observation, Origin};
use tidemark::source::capture;

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Made {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// A frame, and when it passes within its window, in microseconds.
struct Frame {
    at: u64,
    wire_length: u32,
    data: bytes::Bytes,
}

/// Lays all Ethernet captures of a folder over each other, squeezed into windows of 60 s each, again and again with addresses of their
/// own, until `size` bytes are written.
pub(crate) fn interleave(folder: &Path, target: &Path, size: u64) -> io::Result<Made> {
    let mut paths: Vec<_> = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort_unstable();
    let mut frames: Vec<Frame> = paths.iter().flat_map(|path| ethernet_frames(path)).collect();
    // Stable: within one instant, frames keep the order of their captures.
    frames.sort_by_key(|frame| frame.at);
    let mut writer = Writer::create(target)?;
    for round in 0_u8.. {
        for frame in &frames {
            let mut data = frame.data.to_vec();
            readdress(&mut data, round);
            writer.frame(u64::from(round) * WINDOW_MICROS + frame.at, frame.wire_length, &data)?;
        }
        if writer.made.bytes >= size || round == u8::MAX || frames.is_empty() {
            break;
        }
    }
    writer.finish()
}

/// 64 downloads over TLS at once: a hello each, then records in segments of full size, and an acknowledgement for every second one.
pub(crate) fn downloads(target: &Path, size: u64) -> io::Result<Made> {
    let mut writer = Writer::create(target)?;
    let mut sequences = [1_u32; 64];
    let mut at = 0;
    for (number, sequence) in (0_u8..).zip(&mut sequences) {
        for (from_client, flags, number_of_byte) in [(true, SYN, 0), (false, SYN | ACK, 0)] {
            writer.frame(at, 54, &tcp(number, from_client, flags, number_of_byte, &[]))?;
        }
        writer.frame(at, 0, &tcp(number, true, ACK, 1, HELLO))?;
        *sequence = 1;
    }
    // One record of TLS holds eleven such segments; the payload of each begins as a record would not, except the first.
    let mut payload = vec![0x5a; SEGMENT as usize];
    while writer.made.bytes < size {
        for (number, sequence) in (0_u8..).zip(&mut sequences) {
            at += 10;
            if *sequence == 1 {
                payload.splice(..5, [0x17, 3, 3, 0x40, 0]);
            }
            writer.frame(at, 0, &tcp(number, false, ACK, *sequence, &payload))?;
            *sequence = sequence.wrapping_add(SEGMENT);
            if (*sequence / SEGMENT).is_multiple_of(2) {
                writer.frame(at, 0, &tcp(number, true, ACK, AFTER_HELLO, &[]))?;
            }
        }
    }
    writer.finish()
}

fn ethernet_frames(path: &Path) -> Vec<Frame> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let Ok(source) = capture::open(file, path.to_string_lossy(), Origin(0)) else { return Vec::new() };
    let packets: Vec<_> = source
        .filter_map(|observation| match observation {
            Observation::Packet(packet) if packet.link_type == LinkType::ETHERNET => Some(packet),
            _ => None,
        })
        .collect();
    let times = packets.iter().map(|packet| packet.time.as_nanos() / 1_000);
    let (Some(first), Some(last)) = (times.clone().min(), times.max()) else { return Vec::new() };
    let span = u64::try_from(last - first).unwrap_or_default().max(WINDOW_MICROS);
    packets
        .into_iter()
        .map(|packet| {
            let since = u64::try_from(packet.time.as_nanos() / 1_000 - first).unwrap_or_default();
            let at = u128::from(since) * u128::from(WINDOW_MICROS) / u128::from(span);
            Frame {
                at: u64::try_from(at).unwrap_or_default(),
                wire_length: packet.wire_length,
                data: packet.data,
            }
        })
        .collect()
}

/// Gives both ends of an IP packet addresses that belong to the round.
fn readdress(frame: &mut [u8], round: u8) {
    let mut network = 14;
    let mut kind = frame
        .get(12..14)
        .map_or(0, |bytes| bytes.iter().fold(0, |value, byte| value << 8 | u16::from(*byte)));
    while matches!(kind, 0x8100 | 0x88a8) {
        kind = frame
            .get(network + 2..network + 4)
            .map_or(0, |bytes| bytes.iter().fold(0, |value, byte| value << 8 | u16::from(*byte)));
        network += 4;
    }
    // The second byte of IPv4 addresses, the fourth of IPv6 ones.
    let places = match kind {
        0x0800 => [13, 17],
        0x86dd => [11, 27],
        _ => return,
    };
    for place in places {
        if let Some(byte) = frame.get_mut(network + place) {
            *byte ^= round;
        }
    }
}

fn tcp(number: u8, from_client: bool, flags: u8, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, number], [198, 51, 100, number]);
    let (source, target) = if from_client { (client, server) } else { (server, client) };
    let (source_port, target_port): (u16, u16) = if from_client { (50_000, 443) } else { (443, 50_000) };
    let [total_high, total_low] = u16::try_from(40 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0, 0x45, 0, total_high, total_low, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(source);
    frame.extend(target);
    frame.extend(source_port.to_be_bytes());
    frame.extend(target_port.to_be_bytes());
    frame.extend(sequence.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// Writes a pcap file with microseconds.
struct Writer {
    out: BufWriter<File>,
    made: Made,
}

impl Writer {
    fn create(path: &Path) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 1] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { out, made: Made::default() })
    }

    /// Writes one frame; a wire length below that of the data means that nothing was cut.
    fn frame(&mut self, at: u64, wire_length: u32, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(at / 1_000_000).unwrap_or(u32::MAX);
        for word in [seconds, (at % 1_000_000) as u32, length, wire_length.max(length)] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(data)?;
        self.made.packets += 1;
        self.made.bytes += u64::from(length) + 16;
        Ok(())
    }

    fn finish(mut self) -> io::Result<Made> {
        self.out.flush()?;
        Ok(self.made)
    }
}

const WINDOW_MICROS: u64 = 60_000_000;
/// The client's sequence number behind its hello.
const AFTER_HELLO: u32 = 1 + HELLO.len() as u32;
/// Payload of a full-sized segment, in bytes.
const SEGMENT: u32 = 1_460;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// A `ClientHello` for `a.example`, with one cipher suite.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x3f\x01\x00\x00\x3b\x03\x03\
01234567890123456789012345678901\x00\x00\x02\x13\x01\x01\x00\x00\x10\x00\x00\x00\x0c\x00\x0a\x00\x00\x07example";
