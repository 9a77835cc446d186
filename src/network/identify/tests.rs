//! Whole inspections: segments in, what was found out.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// One flow and the identifier that looks at it.
struct Flow {
    identifier: Identifier,
    inspection: Inspection,
    identified: Identified,
    time: Timestamp,
    /// Next sequence numbers of server and client.
    next: [u32; 2],
    start: Start,
}

const CLIENT_ISN: u32 = u32::MAX - 20;
const SERVER_ISN: u32 = 1_000;

fn start(transport: Transport, server_port: u16, midstream: bool) -> Start {
    Start {
        origin: Origin(0),
        transport,
        client: SocketAddr::from(([192, 0, 2, 1], 50_123)),
        server: SocketAddr::from(([198, 51, 100, 7], server_port)),
        midstream,
    }
}

impl Flow {
    fn with(identifier: Identifier, start: Start) -> Self {
        let mut flow = Self {
            identifier,
            inspection: Inspection::default(),
            identified: Identified::default(),
            time: Timestamp::EPOCH,
            next: [SERVER_ISN, CLIENT_ISN],
            start,
        };
        flow.inspection = flow.identifier.begin(&flow.start, &mut flow.identified);
        flow
    }

    fn tcp(server_port: u16) -> Self {
        let mut flow = Self::with(Identifier::default(), start(Transport::Tcp, server_port, false));
        flow.shake_hands();
        flow
    }

    fn udp(server_port: u16) -> Self {
        Self::with(Identifier::default(), start(Transport::Udp, server_port, false))
    }

    fn midstream() -> Self {
        Self::with(Identifier::default(), start(Transport::Tcp, 50_999, true))
    }

    fn shake_hands(&mut self) {
        for from_client in [true, false] {
            let sequence = self.next[usize::from(from_client)];
            self.put(from_client, sequence, b"", true);
        }
    }

    /// The next payload of one end.
    fn say(&mut self, from_client: bool, payload: &[u8]) -> &mut Self {
        let sequence = self.next[usize::from(from_client)];
        self.put(from_client, sequence, payload, false);
        self.next[usize::from(from_client)] = sequence.wrapping_add(u32::try_from(payload.len()).unwrap());
        self
    }

    fn client(&mut self, payload: &[u8]) -> &mut Self {
        self.say(true, payload)
    }

    fn server(&mut self, payload: &[u8]) -> &mut Self {
        self.say(false, payload)
    }

    /// A payload so many bytes behind the beginning of the client's stream.
    fn client_at(&mut self, offset: u32, payload: &[u8]) -> &mut Self {
        self.put(true, CLIENT_ISN.wrapping_add(offset), payload, false);
        self
    }

    fn put(&mut self, from_client: bool, sequence: u32, payload: &[u8], syn: bool) {
        let wire_payload = u32::try_from(payload.len()).unwrap();
        let sequence = if self.start.transport == Transport::Tcp { sequence } else { 0 };
        let segment =
            Segment { time: self.time, from_client, sequence, syn, end: false, payload, wire_payload };
        let before = self.identified.clone();
        let changed =
            self.identifier.segment(&mut self.inspection, &self.start, segment, &mut self.identified);
        assert!(changed || before == self.identified, "a change is told");
    }

    fn after(&mut self, seconds: u64) -> &mut Self {
        self.time = self.time.after(Duration::from_secs(seconds));
        self
    }

    fn end(&mut self) -> Identified {
        let inspection = std::mem::take(&mut self.inspection);
        self.identifier.finish(inspection, &self.start, &mut self.identified);
        assert_eq!(self.identifier.held_bytes(), 0, "a flow that ended holds nothing");
        self.identified.clone()
    }

    fn protocol(&self) -> Option<Protocol> {
        self.identified.protocol
    }

    fn metadata(&self) -> Metadata {
        self.identified.metadata.as_deref().cloned().unwrap_or_default()
    }
}

/// A `ClientHello` record with a server name, ALPN `h2` and TLS 1.3, and `padding` bytes more.
fn client_hello(name: &str, padding: u16) -> Vec<u8> {
    let mut record = vec![0x16, 3, 1];
    let message = hello_message(name, padding);
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(message);
    record
}

fn hello_message(name: &str, padding: u16) -> Vec<u8> {
    let block = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &block(body)].concat();
    let extensions = [
        extension(0x5a5a, b""),
        extension(21, &vec![0; usize::from(padding)]),
        extension(0, &block(&[&[0][..], &block(name.as_bytes())].concat())),
        extension(16, &block(b"\x02h2")),
        extension(13, &block(&[4, 3, 8, 4])),
        extension(43, &[4, 0x5a, 0x5a, 3, 4]),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &block(&[0x5a, 0x5a, 0x13, 0x01, 0xc0, 0x2f]),
        &[1, 0],
        &block(&extensions),
    ]
    .concat();
    [&[1, 0][..], &block(&body)].concat()
}

fn server_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[9; 32], &[0], &[0x13, 0x01, 0], &[0, 6], &[0, 43, 0, 2, 3, 4]].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[0x16, 3, 3, 0, length + 4, 2, 0, 0, length][..], &body].concat()
}

#[test]
fn a_hello_gives_label_name_and_fingerprint() {
    let mut flow = Flow::tcp(443);
    flow.client(&client_hello("Example.COM", 0));
    assert_eq!(flow.protocol(), Some(Protocol::Tls));
    assert!(!flow.inspection.is_done(), "the server's answer is awaited");
    flow.server(&server_hello());
    assert!(flow.inspection.is_done());
    let metadata = flow.metadata();
    assert_eq!(metadata.server_name.as_deref(), Some("example.com"));
    assert_eq!(metadata.alpn, ["h2".into()]);
    assert_eq!(metadata.tls_version.as_deref(), Some("1.3"));
    // By hand: two suites and five extensions without the greased ones; SHA-256 of "1301,c02f" and of "000d,0015,002b_0403,0804".
    assert_eq!(metadata.ja4.as_deref(), Some("t13d0205h2_c1929292aa6b_e0b9a5db47b5"));
}

#[test]
fn a_hello_over_two_segments_is_read_whole() {
    let hello = client_hello("example.com", 1_600);
    let mut flow = Flow::tcp(8_443);
    flow.client(&hello[..1_400]);
    assert_eq!(flow.protocol(), Some(Protocol::Tls));
    assert_eq!(flow.metadata().ja4, None);
    flow.client(&hello[1_400..]);
    assert_eq!(flow.metadata().server_name.as_deref(), Some("example.com"));
    assert!(flow.metadata().ja4.is_some());
}

#[test]
fn a_hello_that_was_cut_still_gives_its_name() {
    let mut flow = Flow::tcp(443);
    let hello = client_hello("example.com", 0);
    flow.client(&hello[..hello.len() - 20]);
    let identified = flow.end();
    assert_eq!(identified.protocol, Some(Protocol::Tls));
    let metadata = identified.metadata.unwrap();
    assert_eq!((metadata.server_name.as_deref(), metadata.ja4), (Some("example.com"), None));
}

#[test]
fn a_byte_a_segment_is_read_as_well() {
    let mut flow = Flow::tcp(443);
    for byte in client_hello("example.com", 0) {
        flow.client(&[byte]);
    }
    assert_eq!(flow.protocol(), Some(Protocol::Tls));
    assert_eq!(flow.metadata().server_name.as_deref(), Some("example.com"));
}

#[test]
fn a_hello_in_records_of_a_few_bytes_is_put_together() {
    let records: Vec<u8> = hello_message("example.com", 0)
        .chunks(7)
        .flat_map(|part| [&[0x16, 3, 1, 0, u8::try_from(part.len()).unwrap()][..], part].concat())
        .collect();
    let mut flow = Flow::tcp(443);
    flow.client(&records);
    assert_eq!(flow.metadata().server_name.as_deref(), Some("example.com"));
}

#[test]
fn segments_in_any_order_give_the_same() {
    let hello = client_hello("example.com", 0);
    let size = hello.len().div_ceil(5);
    let pieces: Vec<&[u8]> = hello.chunks(size).collect();
    let mut flow = Flow::tcp(443);
    for part in [4, 1, 3, 2] {
        flow.client_at(u32::try_from(part * size).unwrap(), pieces[part]);
    }
    assert_eq!(flow.protocol(), None);
    flow.client_at(0, pieces[0]);
    assert_eq!(flow.protocol(), Some(Protocol::Tls));
    assert_eq!(flow.metadata().server_name.as_deref(), Some("example.com"));
}

#[test]
fn the_first_copy_of_a_byte_wins() {
    let mut flow = Flow::tcp(50_999);
    flow.client(b"GE").client_at(0, b"XXT / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(flow.protocol(), Some(Protocol::Http));
    assert_eq!(flow.metadata().http_method.as_deref(), Some("GET"));
}

#[test]
fn payload_in_the_syn_is_read() {
    let mut flow = Flow::with(Identifier::default(), start(Transport::Tcp, 443, false));
    flow.put(true, CLIENT_ISN, &client_hello("example.com", 0), true);
    assert_eq!(flow.metadata().server_name.as_deref(), Some("example.com"));
}

#[test]
fn a_lost_first_segment_leaves_what_proves_itself() {
    let mut flow = Flow::tcp(50_999);
    flow.client_at(500, b"POST /next HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(flow.protocol(), Some(Protocol::Http));
}

#[test]
fn silence_is_an_attempt_unless_the_beginning_was_missed() {
    assert_eq!(Flow::tcp(443).end().protocol, Some(Protocol::Attempted));
    assert_eq!(Flow::midstream().end().protocol, Some(Protocol::Unknown));
}

#[test]
fn what_matches_nothing_is_given_up_after_eight_packets() {
    let mut flow = Flow::tcp(50_999);
    for _ in 0..7 {
        flow.client(b"no such protocol");
    }
    assert_eq!(flow.protocol(), None);
    flow.client(b"no such protocol");
    assert_eq!(flow.protocol(), Some(Protocol::Unknown));
    assert!(flow.inspection.is_done());
}

#[test]
fn what_matches_nothing_is_given_up_after_three_seconds() {
    let mut flow = Flow::tcp(50_999);
    flow.client(b"no such protocol").after(4).server(b"none either, here");
    assert_eq!(flow.protocol(), Some(Protocol::Unknown));
}

#[test]
fn a_late_answer_is_still_looked_at() {
    let mut flow = Flow::tcp(50_999);
    flow.server(b"220 ready\r\n").after(60).client(b"EHLO client.example\r\n");
    assert_eq!(flow.protocol(), Some(Protocol::Smtp));
}

#[test]
fn noise_is_called_encrypted() {
    let noise: Vec<u8> = (0_u32..300).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let mut flow = Flow::tcp(443);
    flow.client(&noise);
    assert_eq!(flow.end().protocol, Some(Protocol::UnknownEncrypted));
}

#[test]
fn the_port_is_told_beside_the_payload() {
    let mut flow = Flow::tcp(443);
    flow.server(b"SSH-2.0-OpenSSH_9.9\r\n");
    let identified = flow.end();
    assert_eq!(identified.protocol, Some(Protocol::Ssh));
    assert_eq!(identified.port_protocol, Some(Protocol::Tls));
    assert_eq!(identified.metadata.unwrap().ssh_banner.as_deref(), Some("SSH-2.0-OpenSSH_9.9"));
}

#[test]
fn starttls_is_an_upgrade() {
    let mut flow = Flow::tcp(25);
    flow.server(b"220 mx.example ESMTP\r\n")
        .client(b"EHLO client.example\r\n")
        .server(b"250-mx.example\r\n250 STARTTLS\r\n")
        .client(b"STARTTLS\r\n")
        .server(b"220 go ahead\r\n")
        .client(&client_hello("mx.example", 0))
        .server(&server_hello());
    assert_eq!(flow.protocol(), Some(Protocol::Smtp));
    assert_eq!(flow.identified.upgraded, Some(Protocol::Tls));
    assert_eq!(flow.metadata().server_name.as_deref(), Some("mx.example"));
    assert!(flow.inspection.is_done());
}

#[test]
fn connect_shows_its_target_and_what_passes_inside() {
    let mut flow = Flow::tcp(9_000);
    flow.client(b"CONNECT Hidden.example:443 HTTP/1.1\r\nHost: hidden.example:443\r\n\r\n");
    flow.server(b"HTTP/1.1 200 Connection established\r\n\r\n");
    flow.client(&client_hello("inner.example", 0)).server(&server_hello());
    assert_eq!(flow.protocol(), Some(Protocol::Http));
    assert_eq!(flow.identified.upgraded, Some(Protocol::Tls));
    let metadata = flow.metadata();
    assert_eq!(metadata.proxied_to.as_deref(), Some("hidden.example:443"));
    assert_eq!(metadata.server_name.as_deref(), Some("inner.example"));
    assert!(metadata.ja4.is_some());
}

#[test]
fn a_long_hello_inside_a_proxy_is_read_whole() {
    let mut flow = Flow::tcp(1_080);
    flow.client(&[5, 1, 0]).server(&[5, 0]);
    flow.client(b"\x05\x01\x00\x03\x0binner.local\x01\xbb").server(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    flow.client(&client_hello("inner.example", 900)).server(&server_hello());
    assert_eq!(flow.metadata().server_name.as_deref(), Some("inner.example"));
    assert!(flow.metadata().ja4.is_some());
}

#[test]
fn an_upgrade_is_noticed_late_and_out_of_reach_of_the_buffers() {
    let mut flow = Flow::tcp(143);
    flow.server(b"* OK ready\r\n").server(&[b'x'; 6_000]).after(600).client(&client_hello("mail.example", 0));
    assert_eq!(flow.identified.upgraded, Some(Protocol::Tls));
}

#[test]
fn a_refused_connect_opens_nothing() {
    let mut flow = Flow::tcp(9_000);
    flow.client(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n").server(b"HTTP/1.1 403 Forbidden\r\n\r\n");
    let identified = flow.end();
    assert_eq!(identified.upgraded, None);
    assert_eq!(identified.metadata.unwrap().proxied_to.as_deref(), Some("a.example:443"));
}

#[test]
fn socks_shows_its_target_and_what_passes_inside() {
    let mut flow = Flow::tcp(1_080);
    flow.client(&[5, 1, 0]).server(&[5, 0]);
    flow.client(b"\x05\x01\x00\x03\x0binner.local\x00\x16").server(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    flow.server(b"SSH-2.0-x\r\n");
    let identified = flow.end();
    assert_eq!((identified.protocol, identified.upgraded), (Some(Protocol::Socks), Some(Protocol::Ssh)));
    assert_eq!(identified.metadata.unwrap().proxied_to.as_deref(), Some("inner.local:22"));
}

#[test]
fn socks_with_a_password_and_version_4a_show_their_targets() {
    let mut flow = Flow::tcp(1_080);
    flow.client(&[5, 2, 0, 2]).server(&[5, 2]).client(b"\x01\x01u\x01p").server(&[1, 0]);
    flow.client(&[5, 1, 0, 1, 192, 0, 2, 9, 0, 80]).server(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(flow.metadata().proxied_to.as_deref(), Some("192.0.2.9:80"));
    let mut flow = Flow::tcp(50_999);
    flow.client(b"\x04\x01\x01\xbb\0\0\0\x01\0a.example\0").server(&[0, 90, 0, 0, 0, 0, 0, 0]);
    flow.client(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(flow.metadata().proxied_to.as_deref(), Some("a.example:443"));
    assert_eq!(flow.identified.upgraded, Some(Protocol::Http));
}

#[test]
fn a_websocket_is_an_upgrade_of_http() {
    let mut flow = Flow::tcp(80);
    flow.client(b"GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\r\n");
    flow.server(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert_eq!(flow.protocol(), Some(Protocol::Http));
    assert_eq!(flow.identified.upgraded, Some(Protocol::Websocket));
}

#[test]
fn a_request_gives_method_host_and_agent() {
    let mut flow = Flow::tcp(8_080);
    flow.client(b"POST /x HTTP/1.1\r\nHOST: A.example:8080\r\nUser-Agent: curl/8\x1b\r\n\r\n");
    let metadata = flow.metadata();
    assert_eq!(metadata.http_method.as_deref(), Some("POST"));
    assert_eq!(metadata.http_host.as_deref(), Some("a.example:8080"));
    assert_eq!(metadata.server_name.as_deref(), Some("a.example"));
    assert_eq!(metadata.user_agent.as_deref(), Some("curl/8\u{fffd}"));
    assert!(flow.inspection.is_done());
}

#[test]
fn a_plain_proxy_shows_its_target() {
    let mut flow = Flow::tcp(3_128);
    flow.client(b"GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(flow.metadata().proxied_to.as_deref(), Some("a.example:80"));
}

const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01\
\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x0e\xc0\x27\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x33\x64\x07";

#[test]
fn an_answer_names_later_flows() {
    let mut flow = Flow::udp(53);
    flow.client(QUESTION).server(ANSWER);
    let metadata = flow.metadata();
    assert_eq!(metadata.dns_query.as_deref(), Some("a.example"));
    assert_eq!(metadata.dns_answers, ["b.example".into(), "198.51.100.7".into()]);
    let later = Flow::with(flow.identifier, start(Transport::Tcp, 443, false));
    assert_eq!(later.identified.resolved_name.as_deref(), Some("a.example"));
}

#[test]
fn initials_of_both_versions_are_opened() {
    let version_1: &[u8] = include_bytes!("../../../fuzz/corpus/quic/version_1");
    let version_2: &[u8] = include_bytes!("../../../fuzz/corpus/quic/version_2");
    for datagram in [version_1, version_2] {
        let mut flow = Flow::udp(50_999);
        flow.client(datagram);
        assert_eq!(flow.protocol(), Some(Protocol::Quic));
        let metadata = flow.metadata();
        assert_eq!(metadata.server_name.as_deref(), Some("quic.example"));
        assert_eq!(metadata.alpn, ["h3".into()]);
        assert!(metadata.ja4.is_some_and(|ja4| ja4.starts_with("q13d")));
        assert!(flow.inspection.is_done());
    }
}

#[test]
fn an_initial_with_one_wrong_bit_shows_nothing() {
    let mut datagram = include_bytes!("../../../fuzz/corpus/quic/version_1").to_vec();
    datagram[100] ^= 1;
    let mut flow = Flow::udp(443);
    flow.client(&datagram);
    let identified = flow.end();
    assert_eq!((identified.protocol, identified.metadata), (Some(Protocol::Quic), None));
}

#[test]
fn a_media_flow_is_called_by_what_follows_its_probes() {
    let probe = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
    let hello = b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x0d\x01\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut flow = Flow::udp(50_999);
    flow.client(probe);
    assert_eq!(flow.protocol(), Some(Protocol::Stun));
    flow.server(probe).client(hello);
    assert_eq!(flow.protocol(), Some(Protocol::Dtls));
}

#[test]
fn what_a_relay_channel_carries_is_seen() {
    let probe = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
    let mut flow = Flow::udp(3_478);
    flow.client(probe);
    for number in [1, 2] {
        flow.client(&[0x40, 0, 0, 13, 0x80, 0x60, 0, number, 0, 0, 0, 0, 1, 2, 3, 4, 0xaa]);
    }
    assert_eq!(flow.protocol(), Some(Protocol::Rtp));
}

#[test]
fn an_announced_connection_is_a_transfer() {
    let mut control = Flow::tcp(21);
    control.server(b"220 FTP ready\r\n").client(b"PASV\r\n");
    control.server(b"227 Entering Passive Mode (198,51,100,7,195,80)\r\n");
    let mut data = Flow::with(control.identifier, start(Transport::Tcp, 50_000, false));
    data.shake_hands();
    data.server(b"GET / HTTP/1.1\r\n");
    assert_eq!(data.protocol(), Some(Protocol::FtpData));
}

#[test]
fn a_flow_joined_in_its_middle_is_called_what_it_proves() {
    let mut flow = Flow::midstream();
    flow.server(b"the rest of some document</html>").client(b"GET /2 HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(flow.protocol(), Some(Protocol::Http));
}

#[test]
fn other_transports_are_called_by_their_number() {
    for (transport, protocol) in [
        (Transport::Icmp, Protocol::Icmp),
        (Transport::Icmp6, Protocol::Icmpv6),
        (Transport::Other(2), Protocol::Igmp),
        (Transport::Other(50), Protocol::Ipsec),
        (Transport::Other(132), Protocol::Unknown),
    ] {
        let flow = Flow::with(Identifier::default(), start(transport, 0, false));
        assert_eq!(flow.protocol(), Some(protocol));
        assert!(flow.inspection.is_done());
    }
}

#[test]
fn flows_that_say_nothing_cannot_fill_the_memory() {
    let mut identifier = Identifier::default();
    let mut flows = Vec::new();
    let start = start(Transport::Tcp, 50_999, false);
    for _ in 0..40_000 {
        let mut identified = Identified::default();
        let mut inspection = identifier.begin(&start, &mut identified);
        let segment = Segment {
            time: Timestamp::EPOCH,
            from_client: true,
            sequence: 1,
            syn: false,
            end: false,
            payload: &[b'?'; 400],
            wire_payload: 400,
        };
        identifier.segment(&mut inspection, &start, segment, &mut identified);
        flows.push(inspection);
        assert!(identifier.held_bytes() <= 1 << 20);
    }
    assert!(identifier.evicted() > 0);
    for inspection in flows {
        identifier.finish(inspection, &start, &mut Identified::default());
    }
    assert_eq!(identifier.held_bytes(), 0);
}

proptest! {
    #[test]
    fn a_hello_is_read_however_it_is_cut_and_ordered(
        cuts in prop::collection::vec(1_usize..180, 0..3), order: u64, repeat in 0_usize..4
    ) {
        let hello = client_hello("example.com", 0);
        let mut ends: Vec<usize> = cuts.into_iter().filter(|cut| *cut < hello.len()).collect();
        ends.push(hello.len());
        ends.sort_unstable();
        ends.dedup();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let mut parts: Vec<(usize, usize)> = starts.zip(ends.iter().copied()).collect();
        let again = parts[repeat % parts.len()];
        parts.push(again);
        let turn = usize::try_from(order % 7).unwrap() % parts.len();
        parts.rotate_left(turn);
        let mut flow = Flow::tcp(50_999);
        for (from, to) in parts {
            flow.client_at(u32::try_from(from).unwrap(), &hello[from..to]);
        }
        prop_assert_eq!(flow.protocol(), Some(Protocol::Tls));
        let metadata = flow.metadata();
        prop_assert_eq!(metadata.server_name.as_deref(), Some("example.com"));
        prop_assert!(metadata.ja4.is_some());
    }

    #[test]
    fn any_bytes_in_any_order_end_well(
        transport in prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)],
        port: u16,
        midstream: bool,
        segments in prop::collection::vec((any::<bool>(), 0_u32..6_000, prop::collection::vec(any::<u8>(), 0..300)), 0..40)
    ) {
        let mut flow = Flow::with(Identifier::default(), start(transport, port, midstream));
        for (from_client, offset, payload) in segments {
            flow.put(from_client, offset, &payload, offset == 0);
            prop_assert!(flow.identifier.held_bytes() <= 1 << 20);
        }
        prop_assert!(flow.end().protocol.is_some());
    }
}
