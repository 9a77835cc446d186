//! Real captures, where they are at hand: every packet is judged by the expectations beside the file, or by a second reader.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use super::*;
use crate::observation::{Direction, LinkType};

/// The folder of shared test data, if it is there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    if !path.is_dir() {
        println!("skipped: there is no {}", path.display());
    }
    path.is_dir().then_some(path)
}

/// All captures below a folder, in the order of their paths.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng" || kind == "cap")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read_file(path: &Path) -> Outcome {
    read_from(File::open(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A line of `expected.tsv`: pid, name, effective pid, effective name, direction; `-` where there is none.
fn attribution(packet: &Packet) -> String {
    let number = |pid: Option<i32>| pid.map_or("-".to_owned(), |pid| pid.to_string());
    let owner = &packet.owner;
    let direction = match packet.direction {
        Some(Direction::Inbound) => "in",
        Some(Direction::Outbound) => "out",
        None => "-",
    };
    [
        &number(owner.pid),
        owner.name.as_deref().unwrap_or("-"),
        &number(owner.effective_pid),
        owner.effective_name.as_deref().unwrap_or("-"),
        direction,
    ]
    .join("\t")
}

#[test]
fn processes_of_apple_s_captures_are_as_expected() {
    let Some(folder) = data("pktap/apple-darwin-pib") else { return };
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let table = fs::read_to_string(folder.join("expected.tsv")).unwrap();
    for line in table.lines().skip(1) {
        let [capture, _, attribution] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        expected.entry(capture.to_owned()).or_default().push(attribution.to_owned());
    }
    let mut judged = 0;
    for (capture, expected) in expected {
        let packets = read_file(&folder.join(&capture)).packets;
        assert_eq!(packets.iter().map(attribution).collect::<Vec<_>>(), expected, "{capture}");
        judged += packets.len();
    }
    assert_eq!(judged, 221);
}

#[test]
fn the_conformance_set_is_read_packet_for_packet() {
    let Some(folder) = data("pktap/pcapng-conformance") else { return };
    let captures = captures(&folder);
    assert_eq!(captures.len(), 24);
    for capture in captures {
        // The description counts blocks: `EPB: 3`.
        let description = fs::read_to_string(capture.with_extension("txt")).unwrap();
        let packets: usize = description
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
            .filter(|(block, _)| ["EPB", "SPB", "PB"].contains(block))
            .map(|(_, count)| count.parse::<usize>().unwrap())
            .sum();
        let outcome = read_file(&capture);
        assert_eq!(outcome.packets.len(), packets, "{}", capture.display());
        assert_eq!((outcome.report.malformed, outcome.ended_at()), (0, None), "{}", capture.display());
        assert_eq!(outcome.report.bytes, fs::metadata(&capture).unwrap().len());
    }
}

#[test]
fn captures_of_tcpdump_s_tests_lose_their_packet_tap_header() {
    let Some(folder) = data("pktap/tcpdump-group") else { return };
    for capture in ["LINKTYPE_PKTAP.pcap", "LINKTYPE_USER2_PKTAP.pcap"] {
        let outcome = read_file(&folder.join(capture));
        let [packet] = &outcome.packets[..] else { panic!("{capture}") };
        assert_eq!((packet.link_type, packet.wire_length, packet.data.len()), (LinkType::ETHERNET, 74, 74));
        assert_eq!(packet.interface.as_deref(), Some("en0"));
        assert_eq!(attribution(packet), "512\t-\t-\t-\tout");
    }
    let hostile = read_file(&folder.join("pktap-heap-overflow.pcap"));
    assert!(hostile.packets.iter().all(|packet| packet.link_type == LinkType::USER2));
}

/// Captures in which a record is really broken: a fuzzer's, with a frame of 4 GB on the wire.
const BROKEN: [&str; 1] = ["fuzz-2021-06-07-c6c72a0a56.pcap"];

#[test]
fn a_second_reader_sees_the_same_packets() {
    let folders = ["protocol-id", "pktap"].map(data);
    let captures: Vec<PathBuf> = folders.iter().flatten().flat_map(|folder| captures(folder)).collect();
    let (mut judged, mut packets) = (0, 0);
    for capture in &captures {
        let name = capture.display();
        let outcome = read_file(capture);
        packets += outcome.packets.len();
        let broken = BROKEN.contains(&capture.file_name().unwrap().to_str().unwrap());
        assert_eq!(outcome.report.malformed > 0, broken, "{name}: {:?}", outcome.report);
        assert_eq!(outcome.ended_at(), None, "{name}");
        if broken {
            continue;
        }
        if let Some(second) = second_opinion(capture) {
            let first = outcome.packets.iter().map(|packet| Frame {
                nanoseconds: packet.time.as_nanos().into(),
                wire_length: packet.wire_length,
                data: packet.data.to_vec(),
            });
            assert!(first.eq(second), "{name}");
            judged += 1;
        }
    }
    println!("{packets} packets of {} captures, {judged} of them read by pcap-parser too", captures.len());
    assert!(judged * 100 >= captures.len() * 99, "{judged} of {}", captures.len());
}

#[derive(Debug, PartialEq)]
struct Frame {
    nanoseconds: i128,
    wire_length: u32,
    data: Vec<u8>,
}

impl Frame {
    fn new(nanoseconds: i128, wire_length: u32, data: &[u8]) -> Self {
        let captured = u32::try_from(data.len()).unwrap();
        Self { nanoseconds, wire_length: wire_length.max(captured), data: data.to_vec() }
    }
}

/// What pcap-parser reads; `None` where it cannot, or where it would see PKTAP headers and simple packets without a time.
fn second_opinion(capture: &Path) -> Option<Vec<Frame>> {
    let tapped = |link_type: i32| link_type == 258 || link_type == 149;
    let whole = usize::try_from(fs::metadata(capture).unwrap().len()).unwrap();
    let mut reader = create_reader(whole.min(1 << 17), File::open(capture).unwrap()).ok()?;
    let mut frames = Vec::new();
    let mut nanosecond_files = false;
    // Ticks to a second, and the seconds that are added.
    let mut clocks: Vec<(i128, i128)> = Vec::new();
    loop {
        let (offset, block) = match reader.next() {
            Ok(next) => next,
            Err(PcapError::Eof) => return Some(frames),
            Err(PcapError::Incomplete(_)) => {
                reader.refill().ok()?;
                continue;
            }
            Err(_) => return None,
        };
        match block {
            PcapBlockOwned::LegacyHeader(header) if tapped(header.network.0) => return None,
            PcapBlockOwned::LegacyHeader(header) => nanosecond_files = header.is_nanosecond_precision(),
            PcapBlockOwned::Legacy(record) => {
                let unit = if nanosecond_files { 1 } else { 1_000 };
                let time = i128::from(record.ts_sec) * 1_000_000_000 + i128::from(record.ts_usec) * unit;
                frames.push(Frame::new(time, record.origlen, record.data));
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => clocks.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                if tapped(interface.linktype.0) {
                    return None;
                }
                clocks.push((interface.ts_resolution()?.into(), interface.ts_offset().into()));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let (resolution, offset) = clocks.get(packet.if_id as usize)?;
                let ticks = i128::from(packet.ts_high) << 32 | i128::from(packet.ts_low);
                let time = ticks * 1_000_000_000 / resolution + offset * 1_000_000_000;
                frames.push(Frame::new(time, packet.origlen, packet.packet_data()));
            }
            PcapBlockOwned::NG(Block::SimplePacket(_)) => return None,
            PcapBlockOwned::NG(_) => {}
        }
        reader.consume(offset);
    }
}
