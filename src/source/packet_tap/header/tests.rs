use proptest::prelude::*;

use super::*;

/// `struct pktap_header` with its first `length` bytes.
fn version_1(length: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let u32s = |bytes: &mut Vec<u8>, values: &[u32]| {
        for value in values {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    };
    u32s(&mut bytes, &[length, 1, 12]);
    bytes.extend_from_slice(b"utun3\0garbage behind NUL");
    u32s(&mut bytes, &[DIR_OUT | 0x0002_4000, 2, 4, 0]);
    u32s(&mut bytes, &[501]);
    bytes.extend_from_slice(b"nsurlsessiond\0\0\0\0");
    bytes.extend_from_slice(&[6, 0xaa, 0xbb]); // pth_ipproto and pth_trace_tag
    u32s(&mut bytes, &[0, 0x0001_00ff]);
    u32s(&mut bytes, &[612]);
    bytes.extend_from_slice(b"Safari\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(bytes.len(), V1_SHORTEST);
    u32s(&mut bytes, &[0xdead_beef, 6, 0, 0]);
    bytes.extend_from_slice(&[7; 32]);
    assert_eq!(bytes.len(), 156);
    bytes.truncate(length as usize);
    bytes
}

fn put(bytes: &mut [u8], offset: usize, value: u32) {
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

/// `struct pktap_v2_hdr` with an interface name and one command, as XNU lays them out behind the fixed fields.
fn version_2() -> Vec<u8> {
    let mut bytes = vec![0; V2_SHORTEST];
    bytes[3] = 40;
    bytes[4] = 44;
    bytes[6] = 1; // pth_dlt
    bytes[8] = 14; // pth_frame_pre_length
    put(&mut bytes, 24, 77); // pth_flowid
    put(&mut bytes, 28, 901); // pth_pid
    put(&mut bytes, 32, u32::MAX); // pth_e_pid
    put(&mut bytes, 36, V2_HDR | DIR_IN);
    bytes.extend_from_slice(b"en0\0curl\0");
    bytes[0] = u8::try_from(bytes.len()).unwrap();
    bytes
}

#[test]
fn reads_every_field_of_version_1() {
    let header = version_1(156);
    assert_eq!(
        Header::parse(&header),
        Ok(Header {
            length: 156,
            next: Next::Packet,
            link_type: LinkType::RAW,
            link_header_length: 4,
            interface: b"utun3",
            direction: Some(Direction::Outbound),
            pid: Some(501),
            command: b"nsurlsessiond",
            effective_pid: Some(612),
            effective_command: b"Safari",
            flow_id: Some(0xdead_beef),
        })
    );
}

#[test]
fn the_short_header_of_old_systems_has_no_flow_id() {
    let bytes = [version_1(108), vec![9; 60]].concat();
    let header = Header::parse(&bytes).unwrap();
    assert_eq!((header.length, header.flow_id, header.effective_pid), (108, None, Some(612)));
}

#[test]
fn reads_version_2_through_its_offsets() {
    let header = version_2();
    assert_eq!(
        Header::parse(&header),
        Ok(Header {
            length: 49,
            next: Next::Packet,
            link_type: LinkType::ETHERNET,
            link_header_length: 14,
            interface: b"en0",
            direction: Some(Direction::Inbound),
            pid: Some(901),
            command: b"curl",
            effective_pid: None,
            effective_command: b"",
            flow_id: Some(77),
        })
    );
}

#[test]
fn minus_one_is_unknown_and_zero_is_the_kernel_but_never_a_delegate() {
    let mut bytes = version_1(156);
    put(&mut bytes, 52, u32::MAX);
    put(&mut bytes, V1_EFFECTIVE_OFFSET, u32::MAX);
    let header = Header::parse(&bytes).unwrap();
    assert_eq!((header.pid, header.effective_pid), (None, None));
    put(&mut bytes, 52, 0);
    put(&mut bytes, V1_EFFECTIVE_OFFSET, 0);
    let header = Header::parse(&bytes).unwrap();
    assert_eq!((header.pid, header.effective_pid), (Some(0), None));
}

#[test]
fn a_direction_that_contradicts_itself_is_none() {
    let mut bytes = version_1(156);
    put(&mut bytes, FLAGS_OFFSET, DIR_IN | DIR_OUT);
    assert_eq!(Header::parse(&bytes).unwrap().direction, None);
}

#[test]
fn a_length_that_cannot_be_is_refused() {
    for (stated, have) in [(107, 156), (0, 156), (157, 156), (u32::MAX, 156), (513, 2_000)] {
        let mut bytes = version_1(156);
        bytes.resize(have, 0);
        put(&mut bytes, 0, stated);
        let length = stated as usize;
        assert_eq!(Header::parse(&bytes), Err(InvalidHeader::Length { length, have }));
    }
    let mut bytes = version_2();
    bytes[0] = 39;
    assert_eq!(Header::parse(&bytes), Err(InvalidHeader::Length { length: 39, have: 49 }));
}

#[test]
fn a_text_outside_the_header_is_refused() {
    let mut bytes = [version_2(), vec![b'x'; 100]].concat();
    bytes[4] = 50;
    assert_eq!(Header::parse(&bytes), Err(InvalidHeader::Name));
}

#[test]
fn a_header_in_a_header_is_refused() {
    for link_type in [258, 149] {
        let mut bytes = version_1(156);
        put(&mut bytes, 8, link_type);
        assert_eq!(Header::parse(&bytes), Err(InvalidHeader::Nested));
    }
}

#[test]
fn private_data_of_link_type_149_is_no_header() {
    let mut unknown_next = version_1(156);
    put(&mut unknown_next, 4, 3);
    assert_eq!(Header::parse(&unknown_next), Err(InvalidHeader::Next(3)));
    let mut no_name = version_1(156);
    no_name[12..16].copy_from_slice(&[0x80, 1, 2, 3]);
    assert_eq!(Header::parse(&no_name), Err(InvalidHeader::Name));
    assert_eq!(Header::parse(b"private"), Err(InvalidHeader::Short { have: 7 }));
}

proptest! {
    #[test]
    fn no_header_reaches_past_its_bytes(
        (mut bytes, patches) in (
            prop_oneof![Just(version_1(108)), Just(version_1(156)), Just(version_2()), any::<Vec<u8>>()],
            prop::collection::vec((0_usize..200, any::<u8>()), 0..8),
        ),
        cut in 0_usize..200,
    ) {
        for (place, value) in patches {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        bytes.truncate(cut);
        if let Ok(header) = Header::parse(&bytes) {
            prop_assert!(header.length >= V2_SHORTEST && header.length <= bytes.len());
            prop_assert!(header.interface.len() <= INTERFACE_SIZE);
            prop_assert!(header.command.len().max(header.effective_command.len()) <= COMMAND_SIZE);
        }
    }
}
