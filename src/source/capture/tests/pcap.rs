use super::super::fields::ByteOrder::{Big, Little};
use super::made::{ETHERNET, pcap, pcap_header};
use super::*;
use crate::observation::{Direction, LinkType, Timestamp};

#[test]
fn every_magic_number_is_read() {
    for order in [Big, Little] {
        for (magic, nanoseconds) in [(0xa1b2_c3d4, 7_000), (0xa1b2_3c4d, 7)] {
            let capture = pcap_header(order, magic, 4, ETHERNET)
                .u32(1_700_000_000)
                .u32(7)
                .u32(3)
                .u32(60)
                .raw(&[1, 2, 3]);
            let outcome = read(capture.bytes);
            let [packet] = &outcome.packets[..] else { panic!("{order:?} {magic:x}") };
            assert_eq!(packet.time, Timestamp::from_seconds(1_700_000_000, nanoseconds));
            assert_eq!(packet.link_type, LinkType::ETHERNET);
            assert_eq!((packet.wire_length, &packet.data[..]), (60, &[1, 2, 3][..]));
            assert_eq!((packet.origin, &packet.interface, packet.direction), (Origin(7), &None, None));
            assert_eq!((outcome.report.malformed, outcome.report.ended_early), (0, None));
            assert_eq!(outcome.report.bytes, 43);
        }
    }
}

#[test]
fn the_longer_records_of_old_linux_systems_tell_the_direction() {
    for (packet_type, direction) in [
        (0, Some(Direction::Inbound)),
        (2, Some(Direction::Inbound)),
        (3, None),
        (4, Some(Direction::Outbound)),
    ] {
        let capture = pcap_header(Big, 0xa1b2_cd34, 4, ETHERNET);
        let capture = capture.u32(1).u32(2).u32(1).u32(1).u32(3).u16(0x800).raw(&[packet_type, 0]).raw(&[9]);
        let outcome = read(capture.bytes);
        assert_eq!(outcome.frames(), [&[9]]);
        assert_eq!(outcome.packets[0].direction, direction);
    }
}

#[test]
fn the_link_type_shares_its_word_with_the_frame_check_sequence() {
    let capture = pcap_header(Little, 0xa1b2_c3d4, 4, 0x3400_0071).u32(1).u32(2).u32(0).u32(0);
    assert_eq!(read(capture.bytes).packets[0].link_type, LinkType::LINUX_SLL);
}

#[test]
fn old_versions_have_the_two_lengths_in_the_other_order() {
    for (minor, first, second) in [(2, 60, 1), (3, 60, 1), (3, 1, 60), (4, 1, 60)] {
        let capture =
            pcap_header(Big, 0xa1b2_c3d4, minor, ETHERNET).u32(1).u32(2).u32(first).u32(second).raw(&[9]);
        let outcome = read(capture.bytes);
        assert_eq!(outcome.frames(), [&[9]], "2.{minor}");
        assert_eq!(outcome.packets[0].wire_length, 60);
    }
}

#[test]
fn a_fraction_of_more_than_a_second_is_carried() {
    let capture = pcap_header(Little, 0xa1b2_c3d4, 4, ETHERNET).u32(10).u32(1_011_041).u32(0).u32(0);
    assert_eq!(read(capture.bytes).packets[0].time, Timestamp::from_seconds(11, 11_041_000));
}

#[test]
fn a_frame_that_claims_less_than_was_captured_counts_what_was_captured() {
    let capture = pcap_header(Little, 0xa1b2_c3d4, 4, ETHERNET).u32(1).u32(0).u32(4).u32(0).raw(&[1; 4]);
    assert_eq!(read(capture.bytes).packets[0].wire_length, 4);
}

#[test]
fn a_record_that_is_too_long_is_passed_over() {
    let long = vec![7; LONGEST_FRAME as usize + 1];
    let longest = vec![8; LONGEST_FRAME as usize];
    let outcome = read(pcap(&[&[1], &long, &longest, &[2]]));
    assert_eq!(outcome.frames(), [&[1][..], &longest, &[2]]);
    assert_eq!((outcome.report.malformed, outcome.first_fault_at()), (1, Some(24 + 17)));
    assert_eq!(outcome.ended_at(), None);
}

#[test]
fn a_record_of_four_gigabytes_ends_the_reading() {
    let mut capture = pcap(&[&[1, 2]]);
    let at = capture.len() as u64;
    capture.extend(made::Bytes::new(Little).u32(1).u32(2).u32(u32::MAX).u32(u32::MAX).raw(&[0; 64]).bytes);
    let outcome = read(capture);
    assert_eq!(outcome.frames(), [&[1, 2]]);
    assert_eq!(outcome.ended_at(), Some(at));
    let said = outcome.report.ended_early.unwrap().what;
    assert_eq!(said, "record length 4294967295 is over the limit of 262144 bytes");
}

#[test]
fn a_frame_of_four_gigabytes_on_the_wire_is_counted_and_passed_over() {
    let capture = pcap_header(Little, 0xa1b2_c3d4, 4, ETHERNET).u32(1).u32(0).u32(1).u32(u32::MAX).raw(&[1]);
    let outcome = read(capture.u32(1).u32(0).u32(1).u32(1).raw(&[2]).bytes);
    assert_eq!(outcome.frames(), [&[2]]);
    assert_eq!((outcome.report.malformed, outcome.first_fault_at()), (1, Some(24)));
}

#[test]
fn a_tail_that_is_cut_off_is_said_with_its_place() {
    let whole = pcap(&[&[1, 2, 3], &[4, 5]]);
    for cut in 1..18 {
        let outcome = read(whole[..whole.len() - cut].to_vec());
        assert_eq!(outcome.frames(), [&[1, 2, 3]]);
        assert_eq!((outcome.ended_at(), outcome.report.malformed), (Some(24 + 19), 0));
    }
    let outcome = read(whole[..24 + 19].to_vec());
    assert_eq!((outcome.packets.len(), outcome.ended_at()), (1, None));
}

#[test]
fn times_that_go_backwards_are_counted() {
    let header = pcap_header(Little, 0xa1b2_c3d4, 4, ETHERNET);
    let capture = [10, 12, 11, 12, 9, 13]
        .into_iter()
        .fold(header, |bytes, second| bytes.u32(second).u32(0).u32(0).u32(0));
    assert_eq!(read(capture.bytes).report.out_of_order, 2);
}
