//! From a capture file to the flow table: nanoseconds per packet, and memory with 100,000 live flows.
//!
//! Three captures are made first, the same in every run: a mix of short DNS and HTTP flows and longer ones; the same mix captured without
//! payload, which leaves reading, walk and table without identification; and a few downloads in full-sized segments. Before divan's
//! own table, a summary compares whole passes in turns: one that only reads the records, one that makes observations of them, and one
//! that leads them into the flow table.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::type_complexity,
    reason = "a benchmark reports to the terminal, on data of its own, and has nothing to say without them"
)]

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use tidemark::network::{FlowTable, Limits};
use tidemark::observation::{LinkType, Observation, Origin, Packet, PacketOwner, Timestamp};
use tidemark::source::capture;

fn main() {
    live_flows();
    for name in CAPTURES {
        compare(name);
    }
    divan::main();
    drop(fs::remove_dir_all(&captures().folder));
}

const CAPTURES: [&str; 3] = ["mix", "headers", "bulk"];

#[divan::bench(args = CAPTURES, sample_count = 10)]
fn records_only(bencher: Bencher<'_, '_>, name: &str) {
    let capture = captures().named(name);
    bencher.counter(ItemsCount::new(capture.packets)).bench(|| read_records(&capture.path));
}

#[divan::bench(args = CAPTURES, sample_count = 10)]
fn observations(bencher: Bencher<'_, '_>, name: &str) {
    let capture = captures().named(name);
    bencher.counter(ItemsCount::new(capture.packets)).bench(|| observe(&capture.path));
}

#[divan::bench(args = CAPTURES, sample_count = 10)]
fn flow_table(bencher: Bencher<'_, '_>, name: &str) {
    let capture = captures().named(name);
    bencher.counter(ItemsCount::new(capture.packets)).bench(|| assemble(&capture.path));
}

/// The floor: reads every record and looks at nothing but its length.
fn read_records(path: &Path) -> u64 {
    let mut reader =
        BufReader::with_capacity(BUFFER, File::open(path).expect("the capture was just written"));
    let mut file_header = [0; 24];
    reader.read_exact(&mut file_header).expect("a capture has a header");
    let (mut header, mut data) = ([0; 16], vec![0; BUFFER]);
    let mut bytes = 0;
    while reader.read_exact(&mut header).is_ok() {
        let captured = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        reader.read_exact(&mut data[..captured as usize]).expect("records are whole");
        bytes += u64::from(captured);
    }
    bytes
}

fn source(path: &Path) -> impl Iterator<Item = Observation> {
    let file = File::open(path).expect("the capture was just written");
    capture::open(file, "bench", Origin(0)).expect("it is a capture")
}

fn observe(path: &Path) -> u64 {
    let mut bytes = 0;
    for observation in source(path) {
        if let Observation::Packet(packet) = &observation {
            bytes += u64::from(packet.wire_length);
        }
    }
    bytes
}

fn assemble(path: &Path) -> u64 {
    let mut table = FlowTable::<()>::new(Limits::default());
    let mut told = 0;
    for observation in source(path) {
        if let Observation::Packet(packet) = &observation {
            table.packet(packet, &mut |update| {
                told += update.growth.wire_bytes_out + update.growth.wire_bytes_in
            });
        }
    }
    table.finish(&mut |update| told += update.growth.wire_bytes_out + update.growth.wire_bytes_in);
    told
}

/// Passes in turns, so that whatever else the machine does falls on all of them; in time on the processor, where that is known.
fn compare(name: &str) {
    let capture = captures().named(name);
    let passes: [(&str, fn(&Path) -> u64); 3] =
        [("records only", read_records), ("observations", observe), ("flow table", assemble)];
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((_, pass), times) in passes.iter().zip(&mut times) {
            let (start, start_on_processor) = (Instant::now(), on_processor());
            divan::black_box(pass(&capture.path));
            let elapsed = start.elapsed();
            let on_processor = on_processor().zip(start_on_processor).map(|(end, start)| end - start);
            times.push(on_processor.unwrap_or(elapsed));
        }
    }
    let per_packet = times.map(|mut times: Vec<Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64() * 1e9 / capture.packets as f64
    });
    println!("{name}: {} packets, {:.0} MB", capture.packets, capture.bytes as f64 / 1e6);
    for ((what, _), nanos) in passes.iter().zip(per_packet) {
        println!("  {what:12} {nanos:6.1} ns a packet, {:5.2} x records only", nanos / per_packet[0]);
    }
}

/// What the process holds with many flows at once: after an attempt each, after the answer, and after eight segments that say nothing.
fn live_flows() {
    let before = resident();
    // As much as the engine keeps with a flow.
    let mut table = FlowTable::<[u64; 6]>::new(Limits::default());
    let mut frames = Frames::default();
    let server = (Ipv4Addr::new(198, 51, 100, 1), 443);
    for round in 0..10 {
        for flow in 0..LIVE_FLOWS {
            let port = 1_024 + u16::try_from(flow >> 16).expect("fewer than 65,536 ports are used");
            let client = (Ipv4Addr::from_bits(0x0a00_0000 | (flow & 0xffff)), port);
            let frame = match round {
                0 => frames.tcp(client, server, true, 1, &[], 0),
                1 => frames.tcp(server, client, false, 1, &[], 0),
                _ => frames.tcp(client, server, false, round * 8, &[], 8),
            };
            table.packet(&packet(frame, Timestamp::from_seconds(i64::from(round), 0)), &mut |_| {});
        }
        if let (0 | 1 | 9, Some(before), Some(after)) = (round, before, resident()) {
            let each = (after - before) * f64::from(1 << 20) / f64::from(LIVE_FLOWS);
            println!(
                "{LIVE_FLOWS} live flows, {:2} packets each: {after:.1} MiB resident, {each:.0} bytes a flow",
                round + 1
            );
        }
    }
    assert_eq!(table.live(), LIVE_FLOWS as usize);
}

/// For how long this thread has run, where the system says so (Linux, Documentation/scheduler/sched-stats.rst).
fn on_processor() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Resident memory in MiB, where the system has `/proc`.
fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn packet(frame: &[u8], time: Timestamp) -> Packet {
    Packet {
        time,
        origin: Origin(0),
        interface: None,
        link_type: LinkType::ETHERNET,
        wire_length: u32::try_from(frame.len()).expect("frames are short"),
        data: Bytes::copy_from_slice(frame),
        direction: None,
        owner: PacketOwner::default(),
        flow_id: None,
    }
}

struct Captures {
    folder: PathBuf,
    mix: Capture,
    headers: Capture,
    bulk: Capture,
}

struct Capture {
    path: PathBuf,
    packets: u64,
    bytes: u64,
}

impl Captures {
    fn named(&self, name: &str) -> &Capture {
        match name {
            "mix" => &self.mix,
            "headers" => &self.headers,
            _ => &self.bulk,
        }
    }
}

fn captures() -> &'static Captures {
    static CAPTURES: OnceLock<Captures> = OnceLock::new();
    CAPTURES.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("tidemark-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let whole = write(&folder.join("mix.pcap"), usize::MAX, mix);
        let headers = write(&folder.join("headers.pcap"), HEADERS, mix);
        let bulk = write(&folder.join("bulk.pcap"), usize::MAX, bulk);
        Captures { folder, mix: whole, headers, bulk }
    })
}

fn write(path: &Path, snap: usize, make: fn(&mut dyn FnMut(&[u8]))) -> Capture {
    let mut out = BufWriter::new(File::create(path).expect("the temporary folder can be written"));
    let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1];
    out.write_all(&header.map(u32::to_le_bytes).concat()).expect("there is room");
    let (mut packets, mut bytes) = (0_u64, 0_u64);
    make(&mut |frame| {
        // Ten thousand packets a second.
        let micros = packets * 100;
        let length = u32::try_from(frame.len()).expect("frames are short");
        let frame = &frame[..frame.len().min(snap)];
        let captured = u32::try_from(frame.len()).expect("frames are short");
        let seconds = u32::try_from(1_700_000_000 + micros / 1_000_000).expect("before 2106");
        let record = [seconds, (micros % 1_000_000) as u32, captured, length];
        out.write_all(&record.map(u32::to_le_bytes).concat()).expect("there is room");
        out.write_all(frame).expect("there is room");
        packets += 1;
        bytes += u64::from(captured);
    });
    out.flush().expect("there is room");
    Capture { path: path.into(), packets, bytes }
}

/// Two thousand flows at a time, short and long, one packet of one of them after the other.
fn mix(emit: &mut dyn FnMut(&[u8])) {
    let (mut random, mut frames) = (Random(1), Frames::default());
    let mut serial = 0;
    let mut conversations: Vec<Conversation> =
        (0..2_000).map(|_| Conversation::new(&mut random, &mut serial)).collect();
    for _ in 0..400_000 {
        let place = random.below(conversations.len());
        let conversation = &mut conversations[place];
        emit(conversation.next(&mut random, &mut frames));
        if conversation.left == 0 {
            *conversation = Conversation::new(&mut random, &mut serial);
        }
    }
}

/// Downloads side by side: two full segments for each acknowledgement, a few packets of each in a row.
fn bulk(emit: &mut dyn FnMut(&[u8])) {
    let (mut random, mut frames) = (Random(2), Frames::default());
    let server = (Ipv4Addr::new(198, 51, 100, 1), 443);
    for round in 0..20_000 {
        let client = Ipv4Addr::from_bits(0x0a00_0001 + u32::try_from(random.below(64)).expect("small"));
        let client = (client, 50_000);
        for _ in 0..3 {
            emit(frames.tcp(server, client, false, round, &[], 1_448));
            emit(frames.tcp(server, client, false, round, &[], 1_448));
            emit(frames.tcp(client, server, false, round, &[], 0));
        }
    }
}

struct Conversation {
    client: Ipv4Addr,
    server: Ipv4Addr,
    port: u16,
    is_udp: bool,
    sent: usize,
    left: usize,
}

impl Conversation {
    fn new(random: &mut Random, serial: &mut u32) -> Self {
        *serial += 1;
        let kind = random.below(100);
        Self {
            client: Ipv4Addr::from_bits(0x0a00_0000 | (*serial & 0xff)),
            server: Ipv4Addr::from_bits(0xc633_6400 | ((*serial * 7) & 0x3ff)),
            port: u16::try_from(1_024 + (*serial >> 8)).expect("fewer than 2^24 conversations"),
            is_udp: kind < 45,
            sent: 0,
            // Nearly half are a question and an answer, most of the rest a page, a few go on and on.
            left: if kind < 45 { 2 } else { 8 + random.below(if kind < 97 { 32 } else { 400 }) },
        }
    }

    fn next<'a>(&mut self, random: &mut Random, frames: &'a mut Frames) -> &'a [u8] {
        self.left -= 1;
        self.sent += 1;
        let server_port = if self.is_udp { 53 } else { 80 };
        let (client, server) = ((self.client, self.port), (self.server, server_port));
        if self.is_udp {
            return match self.sent {
                1 => frames.udp(client, server, DNS_QUERY),
                _ => frames.udp(server, client, DNS_ANSWER),
            };
        }
        let (outward, text, payload) = match self.sent {
            1 => (true, &[][..], 0),
            2 => (true, HTTP_REQUEST, HTTP_REQUEST.len()),
            3 => (false, HTTP_RESPONSE, 1_448),
            _ => match random.below(10) {
                0..=3 => (true, &[][..], 0),
                4..=6 => (random.below(2) == 0, &[][..], random.below(600)),
                _ => (false, &[][..], 1_448),
            },
        };
        let (from, to) = if outward { (client, server) } else { (server, client) };
        let sequence = u32::try_from(self.sent).expect("conversations are short") * 2_000;
        frames.tcp(from, to, self.sent == 1, sequence, text, payload)
    }
}

/// Makes Ethernet frames in one buffer. Behind its text, the payload is bytes that no protocol begins with.
#[derive(Default)]
struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    fn tcp(
        &mut self,
        from: (Ipv4Addr, u16),
        to: (Ipv4Addr, u16),
        syn: bool,
        sequence: u32,
        text: &[u8],
        payload: usize,
    ) -> &[u8] {
        self.ip(from.0, to.0, 6, 32 + payload);
        self.ports(from.1, to.1);
        self.buffer.extend(sequence.to_be_bytes());
        self.buffer.extend([0; 4]);
        self.buffer.extend([0x80, if syn { 0x02 } else { 0x10 }]);
        self.buffer.extend([0; 18]);
        self.payload(text, payload)
    }

    fn udp(&mut self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), text: &[u8]) -> &[u8] {
        self.ip(from.0, to.0, 17, 8 + text.len());
        self.ports(from.1, to.1);
        self.buffer.extend(u16::try_from(8 + text.len()).expect("datagrams are short").to_be_bytes());
        self.buffer.extend([0; 2]);
        self.payload(text, text.len())
    }

    fn ip(&mut self, from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: usize) {
        self.buffer.clear();
        self.buffer.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0]);
        self.buffer.extend(u16::try_from(20 + payload).expect("packets are short").to_be_bytes());
        self.buffer.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        self.buffer.extend(from.octets());
        self.buffer.extend(to.octets());
    }

    fn ports(&mut self, port: u16, to_port: u16) {
        self.buffer.extend(port.to_be_bytes());
        self.buffer.extend(to_port.to_be_bytes());
    }

    fn payload(&mut self, text: &[u8], length: usize) -> &[u8] {
        let end = self.buffer.len() + length;
        self.buffer.extend(text);
        self.buffer.resize(end, 0xa7);
        &self.buffer
    }
}

/// A linear congruential generator (Knuth, MMIX): the same captures in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

const DNS_QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";
const DNS_ANSWER: &[u8] =
    b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01\
    \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
const HTTP_REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8.7.1\r\nAccept: */*\r\n\r\n";
const HTTP_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n";

/// Ethernet, IP and TCP headers with their options: all that is left of a packet where payload is not captured.
const HEADERS: usize = 66;
/// Bytes read at a time: what the capture reader takes as well.
const BUFFER: usize = 128 * 1024;
const ROUNDS: usize = 7;
const LIVE_FLOWS: u32 = 100_000;
