//! What the fuzz targets do with their bytes. The same functions run over the kept corpus in an ordinary test (`tests/fuzz_corpus.rs`).

use std::io::Cursor;
use std::net::SocketAddr;

use tidemark::network::identify::{Identified, Identifier, Segment, Start};
use tidemark::network::{FlowTable, Limits};
use tidemark::observation::{LinkType, Observation, Origin, Packet, PacketOwner, Timestamp, Transport};
use tidemark::source::capture;
use tidemark::source::live::Moment;
use tidemark::source::network_statistics::{Lookup, Session};
use tidemark::source::packet_tap;
use tidemark::source::running::{Listed, UniqueIdentity, has_entitlement_in};
use tidemark::source::unified_log::LogReader;

/// A target's name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("capture", read_capture),
    ("packet", walk_packet),
    ("identify", identify),
    ("client_hello", client_hello),
    ("http", http),
    ("dns", dns),
    ("socks", socks),
    ("quic", quic),
    ("dtls", dtls),
    ("network_statistics", network_statistics),
    ("packet_tap", packet_tap),
    ("unified_log", unified_log),
    ("running", running),
];

/// The capture readers, and the flow table behind them.
pub fn read_capture(bytes: &[u8]) {
    let Ok(source) = capture::open(Cursor::new(bytes.to_vec()), "fuzz", Origin(0)) else { return };
    let mut table: FlowTable<()> = FlowTable::new(Limits::default());
    for observation in source {
        if let Observation::Packet(packet) = observation {
            table.packet(&packet, &mut |_| {});
        }
    }
    table.finish(&mut |_| {});
}

/// The packet walk: a link type in the first byte, then a frame.
pub fn walk_packet(bytes: &[u8]) {
    let [link_type, frame @ ..] = bytes else { return };
    let mut table: FlowTable<()> = FlowTable::new(Limits::default());
    let packet = Packet {
        time: Timestamp::EPOCH,
        origin: Origin(0),
        interface: None,
        link_type: LinkType(u32::from(*link_type)),
        wire_length: u32::try_from(frame.len()).unwrap_or(u32::MAX),
        data: bytes::Bytes::copy_from_slice(frame),
        direction: None,
        owner: PacketOwner::default(),
        flow_id: None,
    };
    table.packet(&packet, &mut |_| {});
    table.finish(&mut |_| {});
}

/// The whole identification: a byte of transport and beginning, a port, then segments, each behind a byte of direction and gap and a
/// byte of length.
pub fn identify(bytes: &[u8]) {
    let [kind, high, low, rest @ ..] = bytes else { return };
    let transport = if kind & 1 == 0 { Transport::Tcp } else { Transport::Udp };
    let mut segments = Vec::new();
    let mut rest = rest;
    while let [head, length, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        segments.push((head & 1 == 0, u32::from(head >> 1), payload));
        rest = tail;
    }
    speak(transport, u16::from_be_bytes([*high, *low]), kind & 2 != 0, &segments);
}

/// A `ClientHello` behind its record and message headers.
pub fn client_hello(bytes: &[u8]) {
    let length = bytes.len().min(16_000);
    let part = |value: usize, width: usize| value.to_be_bytes()[size_of::<usize>() - width..].to_vec();
    let message = [vec![1], part(length, 3), bytes[..length].to_vec()].concat();
    let record = [vec![0x16, 3, 1], part(message.len(), 2), message].concat();
    speak(Transport::Tcp, 443, false, &[(true, 0, &record)]);
}

/// A request, the answer behind the first empty line, and what follows a `CONNECT`.
pub fn http(bytes: &[u8]) {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let (request, answer) = bytes.split_at(end);
    speak(
        Transport::Tcp,
        8_080,
        false,
        &[(true, 0, request), (false, 0, answer), (true, 0, b"\x16\x03\x01")],
    );
}

/// A message of DNS in a datagram.
pub fn dns(bytes: &[u8]) {
    speak(Transport::Udp, 53, false, &[(true, 0, bytes), (false, 0, bytes)]);
}

/// What a client and a SOCKS proxy say, in turns of the lengths that the first bytes give.
pub fn socks(bytes: &[u8]) {
    let [a, b, c, rest @ ..] = bytes else { return };
    let mut rest = rest;
    let mut segments = Vec::new();
    for (place, length) in [a, b, c, a].into_iter().enumerate() {
        let (payload, tail) = rest.split_at(rest.len().min(usize::from(*length)));
        segments.push((place % 2 == 0, 0, payload));
        rest = tail;
    }
    speak(Transport::Tcp, 1_080, false, &segments);
}

/// Two datagrams of a QUIC client.
pub fn quic(bytes: &[u8]) {
    let (first, second) = bytes.split_at(bytes.len().min(1_250));
    speak(Transport::Udp, 443, false, &[(true, 0, first), (true, 0, second)]);
}

/// A DTLS record.
pub fn dtls(bytes: &[u8]) {
    speak(Transport::Udp, 5_349, false, &[(true, 0, bytes)]);
}

/// One flow: direction, gap before it, and payload of each segment. What it holds must be given back.
fn speak(transport: Transport, port: u16, midstream: bool, segments: &[(bool, u32, &[u8])]) {
    let mut identifier = Identifier::default();
    let mut identified = Identified::default();
    let start = Start {
        origin: Origin(0),
        transport,
        client: SocketAddr::from(([192, 0, 2, 1], 50_000)),
        server: SocketAddr::from(([198, 51, 100, 7], port)),
        midstream,
    };
    let mut inspection = identifier.begin(&start, &mut identified);
    let mut next = [0_u32; 2];
    for (from_client, gap, payload) in segments {
        let sequence = &mut next[usize::from(*from_client)];
        *sequence = sequence.wrapping_add(*gap);
        let wire_payload = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let segment = Segment {
            time: Timestamp::EPOCH,
            from_client: *from_client,
            sequence: *sequence,
            syn: false,
            end: false,
            payload,
            wire_payload,
        };
        identifier.segment(&mut inspection, &start, segment, &mut identified);
        *sequence = sequence.wrapping_add(wire_payload);
    }
    identifier.finish(inspection, &start, &mut identified);
    assert!(identified.protocol.is_some(), "every flow has a label in the end");
    assert_eq!(identifier.held_bytes(), 0, "a flow that ended holds nothing");
}

/// Messages of the kernel's statistics, each datagram behind two bytes of length, and the session that they are for.
pub fn network_statistics(mut bytes: &[u8]) {
    struct Nothing;
    impl Lookup for Nothing {
        fn generation(&mut self, _: i32, _: u64) -> Option<i32> {
            None
        }
        fn interface(&mut self, _: u32) -> Option<std::sync::Arc<str>> {
            None
        }
    }
    let mut now = Moment { wall: Timestamp::EPOCH, steady: std::time::Duration::ZERO };
    let mut session = Session::new("fuzz-", Origin(0), now);
    let mut out = Vec::new();
    while let [low, high, rest @ ..] = bytes {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        bytes = rest;
        while session.next_action(now, &mut out).is_some() {}
        session.receive(datagram, now, &mut Nothing, &mut out);
        now.steady += session.patience(now);
        out.clear();
    }
}

/// A buffer of the packet tap.
pub fn packet_tap(bytes: &[u8]) {
    let mut out = Vec::new();
    packet_tap::Session::new(Origin(0)).receive(bytes, Timestamp::EPOCH, &mut out);
}

/// The stream of the unified log.
pub fn unified_log(bytes: &[u8]) {
    LogReader::new(bytes, Origin(0)).for_each(drop);
}

/// What system calls return on a process: its unique identity, a signing identity, then its arguments or its entitlements.
pub fn running(bytes: &[u8]) {
    let (unique, rest) = bytes.split_at(bytes.len().min(UniqueIdentity::LENGTH));
    let (identity, arguments) = rest.split_at(rest.len().min(32));
    let listed = Listed {
        unique: UniqueIdentity::parse(unique),
        signing_id: identity.to_vec(),
        arguments: arguments.to_vec(),
        ..Listed::default()
    };
    let _ = listed.observe(Timestamp::EPOCH);
    let _ = has_entitlement_in(&listed.arguments, "com.apple.developer.endpoint-security.client");
}
