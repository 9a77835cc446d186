use super::super::fields::ByteOrder::Little;
use super::made::{Bytes, none, pcap_header, pcapng};
use super::*;
use crate::observation::{Direction, LinkType, PacketOwner};

/// A header of 108 bytes: `en0`, outbound, curl acting for Safari.
fn header(next: u32) -> Bytes {
    let name = |bytes: Bytes, name: &[u8], size: usize| {
        let mut field = name.to_vec();
        field.resize(size, 0);
        bytes.raw(&field)
    };
    let bytes = Bytes::new(Little).u32(108).u32(next).u32(1);
    let bytes = name(bytes, b"en0", 24).u32(2).u32(2).u32(14).u32(0).u32(501);
    let bytes = name(bytes, b"curl", 20).u32(0).u32(0).u32(612);
    name(bytes, b"Safari", 20)
}

fn one(link_type: u32, data: &[u8], wire_length: u32) -> Outcome {
    let length = u32::try_from(data.len()).unwrap();
    let capture =
        pcap_header(Little, 0xa1b2_c3d4, 4, link_type).u32(1).u32(0).u32(length).u32(wire_length).raw(data);
    read(capture.bytes)
}

#[test]
fn the_header_is_taken_off_and_names_the_process() {
    for link_type in [258, 149] {
        let data = header(1).raw(&[0xaa; 20]).bytes;
        let outcome = one(link_type, &data, 108 + 1_514);
        let [packet] = &outcome.packets[..] else { panic!("{link_type}") };
        assert_eq!((packet.link_type, packet.wire_length), (LinkType::ETHERNET, 1_514));
        assert_eq!(&packet.data[..], [0xaa; 20]);
        assert_eq!((packet.interface.as_deref(), packet.direction), (Some("en0"), Some(Direction::Outbound)));
        let owner = PacketOwner {
            pid: Some(501),
            name: Some("curl".into()),
            effective_pid: Some(612),
            effective_name: Some("Safari".into()),
        };
        assert_eq!(packet.owner, owner);
    }
}

#[test]
fn link_type_149_without_a_header_stays_as_it_is() {
    let outcome = one(149, b"somebody's private format", 60);
    assert_eq!(outcome.packets[0].link_type, LinkType::USER2);
    assert_eq!((outcome.packets[0].wire_length, outcome.report.malformed), (60, 0));
}

#[test]
fn link_type_258_without_a_header_is_counted() {
    let outcome = one(258, &[0; 200], 200);
    assert_eq!((outcome.packets.len(), outcome.first_fault_at()), (0, Some(24)));
}

#[test]
fn what_the_kernel_dropped_was_never_on_its_way() {
    let outcome = one(258, &header(2).raw(&[0xaa; 20]).bytes, 128);
    assert_eq!((outcome.packets.len(), outcome.report.malformed), (0, 0));
}

#[test]
fn an_interface_of_a_pcapng_may_be_a_tap() {
    let data = header(1).raw(&[5; 4]).bytes;
    let capture =
        pcapng(Little).interface(258, 0, |options| options.option(2, b"pktap0")).packet(1, 1, &data, none);
    let outcome = read(capture.bytes);
    assert_eq!(outcome.packets[0].interface.as_deref(), Some("en0"));
    assert_eq!(outcome.packets[0].owner.pid, Some(501));
}
