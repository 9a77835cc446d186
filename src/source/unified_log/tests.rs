use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::summary::Totals;
use super::*;
use crate::observation::Transport;

const ENDED: &str = "tcp_connection_summary (tcp_usrclosed:3210)[192.0.2.1:63548<->203.0.113.5:8081] interface: en0 (skipped: 233)\nso_gencnt: 1098623 t_state: FIN_WAIT_1 process: Nexy:51584 Duration: 0.138 sec Conn_Time: 0.101 sec bytes in/out: 1562/245 pkts in/out: 2/2 pkt rxmit: 0 ooo pkts: 0 dup bytes in: 0 ACKs delayed: 0 delayed ACKs sent: 0\nrtt: 81.187 ms rttvar: 62.812 ms base rtt: 16 ms so_error: 0 svc/tc: 0 flow: 0xa805fd85";

fn line(message: &str, process_id: u32) -> String {
    let message = serde_json::to_string(message).unwrap();
    format!(
        r#"{{"eventMessage":{message},"eventType":"logEvent","timestamp":"2025-11-05 13:39:53.709076-0400","processID":{process_id},"processImagePath":"\/kernel"}}"#
    )
}

fn read(lines: &[String]) -> Vec<Observation> {
    LogReader::new(std::io::Cursor::new(lines.join("\n")), Origin(3)).collect()
}

#[test]
fn a_summary_is_a_flow_that_ended() {
    let read = read(&["Filtering the log data using \"processID == 0\"".to_owned(), line(ENDED, 0)]);
    let [Observation::Flow(flow)] = &read[..] else { panic!("{read:?}") };
    assert_eq!(flow.time, Timestamp::parse("2025-11-05T17:39:53.709076Z").unwrap());
    assert_eq!((flow.pid, flow.process.as_deref()), (Some(51_584), Some("Nexy")));
    assert_eq!(
        (flow.local, flow.remote),
        ("192.0.2.1:63548".parse().unwrap(), "203.0.113.5:8081".parse().unwrap())
    );
    assert_eq!((flow.bytes_in, flow.bytes_out, flow.packets_in, flow.packets_out), (1_562, 245, 2, 2));
    assert_eq!((flow.state, flow.transport, flow.origin), (FlowState::Closed, Transport::Tcp, Origin(3)));
    assert_eq!((flow.interface.as_deref(), &*flow.flow_id), (Some("en0"), "log:1098623"));
}

#[test]
fn what_the_kernel_passed_over_is_a_gap() {
    let later = ENDED.replace("skipped: 233", "skipped: 240").replace("1098623", "1098624");
    let read = read(&[line(ENDED, 0), line(&later, 0)]);
    assert!(matches!(&read[1], Observation::Gap(gap) if gap.lost == Some(7) && &*gap.source == SOURCE_NAME));
    assert!(matches!(&read[2], Observation::Flow(_)));
    assert_eq!(read.len(), 3);
}

#[test]
fn what_another_process_logs_is_not_believed() {
    let mut reader = LogReader::new(std::io::Cursor::new(line(ENDED, 501)), Origin(0));
    assert!(reader.next().is_none());
    assert_eq!((reader.report().other, reader.report().malformed), (1, 0));
}

#[test]
fn a_process_cannot_name_itself_into_members() {
    for name in ["a:1 b", "x Duration: y", " process: z:9", "bytes in/out: 9/9"] {
        let message = ENDED.replace("Nexy", name);
        let summary = Summary::parse(&message).unwrap();
        assert_eq!((summary.process, summary.pid), (name, 51_584));
        assert_eq!(summary.totals.unwrap().bytes_in, 1_562, "{name}");
    }
}

#[test]
fn an_address_that_is_withheld_is_the_unspecified_one() {
    let message = ENDED.replace("192.0.2.1", "<IPv6-redacted>").replace("203.0.113.5", "<private>");
    let read = read(&[line(&message, 0)]);
    let [Observation::Flow(flow)] = &read[..] else { panic!("{read:?}") };
    assert_eq!(flow.local, "[::]:63548".parse().unwrap());
    assert_eq!(flow.remote, "0.0.0.0:8081".parse().unwrap());
}

#[test]
fn an_address_of_the_link_has_its_interface_behind_it() {
    let message = ENDED.replace("203.0.113.5", "fe80::1%en0");
    assert_eq!(Summary::parse(&message).unwrap().remote, (Address::Known("fe80::1".parse().unwrap()), 8_081));
}

/// The messages in a log as `Console` shows it: a message goes on over lines.
fn messages(text: &str) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for line in text.lines() {
        match (line.split('\t').nth(3), messages.last_mut()) {
            (Some(first), _) => messages.push(first.to_owned()),
            (None, Some(message)) => *message = format!("{message}\n{line}"),
            (None, None) => {}
        }
    }
    messages
}

#[test]
fn real_messages_read_as_another_reader_reads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/macos-telemetry/unifiedlog-net");
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    let logs: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    for path in logs.iter().filter(|path| path.extension().is_some_and(|kind| kind == "log")) {
        let text = std::fs::read_to_string(path).unwrap();
        let rows = std::fs::read_to_string(path.with_extension("jsonl")).unwrap();
        let rows: Vec<serde_json::Value> =
            rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
        let messages = messages(&text);
        assert_eq!(messages.len(), rows.len(), "{}", path.display());
        for (message, row) in messages.iter().zip(rows) {
            let kind = row["kind"].as_str().unwrap();
            *kinds.entry(kind.to_owned()).or_default() += 1;
            let Some(summary) = Summary::parse(message) else {
                assert_eq!(kind, "tcp listen", "{message}");
                continue;
            };
            assert_eq!(summary.socket, row["so_gencnt"], "{message}");
            assert_eq!(
                (summary.process, summary.pid),
                (row["process"].as_str().unwrap(), i32::try_from(row["pid"].as_i64().unwrap()).unwrap())
            );
            assert_eq!((summary.local.1, summary.remote.1), (port(&row["lport"]), port(&row["rport"])));
            assert_eq!(summary.interface, row["iface"]);
            let number = |name: &str| row[name].as_u64();
            let totals = number("bytes_in").map(|bytes_in| Totals {
                bytes_in,
                bytes_out: number("bytes_out").unwrap(),
                packets_in: number("pkts_in").unwrap(),
                packets_out: number("pkts_out").unwrap(),
            });
            assert_eq!(summary.totals, totals, "{message}");
        }
    }
    if logs.is_empty() {
        println!("skipped: the real messages are not at hand");
    } else {
        assert!(kinds["tcp_connection_summary"] > 500 && kinds["udp_connection_summary"] > 50, "{kinds:?}");
    }
}

fn port(value: &serde_json::Value) -> u16 {
    u16::try_from(value.as_u64().unwrap()).unwrap()
}

proptest! {
    #[test]
    fn a_message_that_was_tampered_with_is_read_or_refused(place: prop::sample::Index, text in ".{0,12}") {
        let place = place.index(ENDED.len());
        let message = format!("{}{text}{}", &ENDED[..place], &ENDED[place..]);
        let _ = Summary::parse(&message);
    }
}
