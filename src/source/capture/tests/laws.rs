//! What holds for every capture.

use std::sync::Arc;

use ::bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::observation::{Direction, LinkType, PacketOwner, Timestamp};

fn name() -> impl Strategy<Value = Option<Arc<str>>> {
    prop::option::of("[a-z0-9 .-]{1,20}".prop_map(Arc::from))
}

prop_compose! {
    /// A packet as Apple's pcapng can hold it.
    fn packet()(
        nanoseconds in 0..i64::MAX,
        interface in name(),
        link_type in prop::sample::select(vec![0_u32, 1, 12, 101, 113, 228, 276]),
        data in prop::collection::vec(any::<u8>(), 0..200),
        longer in 0_u32..2_000,
        direction in prop::option::of(prop_oneof![Just(Direction::Inbound), Just(Direction::Outbound)]),
        (pid, name) in (prop::option::of(0..i32::MAX), name()),
        (effective_pid, effective_name) in (prop::option::of(0..i32::MAX), name()),
        flow_id in prop::option::of(1..u32::MAX),
    ) -> Packet {
        Packet {
            time: Timestamp::from_nanos(nanoseconds),
            origin: Origin(7),
            interface,
            link_type: LinkType(link_type),
            wire_length: u32::try_from(data.len()).unwrap() + longer,
            data: Bytes::from(data),
            direction,
            owner: PacketOwner { pid, name, effective_pid, effective_name },
            flow_id,
        }
    }
}

fn written(packets: &[Packet]) -> Vec<u8> {
    let mut writer = write::Writer::new(Vec::new(), "tests 1.0").unwrap();
    for packet in packets {
        writer.packet(packet).unwrap();
    }
    writer.finish().unwrap()
}

/// Packets have no equality of their own.
fn seen(packets: &[Packet]) -> Vec<String> {
    packets.iter().map(|packet| format!("{packet:?}")).collect()
}

/// A capture as pcap of the frames alone.
fn as_pcap(packets: &[Packet]) -> Vec<u8> {
    let frames: Vec<&[u8]> = packets.iter().map(|packet| &*packet.data).collect();
    made::pcap(&frames)
}

/// Reads what may be no capture at all.
fn survive(bytes: Vec<u8>) -> Option<Outcome> {
    read_from(io::Cursor::new(bytes)).ok()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(packets in prop::collection::vec(packet(), 0..30)) {
        let outcome = read(written(&packets));
        prop_assert_eq!(seen(&outcome.packets), seen(&packets));
        prop_assert_eq!((outcome.report.malformed, outcome.ended_at()), (0, None));
    }

    #[test]
    fn how_the_bytes_arrive_does_not_matter(
        packets in prop::collection::vec(packet(), 0..10),
        step in 1_usize..50,
    ) {
        for bytes in [written(&packets), as_pcap(&packets)] {
            let (whole, trickled) = (read(bytes.clone()), trickle(bytes, step));
            prop_assert_eq!(seen(&trickled.packets), seen(&whole.packets));
            prop_assert_eq!(trickled.report, whole.report);
        }
    }

    #[test]
    fn a_capture_cut_anywhere_yields_a_prefix(
        packets in prop::collection::vec(packet(), 1..10),
        place in any::<prop::sample::Index>(),
    ) {
        for bytes in [written(&packets), as_pcap(&packets)] {
            let whole = seen(&read(bytes.clone()).packets);
            let cut = place.index(bytes.len());
            if let Some(outcome) = survive(bytes[..cut].to_vec()) {
                let prefix = seen(&outcome.packets);
                prop_assert_eq!(&prefix[..], &whole[..prefix.len()]);
                prop_assert_eq!(outcome.report.malformed, 0);
                prop_assert!(outcome.ended_at().is_some() || outcome.report.bytes == cut as u64);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_loop(
        start in prop::sample::select(vec![
            &b""[..], b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", b"\xa1\xb2\x3c\x4d\0\x02\0\x04", b"\xa1\xb2\xcd\x34",
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\0\0\0\0\0\0\0\0\x1c\0\0\0",
            b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c",
        ]),
        rest in prop::collection::vec(prop_oneof![Just(0_u8), 0_u8..32, any::<u8>()], 0..400),
    ) {
        survive([start, &rest].concat());
    }

    #[test]
    fn a_damaged_capture_yields_no_more_than_it_holds(
        packets in prop::collection::vec(packet(), 1..10),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for mut bytes in [written(&packets), as_pcap(&packets)] {
            for (place, value) in &damage {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            let length = bytes.len();
            if let Some(outcome) = survive(bytes) {
                let total: usize = outcome.packets.iter().map(|packet| packet.data.len()).sum();
                prop_assert!(total <= length);
                prop_assert!(outcome.report.bytes <= length as u64);
            }
        }
    }
}

#[test]
fn packets_that_are_kept_stay_as_they_were_when_the_buffer_moves_on() {
    let frames: Vec<Vec<u8>> = (0..4_000_usize)
        .map(|number| vec![u8::try_from(number % 251).unwrap(); 100 + number % 900])
        .collect();
    let borrowed: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let mut source = open(io::Cursor::new(made::pcap(&borrowed)), "test", Origin(0)).unwrap();
    // Every third is kept, the others are dropped at once, so that buffers are both shared and taken again.
    let mut kept = Vec::new();
    for (number, observation) in source.by_ref().enumerate() {
        let Observation::Packet(packet) = observation else { panic!() };
        assert_eq!(packet.data, frames[number]);
        if number % 3 == 0 {
            kept.push((number, packet));
        }
    }
    assert_eq!(kept.len(), 1_334);
    for (number, packet) in kept {
        assert_eq!(packet.data, frames[number]);
    }
}

#[test]
fn a_writer_refuses_what_no_reader_takes() {
    let good = Packet {
        time: Timestamp::EPOCH,
        origin: Origin(0),
        interface: None,
        link_type: LinkType::ETHERNET,
        wire_length: 0,
        data: Bytes::new(),
        direction: None,
        owner: PacketOwner::default(),
        flow_id: None,
    };
    let mut writer = write::Writer::new(Vec::new(), "").unwrap();
    for bad in [
        Packet { time: Timestamp::from_nanos(-1), ..good.clone() },
        Packet { link_type: LinkType(65_536), ..good.clone() },
        Packet { data: Bytes::from(vec![0; LONGEST_FRAME as usize + 1]), ..good.clone() },
    ] {
        assert_eq!(writer.packet(&bad).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    writer.packet(&good).unwrap();
    assert_eq!(read(writer.finish().unwrap()).packets.len(), 1);
}

#[test]
fn a_writer_begins_a_new_section_when_one_is_full() {
    let most = u32::try_from(super::super::pcapng::layout::MOST_PROCESSES).unwrap();
    let mut writer = write::Writer::new(Vec::new(), "").unwrap();
    let mut packet = Packet {
        time: Timestamp::EPOCH,
        origin: Origin(7),
        interface: Some("en0".into()),
        link_type: LinkType::ETHERNET,
        wire_length: 0,
        data: Bytes::new(),
        direction: None,
        owner: PacketOwner::default(),
        flow_id: None,
    };
    for pid in 0..most + 2 {
        packet.owner.pid = Some(pid.cast_signed());
        writer.packet(&packet).unwrap();
    }
    let outcome = read(writer.finish().unwrap());
    assert_eq!((outcome.packets.len(), outcome.report.malformed), (most as usize + 2, 0));
    assert_eq!(outcome.packets.last().unwrap().owner.pid, Some(most.cast_signed() + 1));
}
