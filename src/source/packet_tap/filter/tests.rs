use std::fs::File;
use std::path::Path;

use super::interpreter::run;
use super::*;
use crate::observation::{LinkType, Observation, Origin};
use crate::source::capture;

/// A packet as the tap shows it.
fn tapped(link_header: usize, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 156];
    bytes[..4].copy_from_slice(&156_u32.to_le_bytes());
    bytes[44..48].copy_from_slice(&u32::try_from(link_header).unwrap().to_le_bytes());
    bytes.extend_from_slice(frame);
    bytes
}

/// What should be passed on, by a reading of the packet that has nothing in common with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Whole,
    Bulk,
    Nothing,
}

fn expected(packet: &[u8]) -> Expected {
    let Some(first) = packet.first() else { return Expected::Nothing };
    let (protocol, transport) = match first >> 4 {
        4 if packet.len() >= 20 => {
            if u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff != 0 {
                return Expected::Bulk;
            }
            (packet[9], packet.get(usize::from(first & 0xf) * 4..))
        }
        6 if packet.len() >= 40 => (packet[6], packet.get(40..)),
        _ => return Expected::Nothing,
    };
    match protocol {
        1 | 17 | 58 => return Expected::Whole,
        0 | 43 | 44 | 60 if first >> 4 == 6 => return Expected::Whole,
        50 | 51 => return Expected::Nothing,
        6 => {}
        _ => return Expected::Bulk,
    }
    let Some(segment) = transport.filter(|segment| segment.len() >= 14) else { return Expected::Nothing };
    if segment[13] & 0x0f != 0 {
        return Expected::Whole;
    }
    let payload = segment.get(usize::from(segment[12] >> 4) * 4..).unwrap_or_default();
    let beginnings: [&[u8]; 6] = [b"\x16\x03", b"GET ", b"POST", b"PUT ", b"HTTP", b"SSH-"];
    if payload.len() >= 4 && beginnings.iter().any(|beginning| payload.starts_with(beginning)) {
        return Expected::Whole;
    }
    Expected::Bulk
}

fn check(link_header: usize, frame: &[u8]) -> Expected {
    let expected = expected(&frame[link_header..]);
    let tapped = tapped(link_header, frame);
    let by_program = |wanted| run(&program(wanted), &tapped);
    let (identification, volume) = match expected {
        Expected::Whole => (2_048, 2_048),
        Expected::Bulk => (0, 320),
        Expected::Nothing => (0, 0),
    };
    assert_eq!(by_program(Wanted::Identification), identification, "{frame:02x?}");
    assert_eq!(by_program(Wanted::Volume), volume, "{frame:02x?}");
    expected
}

#[test]
fn what_is_kept_is_nothing_or_the_whole_tap_header() {
    for wanted in [Wanted::Identification, Wanted::Volume] {
        let program = program(wanted);
        let returns: Vec<_> = program.iter().filter(|i| i.code == code::RETURN).collect();
        assert!(returns.len() >= 2);
        assert!(returns.iter().all(|i| i.operand == 0 || i.operand >= 156), "{returns:?}");
    }
}

#[test]
fn every_jump_lands_on_an_instruction() {
    for wanted in [Wanted::Identification, Wanted::Volume] {
        let program = program(wanted);
        for (number, instruction) in program.iter().enumerate() {
            let mut targets = vec![usize::from(instruction.jump_true), usize::from(instruction.jump_false)];
            if instruction.code == code::JUMP {
                targets.push(usize::try_from(instruction.operand).unwrap());
            }
            assert!(targets.iter().all(|distance| number + 1 + distance <= program.len()), "{number}");
        }
        assert_eq!(program.last().unwrap().code, code::RETURN);
        assert!(program.len() < 256, "BPF_MAXINSNS is 512, and a jump has 8 bits");
    }
}

fn v4(protocol: u8, options: &[u8], fragment: u16, payload: &[u8]) -> Vec<u8> {
    let header = 5 + u8::try_from(options.len() / 4).unwrap();
    let mut bytes = vec![0x40 | header, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&fragment.to_be_bytes());
    bytes.extend_from_slice(&[64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    [&bytes, options, payload].concat()
}

fn v6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    [&[0x60, 0, 0, 0, 0, 0, protocol, 64][..], &[0x20; 32], payload].concat()
}

fn tcp(flags: u8, options: usize, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes[12] = u8::try_from(5 + options / 4).unwrap() << 4;
    bytes[13] = flags;
    bytes.resize(20 + options, 1);
    [&bytes, payload].concat()
}

#[test]
fn what_identifies_a_flow_is_passed_on_and_bulk_is_not() {
    let hello = [&[0x16, 3, 1][..], &[0; 1_400]].concat();
    let cases: [(u8, &[u8], Expected); 11] = [
        (0x02, b"", Expected::Whole),
        (0x10, b"", Expected::Bulk),
        (0x10, b"\0\0\0\0\0\0", Expected::Bulk),
        (0x10, b"GE", Expected::Bulk),
        (0x18, b"abc", Expected::Whole),
        (0x11, b"", Expected::Whole),
        (0x04, b"", Expected::Whole),
        (0x10, &hello, Expected::Whole),
        (0x10, &[1; 1_400], Expected::Bulk),
        (0x10, b"GET / HTTP/1.1", Expected::Whole),
        (0x10, b"SSH-2.0", Expected::Whole),
    ];
    for (flags, payload, what) in cases {
        for options in [0, 12, 40] {
            let segment = tcp(flags, options, payload);
            for packet in [v4(6, &[], 0, &segment), v4(6, &[1; 8], 0, &segment), v6(6, &segment)] {
                for link_header in [0, 4, 14, 18] {
                    let frame = [&vec![0xff; link_header], &packet[..]].concat();
                    assert_eq!(check(link_header, &frame), what, "{flags:#x} {payload:02x?}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_tcp_is_sorted_by_its_protocol() {
    let cases = [
        (v4(17, &[], 0, &[0; 8]), Expected::Whole),
        (v4(17, &[], 0x2000, &[0; 8]), Expected::Whole),
        (v4(17, &[], 100, &[0; 8]), Expected::Bulk),
        (v4(1, &[], 0, &[0; 8]), Expected::Whole),
        (v4(50, &[], 0, &[0; 8]), Expected::Nothing),
        (v4(132, &[], 0, &[0; 8]), Expected::Bulk),
        (v6(58, &[0; 8]), Expected::Whole),
        (v6(0, &[0; 8]), Expected::Whole),
        (v6(51, &[0; 8]), Expected::Nothing),
        (vec![0; 28], Expected::Nothing),
    ];
    for (packet, what) in cases {
        assert_eq!(check(14, &[&[0; 14], &packet[..]].concat()), what, "{packet:02x?}");
    }
}

#[test]
fn real_packets_are_sorted_as_a_plain_reading_sorts_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/protocol-id/ndpi");
    let mut captures = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng") {
                captures.push(path);
            }
        }
    }
    if captures.is_empty() {
        println!("skipped: the captures are not at hand");
        return;
    }
    captures.sort();
    let mut seen = [0_u64; 3];
    for path in captures {
        let Ok(source) = capture::open(File::open(&path).unwrap(), "capture", Origin(0)) else { continue };
        for observation in source.take(400) {
            let Observation::Packet(packet) = observation else { continue };
            let link_header = match packet.link_type {
                LinkType::ETHERNET => 14,
                LinkType::NULL => 4,
                LinkType::RAW | LinkType::RAW_BSD | LinkType::IPV4 => 0,
                _ => continue,
            };
            if packet.data.len() > link_header {
                seen[check(link_header, &packet.data) as usize] += 1;
            }
        }
    }
    println!("whole, bulk, nothing: {seen:?}");
    assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
}
