use super::super::fields::ByteOrder::{Big, Little};
use super::made::{Bytes, none, pcapng};
use super::*;
use crate::observation::{Direction, LinkType, PacketOwner, Timestamp};

#[test]
fn sections_change_byte_order_and_begin_their_numbers_afresh() {
    let capture = [Little, Big, Big, Little].into_iter().fold(Bytes::new(Big), |bytes, order| {
        bytes
            .section(order)
            .interface(101, 0, |options| options.option(2, b"utun0\0"))
            .interface(1, 0, |options| options.option(2, b"en0").option(9, &[9]))
            .packet(1, 3_000_000_000, &[1, 2, 3, 4, 5], none)
            .packet(0, 4_000_000, &[6], none)
    });
    let outcome = read(capture.bytes);
    assert_eq!(outcome.packets.len(), 8);
    for pair in outcome.packets.chunks(2) {
        let [first, second] = pair else { panic!() };
        assert_eq!((first.link_type, first.interface.as_deref()), (LinkType::ETHERNET, Some("en0")));
        assert_eq!((first.time, &first.data[..]), (Timestamp::from_seconds(3, 0), &[1, 2, 3, 4, 5][..]));
        assert_eq!((second.link_type, second.interface.as_deref()), (LinkType::RAW, Some("utun0")));
        assert_eq!((second.time, &second.data[..]), (Timestamp::from_seconds(4, 0), &[6][..]));
    }
    assert_eq!((outcome.report.malformed, outcome.ended_at()), (0, None));
}

#[test]
fn apple_s_blocks_name_both_processes() {
    for order in [Big, Little] {
        let capture = pcapng(order)
            .process(53_245, b"iperf\0\0\0")
            .block(0x8000_0001, |body| body.u32(u32::MAX).option(3, b"/usr/sbin/mDNSResponder\0"))
            .packet(0, 1, &[1], |options| {
                options
                    .option_u32(0x8001, 0)
                    .option_u32(0x8003, 1)
                    .option_u32(2, 0x1_0002)
                    .option_u32(0x8002, 0)
                    .option_u32(0x8004, 0x14)
                    .option_u32(0x8005, 0xdead_beef)
                    .u32(0)
            })
            .packet(0, 2, &[2], |options| options.option_u32(0x8003, 0).option_u32(2, 1));
        let outcome = read(capture.bytes);
        let [both, effective] = &outcome.packets[..] else { panic!() };
        let owner = PacketOwner {
            pid: Some(53_245),
            name: Some("iperf".into()),
            effective_pid: None,
            effective_name: Some("mDNSResponder".into()),
        };
        assert_eq!(
            (&both.owner, both.direction, both.flow_id),
            (&owner, Some(Direction::Outbound), Some(0xdead_beef))
        );
        let owner = PacketOwner {
            effective_pid: Some(53_245),
            effective_name: Some("iperf".into()),
            ..PacketOwner::default()
        };
        assert_eq!((&effective.owner, effective.direction), (&owner, Some(Direction::Inbound)));
        assert_eq!(outcome.report.malformed, 0);
    }
}

#[test]
fn a_process_that_no_block_describes_is_counted_and_the_packet_used() {
    let capture =
        pcapng(Little).process(1, b"launchd").packet(0, 1, &[1], |options| options.option_u32(0x8001, 1));
    let outcome = read(
        capture
            .section(Little)
            .interface(1, 0, none)
            .packet(0, 2, &[2], |options| options.option_u32(0x8001, 0))
            .bytes,
    );
    assert_eq!(outcome.packets.len(), 2);
    assert!(outcome.packets.iter().all(|packet| packet.owner == PacketOwner::default()));
    assert_eq!(outcome.report.malformed, 2);
}

#[test]
fn an_interface_that_is_not_described_is_counted_with_its_place() {
    let capture = pcapng(Little);
    let at = capture.bytes.len() as u64;
    let outcome = read(capture.packet(1, 1, &[1], none).packet(0, 1, &[2], none).bytes);
    assert_eq!(outcome.frames(), [&[2]]);
    assert_eq!((outcome.report.malformed, outcome.first_fault_at()), (1, Some(at)));
}

#[test]
fn a_description_that_cannot_be_read_keeps_its_number() {
    let capture = pcapng(Little)
        .block(1, |body| body.u16(101).u16(0))
        .interface(228, 0, none)
        .block(0x8000_0001, none)
        .process(5, b"five")
        .packet(2, 1, &[1], |options| options.option_u32(0x8001, 1))
        .packet(1, 2, &[2], none);
    let outcome = read(capture.bytes);
    assert_eq!((outcome.packets[0].link_type, outcome.packets[0].owner.pid), (LinkType::IPV4, Some(5)));
    assert_eq!((outcome.packets.len(), outcome.report.malformed), (1, 3));
}

#[test]
fn a_simple_packet_has_the_first_interface_its_snapshot_length_and_the_time_before() {
    let capture = Bytes::new(Big)
        .section(Big)
        .interface(1, 3, none)
        .interface(101, 0, none)
        .packet(1, 8_000_000, &[1], none)
        .block(3, |body| body.u32(60).padded(&[1, 2, 3]))
        .block(3, |body| body.u32(2).padded(&[1, 2]));
    let outcome = read(capture.bytes);
    assert_eq!(outcome.frames(), [&[1][..], &[1, 2, 3], &[1, 2]]);
    assert_eq!((outcome.packets[1].link_type, outcome.packets[1].wire_length), (LinkType::ETHERNET, 60));
    assert_eq!(outcome.packets[2].time, Timestamp::from_seconds(8, 0));
    assert_eq!(outcome.report.out_of_order, 0);
}

#[test]
fn the_obsolete_packet_block_is_read() {
    let obsolete = |bytes: Bytes, lost: u16| {
        bytes.block(2, |body| {
            body.u16(0).u16(lost).ticks(5_000_000).u32(1).u32(9).padded(&[7]).option_u32(2, 2).u32(0)
        })
    };
    let outcome = read(obsolete(obsolete(obsolete(pcapng(Big), 0), 3), u16::MAX).bytes);
    assert_eq!((outcome.frames(), &outcome.lost[..]), (vec![&[7][..]; 3], &[3][..]));
    assert_eq!(
        (outcome.packets[0].wire_length, outcome.packets[0].direction),
        (9, Some(Direction::Outbound))
    );
}

#[test]
fn losses_that_the_capture_tells_of_become_gaps() {
    let statistics = |bytes: Bytes, interface: u32, by_interface: u64, by_system: u64| {
        bytes.block(5, |body| {
            body.u32(interface).ticks(9).option_u64(5, by_interface).option_u64(7, by_system)
        })
    };
    let capture = pcapng(Little).packet(0, 1, &[1], |options| options.option_u64(4, 12)).packet(
        0,
        1,
        &[2],
        |options| options.option_u64(4, 0),
    );
    let capture = statistics(statistics(statistics(capture, 0, 2, 3), 0, 2, 3), 0, 10, 3);
    let outcome = read(statistics(capture, 1, 1, 1).bytes);
    assert_eq!((outcome.packets.len(), outcome.lost), (2, vec![12, 5, 8]));
    assert_eq!(outcome.report.malformed, 1, "the second interface is not described");
}

#[test]
fn a_time_outside_the_range_is_counted() {
    let capture = pcapng(Little).packet(0, u64::MAX, &[1], none).packet(0, 5, &[2], none);
    let outcome = read(capture.bytes);
    assert_eq!((outcome.frames(), outcome.report.malformed), (vec![&[2][..]], 1));
}

#[test]
fn the_clock_of_an_interface_is_its_own() {
    let capture = Bytes::new(Big)
        .section(Big)
        .interface(1, 0, |options| options.option(9, &[0x8a]).option_u64(14, 100_u64.wrapping_neg()))
        .interface(1, 0, |options| options.option(9, &[0]).option(14, &[1, 2, 3]))
        .interface(1, 0, |options| options.option(9, &[]))
        .packet(0, 1_536, &[1], none)
        .packet(1, 7, &[2], none)
        .packet(2, 7, &[3], none);
    let times: Vec<_> = read(capture.bytes).packets.iter().map(|packet| packet.time.as_nanos()).collect();
    assert_eq!(times, [-98_500_000_000, 7_000_000_000, 7_000]);
}

#[test]
fn other_blocks_are_passed_over_whatever_their_size() {
    let capture = pcapng(Little)
        .block(4, |body| body.raw(&[0; 8]))
        .block(0x0bad, |body| body.raw(&vec![1; 1 << 20]))
        .block(0x4000_0bad, |body| body.u32(32_473))
        .block(0x8000_0002, none)
        .packet(0, 1, &[1], none);
    let outcome = read(capture.bytes);
    assert_eq!((outcome.packets.len(), outcome.report.malformed, outcome.ended_at()), (1, 0, None));
}

#[test]
fn a_packet_block_that_is_too_long_is_passed_over() {
    let long = vec![1; LONGEST_FRAME as usize + 1];
    let huge = vec![2; 400 << 10];
    let longest = vec![3; LONGEST_FRAME as usize];
    let capture =
        pcapng(Little).packet(0, 1, &long, none).packet(0, 2, &huge, none).packet(0, 3, &longest, none);
    let outcome = read(capture.bytes);
    assert_eq!((outcome.frames(), outcome.report.malformed), (vec![&longest[..]], 2));
}

#[test]
fn a_frame_that_runs_past_its_block_is_counted() {
    let capture = pcapng(Little)
        .block(6, |body| body.u32(0).ticks(1).u32(5).u32(5).raw(&[1; 4]))
        .block(6, |body| body.u32(0).ticks(1).u32(u32::MAX).u32(5).raw(&[1; 4]))
        .block(6, none)
        .packet(0, 1, &[2], none);
    let outcome = read(capture.bytes);
    assert_eq!((outcome.frames(), outcome.report.malformed), (vec![&[2][..]], 3));
}

#[test]
fn lengths_that_differ_are_counted_and_the_first_is_followed() {
    let mut capture = pcapng(Little).packet(0, 1, &[1], none).block(4, none);
    let end = capture.bytes.len();
    capture.bytes[end - 1] = 9; // of the name resolution block
    capture.bytes[end - 13] = 9; // of the packet
    let outcome = read(capture.packet(0, 2, &[2], none).bytes);
    assert_eq!((outcome.frames(), outcome.report.malformed), (vec![&[2][..]], 2));
}

#[test]
fn a_length_that_cannot_be_ends_the_reading() {
    for length in [0, 8, 13, u32::MAX, u32::MAX - 3, CREDIBLE_LENGTH + 4] {
        let capture = pcapng(Big).packet(0, 1, &[1], none);
        let at = capture.bytes.len() as u64;
        let outcome = read(capture.u32(6).u32(length).raw(&[0; 100]).bytes);
        assert_eq!((outcome.packets.len(), outcome.ended_at()), (1, Some(at)), "{length}");
    }
}

#[test]
fn a_section_of_another_version_ends_the_reading() {
    let capture = pcapng(Big).packet(0, 1, &[1], none);
    let at = capture.bytes.len() as u64;
    let capture = capture.block(0x0a0d_0d0a, |body| body.u32(0x1a2b_3c4d).u16(2).u16(0).raw(&[0xff; 8]));
    let outcome = read(capture.interface(1, 0, none).packet(0, 1, &[2], none).bytes);
    assert_eq!((outcome.packets.len(), outcome.ended_at()), (1, Some(at)));
    let marked_wrong = pcapng(Big).block(0x0a0d_0d0a, |body| body.u32(0x1a2b_3c4e).raw(&[0; 12]));
    assert!(read(marked_wrong.bytes).ended_at().is_some());
}

#[test]
fn options_that_cannot_be_read_leave_the_packet() {
    let capture = pcapng(Little)
        .packet(0, 1, &[1, 2, 3, 4], |options| options.option_u32(2, 1).u16(0x8001).u16(400).u32(0))
        .packet(0, 2, &[5], |options| options.option(2, &[1]).option(0x8001, &[]).option(0x7777, b"unknown"));
    let outcome = read(capture.bytes);
    assert_eq!(outcome.packets[0].direction, Some(Direction::Inbound));
    assert_eq!(outcome.packets[1].direction, None);
    assert_eq!((outcome.packets.len(), outcome.report.malformed), (2, 0));
}

#[test]
fn a_section_takes_so_many_interfaces_and_no_more() {
    let most = super::super::pcapng::layout::MOST_INTERFACES;
    let mut capture = Bytes::new(Little).section(Little);
    let interface = Bytes::new(Little).interface(1, 0, none).bytes;
    for _ in 0..=most {
        capture = capture.raw(&interface);
    }
    let last = u32::try_from(most).unwrap() - 1;
    let outcome = read(capture.packet(last, 1, &[1], none).packet(last + 1, 1, &[2], none).bytes);
    assert_eq!((outcome.frames(), outcome.report.malformed), (vec![&[1][..]], 2));
}

#[test]
fn a_block_that_is_cut_off_is_said_with_its_place() {
    let before = pcapng(Big).packet(0, 1, &[1], none);
    let at = before.bytes.len();
    let whole = before.packet(0, 2, &[2, 3], none).bytes;
    for cut in at + 1..whole.len() {
        let outcome = read(whole[..cut].to_vec());
        assert_eq!((outcome.packets.len(), outcome.ended_at()), (1, Some(at as u64)));
    }
}
