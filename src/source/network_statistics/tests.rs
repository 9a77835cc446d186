use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::simulation::{self, Source};
use super::*;

/// Messages that were compiled from Apple's structures, by release of XNU and name; `None` where they are not at hand.
fn vectors() -> Option<Vec<(&'static str, BTreeMap<String, Vec<u8>>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference/vectors");
    let mut all = Vec::new();
    for release in ["6153.141.1", "7195.141.2", "8796.141.3", "11417.121.6"] {
        let Ok(text) = std::fs::read_to_string(folder.join(format!("ntstat_xnu-{release}.txt"))) else {
            println!("skipped: the vectors are not at hand");
            return None;
        };
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let messages = lines.map(|(name, digits)| (name.to_owned(), hex::decode(digits.trim()).unwrap()));
        all.push((release, messages.collect()));
    }
    Some(all)
}

fn only(bytes: &[u8]) -> Message<'_> {
    let mut messages = Messages::new(bytes);
    let message = messages.next().unwrap().unwrap();
    assert_eq!(messages.next(), None);
    message
}

fn generation_of(release: &str) -> Generation {
    match release.split('.').next().unwrap().parse().unwrap() {
        ..7195 => Generation::A,
        7195..10002 => Generation::B,
        10002.. => Generation::C,
    }
}

#[test]
fn every_vector_decodes_exactly() {
    for (release, vectors) in vectors().into_iter().flatten() {
        let generation = generation_of(release);
        let counts = Counts { packets_in: 7, bytes_in: 6_543, packets_out: 9, bytes_out: 1_234_567 };
        let counting = |first: u8| std::array::from_fn(|place| first + u8::try_from(place).unwrap());
        let curl = Descriptor {
            generation,
            unique_pid: 0x1_0001,
            start: 1_000_001,
            interface: 14,
            tcp_state: Some(2),
            pid: 4_242,
            effective_pid: 4_242,
            local: Some("192.0.2.10:50000".parse().unwrap()),
            remote: Some("203.0.113.5:443".parse().unwrap()),
            process: b"curl",
            uuid: counting(0x10),
            effective_uuid: counting(0x10),
            properties: 0x1008,
        };
        let update = |source, is_closing, events, provider, descriptor| Message::Update {
            source,
            is_closing,
            events,
            counts,
            provider,
            descriptor,
            domain: b"",
        };
        assert_eq!(
            only(&vectors["src_update_tcp4_syn_sent"]),
            update(0x1f, false, event::FLOW_STATE_OUTBOUND, Provider::TcpKernel, curl),
            "{release}"
        );
        let local = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 50_001, 0, 14);
        let closing = Descriptor {
            tcp_state: Some(10),
            effective_pid: 4_300,
            local: Some(local.into()),
            remote: Some("[2606:4700:4700::1111]:443".parse().unwrap()),
            effective_uuid: counting(0x40),
            ..curl
        };
        assert_eq!(
            only(&vectors["src_update_tcp6_closing"]),
            update(0x20, true, 0, Provider::TcpKernel, closing),
            "{release}"
        );
        let dns = Descriptor {
            unique_pid: 0x2_0001,
            interface: 14,
            tcp_state: None,
            pid: 333,
            local: Some("192.0.2.10:60000".parse().unwrap()),
            remote: Some("192.0.2.1:53".parse().unwrap()),
            process: b"mDNSResponder",
            uuid: counting(0x20),
            properties: 0x808,
            start: 1_000_001,
            ..curl
        };
        assert_eq!(
            only(&vectors["src_update_udp4_dns_delegated"]),
            update(0x2a, false, 0, Provider::UdpKernel, dns),
            "{release}"
        );
        assert_eq!(
            only(&vectors["src_removed_ref_1f"]),
            Message::Removed { source: 0x1f, after_drop: false }
        );
        assert_eq!(
            only(&vectors["error_eperm_conn_userland"]),
            Message::Error { context: 0x1122_3344_5566_7788, errno: 1 }
        );
    }
}

#[test]
fn requests_have_the_layout_of_the_vectors() {
    for (_, vectors) in vectors().into_iter().flatten() {
        let mut expected = vectors["req_add_all_tcp_kernel"].clone();
        // Beyond what the vector asks for, the domain extension.
        expected[16..24].copy_from_slice(&0x0200_0010_0000_u64.to_le_bytes());
        let context = 0x1122_3344_5566_7788;
        assert_eq!(Request::AddAll { context, provider: Provider::TcpKernel }.encode(), expected);
        assert_eq!(Request::Poll { context: 0x42 }.encode(), vectors["req_get_update_all_continuation"]);
    }
}

#[test]
fn several_messages_of_one_datagram_are_read_one_after_the_other() {
    let source = Source::tcp(7, 501, "192.0.2.1:50000", "[2001:db8::1]:443");
    let datagram = [
        simulation::added(&source),
        simulation::counts_alone(&source),
        simulation::description(&source, Generation::C),
        simulation::message(0, 10_005, 0, &[1; 40]),
        simulation::removed(7, true),
        simulation::success(9, true),
    ]
    .concat();
    let messages: Vec<_> = Messages::new(&datagram).map(Result::unwrap).collect();
    assert_eq!(
        messages,
        [
            Message::Added { source: 7, provider: Provider::TcpKernel },
            Message::Counts { source: 7, counts: source.counts },
            Message::Described {
                source: 7,
                provider: Provider::TcpKernel,
                descriptor: source.descriptor(Generation::C)
            },
            Message::Other,
            Message::Removed { source: 7, after_drop: true },
            Message::Success { context: 9, is_partial: true },
        ]
    );
}

#[test]
fn a_message_that_is_cut_off_is_told_and_those_before_it_are_read() {
    let datagram = [simulation::success(1, false), simulation::removed(7, false)].concat();
    for cut in 17..datagram.len() {
        let mut messages = Messages::new(&datagram[..cut]);
        assert!(messages.next().unwrap().is_ok());
        assert!(matches!(messages.next(), Some(Err(Fault::Length { .. }))), "{cut}");
        assert_eq!(messages.next(), None);
    }
    let empty = simulation::message(0, 10_002, 0, &[]);
    assert_eq!(Messages::new(&empty).next(), Some(Err(Fault::Short(10_002))));
}

#[test]
fn a_descriptor_of_an_unknown_length_is_refused_and_the_next_message_is_read() {
    let source = Source::tcp(7, 501, "192.0.2.1:50000", "203.0.113.5:443");
    let mut longer = simulation::update(&source, Generation::C, 0, false);
    longer.extend_from_slice(&[0; 8]);
    let length = u16::try_from(longer.len()).unwrap();
    longer[12..14].copy_from_slice(&length.to_le_bytes());
    longer.extend_from_slice(&simulation::removed(7, false));
    let messages: Vec<_> = Messages::new(&longer).collect();
    assert_eq!(messages[0], Err(Fault::Layout { provider: 2, length: 352 }));
    assert_eq!(messages[1], Ok(Message::Removed { source: 7, after_drop: false }));
}

#[test]
fn an_address_with_the_interface_inside_it_has_a_scope() {
    let mut source = Source::tcp(7, 501, "[fe80:e::1]:50000", "[fe80:e::2]:443");
    source.properties = 0;
    let bytes = simulation::update(&source, Generation::B, 0, false);
    let Message::Update { descriptor, .. } = only(&bytes) else { panic!("no update") };
    let expected = std::net::SocketAddrV6::new("fe80::2".parse().unwrap(), 443, 0, 14);
    assert_eq!(descriptor.remote, Some(expected.into()));
}

fn sources() -> impl Strategy<Value = Source> {
    let ends = prop::option::of(prop_oneof![
        (any::<u32>(), any::<u16>()).prop_map(|(address, port)| {
            std::net::SocketAddr::new(std::net::Ipv4Addr::from_bits(address).into(), port)
        }),
        (any::<u128>(), any::<u16>()).prop_map(|(address, port)| {
            // Outside fe80::/16, where the kernel hides an interface in the address.
            std::net::SocketAddr::new(std::net::Ipv6Addr::from_bits(address >> 3).into(), port)
        }),
    ]);
    let counts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let provider = prop::sample::select(&Provider::FOLLOWED[..]);
    (
        any::<u64>(),
        provider,
        counts,
        any::<(i32, i32, u64, u32, u32)>(),
        ends.clone(),
        ends,
        "[a-z.]{0,64}",
        "[a-z.]{0,255}",
    )
        .prop_map(|(reference, provider, counts, numbers, local, remote, process, domain)| {
            let (packets_in, bytes_in, packets_out, bytes_out) = counts;
            let (pid, effective_pid, unique_pid, tcp_state, properties) = numbers;
            let counts = Counts { packets_in, bytes_in, packets_out, bytes_out };
            Source {
                reference,
                provider,
                counts,
                pid,
                effective_pid,
                unique_pid,
                process,
                local,
                remote,
                tcp_state,
                properties,
                domain,
            }
        })
}

proptest! {
    #[test]
    fn what_the_kernel_writes_is_read_in_every_layout(
        source in sources(),
        generation in prop::sample::select(&Generation::ALL[..]),
        events: u64,
        is_closing: bool,
    ) {
        let bytes = simulation::update(&source, generation, events, is_closing);
        let expected = Message::Update {
            source: source.reference,
            is_closing,
            events,
            counts: source.counts,
            provider: source.provider,
            descriptor: source.descriptor(generation),
            domain: source.domain.as_bytes(),
        };
        prop_assert_eq!(only(&bytes), expected);
    }

    #[test]
    fn no_bytes_are_read_past_their_end(
        source in sources(),
        generation in prop::sample::select(&Generation::ALL[..]),
        patches in prop::collection::vec((0_usize..600, any::<u8>()), 0..12),
        cut in 0_usize..2_000,
    ) {
        let mut bytes =
            [simulation::update(&source, generation, 0, false), simulation::description(&source, generation)]
                .concat();
        for (place, value) in patches {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        bytes.truncate(cut);
        prop_assert!(Messages::new(&bytes).count() <= bytes.len() / 16 + 1);
    }
}
