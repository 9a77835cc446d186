//! Flow assembly against sessions that Arkime counted: packets and bytes on the wire, both ways.
//!
//! The captures and `sessions.tsv` come from Arkime's own tests and are not part of this project; where they are absent, the test says
//! so and does nothing. Rows are compared one by one. Arkime writes a TCP session that lasts long as several linked rows; the table does not
//! carry the link, so where one connection of ours stands for several TCP rows, these are the parts of one session, which agrees where
//! their sum does. Of a connection that both cut, each row counts.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use tidemark::network::{Flow, FlowTable, FlowUpdate, Limits, Phase};
use tidemark::observation::{Observation, Origin, Transport};
use tidemark::source::capture;

/// Packets and bytes from the lower end, then from the higher one.
type Both = [u64; 4];

/// A capture, an IP protocol and two ends in order.
type Ends = (String, u8, SocketAddr, SocketAddr);

#[test]
fn packets_and_wire_bytes_agree_with_arkime() {
    let Some(folder) = data() else {
        println!("skipped: ../shared/data/protocol-id/arkime is absent");
        return;
    };
    let sessions = sessions(&folder);
    let captures: BTreeSet<&String> = sessions.keys().map(|(capture, ..)| capture).collect();
    let mut flows = BTreeMap::new();
    for capture in captures {
        assemble(&folder, capture, &mut flows);
    }
    let (mut total, mut equal, mut rows, mut equal_rows) = (0, 0, 0, 0);
    for (ends, expected) in &sessions {
        let seen = flows.get(ends).map(Vec::as_slice).unwrap_or_default();
        let (_, transport, ..) = ends;
        let one_by_one = count_equal(expected, seen);
        let one_connection = *transport == Transport::Tcp.number() && expected.len() > 1 && seen.len() == 1;
        let (sessions, found) = if one_connection {
            (1, usize::from(sum(expected) == seen[0]))
        } else {
            (expected.len(), one_by_one)
        };
        total += sessions;
        equal += found;
        rows += expected.len();
        equal_rows += one_by_one;
        if found < sessions {
            println!("{ends:?}\n  arkime   {expected:?}\n  tidemark {seen:?}");
        }
    }
    println!("of {rows} rows {equal_rows} are equal one by one; of {total} TCP and UDP sessions {equal} are");
    assert!(total > 200, "only {total} sessions were read");
    assert!(equal_rows * 100 >= rows * 95, "{equal_rows} of {rows} rows agree one by one");
    assert!(equal * 100 >= total * 97, "{equal} of {total} sessions agree");
}

fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/protocol-id/arkime");
    folder.join("sessions.tsv").is_file().then_some(folder)
}

fn count_equal(expected: &[Both], seen: &[Both]) -> usize {
    let mut left = seen.to_vec();
    let mut equal = 0;
    for session in expected {
        if let Some(place) = left.iter().position(|flow| flow == session) {
            left.swap_remove(place);
            equal += 1;
        }
    }
    equal
}

fn sum(counted: &[Both]) -> Both {
    counted.iter().fold([0; 4], |sum, both| std::array::from_fn(|place| sum[place] + both[place]))
}

fn sessions(folder: &Path) -> BTreeMap<Ends, Vec<Both>> {
    let text = fs::read_to_string(folder.join("sessions.tsv")).unwrap();
    let mut sessions: BTreeMap<Ends, Vec<Both>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[
            capture,
            transport,
            source,
            port,
            destination,
            to_port,
            _,
            bytes,
            bytes_back,
            packets,
            packets_back,
            ..,
        ] = fields.as_slice()
        else {
            panic!("a line of sessions.tsv is short: {line}");
        };
        let Some(transport @ (6 | 17)) = transport.parse().ok() else { continue };
        let end = |address: &str, port: &str| -> SocketAddr {
            SocketAddr::new(address.parse::<IpAddr>().unwrap(), port.parse().unwrap())
        };
        let counted = [packets, bytes, packets_back, bytes_back].map(|count| count.parse().unwrap());
        let (ends, both) =
            in_order(capture, transport, end(source, port), end(destination, to_port), counted);
        sessions.entry(ends).or_default().push(both);
    }
    sessions
}

fn assemble(folder: &Path, capture: &str, flows: &mut BTreeMap<Ends, Vec<Both>>) {
    let file = File::open(folder.join("pcap").join(capture)).unwrap();
    let mut table = FlowTable::<()>::new(Limits::default());
    let mut keep = |update: FlowUpdate<'_, ()>| {
        let Flow { transport, local, remote, counters, .. } = update.flow;
        if update.phase != Phase::Ended || !matches!(transport, Transport::Tcp | Transport::Udp) {
            return;
        }
        let counted =
            [counters.packets_out, counters.wire_bytes_out, counters.packets_in, counters.wire_bytes_in];
        let (ends, both) = in_order(capture, transport.number(), *local, *remote, counted);
        flows.entry(ends).or_default().push(both);
    };
    for observation in capture::open(file, capture, Origin(0)).unwrap() {
        if let Observation::Packet(packet) = observation {
            table.packet(&packet, &mut keep);
        }
    }
    table.finish(&mut keep);
}

fn in_order(capture: &str, transport: u8, from: SocketAddr, to: SocketAddr, counted: Both) -> (Ends, Both) {
    let [packets, bytes, packets_back, bytes_back] = counted;
    if from <= to {
        ((capture.into(), transport, from, to), counted)
    } else {
        ((capture.into(), transport, to, from), [packets_back, bytes_back, packets, bytes])
    }
}
