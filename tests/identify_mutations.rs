//! Mutated conversations: whatever the bytes, identification ends, keeps within its memory and does not panic.
//!
//! The seeds are the recordings of `tests/captures` and, where they lie beside the project, those of `../shared/data`. Each input is the
//! beginning of one flow of a seed with its bytes, lengths, order and direction changed. `TIDEMARK_MUTATIONS` sets how many inputs are
//! tried and `TIDEMARK_MUTATION_SEED` from where; both runs of the same numbers try the same inputs.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;

use tidemark::network::identify::{Identified, Identifier, Inspection, Segment, Start};
use tidemark::observation::{LinkType, Observation, Origin, Timestamp, Transport};
use tidemark::source::capture;

/// Inputs that an ordinary test run tries.
const MUTATIONS: u64 = 200_000;
/// The cap that `Identifier::held_bytes` promises.
const CAP: usize = 1 << 20;
/// Payloads of a flow that are kept: more than an inspection looks at.
const PAYLOADS: usize = 12;
/// Flows that are open at a time, so that inputs meet the state that others left.
const OPEN: usize = 64;

#[derive(Debug, Clone)]
struct Conversation {
    transport: Transport,
    ports: [u16; 2],
    /// Whether the end that sent first sent it, and what.
    payloads: Vec<(bool, Vec<u8>)>,
}

#[test]
fn mutated_conversations_do_no_harm() {
    let seeds = seeds();
    assert!(seeds.len() >= 20, "the recordings of this folder give at least so many flows");
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let mut random = Random(number("TIDEMARK_MUTATION_SEED", 1));
    let mut identifier = Identifier::default();
    let mut open = Vec::new();
    let inputs = number("TIDEMARK_MUTATIONS", MUTATIONS);
    for _ in 0..inputs {
        let mut conversation = random.of(&seeds).clone();
        let other = random.of(&seeds);
        for _ in 0..=random.below(4) {
            mutate(&mut conversation, other, &mut random);
        }
        open.push(speak(&mut identifier, &conversation, &mut random));
        assert!(identifier.held_bytes() <= CAP);
        if open.len() > OPEN {
            let (inspection, start, mut identified) = open.swap_remove(random.below(OPEN));
            identifier.finish(inspection, &start, &mut identified);
            assert!(identified.protocol.is_some());
        }
    }
    for (inspection, start, mut identified) in open {
        identifier.finish(inspection, &start, &mut identified);
    }
    assert_eq!(identifier.held_bytes(), 0);
    println!("{inputs} mutated inputs from {} conversations", seeds.len());
}

/// Hands a conversation to the identifier, with sequence numbers that mostly fit.
fn speak(
    identifier: &mut Identifier,
    conversation: &Conversation,
    random: &mut Random,
) -> (Inspection, Start, Identified) {
    let [client, server] = conversation.ports;
    let start = Start {
        origin: Origin(0),
        transport: conversation.transport,
        client: SocketAddr::from(([192, 0, 2, 1], client)),
        server: SocketAddr::from(([198, 51, 100, 7], server)),
        midstream: random.below(8) == 0,
    };
    let mut identified = Identified::default();
    let mut inspection = identifier.begin(&start, &mut identified);
    let mut next = [random.next() as u32, random.next() as u32];
    for (place, (from_client, payload)) in conversation.payloads.iter().enumerate() {
        if inspection.is_done() {
            break;
        }
        let sequence = &mut next[usize::from(*from_client)];
        let strayed = match random.below(16) {
            0 => sequence.wrapping_add(random.below(600) as u32),
            1 => sequence.wrapping_sub(random.below(600) as u32),
            _ => *sequence,
        };
        let segment = Segment {
            time: Timestamp::from_nanos(place as i64 * 100_000_000),
            from_client: *from_client,
            sequence: strayed,
            syn: place == 0 && random.below(4) == 0,
            end: false,
            payload,
            wire_payload: payload.len() as u32 + random.of(&[0, 0, 0, 0, 0, 0, 0, 40]),
        };
        identifier.segment(&mut inspection, &start, segment, &mut identified);
        *sequence = sequence.wrapping_add(payload.len() as u32);
    }
    (inspection, start, identified)
}

fn mutate(conversation: &mut Conversation, other: &Conversation, random: &mut Random) {
    let place = random.below(conversation.payloads.len());
    let (from_client, payload) = &mut conversation.payloads[place];
    let at = random.below(payload.len());
    match random.below(12) {
        0 => payload.truncate(at),
        1 | 2 => payload[at] ^= 1 << random.below(8),
        3 => payload[at] = *random.of(&[0, 1, 0x20, 0x7f, 0x80, 0xff]),
        4 => {
            let boundary =
                *random.of(&[0_u32, 1, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
            let bytes = if random.below(2) == 0 { boundary.to_be_bytes() } else { boundary.to_le_bytes() };
            for (target, byte) in payload[at..].iter_mut().zip(&bytes[random.below(4)..]) {
                *target = *byte;
            }
        }
        5 => {
            let (_, donor) = random.of(&other.payloads);
            let from = random.below(donor.len());
            payload.truncate(at);
            payload.extend_from_slice(&donor[from..]);
        }
        6 => {
            let tail = payload.split_off(at);
            let from_client = *from_client;
            if !tail.is_empty() {
                conversation.payloads.insert(place + 1, (from_client, tail));
            }
        }
        7 => *from_client = !*from_client,
        8 => {
            let with = random.below(conversation.payloads.len());
            conversation.payloads.swap(place, with);
        }
        9 => {
            let repeated = payload[at..].to_vec();
            payload.splice(at..at, repeated);
            payload.truncate(4_096);
        }
        10 => drop(payload.drain(..at)),
        _ => {
            conversation.ports[random.below(2)] =
                *random.of(&[21, 25, 53, 80, 123, 443, 1_080, 3_478, 4_500, 50_999])
        }
    }
    for (_, payload) in &mut conversation.payloads {
        if payload.is_empty() {
            payload.push(0);
        }
    }
}

/// The beginnings of the flows of all recordings at hand.
fn seeds() -> Vec<Conversation> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = project.join("../shared/data/protocol-id");
    let mut folders = vec![project.join("tests/captures")];
    if shared.is_dir() {
        folders.extend(["ndpi/pcap", "ext/pcap", "ja4/pcap"].map(|folder| shared.join(folder)));
    } else {
        println!("only the project's own recordings: {} is absent", shared.display());
    }
    let mut paths: Vec<_> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort_unstable();
    paths.iter().flat_map(|path| conversations(path)).collect()
}

/// The beginnings of the TCP and UDP flows over IPv4 in one capture, read as simply as can be.
fn conversations(path: &Path) -> Vec<Conversation> {
    let Ok(source) =
        File::open(path).map_err(drop).and_then(|file| capture::open(file, "seed", Origin(0)).map_err(drop))
    else {
        return Vec::new();
    };
    let mut flows: Vec<Conversation> = Vec::new();
    let mut places: HashMap<[u8; 13], (usize, bool)> = HashMap::new();
    for observation in source.take(5_000) {
        let Observation::Packet(packet) = observation else { continue };
        if packet.link_type != LinkType::ETHERNET {
            continue;
        }
        let Some((key, reverse, transport, ports, payload)) = dissect(&packet.data) else { continue };
        if payload.is_empty() {
            continue;
        }
        let (place, from_client) = *places.entry(key).or_insert_with(|| {
            flows.push(Conversation { transport, ports, payloads: Vec::new() });
            (flows.len() - 1, true)
        });
        places.entry(reverse).or_insert((place, !from_client));
        if flows[place].payloads.len() < PAYLOADS {
            flows[place].payloads.push((from_client, payload.to_vec()));
        }
    }
    flows
}

type Dissected<'a> = ([u8; 13], [u8; 13], Transport, [u16; 2], &'a [u8]);

fn dissect(frame: &[u8]) -> Option<Dissected<'_>> {
    let packet = frame.strip_prefix(frame.get(..12)?)?.strip_prefix(&[8, 0])?;
    let total = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let packet = packet.get(..total).unwrap_or(packet);
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let (addresses, segment) = (packet.get(12..20)?, packet.get(header..)?);
    let ports = [
        u16::from_be_bytes([*segment.first()?, *segment.get(1)?]),
        u16::from_be_bytes([*segment.get(2)?, *segment.get(3)?]),
    ];
    let (transport, offset) = match packet.get(9)? {
        6 => (Transport::Tcp, usize::from(segment.get(12)? >> 4) * 4),
        17 => (Transport::Udp, 8),
        _ => return None,
    };
    let key = |swap: bool| {
        let mut key = [0; 13];
        key[0] = transport.number();
        key[1..9].copy_from_slice(addresses);
        key[9..13].copy_from_slice(&segment[..4]);
        if swap {
            key[1..9].rotate_left(4);
            key[9..13].rotate_left(2);
        }
        key
    };
    Some((key(false), key(true), transport, ports, segment.get(offset..)?))
}

/// `xorshift64*` (Vigna, 2016): the same numbers from the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 where that is 0.
    fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) as usize).checked_rem(bound).unwrap_or(0)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}
