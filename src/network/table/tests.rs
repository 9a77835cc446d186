use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::flow::Counters;
use super::*;
use crate::network::packet::{TcpFlags, frames};
use crate::network::protocol::Protocol;
use crate::observation::{
    Direction, FlowReport, FlowState, LinkType, Origin, Packet, PacketOwner, ProcessKey, Transport,
};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN.and(TcpFlags::ACK);
const RST: TcpFlags = TcpFlags::RST;
const OUT: Option<Direction> = Some(Direction::Outbound);
const IN: Option<Direction> = Some(Direction::Inbound);
const MAC: &str = "192.0.2.1:50000";
const SERVER: &str = "198.51.100.2:443";

/// An update, owned.
#[derive(Debug, Clone)]
struct Told {
    flow: Flow,
    phase: Phase,
    time: Timestamp,
    growth: Counters,
}

/// A table with everything that it told.
struct Bench {
    table: FlowTable<u32>,
    told: Vec<Told>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self { table: FlowTable::new(limits), told: Vec::new() }
    }

    fn packet(&mut self, packet: &Packet) {
        let told = &mut self.told;
        self.table.packet(packet, &mut |update| told.push(Told::from(update)));
    }

    fn report(&mut self, report: &FlowReport) {
        let told = &mut self.told;
        self.table.report(report, &mut |update| told.push(Told::from(update)));
    }

    fn advance(&mut self, seconds: f64) {
        let told = &mut self.told;
        self.table.advance(at(seconds), &mut |update| told.push(Told::from(update)));
    }

    fn tcp(&mut self, seconds: f64, from: &str, to: &str, flags: TcpFlags, sequence: u32, payload: usize) {
        self.packet(&tcp(seconds, from, to, flags, sequence, payload));
    }

    /// Ends the table, and gives the flows as they ended, in the order of their beginning.
    fn flows(&mut self) -> Vec<Flow> {
        let told = &mut self.told;
        self.table.finish(&mut |update| told.push(Told::from(update)));
        let ended = self.told.iter().filter(|told| told.phase == Phase::Ended);
        let mut flows: Vec<Flow> = ended.map(|told| told.flow.clone()).collect();
        flows.sort_by_key(|flow| flow.serial);
        flows
    }
}

impl From<FlowUpdate<'_, u32>> for Told {
    fn from(update: FlowUpdate<'_, u32>) -> Self {
        // The tag counts the updates of its flow: it is the flow's own, from nought.
        *update.tag += 1;
        assert_eq!(*update.tag == 1, update.phase == Phase::Began, "every flow begins once, and first");
        Self { flow: update.flow.clone(), phase: update.phase, time: update.time, growth: update.growth }
    }
}

fn at(seconds: f64) -> Timestamp {
    #[allow(clippy::cast_possible_truncation, reason = "tests use times near zero")]
    Timestamp::from_nanos((seconds * 1e9) as i64)
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn packet(seconds: f64, data: Vec<u8>) -> Packet {
    Packet {
        time: at(seconds),
        origin: Origin(0),
        interface: None,
        link_type: LinkType::RAW,
        wire_length: u32::try_from(data.len()).unwrap(),
        data: Bytes::from(data),
        direction: None,
        owner: PacketOwner::default(),
        flow_id: None,
    }
}

fn tcp(seconds: f64, from: &str, to: &str, flags: TcpFlags, sequence: u32, payload: usize) -> Packet {
    packet(seconds, frames::tcp(end(from), end(to), flags, sequence, &vec![b'x'; payload]))
}

fn udp(seconds: f64, from: &str, to: &str, payload: usize) -> Packet {
    packet(seconds, frames::udp(end(from), end(to), &vec![b'x'; payload]))
}

fn of(packet: Packet, direction: Option<Direction>, pid: Option<i32>) -> Packet {
    Packet { direction, owner: PacketOwner { pid, ..PacketOwner::default() }, ..packet }
}

fn report(seconds: f64, state: FlowState, bytes_out: u64, bytes_in: u64) -> FlowReport {
    FlowReport {
        time: at(seconds),
        flow_id: "a".into(),
        origin: Origin(0),
        pid: Some(7),
        pidversion: Some(70),
        effective_pid: None,
        process: Some("curl".into()),
        transport: Transport::Tcp,
        local: end(MAC),
        remote: end(SERVER),
        direction: OUT,
        interface: None,
        protocol: None,
        server_name: None,
        bytes_out,
        bytes_in,
        packets_out: 0,
        packets_in: 0,
        wire_bytes_out: None,
        wire_bytes_in: None,
        state,
    }
}

fn growth(told: &[Told]) -> u64 {
    told.iter().map(|told| told.growth.bytes_out).sum()
}

#[test]
fn a_connection_is_one_flow_seen_from_the_end_that_opened_it() {
    let mut bench = Bench::new();
    bench.tcp(0.0, MAC, SERVER, SYN, 100, 0);
    bench.tcp(0.1, SERVER, MAC, SYN.and(ACK), 900, 0);
    bench.tcp(0.2, MAC, SERVER, ACK, 101, 40);
    bench.tcp(0.3, SERVER, MAC, ACK, 901, 1_000);
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!((flow.local, flow.remote, flow.direction), (end(MAC), end(SERVER), OUT));
    let expected = Counters {
        bytes_out: 40,
        bytes_in: 1_000,
        packets_out: 2,
        packets_in: 2,
        wire_bytes_out: 2 * 52 + 40,
        wire_bytes_in: 2 * 52 + 1_000,
    };
    assert_eq!(flow.counters, expected);
    assert_eq!((flow.start, flow.last), (at(0.0), at(0.3)));
    assert!(!flow.midstream && !flow.attempted);
}

#[test]
fn an_answer_that_is_seen_first_shows_who_asked() {
    let mut bench = Bench::new();
    bench.tcp(0.0, SERVER, MAC, SYN.and(ACK), 900, 0);
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!((flow.local, flow.direction, flow.midstream), (end(MAC), OUT, false));
    assert_eq!(flow.counters.packets_in, 1);
}

#[test]
fn the_capture_knows_better_than_the_first_packet_which_end_is_the_mac() {
    let mut bench = Bench::new();
    bench.packet(&of(tcp(0.0, SERVER, MAC, SYN, 5, 0), IN, None));
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!((flow.local, flow.remote, flow.direction), (end(MAC), end(SERVER), IN));
}

#[test]
fn a_connection_without_its_beginning_is_midstream_and_nobodys_attempt() {
    let mut bench = Bench::new();
    bench.tcp(0.0, SERVER, MAC, ACK, 5, 0);
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!((flow.local, flow.direction), (end(SERVER), None));
    assert!(flow.midstream && !flow.attempted);
}

#[test]
fn an_attempt_is_a_connection_over_which_nothing_passed() {
    let mut bench = Bench::new();
    bench.tcp(0.0, MAC, SERVER, SYN, 100, 0);
    bench.tcp(0.1, SERVER, MAC, RST.and(ACK), 0, 0);
    assert!(bench.flows()[0].attempted);
}

#[test]
fn a_loopback_connection_is_two_flows_each_seen_from_its_own_process() {
    let mut bench = Bench::new();
    let (client, server) = ("127.0.0.1:50000", "127.0.0.1:80");
    for (from, to, pids, flags, payload) in [
        (client, server, (100, 200), SYN, 0),
        (server, client, (200, 100), SYN.and(ACK), 0),
        (client, server, (100, 200), ACK, 30),
        (server, client, (200, 100), ACK, 500),
    ] {
        bench.packet(&of(tcp(0.0, from, to, flags, 1, payload), OUT, Some(pids.0)));
        bench.packet(&of(tcp(0.0, from, to, flags, 1, payload), IN, Some(pids.1)));
    }
    let [outer, inner] = &bench.flows()[..] else { panic!() };
    assert_eq!((outer.owner.process.unwrap().pid, outer.local, outer.direction), (100, end(client), OUT));
    assert_eq!((inner.owner.process.unwrap().pid, inner.local, inner.direction), (200, end(server), IN));
    assert_eq!((outer.counters.bytes_out, outer.counters.bytes_in), (30, 500));
    assert_eq!((inner.counters.bytes_out, inner.counters.bytes_in), (500, 30));
    assert_eq!(outer.counters.packets_out + outer.counters.packets_in, 4);
}

#[test]
fn both_ends_in_one_process_or_in_an_unknown_one_are_still_two_flows() {
    for inner in [Some(100), None] {
        let mut bench = Bench::new();
        bench.packet(&of(udp(0.0, "127.0.0.1:5", "127.0.0.1:6", 10), OUT, Some(100)));
        bench.packet(&of(udp(0.0, "127.0.0.1:5", "127.0.0.1:6", 10), IN, inner));
        let flows = bench.flows();
        let bytes: Vec<_> =
            flows.iter().map(|flow| (flow.counters.bytes_out, flow.counters.bytes_in)).collect();
        assert_eq!(bytes, [(10, 0), (0, 10)]);
    }
}

#[test]
fn a_flow_without_an_owner_is_adopted_and_packets_without_one_join_it() {
    let mut bench = Bench::new();
    for pid in [None, Some(100), None, Some(100)] {
        bench.packet(&of(udp(0.0, MAC, SERVER, 10), OUT, pid));
    }
    bench.packet(&of(udp(0.0, MAC, SERVER, 10), OUT, Some(200)));
    let [first, second] = &bench.flows()[..] else { panic!() };
    assert_eq!((first.owner.process.unwrap().pid, first.counters.bytes_out), (100, 40));
    assert_eq!((second.owner.process.unwrap().pid, second.counters.bytes_out), (200, 10));
}

#[test]
fn the_kernel_on_a_connection_of_a_process_is_not_another_owner() {
    let mut bench = Bench::new();
    for pid in [Some(0), Some(100), Some(0)] {
        bench.packet(&of(udp(0.0, MAC, SERVER, 10), OUT, pid));
    }
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!((flow.owner.process.unwrap().pid, flow.counters.bytes_out), (100, 30));
}

#[test]
fn what_a_tunnel_carries_is_not_counted_twice_for_the_process_inside() {
    let mut bench = Bench::new();
    let inner = frames::udp(end(MAC), end(SERVER), &[0; 10]);
    let outer = frames::ip(end("203.0.113.1:0").ip(), end("203.0.113.2:0").ip(), 4, &inner);
    bench.packet(&of(packet(0.0, inner), OUT, Some(100)));
    bench.packet(&of(packet(0.0, outer), OUT, None));
    let owned: Vec<_> =
        bench.flows().iter().map(|flow| (flow.owner.process.is_some(), flow.counters.bytes_out)).collect();
    assert_eq!(owned, [(true, 10), (false, 10)]);
}

#[test]
fn a_tunnel_over_udp_is_opened_unless_a_process_sent_it() {
    let inside = frames::tcp(end("10.0.0.9:50000"), end("198.51.100.7:443"), TcpFlags::SYN, 1, b"");
    let payload = [&[0, 2 << 3, 2, 0, 0, 0, 0, 0][..], &frames::ethernet(0x0800, &inside)].concat();
    let outer = packet(0.0, frames::udp(end("192.0.2.1:12380"), end("203.0.113.2:5247"), &payload));
    let far_end = |packet: &Packet| {
        let mut bench = Bench::new();
        bench.packet(packet);
        bench.flows().remove(0).remote
    };
    assert_eq!(far_end(&outer), end("198.51.100.7:443"));
    assert_eq!(far_end(&of(outer, Some(Direction::Outbound), Some(7))), end("203.0.113.2:5247"));
}

#[test]
fn invented_owners_of_one_connection_are_few_at_a_time() {
    let mut bench = Bench::new();
    for pid in 1..=1_000 {
        bench.packet(&of(udp(0.0, MAC, SERVER, 10), OUT, Some(pid)));
    }
    assert_eq!(bench.table.live(), 8);
    assert_eq!(bench.flows().len(), 1_000);
}

#[test]
fn captures_of_different_roads_do_not_mix() {
    let mut bench = Bench::new();
    bench.packet(&udp(0.0, MAC, SERVER, 10));
    bench.packet(&Packet { origin: Origin(1), ..udp(0.0, MAC, SERVER, 10) });
    let names: Vec<_> = bench.flows().iter().map(|flow| flow.id.to_string()).collect();
    assert_eq!(names, ["p1", "p2"]);
}

#[test]
fn a_syn_with_another_number_begins_another_flow_and_a_repeated_one_does_not() {
    let mut bench = Bench::new();
    bench.tcp(0.0, MAC, SERVER, SYN, 100, 0);
    bench.tcp(1.0, MAC, SERVER, SYN, 100, 0);
    bench.tcp(1.1, SERVER, MAC, SYN.and(ACK), 900, 0);
    bench.tcp(2.0, MAC, SERVER, SYN, 777, 0);
    let packets: Vec<_> = bench.flows().iter().map(|flow| flow.counters.packets_out).collect();
    assert_eq!(packets, [2, 1]);
}

#[test]
fn late_segments_of_a_closed_connection_belong_to_it_for_half_a_minute() {
    let mut bench = Bench::new();
    bench.tcp(0.0, MAC, SERVER, SYN, 100, 0);
    bench.tcp(1.0, MAC, SERVER, FIN, 101, 0);
    bench.tcp(1.1, SERVER, MAC, FIN, 901, 0);
    bench.tcp(30.0, MAC, SERVER, ACK, 102, 0);
    bench.tcp(62.0, MAC, SERVER, ACK, 102, 0);
    let packets: Vec<_> = bench.flows().iter().map(|flow| flow.counters.packets_out).collect();
    assert_eq!(packets, [3, 1]);
}

#[test]
fn silence_ends_a_flow_and_activity_keeps_it() {
    let mut bench = Bench::new();
    for seconds in [0.0, 55.0, 110.0, 165.0] {
        bench.packet(&udp(seconds, MAC, SERVER, 1));
    }
    bench.packet(&udp(165.0 + 62.0, MAC, SERVER, 1));
    bench.tcp(230.0, MAC, SERVER, ACK, 1, 0);
    bench.tcp(7_000.0, MAC, SERVER, ACK, 1, 0);
    let packets: Vec<_> = bench.flows().iter().map(|flow| flow.counters.packets_out).collect();
    assert_eq!(packets, [4, 1, 2]);
}

#[test]
fn a_full_table_ends_the_flow_that_was_silent_for_longest() {
    let mut bench = Bench::with(Limits { flows: 3, ..Limits::default() });
    for port in 1..=3 {
        bench.packet(&udp(f64::from(port) * 2.0, &format!("192.0.2.1:{port}"), SERVER, 1));
    }
    bench.packet(&udp(10.0, "192.0.2.1:1", SERVER, 1));
    bench.tcp(12.0, MAC, SERVER, SYN, 1, 0);
    let ended = bench.told.iter().find(|told| told.phase == Phase::Ended).unwrap();
    assert_eq!(ended.flow.local.port(), 2);
    assert_eq!((bench.table.live(), bench.table.account().evicted), (3, 1));
}

#[test]
fn growth_is_told_once_a_span_and_within_it() {
    let mut bench = Bench::new();
    for tenth in 0..250 {
        bench.packet(&udp(3_595.0 + f64::from(tenth) / 10.0, MAC, SERVER, 100));
    }
    bench.flows();
    let grew: Vec<_> = bench.told.iter().filter(|told| told.phase == Phase::Grew).collect();
    assert_eq!(grew.len(), 3);
    assert_eq!(grew[2].growth.bytes_out, 10_000);
    let of_the_first_hour: Vec<_> =
        bench.told.iter().filter(|told| told.time < at(3_600.0)).cloned().collect();
    assert_eq!(growth(&of_the_first_hour), 5_000, "an hour's growth is told in its hour");
    assert_eq!(growth(&bench.told), 25_000);
}

#[test]
fn growth_before_a_long_silence_is_told_with_its_own_time() {
    let mut bench = Bench::new();
    bench.packet(&udp(3.0, MAC, SERVER, 1));
    bench.packet(&udp(4.0, MAC, SERVER, 1));
    bench.advance(5_000.0);
    assert_eq!((bench.told[1].phase, bench.told[1].time), (Phase::Grew, at(4.0)));
    let last = bench.told.last().unwrap();
    assert_eq!((last.phase, last.growth), (Phase::Ended, Counters::default()));
}

#[test]
fn later_fragments_count_to_the_flow_of_the_first_in_whatever_order() {
    let (from, to) = (end(MAC), end(SERVER));
    let whole = frames::udp_header(from, to, &[7; 3_000]);
    let first = packet(0.0, frames::ipv4(from.ip(), to.ip(), 17, 9, 0x2000, &whole[..1_480]));
    let last = packet(0.0, frames::ipv4(from.ip(), to.ip(), 17, 9, 185, &whole[1_480..]));
    for order in [[&first, &last], [&last, &first]] {
        let mut bench = Bench::new();
        for packet in order {
            bench.packet(packet);
        }
        let [flow] = &bench.flows()[..] else { panic!() };
        let counted = flow.counters;
        assert_eq!((counted.bytes_out, counted.packets_out, counted.wire_bytes_out), (3_000, 2, 3_048));
        assert_eq!(bench.table.account().undecoded.orphan_fragment.packets, 0);
    }
    let mut bench = Bench::new();
    bench.packet(&last);
    assert!(bench.flows().is_empty());
    assert_eq!(bench.table.account().undecoded.orphan_fragment.wire_bytes, u64::from(last.wire_length));
}

#[test]
fn what_is_known_from_the_first_packet_on_is_told_as_identified() {
    let mut bench = Bench::new();
    bench.packet(&packet(0.0, frames::ip(end(MAC).ip(), end(SERVER).ip(), 1, &[8, 0, 0, 0, 1, 2, 3, 4])));
    let told: Vec<_> = bench.told.iter().map(|told| (told.phase, told.flow.identified.protocol)).collect();
    assert_eq!(told, [(Phase::Began, Some(Protocol::Icmp)), (Phase::Identified, Some(Protocol::Icmp))]);
}

#[test]
fn what_cannot_be_decoded_is_counted_by_its_reason() {
    let mut bench = Bench::new();
    bench
        .packet(&Packet { link_type: LinkType::ETHERNET, ..packet(0.0, frames::ethernet(0x0806, &[0; 28])) });
    bench.packet(&Packet { link_type: LinkType(147), ..packet(0.0, vec![0; 9]) });
    let account = bench.table.account();
    assert_eq!((account.packets, account.wire_bytes), (2, 51));
    assert_eq!((account.undecoded.not_ip.wire_bytes, account.undecoded.link_type.packets), (42, 1));
}

#[test]
fn reports_grow_by_what_their_counters_grow() {
    let mut bench = Bench::new();
    bench.report(&report(0.0, FlowState::Open, 10, 0));
    bench.report(&report(20.0, FlowState::Update, 50, 5));
    bench.report(&report(21.0, FlowState::Closed, 60, 5));
    let phases: Vec<_> = bench.told.iter().map(|told| (told.phase, told.growth.bytes_out)).collect();
    assert_eq!(phases, [(Phase::Began, 10), (Phase::Ended, 50)]);
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!(
        (flow.counters.bytes_out, flow.unwindowed(), flow.midstream),
        (60, Counters::default(), false)
    );
    assert_eq!(flow.owner.process, Some(ProcessKey { pid: 7, pidversion: Some(70) }));
    assert_eq!(bench.table.live(), 0);
}

#[test]
fn a_flow_reported_first_in_its_middle_counts_from_there() {
    let mut bench = Bench::new();
    bench.report(&report(0.0, FlowState::Update, 1_000_000, 5));
    bench.report(&report(1.0, FlowState::Update, 1_000_007, 5));
    let [flow] = &bench.flows()[..] else { panic!() };
    assert!(flow.midstream);
    assert_eq!(
        (flow.unwindowed().bytes_out, flow.counters.bytes_out, growth(&bench.told)),
        (1_000_000, 1_000_007, 7)
    );
}

#[test]
fn a_flow_that_began_and_ended_between_reports_counts_whole() {
    let mut bench = Bench::new();
    bench.report(&report(0.0, FlowState::Closed, 300, 40));
    assert_eq!(growth(&bench.told), 300);
    assert_eq!(bench.told.last().unwrap().phase, Phase::Ended);
}

#[test]
fn counters_that_go_back_count_anew() {
    let mut bench = Bench::new();
    bench.report(&report(0.0, FlowState::Open, 100, 0));
    bench.report(&report(1.0, FlowState::Update, 30, 0));
    bench.report(&report(2.0, FlowState::Update, 45, 0));
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!((flow.counters.bytes_out, flow.unwindowed().bytes_out, growth(&bench.told)), (145, 30, 115));
    assert_eq!(bench.table.account().counter_resets, 1);
}

#[test]
fn a_report_that_was_overtaken_changes_nothing() {
    let mut bench = Bench::new();
    bench.report(&report(5.0, FlowState::Open, 100, 0));
    bench.report(&report(4.0, FlowState::Update, 80, 0));
    bench.report(&report(6.0, FlowState::Update, 101, 0));
    assert_eq!(bench.flows()[0].counters.bytes_out, 101);
    assert_eq!(growth(&bench.told), 101);
    let account = bench.table.account();
    assert_eq!((account.stale_reports, account.counter_resets), (1, 0));
}

#[test]
fn a_name_that_opens_again_with_less_is_another_flow() {
    let mut bench = Bench::new();
    bench.report(&report(0.0, FlowState::Open, 100, 0));
    bench.report(&report(9.0, FlowState::Open, 3, 0));
    assert_eq!(bench.flows().iter().map(|flow| flow.counters.bytes_out).collect::<Vec<_>>(), [100, 3]);
}

#[test]
fn a_reported_label_and_name_are_taken_and_unknown_labels_counted() {
    let mut bench = Bench::new();
    bench.report(&FlowReport {
        protocol: Some("tls".into()),
        server_name: Some("example.com".into()),
        ..report(0.0, FlowState::Open, 1, 1)
    });
    bench.report(&FlowReport { protocol: Some("gopher+".into()), ..report(1.0, FlowState::Update, 2, 1) });
    let phases: Vec<_> = bench.told.iter().map(|told| told.phase).collect();
    assert_eq!(phases, [Phase::Began, Phase::Identified]);
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!(flow.identified.protocol, Some(Protocol::Tls));
    let name = flow.identified.metadata.as_ref().unwrap().server_name.as_deref();
    assert_eq!((name, bench.table.account().unknown_labels), (Some("example.com"), 1));
}

#[test]
fn packets_of_a_reported_flow_add_frames_and_no_payload() {
    let mut bench = Bench::new();
    bench.packet(&of(tcp(0.0, MAC, SERVER, SYN, 100, 0), OUT, None));
    bench.packet(&of(tcp(0.1, MAC, SERVER, ACK, 101, 500), OUT, Some(7)));
    // The report is a little behind the packets.
    bench.report(&report(0.1, FlowState::Open, 400, 0));
    bench.packet(&of(tcp(0.2, MAC, SERVER, ACK, 601, 100), OUT, Some(7)));
    bench.report(&report(0.3, FlowState::Update, 900, 0));
    bench.report(&report(0.4, FlowState::Closed, 900, 0));
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!(flow.id, FlowId::Reported("a".into()));
    assert_eq!((flow.counters.bytes_out, growth(&bench.told)), (900, 900));
    assert_eq!(flow.counters.wire_bytes_out, 3 * 52 + 600);
    assert_eq!(flow.owner.process, Some(ProcessKey { pid: 7, pidversion: Some(70) }));
}

#[test]
fn a_connection_joined_by_packets_and_reports_alike_is_not_windowed_twice() {
    let mut bench = Bench::new();
    bench.packet(&of(tcp(0.0, MAC, SERVER, ACK, 101, 500), OUT, Some(7)));
    bench.report(&report(0.1, FlowState::Update, 10_500, 0));
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!(
        (flow.counters.bytes_out, flow.unwindowed().bytes_out, growth(&bench.told)),
        (10_500, 10_000, 500)
    );
}

#[test]
fn the_last_report_of_a_connection_whose_ends_are_used_again_is_no_flow_of_its_own() {
    let mut bench = Bench::new();
    bench.report(&report(0.0, FlowState::Open, 0, 0));
    bench.packet(&of(tcp(0.0, MAC, SERVER, SYN, 100, 0), OUT, Some(7)));
    bench.report(&report(1.0, FlowState::Update, 700, 0));
    bench.packet(&of(tcp(2.0, MAC, SERVER, SYN, 500, 0), OUT, Some(7)));
    bench.report(&report(3.0, FlowState::Closed, 800, 0));
    bench.packet(&of(tcp(4.0, MAC, SERVER, ACK, 501, 9), OUT, Some(7)));
    let bytes: Vec<_> = bench.flows().iter().map(|flow| flow.counters.bytes_out).collect();
    assert_eq!(bytes, [800, 9]);
}

#[test]
fn a_socket_that_is_connected_later_gets_its_far_end() {
    let mut bench = Bench::new();
    let unconnected = FlowReport { remote: end("0.0.0.0:0"), ..report(0.0, FlowState::Open, 0, 0) };
    bench.report(&unconnected);
    bench.report(&report(1.0, FlowState::Update, 5, 0));
    bench.packet(&of(tcp(2.0, MAC, SERVER, ACK, 5, 10), OUT, Some(7)));
    let [flow] = &bench.flows()[..] else { panic!() };
    assert_eq!((flow.remote, flow.counters.bytes_out), (end(SERVER), 5));
}

#[test]
fn at_the_end_flows_end_in_the_order_in_which_they_began() {
    let mut bench = Bench::new();
    for port in [9, 3, 7, 5] {
        bench.packet(&udp(0.0, &format!("192.0.2.1:{port}"), SERVER, 1));
    }
    bench.packet(&udp(1.5, "192.0.2.1:9", SERVER, 1));
    bench.flows();
    let ended = bench.told.iter().filter(|told| told.phase == Phase::Ended);
    assert_eq!(ended.map(|told| told.flow.local.port()).collect::<Vec<_>>(), [9, 3, 7, 5]);
}

#[test]
fn a_clock_set_back_by_days_neither_freezes_nor_loses_anything() {
    let mut bench = Bench::new();
    bench.packet(&udp(500_000.0, MAC, SERVER, 1));
    bench.packet(&udp(500_001.0, MAC, SERVER, 2));
    bench.packet(&udp(1_000.0, MAC, SERVER, 4));
    assert_eq!(growth(&bench.told), 3, "told before the clock goes back");
    bench.advance(1_100.0);
    assert_eq!(growth(&bench.told), 7);
    assert_eq!(bench.told.last().unwrap().phase, Phase::Ended, "the idle limit goes on");
}

/// What a source may come up with.
#[derive(Debug, Clone)]
enum Step {
    Packet { from: u16, to: u16, kind: u8, payload: usize, direction: Option<Direction>, pid: Option<i32> },
    Report { name: u8, port: u16, state: FlowState, bytes: u64 },
    Advance,
}

fn steps() -> impl Strategy<Value = Vec<(f64, Step)>> {
    let direction = prop::sample::select(vec![None, OUT, IN]);
    let pid = prop::sample::select(vec![None, Some(1), Some(2)]);
    let packet = (1_u16..4, 1_u16..4, 0_u8..8, 0_usize..50, direction, pid).prop_map(
        |(from, to, kind, payload, direction, pid)| Step::Packet { from, to, kind, payload, direction, pid },
    );
    let state = prop::sample::select(vec![FlowState::Open, FlowState::Update, FlowState::Closed]);
    let report = (0_u8..4, 1_u16..4, state, 0_u64..1_000)
        .prop_map(|(name, port, state, bytes)| Step::Report { name, port, state, bytes });
    let step = prop_oneof![6 => packet, 3 => report, 1 => Just(Step::Advance)];
    let pause = prop_oneof![6 => 0.0..3.0, 2 => 3.0..90.0, 1 => -20.0..0.0, 1 => -500.0..9_000.0];
    prop::collection::vec((pause, step), 0..120)
}

fn run(steps: &[(f64, Step)], limits: Limits) -> Bench {
    let mut bench = Bench::with(limits);
    let mut now = 10_000.0;
    for (pause, step) in steps {
        now += pause;
        match step {
            Step::Packet { from, to, kind, payload, direction, pid } => {
                let (from, to) = (end(&format!("10.0.0.1:{from}")), end(&format!("10.0.0.1:{to}")));
                let flags = [SYN, SYN.and(ACK), ACK, FIN, RST];
                let data = match flags.get(usize::from(*kind)) {
                    Some(flags) => frames::tcp(from, to, *flags, u32::from(*kind), &vec![0; *payload]),
                    None if *kind == 5 => frames::udp(from, to, &vec![0; *payload]),
                    None => {
                        let first = *kind == 6;
                        let body = frames::udp_header(from, to, &vec![0; *payload]);
                        frames::ipv4(
                            from.ip(),
                            to.ip(),
                            17,
                            from.port(),
                            if first { 0x2000 } else { 9 },
                            &body,
                        )
                    }
                };
                bench.packet(&of(packet(now, data), *direction, *pid));
            }
            Step::Report { name, port, state, bytes } => bench.report(&FlowReport {
                flow_id: format!("{name}").into(),
                local: end(&format!("10.0.0.1:{port}")),
                remote: end("10.0.0.1:1"),
                pid: Some(1),
                packets_out: bytes / 10,
                ..report(now, *state, *bytes, bytes / 2)
            }),
            Step::Advance => bench.advance(now),
        }
    }
    bench
}

proptest! {
    #[test]
    fn every_byte_is_told_once(steps in steps(), flows in 1_u32..6) {
        let mut bench = run(&steps, Limits { flows, ..Limits::default() });
        let ended = bench.flows();
        let mut told: BTreeMap<u64, Counters> = BTreeMap::new();
        for update in &bench.told {
            *told.entry(update.flow.serial).or_default() += update.growth;
        }
        prop_assert_eq!(told.len(), ended.len(), "every flow ends once");
        for flow in ended {
            let mut sum = told[&flow.serial];
            sum += flow.unwindowed();
            prop_assert_eq!(sum, flow.counters);
        }
        prop_assert_eq!(bench.table.live(), 0);
    }

    #[test]
    fn every_frame_is_in_a_flow_or_counted_as_none(steps in steps(), flows in 1_u32..6) {
        let packets: Vec<_> = steps.into_iter().filter(|(_, step)| !matches!(step, Step::Report { .. })).collect();
        let mut bench = run(&packets, Limits { flows, ..Limits::default() });
        let flows = bench.flows();
        let counted: u64 = flows.iter().map(|flow| flow.counters.wire_bytes_out + flow.counters.wire_bytes_in).sum();
        let account = bench.table.account();
        prop_assert_eq!(account.wire_bytes, counted + account.undecoded.orphan_fragment.wire_bytes);
        prop_assert_eq!(account.undecoded.malformed.packets, 0);
    }

    #[test]
    fn growth_is_told_span_after_span(steps in steps()) {
        let forward: Vec<_> = steps.into_iter().map(|(pause, step)| (pause.max(0.0), step)).collect();
        let mut bench = run(&forward, Limits::default());
        bench.flows();
        let span = i64::try_from(SPAN.as_nanos()).unwrap();
        let spans: Vec<i64> = bench.told.iter().map(|told| told.time.as_nanos() / span).collect();
        prop_assert!(spans.is_sorted(), "{:?}", spans);
    }

    #[test]
    fn the_hash_seed_changes_no_answer(steps in steps(), hash_seed: u64) {
        let mut one = run(&steps, Limits { flows: 4, ..Limits::default() });
        let mut other = run(&steps, Limits { flows: 4, hash_seed });
        one.flows();
        other.flows();
        prop_assert_eq!(format!("{:?}", one.told), format!("{:?}", other.told));
    }
}
