//! What a recording reads as, and that what is written reads back.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::observation::{
    Clock, CodeSigning, Credentials, Direction, Exec, Executable, Exit, FlowReport, FlowState, Fork,
    LinkType, Message, Packet, PacketOwner, ProcessInfo, ProcessKey, RecordingHeader, Running, Timestamp,
    Transport, ZoneOffset,
};
use crate::source::Position;

/// Everything that a recording holds.
fn read(input: impl AsRef<[u8]>) -> (Vec<Observation>, SourceReport) {
    let mut reader = RecordingReader::new(input.as_ref(), "test", Origin(3));
    let observations: Vec<Observation> = reader.by_ref().collect();
    let report = reader.report().clone();
    assert_eq!(report.observations, observations.len() as u64);
    assert_eq!(
        report.bytes,
        if report.ended_early.is_none() { input.as_ref().len() as u64 } else { report.bytes }
    );
    (observations, report)
}

/// An `eslogger` line of an exit, the shortest.
fn exit_line(seq_num: u64, second: u32) -> String {
    format!(
        r#"{{"event":{{"exit":{{"stat":9}}}},"process":{{"audit_token":{{"pid":7,"pidversion":70}}}},"time":"2026-01-01T00:00:{second:02}.000000000Z","seq_num":{seq_num},"version":9,"event_type":15}}"#
    )
}

fn gaps(observations: &[Observation]) -> Vec<Option<u64>> {
    let lost = |observation: &Observation| match observation {
        Observation::Gap(gap) => Some(gap.lost),
        _ => None,
    };
    observations.iter().filter_map(lost).collect()
}

/// The lines of a sample, or nothing where the samples are not at hand.
fn sample(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference/samples/eslogger").join(name);
    let sample = std::fs::read(path).ok();
    if sample.is_none() {
        eprintln!("skipped: the sample {name} is not at hand");
    }
    sample
}

#[test]
fn real_lines_of_four_message_versions_read_whole() {
    let Some(lines) = sample("mullvad_process_rs.jsonl") else { return };
    let (observations, report) = read(lines);
    assert_eq!((report.malformed, report.other), (0, 0));
    // Lines of four Macs, whose numbers happen not to jump.
    let [Observation::Exit(exit), Observation::Exec(exec), Observation::Fork(fork), Observation::Exec(late)] =
        &observations[..]
    else {
        panic!("{observations:?}")
    };
    assert_eq!(exit.process.key, ProcessKey { pid: 11_221, pidversion: Some(170_692) });
    assert_eq!(exit.process.credentials.auid, None);
    assert_eq!(exit.message.seq_num, Some(362));
    assert_eq!(exit.message.time.to_string(), "2025-08-07T15:13:09.811587464Z");
    assert_eq!(exit.wait_status, 0);

    assert_eq!(exec.actor.key, ProcessKey { pid: 97_391, pidversion: Some(149_091) });
    assert_eq!(exec.target.key, ProcessKey { pid: 97_391, pidversion: Some(149_092) });
    assert_eq!(&*exec.target.executable.path, "/bin/connection-checker");
    assert_eq!(exec.target.tty.as_deref(), Some("/dev/ttys003"));
    assert_eq!(exec.target.signing.flags, 570_556_931);
    assert_eq!(exec.target.signing.team_id, None);
    assert_eq!(exec.target.responsible, Some(ProcessKey { pid: 938, pidversion: Some(2_424) }));
    assert!(exec.environment.is_empty() && !exec.denied);

    assert_eq!(fork.message.version, 10);
    assert_eq!(fork.child.key, ProcessKey { pid: 21_497, pidversion: Some(38_282) });
    assert_eq!(fork.child.credentials.asid, Some(100_013));
    assert_eq!(fork.parent.parent, Some(ProcessKey { pid: 1, pidversion: Some(1_029) }));
    assert_eq!(fork.parent.signing.team_id.as_deref(), Some("CKG9MXH72F"));

    assert_eq!(late.message.version, 11);
    assert_eq!(&*late.actor.executable.path, "/usr/libexec/xpcproxy");
    assert_eq!(late.environment.len(), 1);
    assert_eq!(&*late.environment[0].1, "com.apple.localizationswitcherd");
}

#[test]
fn a_real_record_of_jamf_protect_is_a_denied_exec() {
    let Some(line) = sample("jamf_protect_exec.json") else { return };
    let (observations, report) = read(line);
    assert_eq!(report.malformed, 0);
    let [Observation::Exec(exec)] = &observations[..] else { panic!("{observations:?}") };
    assert!(exec.denied);
    assert_eq!(exec.message.global_seq_num, Some(202));
    assert_eq!(exec.message.time, Timestamp::parse("2024-05-31T09:47:12.436Z").unwrap());
    assert_eq!(exec.arguments.len(), 3);
    assert_eq!(exec.target.signing.cdhash.map(|hash| hash[0]), Some(0x23));
    let keys: Vec<&str> = exec.environment.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["__CFBundleIdentifier", "XPC_SERVICE_NAME"]);
    assert_eq!(exec.cwd.as_deref(), Some("/"));
}

#[test]
fn real_lines_of_process_monitor_read_whole() {
    let Some(lines) = sample("theevilbit_shortcuts_processmonitor.jsonl") else { return };
    let (observations, report) = read(lines);
    assert_eq!((report.malformed, observations.len()), (0, 6));
    let forks = observations.iter().filter(|observation| matches!(observation, Observation::Fork(_))).count();
    assert_eq!(forks, 1);
    assert!(observations.iter().all(|observation| observation.time() == Some(Timestamp::EPOCH)));
}

#[test]
fn every_kind_of_line_is_told_apart_by_its_members() {
    let input = [
        r#"{"recording": {"schema": "tidemark.recording/1", "host": "mac-0", "utc_offset_seconds": 3600, "later": 1}}"#,
        r#"{"flow":{"time":"2026-01-01T00:00:00Z","flow_id":"0-1","pid":-1,"transport":"tcp","local":"192.0.2.1:5","remote":"[2001:db8::1]:443","state":"closed","bytes_out":7}}"#,
        r#"{"gap":{"time":"2026-01-01T00:00:01Z","source":"ntstat","lost":4}}"#,
        r#"{"clock":{"time":"2026-01-01T00:00:02Z","awake_seconds":86400.25}}"#,
        r#"{"running":{"time":"2026-01-01T00:00:03Z","process":{"audit_token":{"pid":1},"executable":{"path":"\/sbin\/launchd"}},"args":["launchd"]}}"#,
        &exit_line(0, 4),
        r#"{"event":"ES_EVENT_TYPE_NOTIFY_FORK","process":{"pid":9,"path":"/bin/sh","ppid":7}}"#,
    ]
    .join("\n");
    let (observations, report) = read(input);
    assert_eq!(report.malformed, 0, "{:?}", report.faults);
    let [
        Observation::Recording(header),
        Observation::Flow(flow),
        Observation::Gap(gap),
        Observation::Clock(clock),
        Observation::Running(running),
        Observation::Exit(exit),
        Observation::Fork(fork),
    ] = &observations[..]
    else {
        panic!("{observations:?}")
    };
    assert_eq!(header.utc_offset_seconds, Some(ZoneOffset(3_600)));
    assert_eq!((flow.origin, flow.pid, flow.bytes_out), (Origin(3), None, 7));
    assert_eq!(gap.lost, Some(4));
    assert_eq!(clock.awake, Some(Duration::from_millis(86_400_250)));
    assert_eq!(&*running.process.executable.path, "/sbin/launchd");
    assert_eq!(exit.wait_status, 9);
    assert_eq!(fork.message.time, exit.message.time, "ProcessMonitor's time is that of the line before");
}

#[test]
fn what_cannot_be_read_is_skipped_counted_and_placed() {
    let lines = [
        "not json",
        "",
        r#"{"unknown": 1}"#,
        "[1, 2]",
        r#"{"event":{"exit":{}},"time":"2026-01-01T00:00:00Z"}"#,
        r#"{"event":{"exit":{}},"process":{"audit_token":{"pid":3}}}"#,
        r#"{"event":{"exit":{}},"process":{"audit_token":{"pid":3}},"time":"yesterday"}"#,
        r#"{"event":{"open":{}},"process":{"audit_token":{"pid":3}},"time":"2026-01-01T00:00:00Z"}"#,
        r#"{"flow":{"time":"2026-01-01T00:00:00Z","flow_id":"1","transport":"tcp","local":"here","remote":"192.0.2.1:1","state":"open"}}"#,
        &exit_line(0, 1),
        r#"{"event":{"exit":{"st"#,
    ];
    let (observations, report) = read(lines.join("\r\n"));
    assert_eq!(observations.len(), 1);
    assert_eq!((report.malformed, report.other), (8, 1));
    let places: Vec<Position> = report.faults.iter().map(|fault| fault.position).collect();
    assert_eq!(places, [1, 3, 4, 5, 6, 7, 9, 11].map(Position::Line));
    assert_eq!(report.faults[0].what, "column 2: expected ident");
    assert_eq!(report.faults[1].what, "no member names a record or an event");
    assert_eq!(report.faults[3].what, "the event has no process");
    assert!(report.ended_early.is_none());
}

#[test]
fn a_schema_of_a_newer_major_version_ends_the_recording() {
    for (schema, known) in [
        ("tidemark.recording/1", true),
        ("tidemark.recording/1.7", true),
        ("tidemark.recording/2", false),
        ("tidemark.recording/10", false),
        ("tidemark.recording", false),
        ("someone.else/1", false),
    ] {
        let input = format!("{{\"recording\":{{\"schema\":\"{schema}\"}}}}\n{}", exit_line(0, 1));
        let (observations, report) = read(input);
        assert_eq!(observations.len(), if known { 2 } else { 0 }, "{schema}");
        assert_eq!(report.ended_early.is_none(), known, "{schema}");
    }
}

#[test]
fn a_zone_that_is_none_is_refused() {
    let header = |zone: i32| {
        format!(r#"{{"recording":{{"schema":"tidemark.recording/1","utc_offset_seconds":{zone}}}}}"#)
    };
    assert_eq!(read(header(50_400)).0.len(), 1);
    assert_eq!(read(header(100_000)).1.malformed, 1);
}

#[test]
fn a_jump_of_the_numbers_is_a_gap_right_before_the_line() {
    let input = [exit_line(40, 0), exit_line(41, 1), exit_line(45, 2)].join("\n");
    let (observations, _) = read(input);
    let [_, _, Observation::Gap(gap), Observation::Exit(exit)] = &observations[..] else {
        panic!("{observations:?}")
    };
    assert_eq!((gap.lost, gap.time, &*gap.source), (Some(3), exit.message.time, "eslogger"));
}

#[test]
fn a_line_that_could_not_be_read_is_a_gap_too() {
    let damaged = exit_line(1, 1).replace("\"pid\":7", "\"pid\":");
    let (observations, report) = read([exit_line(0, 0), damaged, exit_line(2, 2)].join("\n"));
    assert_eq!(report.malformed, 1);
    assert_eq!(gaps(&observations), [Some(1)]);
}

#[test]
fn a_gap_that_the_recording_tells_is_not_told_twice() {
    let gap =
        |source: &str| format!(r#"{{"gap":{{"time":"2026-01-01T00:00:01Z","source":"{source}","lost":5}}}}"#);
    let with = |source: &str| [exit_line(0, 0), gap(source), exit_line(6, 1)].join("\n");
    assert_eq!(gaps(&read(with("endpoint_security")).0), [Some(5)]);
    assert_eq!(gaps(&read(with("ntstat")).0), [Some(5), Some(5)]);
}

#[test]
fn a_sequence_goes_on_in_the_next_file() {
    let mut first = RecordingReader::new(exit_line(3, 0).leak().as_bytes(), "first", Origin(0));
    assert_eq!(first.by_ref().count(), 1);
    let mut second = RecordingReader::new(exit_line(6, 1).leak().as_bytes(), "second", Origin(0));
    second.expect(first.expectation());
    assert_eq!(gaps(&second.collect::<Vec<_>>()), [Some(2)]);
}

#[test]
fn bytes_that_are_not_utf8_become_replacement_characters() {
    let line = exit_line(0, 0).replace("\"audit_token\"", "\"signing_id\":\"caf\u{e9}\",\"audit_token\"");
    let latin1: Vec<u8> = line.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let (observations, report) = read(latin1);
    assert_eq!(report.malformed, 0);
    let [Observation::Exit(exit)] = &observations[..] else { panic!("{observations:?}") };
    assert_eq!(exit.process.signing.signing_id.as_deref(), Some("caf\u{FFFD}"));
}

#[test]
fn a_hole_of_zeros_is_reported_and_what_follows_it_is_read() {
    let mut input = exit_line(0, 0).into_bytes();
    input.push(b'\n');
    input.extend([0; 5_000]);
    input.extend(exit_line(1, 1).bytes());
    input.extend(b"\n\0\0\0");
    let (observations, report) = read(input);
    assert_eq!(observations.len(), 2);
    assert_eq!(report.malformed, 2);
    assert_eq!(report.faults[0].to_string(), "line 2: a hole of 5000 NUL bytes");
}

#[test]
fn a_byte_order_mark_is_no_fault() {
    let (observations, report) = read(format!("\u{FEFF}{}", exit_line(0, 0)));
    assert_eq!((observations.len(), report.malformed), (1, 0));
}

#[test]
fn a_line_of_two_megabytes_is_skipped_with_its_length() {
    let long = format!("{{\"event\":\"{}\"}}\n", "x".repeat(2 << 20));
    let (observations, report) = read(long.clone() + &exit_line(0, 0));
    assert_eq!(observations.len(), 1);
    let length = long.len();
    assert_eq!(report.faults[0].what, format!("a line of {length} bytes is over the limit of 1048576"));
}

#[test]
fn an_input_that_fails_is_used_up_to_there() {
    struct Cut;
    impl Read for Cut {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }
    let whole = [exit_line(0, 0), exit_line(1, 1)].join("\n");
    let mut reader = RecordingReader::new(whole.as_bytes().chain(Cut), "cut", Origin(0));
    assert_eq!(reader.by_ref().count(), 2);
    assert_eq!(reader.report().ended_early.as_ref().unwrap().position, Position::Line(2));
    assert_eq!(reader.report().malformed, 0);
}

#[test]
fn foreign_text_in_a_fault_cannot_steer_a_terminal() {
    let line = r#"{"flow":{"time":"2026-01-01T00:00:00Z","flow_id":"1","transport":"tcp","local":"192.0.2.1:1","remote":"192.0.2.1:1","state":"\u001b[31mred"}}"#;
    let (_, report) = read(line);
    assert_eq!(report.malformed, 1);
    assert!(!report.faults[0].what.contains('\u{1b}'));
    let (_, report) = read(line.replace("\\u001b[31mred", &"x".repeat(10_000)));
    assert!(report.faults[0].what.len() < 300);
}

#[test]
fn names_are_bounded_and_a_flow_id_is_never_cut() {
    let flow = |id: usize, name: usize| {
        let (id, name) = ("i".repeat(id), "n".repeat(name));
        format!(
            r#"{{"flow":{{"time":"2026-01-01T00:00:00Z","flow_id":"{id}","transport":"udp","local":"192.0.2.1:1","remote":"192.0.2.1:1","state":"open","server_name":"{name}"}}}}"#
        )
    };
    let (observations, _) = read(flow(256, 1_000));
    let [Observation::Flow(read_flow)] = &observations[..] else { panic!("{observations:?}") };
    assert_eq!(read_flow.server_name.as_ref().unwrap().len(), 256);
    assert_eq!(read(flow(257, 1)).1.malformed, 1);
}

#[test]
fn a_packet_is_not_written() {
    let packet = Packet {
        time: Timestamp::EPOCH,
        origin: Origin(0),
        interface: None,
        link_type: LinkType::ETHERNET,
        wire_length: 0,
        data: bytes::Bytes::new(),
        direction: None,
        owner: PacketOwner::default(),
        flow_id: None,
    };
    let mut writer = RecordingWriter::new(Vec::new());
    assert!(!writer.write(&Observation::Packet(packet)).unwrap());
    assert!(writer.finish().unwrap().is_empty());
}

#[test]
fn a_written_line_is_never_too_long_to_be_read() {
    let process = read(exit_line(0, 0)).0.pop();
    let Some(Observation::Exit(exit)) = process else { panic!("no exit") };
    let escaped = "\u{1}".repeat(4_096);
    let exec = Exec {
        message: exit.message,
        actor: exit.process.clone(),
        target: exit.process.clone(),
        arguments: vec![escaped.as_str().into(); 256],
        arguments_total: 300,
        environment: Vec::new(),
        script: None,
        cwd: None,
        dyld_exec_path: None,
        cpu_type: None,
        denied: false,
    };
    let running = Running {
        time: exit.message.time,
        process: exit.process.clone(),
        arguments: exec.arguments.clone(),
        environment: Vec::new(),
    };
    let mut writer = RecordingWriter::new(Vec::new());
    writer.write(&Observation::Exec(Box::new(exec))).unwrap();
    writer.write(&Observation::Running(Box::new(running))).unwrap();
    let (observations, report) = read(writer.finish().unwrap());
    assert_eq!(report.malformed, 0);
    let [Observation::Exec(exec), Observation::Running(running)] = &observations[..] else {
        panic!("{} lines", observations.len())
    };
    assert_eq!((exec.arguments.len(), exec.arguments_total), (32, 300));
    assert_eq!(running.arguments.len(), 32);
}

prop_compose! {
    fn key()(pid in 0..i32::MAX, pidversion in any::<Option<i32>>()) -> ProcessKey {
        ProcessKey { pid, pidversion }
    }
}

prop_compose! {
    fn signing()(
        flags: u32, is_platform_binary: bool, signing_id in proptest::option::of(".{1,40}"), team_id in proptest::option::of("[A-Z0-9]{10}"),
        cdhash in proptest::option::of(any::<[u8; 20]>()),
    ) -> CodeSigning {
        CodeSigning {
            flags, is_platform_binary, signing_id: signing_id.map(Into::into), team_id: team_id.map(Into::into),
            cdhash: cdhash.filter(|hash| *hash != [0; 20]),
        }
    }
}

prop_compose! {
    fn large_process()(
        key in key(), parent in proptest::option::of(key()), responsible in proptest::option::of(key()), ppid: i32, original_ppid: Option<i32>,
        group_id: Option<i32>, session_id: Option<i32>, auid in proptest::option::of(0..u32::MAX), euid: Option<u32>, ruid: Option<u32>, asid: Option<i32>,
        path in ".{0,80}", truncated: bool, signing in signing(), (is_es_client, tty, start) in (any::<bool>(), proptest::option::of(".{1,20}"), any::<Option<i64>>()),
    ) -> ProcessInfo {
        ProcessInfo {
            key, parent, responsible, ppid, original_ppid, group_id, session_id,
            credentials: Credentials { auid, euid, ruid, asid },
            executable: Executable { path: path.into(), path_truncated: truncated },
            signing, is_es_client, tty: tty.map(Into::into), start_time: start.map(Timestamp::from_nanos),
        }
    }
}

prop_compose! {
    // Numbers that never jump: gaps have tests of their own.
    fn message()(time: i64, mach_time: Option<u64>, version in 0..20_u32) -> Message {
        Message { time: Timestamp::from_nanos(time), mach_time, version, seq_num: None, global_seq_num: None }
    }
}

/// Boxed, as what is made of it is too large for the stack of a test in a build without optimisation.
fn process() -> BoxedStrategy<ProcessInfo> {
    large_process().boxed()
}

fn texts() -> impl Strategy<Value = Vec<Arc<str>>> {
    proptest::collection::vec(".{0,30}".prop_map(Arc::from), 0..5)
}

fn environment() -> impl Strategy<Value = Vec<(Arc<str>, Arc<str>)>> {
    proptest::option::of(".{0,30}").prop_map(|value| {
        value.map(|value| (Arc::from("XPC_SERVICE_NAME"), Arc::from(value))).into_iter().collect()
    })
}

fn optional_text() -> impl Strategy<Value = Option<Arc<str>>> {
    proptest::option::of(".{1,30}".prop_map(Arc::from))
}

prop_compose! {
    fn exec()(
        message in message(), actor in process(), target in process(), arguments in texts(), unkept in 0..9_u32, environment in environment(),
        script in optional_text(), cwd in optional_text(), dyld_exec_path in optional_text(), cpu_type: Option<i32>, denied: bool,
    ) -> Observation {
        let arguments_total = u32::try_from(arguments.len()).unwrap() + unkept;
        Observation::Exec(Box::new(Exec {
            message, actor, target, arguments, arguments_total, environment, script, cwd, dyld_exec_path, cpu_type, denied,
        }))
    }
}

prop_compose! {
    fn flow()(
        time: i64, flow_id in "[a-z0-9-]{1,20}", pid in proptest::option::of(0..i32::MAX), pidversion: Option<i32>, process in optional_text(),
        transport: u8, local in any::<std::net::SocketAddr>(), remote in any::<std::net::SocketAddr>(), outbound: Option<bool>,
        server_name in optional_text(), counters: [u64; 4], wire_bytes_out: Option<u64>,
    ) -> Observation {
        let plain = |mut address: std::net::SocketAddr| {
            // The text form of an address has no flow label.
            if let std::net::SocketAddr::V6(v6) = &mut address {
                v6.set_flowinfo(0);
            }
            address
        };
        Observation::Flow(Box::new(FlowReport {
            time: Timestamp::from_nanos(time), flow_id: flow_id.into(), origin: Origin(3), pid, pidversion, effective_pid: pid, process,
            transport: Transport::from(transport), local: plain(local), remote: plain(remote),
            direction: outbound.map(|out| if out { Direction::Outbound } else { Direction::Inbound }),
            interface: None, protocol: None, server_name,
            bytes_out: counters[0], bytes_in: counters[1], packets_out: counters[2], packets_in: counters[3],
            wire_bytes_out, wire_bytes_in: None, state: FlowState::Update,
        }))
    }
}

fn observation() -> impl Strategy<Value = Observation> {
    prop_oneof![
        exec().boxed(),
        (message(), process(), process()).prop_map(|(message, parent, child)| Observation::Fork(Box::new(
            Fork { message, parent, child }
        ))),
        (message(), process(), any::<i32>()).prop_map(|(message, process, wait_status)| Observation::Exit(
            Box::new(Exit { message, process, wait_status })
        )),
        flow().boxed(),
        (any::<i64>(), process(), texts(), environment()).prop_map(
            |(time, process, arguments, environment)| {
                let time = Timestamp::from_nanos(time);
                Observation::Running(Box::new(Running { time, process, arguments, environment }))
            }
        ),
        (any::<i64>(), any::<Option<u64>>()).prop_map(|(time, lost)| Observation::Gap(Box::new(Gap {
            time: Timestamp::from_nanos(time),
            source: "ntstat".into(),
            lost
        }))),
        (any::<i64>(), proptest::option::of(0..1_000_000_000_000_000_u64)).prop_map(|(time, awake)| {
            Observation::Clock(Clock {
                time: Timestamp::from_nanos(time),
                awake: awake.map(Duration::from_micros),
            })
        }),
        (optional_text(), optional_text(), proptest::option::of(-50_400..50_400)).prop_map(
            |(host, producer, zone)| Observation::Recording(Box::new(RecordingHeader {
                schema: "tidemark.recording/1".to_owned(),
                host,
                os_version: None,
                os_build: producer.clone(),
                serial_number: None,
                hardware_uuid: None,
                users: producer.iter().cloned().map(|name| (501, name)).collect(),
                utc_offset_seconds: zone.map(ZoneOffset),
                producer,
            }))
        ),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equal(observations in proptest::collection::vec(observation(), 0..6)) {
        let mut writer = RecordingWriter::new(Vec::new());
        for observation in &observations {
            prop_assert!(writer.write(observation).unwrap());
        }
        let (back, report) = read(writer.finish().unwrap());
        prop_assert_eq!(report.malformed, 0, "{:?}", report.faults);
        prop_assert_eq!(format!("{observations:?}"), format!("{back:?}"));
    }

    #[test]
    fn no_bytes_panic(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        read(input);
    }

    #[test]
    fn no_damage_to_a_good_line_panics(observation in observation(), place: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut writer = RecordingWriter::new(Vec::new());
        writer.write(&observation).unwrap();
        let mut line = writer.finish().unwrap();
        let place = place.index(line.len());
        line[place] = byte;
        read(&line);
        line.truncate(cut.index(line.len()));
        read(&line);
    }
}
