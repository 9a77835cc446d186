use std::net::SocketAddr;

use proptest::prelude::*;

use super::frames::{ethernet, ip, ipv4, tcp, udp, udp_header};
use super::*;

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn walked(link_type: LinkType, frame: &[u8]) -> Result<Walk<'_>, Undecoded> {
    walk(link_type, frame, u32::try_from(frame.len()).unwrap())
}

fn datagram(link_type: LinkType, frame: &[u8]) -> Datagram<'_> {
    match walked(link_type, frame) {
        Ok(Walk::Datagram(datagram)) => datagram,
        other => panic!("{other:?}"),
    }
}

fn hello() -> Vec<u8> {
    tcp(end("192.0.2.1:50000"), end("198.51.100.2:443"), TcpFlags::ACK, 7, b"hello")
}

fn hello6() -> Vec<u8> {
    udp(end("[2001:db8::1]:5000"), end("[2001:db8::2]:53"), b"hello")
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn every_link_header_leads_to_the_same_packet() {
    let four = hello();
    let six = hello6();
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let snap_length = u16::try_from(snap.len() + four.len()).unwrap();
    let wireless = joined(&[&[8, 1], &[0; 22], &snap, &four]);
    let quality = joined(&[&[0x88, 3], &[0; 28], &[0, 0], &snap, &four]);
    let pppoe_length = u16::try_from(four.len() + 2).unwrap().to_be_bytes();
    let pppoe = joined(&[&[0x11, 0, 0, 1], &pppoe_length, &[0, 0x21], &four]);
    let frames = [
        (LinkType::ETHERNET, ethernet(0x0800, &four)),
        (LinkType::ETHERNET, ethernet(0x8100, &joined(&[&[0, 5, 8, 0], &four]))),
        (LinkType::ETHERNET, ethernet(0x88a8, &joined(&[&[0, 5, 0x81, 0, 0, 6, 8, 0], &four]))),
        (LinkType::ETHERNET, ethernet(snap_length, &joined(&[&snap, &four]))),
        (LinkType::ETHERNET, ethernet(snap_length, &joined(&[&[6, 6, 3], &four]))),
        (LinkType::ETHERNET, ethernet(0x8847, &joined(&[&[0, 1, 0, 64, 0, 2, 1, 64], &four]))),
        (LinkType::ETHERNET, ethernet(0x8864, &pppoe)),
        (LinkType::NULL, joined(&[&[2, 0, 0, 0], &four])),
        (LinkType::NULL, joined(&[&[0, 0, 0, 2], &four])),
        (LinkType::NULL, joined(&[&[30, 0, 0, 0], &six])),
        (LinkType::LOOP, joined(&[&[0, 0, 0, 24], &six])),
        (LinkType::RAW, four.clone()),
        (LinkType::RAW_BSD, six.clone()),
        (LinkType::IPV4, four.clone()),
        (LinkType::IPV6, six.clone()),
        (LinkType::LINUX_SLL, joined(&[&[0; 14], &[8, 0], &four])),
        (LinkType::LINUX_SLL, joined(&[&[0; 14], &[0, 4], &snap, &four])),
        (LinkType::LINUX_SLL2, joined(&[&[0x86, 0xdd], &[0; 18], &six])),
        (LinkType::PPP, joined(&[&[0xff, 3, 0, 0x21], &four])),
        (LinkType::PPP, joined(&[&[0x21], &four])),
        (LinkType::PPP, joined(&[&[0x0f, 0, 8, 0], &four])),
        (LinkType::PPP_HDLC, joined(&[&[0, 0x57], &six])),
        (LinkType::PPP_ETHER, pppoe),
        (LinkType(104), joined(&[&[0x0f, 0, 8, 0], &four])),
        (LinkType(10), joined(&[&[0x50], &[0; 12], &snap, &four])),
        (LinkType(105), wireless.clone()),
        (LinkType(105), quality),
        (LinkType(127), joined(&[&[0, 0, 10, 0], &[0; 6], &wireless])),
        (LinkType(192), joined(&[&[0, 0, 8, 0, 1, 0, 0, 0], &ethernet(0x0800, &four)])),
    ];
    for (place, (link_type, frame)) in frames.iter().enumerate() {
        let datagram = datagram(*link_type, frame);
        assert_eq!(datagram.payload, b"hello", "frame {place}");
        assert_eq!(datagram.wire_payload, 5, "frame {place}");
        let ports = (datagram.source.port(), datagram.destination.port());
        assert!(matches!(ports, (50_000, 443) | (5_000, 53)), "frame {place}");
    }
}

#[test]
fn the_padding_of_a_short_frame_is_not_payload() {
    let segment = tcp(end("192.0.2.1:1"), end("192.0.2.2:2"), TcpFlags::ACK, 7, b"");
    let frame = ethernet(0x0800, &joined(&[&segment, &[0xee; 6]]));
    assert_eq!(datagram(LinkType::ETHERNET, &frame).wire_payload, 0);
    let padded = joined(&[&udp_header(end("192.0.2.1:1"), end("192.0.2.2:2"), b"abc"), &[0xee; 4]]);
    let packet = ip(end("192.0.2.1:1").ip(), end("192.0.2.2:2").ip(), 17, &padded);
    assert_eq!(datagram(LinkType::RAW, &packet).payload, b"abc");
}

#[test]
fn a_packet_before_segmentation_is_as_long_as_its_frame() {
    let mut packet = hello();
    packet[2..4].fill(0);
    assert_eq!(datagram(LinkType::RAW, &packet).wire_payload, 5);
    let mut packet = hello6();
    packet[4..6].fill(0);
    packet[44..46].fill(0);
    assert_eq!(datagram(LinkType::RAW, &packet).wire_payload, 5);
}

#[test]
fn a_cut_packet_has_its_whole_length() {
    let packet = udp(end("192.0.2.1:1"), end("192.0.2.2:2"), &[9; 1_000]);
    let Ok(Walk::Datagram(cut)) = walk(LinkType::RAW, &packet[..60], 1_028) else { panic!() };
    assert_eq!((cut.payload.len(), cut.wire_payload), (32, 1_000));
}

#[test]
fn extension_headers_are_walked_through_up_to_a_bound() {
    let inner = udp_header(end("[::1]:5"), end("[::2]:6"), b"x");
    let chain = |count: usize| {
        let mut payload = Vec::new();
        for left in (0..count).rev() {
            payload.extend([if left == 0 { 17 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
        }
        payload.extend(&inner);
        ip(end("[::1]:0").ip(), end("[::2]:0").ip(), 60, &payload)
    };
    assert_eq!(datagram(LinkType::RAW, &chain(4)).payload, b"x");
    assert_eq!(walked(LinkType::RAW, &chain(40)), Err(Undecoded::TooDeep));
}

#[test]
fn tags_and_labels_without_end_are_too_deep() {
    let tags = [0x00, 0x01, 0x81, 0x00].repeat(40);
    assert_eq!(walked(LinkType::ETHERNET, &ethernet(0x8100, &tags)), Err(Undecoded::TooDeep));
    assert_eq!(walked(LinkType::ETHERNET, &ethernet(0x8847, &[0; 400])), Err(Undecoded::TooDeep));
}

#[test]
fn the_first_fragment_names_the_others() {
    let (from, to) = (end("192.0.2.1:5"), end("192.0.2.2:6"));
    let whole = udp_header(from, to, &[7; 100]);
    let first = ipv4(from.ip(), to.ip(), 17, 77, 0x2000, &whole[..48]);
    let later = ipv4(from.ip(), to.ip(), 17, 77, 6, &whole[48..]);
    let first = datagram(LinkType::RAW, &first);
    assert_eq!(first.wire_payload, 40);
    let Ok(Walk::LaterFragment(later)) = walked(LinkType::RAW, &later) else { panic!() };
    assert_eq!(first.fragments(), Some(later.key));
    assert_eq!(later.wire_payload, 60);

    let fragment = |offset: u16, payload: &[u8]| {
        let header = joined(&[&[17, 0], &offset.to_be_bytes(), &77_u32.to_be_bytes()]);
        ip(end("[::1]:0").ip(), end("[::2]:0").ip(), 44, &joined(&[&header, payload]))
    };
    let packet = fragment(1, &whole[..48]);
    let first = datagram(LinkType::RAW, &packet);
    let packet = fragment(48, &whole[48..]);
    let Ok(Walk::LaterFragment(later)) = walked(LinkType::RAW, &packet) else { panic!() };
    assert_eq!(first.fragments(), Some(later.key));
    let packet = fragment(0, &whole);
    assert_eq!(datagram(LinkType::RAW, &packet).first_of, None, "an atomic fragment is whole");
}

#[test]
fn fragments_of_what_has_no_ports_need_no_first() {
    let packet = ipv4(end("192.0.2.1:0").ip(), end("192.0.2.2:0").ip(), 1, 5, 185, &[0; 64]);
    let echo = datagram(LinkType::RAW, &packet);
    assert_eq!((echo.transport, echo.wire_payload, echo.payload.len()), (Transport::Icmp, 64, 0));
}

#[test]
fn tunnels_are_walked_into() {
    let (from, to) = (end("203.0.113.1:0").ip(), end("203.0.113.2:0").ip());
    let gre = |header: &[u8], inner: &[u8]| ip(from, to, 47, &joined(&[header, inner]));
    let packets = [
        ip(from, to, 4, &hello()),
        ip(from, to, 41, &hello6()),
        gre(&[0, 0, 8, 0], &hello()),
        gre(&[0xb0, 0, 8, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3], &hello()),
        gre(&[0, 0, 0x65, 0x58], &ethernet(0x0800, &hello())),
        gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &ethernet(0x0800, &hello())),
        gre(&[0x30, 0x81, 0x88, 0x0b, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21], &hello()),
        ip(from, to, 4, &ip(from, to, 47, &joined(&[&[0, 0, 0x86, 0xdd], &hello6()]))),
    ];
    for (place, packet) in packets.iter().enumerate() {
        let datagram = datagram(LinkType::RAW, packet);
        assert_eq!((datagram.payload, datagram.tunnelled), (&b"hello"[..], true), "packet {place}");
    }
}

#[test]
fn a_tunnel_that_cannot_be_read_is_a_flow_of_its_own() {
    let (from, to) = (end("203.0.113.1:0").ip(), end("203.0.113.2:0").ip());
    for (protocol, inside) in [(4, &b"\x99garbage"[..]), (47, &[0, 0, 8, 6, 1, 2, 3]), (51, &hello())] {
        let packet = ip(from, to, protocol, inside);
        let outer = datagram(LinkType::RAW, &packet);
        assert_eq!(outer.transport, Transport::Other(protocol));
        assert_eq!(outer.payload, inside);
    }
    let mut nested = hello();
    for _ in 0..40 {
        nested = ip(from, to, 4, &nested);
    }
    assert_eq!(datagram(LinkType::RAW, &nested).transport, Transport::Other(4));
}

/// What an access point sends: preamble, header with this length, binding and flags, its optional part, then a frame.
fn capwap(header: [u8; 3], optional: &[u8], frame: &[u8]) -> Vec<u8> {
    udp(
        end("203.0.113.1:12380"),
        end("203.0.113.2:5247"),
        &joined(&[&[0], &header, &[0; 4], optional, frame]),
    )
}

#[test]
fn the_frame_of_a_station_is_found_behind_its_access_point() {
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let on_air = |control: [u8; 2]| joined(&[&control, &[0; 22], &snap, &hello()]);
    let packets = [
        capwap([2 << 3, 3, 0], &[], &on_air([8, 1])),
        // Four bytes on the radio and their length, padded; frame control as Cisco's access points hand it on.
        capwap([4 << 3, 3, 0x20], &[4, 0xbf, 0x23, 0, 0, 0, 0, 0], &on_air([0x11, 8])),
        capwap([2 << 3, 2, 0], &[], &ethernet(0x0800, &hello())),
    ];
    for (place, packet) in packets.iter().enumerate() {
        let outer = datagram(LinkType::RAW, packet);
        let Some(Walk::Datagram(inside)) = outer.inside_udp_tunnel() else { panic!("packet {place}") };
        assert_eq!((inside.payload, inside.tunnelled), (&b"hello"[..], true), "packet {place}");
        assert_eq!(SocketAddr::from(inside.source), end("192.0.2.1:50000"));
    }
}

#[test]
fn what_only_looks_like_an_access_point_stays_what_it_is() {
    let frame = ethernet(0x0800, &hello());
    let other_port = udp(
        end("203.0.113.1:12380"),
        end("203.0.113.2:5246"),
        &joined(&[&[0, 16, 2, 0, 0, 0, 0, 0], &frame]),
    );
    let beacon = joined(&[&[0x80, 0], &[0; 60]]);
    for (what, packet) in [
        ("another port", other_port),
        ("a sign of life", capwap([2 << 3, 2, 8], &[], &frame)),
        ("a fragment", capwap([2 << 3, 2, 0x80], &[], &frame)),
        ("a binding to another radio", capwap([2 << 3, 7, 0], &[], &frame)),
        ("a header shorter than itself", capwap([1 << 3, 2, 0], &[], &frame)),
        ("a header longer than the datagram", capwap([31 << 3, 2, 0], &[], &[0; 20])),
        ("a beacon", capwap([2 << 3, 3, 0], &[], &beacon)),
        ("no IP", capwap([2 << 3, 2, 0], &[], &ethernet(0x0806, &[0; 28]))),
        ("nothing", udp(end("203.0.113.1:5247"), end("203.0.113.2:5247"), b"")),
    ] {
        assert_eq!(datagram(LinkType::RAW, &packet).inside_udp_tunnel(), None, "{what}");
    }
}

/// What a mobile network's nodes send each other: flags and kind, then what the length counts.
fn gtp(flags: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let tunnel = [2, 0x2b, 0xe6, 0x42];
    // Behind the length nothing counts.
    let datagram = joined(&[&[flags, kind], &length, &tunnel, body, b"more"]);
    udp(end("203.0.113.1:62301"), end("203.0.113.2:2152"), &datagram)
}

#[test]
fn a_telephones_packet_is_found_inside_gtp() {
    let packets = [
        gtp(0x30, 255, &hello()),
        gtp(0x30, 255, &hello6()),
        // A sequence number; the byte of the next header means nothing.
        gtp(0x32, 255, &joined(&[&[0, 7, 0, 0x85], &hello()])),
        // A container of four bytes, then one of eight.
        gtp(0x34, 255, &joined(&[&[0, 0, 0, 0x85], &[1, 0, 9, 0x40], &[2, 0, 0, 0, 0, 0, 0, 0], &hello()])),
    ];
    for (place, packet) in packets.iter().enumerate() {
        let outer = datagram(LinkType::RAW, packet);
        let Some(Walk::Datagram(inside)) = outer.inside_udp_tunnel() else { panic!("packet {place}") };
        assert_eq!((inside.payload, inside.tunnelled), (&b"hello"[..], true), "packet {place}");
    }
}

#[test]
fn what_only_looks_like_gtp_stays_what_it_is() {
    let short = [0x30, 255, 0, 0, 0, 0, 0, 1];
    for (what, packet) in [
        ("another version", gtp(0x50, 255, &hello())),
        ("for charging", gtp(0x20, 255, &hello())),
        ("a message between nodes", gtp(0x30, 1, &hello())),
        ("no IP", gtp(0x30, 255, &[0x15; 40])),
        ("an extension shorter than itself", gtp(0x34, 255, &joined(&[&[0, 0, 0, 0x85, 0], &hello()]))),
        ("an extension that does not end", gtp(0x34, 255, &[0, 0, 0, 0x85, 9, 0, 0])),
        ("nothing inside", udp(end("203.0.113.1:9"), end("203.0.113.2:2152"), &short)),
        ("another port", udp(end("203.0.113.1:9"), end("203.0.113.2:2123"), &joined(&[&short, &hello()]))),
    ] {
        assert_eq!(datagram(LinkType::RAW, &packet).inside_udp_tunnel(), None, "{what}");
    }
}

#[test]
fn what_is_not_ip_says_so() {
    assert_eq!(walked(LinkType::ETHERNET, &ethernet(0x0806, &[0; 28])), Err(Undecoded::NotIp));
    assert_eq!(walked(LinkType::NULL, &[7, 0, 0, 0, 1]), Err(Undecoded::NotIp));
    assert_eq!(walked(LinkType(105), &[0x80; 40]), Err(Undecoded::NotIp), "a beacon");
    assert_eq!(walked(LinkType(9_999), &[0; 40]), Err(Undecoded::LinkType));
    assert_eq!(walked(LinkType::RAW, &[0x15; 40]), Err(Undecoded::Malformed));
    assert_eq!(walked(LinkType::RAW, &hello()[..30]), Err(Undecoded::Truncated));
    let mut packet = hello();
    packet[32] = 0x40;
    assert_eq!(walked(LinkType::RAW, &packet), Err(Undecoded::Malformed), "a TCP header of 16 bytes");
}

fn packets() -> impl Strategy<Value = (LinkType, Vec<u8>)> {
    let (from, to) = (end("203.0.113.1:0").ip(), end("203.0.113.2:0").ip());
    let tagged = ethernet(0x8100, &joined(&[&[0, 5, 8, 0], &hello()]));
    prop::sample::select(vec![
        (LinkType::ETHERNET, tagged),
        (LinkType::NULL, joined(&[&[30, 0, 0, 0], &hello6()])),
        (LinkType::RAW, ip(from, to, 4, &hello())),
        (LinkType::RAW, ip(from, to, 47, &joined(&[&[0, 0, 8, 0], &hello()]))),
        (LinkType::LINUX_SLL2, joined(&[&[0x86, 0xdd], &[0; 18], &hello6()])),
    ])
}

fn link_types() -> impl Strategy<Value = LinkType> {
    let known = [0, 1, 9, 10, 12, 14, 50, 51, 101, 104, 105, 108, 113, 127, 192, 228, 229, 276];
    prop_oneof![8 => prop::sample::select(known.to_vec()), 1 => any::<u32>()].prop_map(LinkType)
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(link_type in link_types(), frame: Vec<u8>, wire: u32) {
        let _ = walk(link_type, &frame, wire);
        let _ = datagram(LinkType::RAW, &capwap([2 << 3, 3, 0], &[], &frame)).inside_udp_tunnel();
        let _ = datagram(LinkType::RAW, &udp(end("192.0.2.1:5247"), end("192.0.2.2:9"), &frame)).inside_udp_tunnel();
        for flags in [0x30, 0x34] {
            let _ = datagram(LinkType::RAW, &gtp(flags, 255, frame.get(..60_000).unwrap_or(&frame))).inside_udp_tunnel();
        }
    }

    #[test]
    fn damaged_packets_are_not_too_strange((link_type, mut frame) in packets(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for (place, byte) in damage {
            let place = place.index(frame.len());
            frame[place] = byte;
        }
        let _ = walked(link_type, &frame);
    }

    #[test]
    fn a_cut_hides_payload_and_changes_nothing_else((link_type, frame) in packets(), keep: prop::sample::Index) {
        let wire = u32::try_from(frame.len()).unwrap();
        let whole = datagram(link_type, &frame);
        let kept = keep.index(frame.len());
        match walk(link_type, &frame[..kept], wire) {
            Ok(Walk::Datagram(cut)) if cut.transport == whole.transport => {
                prop_assert!(whole.payload.starts_with(cut.payload));
                prop_assert_eq!(Datagram { payload: whole.payload, ..cut }, whole);
            }
            // The inside of a tunnel is out of sight: the tunnel remains.
            Ok(Walk::Datagram(outer)) => prop_assert!(matches!(outer.transport, Transport::Other(4 | 47))),
            other => prop_assert_eq!(other, Err(Undecoded::Truncated)),
        }
    }
}
