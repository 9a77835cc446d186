//! Recordings of real servers and clients (`tests/captures`) are called what they are.

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

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use tidemark::network::{FlowRecord, FlowTable, FlowUpdate, Limits, Phase};
use tidemark::observation::{FlowState, Observation, Origin};
use tidemark::source::capture;

/// The flows of a recording that carried payload, in the order in which they began.
fn flows(name: &str) -> Vec<FlowRecord> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(name);
    let source = capture::open(File::open(path).unwrap(), name, Origin(0)).unwrap();
    let mut table: FlowTable<()> = FlowTable::new(Limits::default());
    let mut found = BTreeMap::new();
    let mut tell = |update: FlowUpdate<'_, ()>| {
        if update.phase == Phase::Ended && !update.flow.attempted {
            let record = FlowRecord::new(update.flow, FlowState::Closed);
            found.insert((record.start, record.report.flow_id.clone()), record);
        }
    };
    for observation in source {
        if let Observation::Packet(packet) = observation {
            table.packet(&packet, &mut tell);
        }
    }
    table.finish(&mut tell);
    found.into_values().collect()
}

/// Protocol and upgrade of each flow.
fn labels(name: &str) -> Vec<String> {
    let label = |flow: &FlowRecord| {
        let protocol = flow.report.protocol.as_deref().unwrap_or("none");
        flow.upgraded.map_or_else(|| protocol.to_owned(), |upgraded| format!("{protocol} > {upgraded}"))
    };
    flows(name).iter().map(label).collect()
}

#[test]
fn protocols_on_ports_that_suggest_nothing_are_known() {
    for (name, expected) in [
        ("imap.pcap", &["imap"][..]),
        ("imap-starttls.pcap", &["imap > tls"]),
        ("mongodb-client.pcap", &["mongodb"]),
        ("mqtt.pcap", &["mqtt", "mqtt"]),
        ("mssql-client.pcap", &["mssql"]),
        ("openvpn-plain.pcap", &["openvpn"]),
        ("openvpn-tcp.pcap", &["openvpn"]),
        ("openvpn-tls-auth.pcap", &["openvpn"]),
        ("openvpn-tls-crypt.pcap", &["openvpn"]),
        ("postgres.pcap", &["postgres"]),
        ("redis.pcap", &["redis", "redis"]),
        ("rtsp.pcap", &["rtsp", "rtp", "rtcp"]),
        ("socks4-http.pcap", &["socks > http"]),
        ("socks5-tls.pcap", &["socks > tls"]),
        ("socks5h-http.pcap", &["socks > http"]),
        ("telnet.pcap", &["telnet"]),
        ("wireguard.pcap", &["wireguard"]),
    ] {
        let mut found = labels(name);
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_proxy_shows_where_it_was_asked_to_go() {
    let proxied = |name| {
        let metadata = flows(name).remove(0).metadata.unwrap();
        (metadata.proxied_to.unwrap().to_string(), metadata.ja4.is_some())
    };
    assert_eq!(proxied("socks4-http.pcap"), ("127.0.0.1:7081".into(), false));
    assert_eq!(proxied("socks5h-http.pcap"), ("localhost:7081".into(), false));
    assert_eq!(proxied("socks5-tls.pcap"), ("127.0.0.1:7443".into(), true));
}
