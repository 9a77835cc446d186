//! A Mac that never rests, made in the process: so many programs on the network, so many flows that live, execs beside them. It has no randomness but
//! a counter's, so that the same numbers give the same Mac.

#![allow(dead_code, reason = "each program that takes this in uses its own part of it")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tidemark::observation::{
    CodeSigning, Credentials, Exec, Executable, Exit, FlowReport, FlowState, Fork, Message, Observation,
    Origin, ProcessInfo, ProcessKey, Timestamp, Transport,
};

/// What the Mac has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Programs on the network, each a subject of its own.
    pub(crate) subjects: u32,
    /// Flows that live at any time.
    pub(crate) flows: u32,
    /// Updates of flows between two execs.
    pub(crate) updates_an_exec: u32,
    /// Event time between two updates.
    pub(crate) step: Duration,
}

impl Size {
    /// The size that tidemark promises to bear: 2,000 subjects, 100,000 flows, 40 updates an exec, as at 20,000 updates and 500 execs a second.
    pub(crate) const PROMISED: Self =
        Self { subjects: 2_000, flows: 100_000, updates_an_exec: 40, step: Duration::from_micros(50) };
}

/// The Mac: an endless stream of observations.
pub(crate) struct World {
    size: Size,
    now: Timestamp,
    /// To be given before anything new happens, last first.
    next: Vec<Observation>,
    updates: u64,
    pub(crate) execs: u64,
    /// Each place's bytes so far, and how many flows it has had.
    places: Vec<(u64, u32)>,
    state: u64,
    next_pid: i32,
    generation: i32,
}

impl World {
    /// The Mac as its programs have just been started.
    pub(crate) fn new(size: Size, now: Timestamp) -> Self {
        let mut world = Self {
            size,
            now,
            next: Vec::new(),
            updates: 0,
            execs: 0,
            places: vec![(0, 0); size.flows as usize],
            state: 0x9e37_79b9_7f4a_7c15,
            next_pid: FIRST_SHORT_LIVED,
            generation: 1_000_000,
        };
        world.next = (0..size.subjects)
            .map(|number| exec(now, app(number), &proxy(app(number).key), vec!["app"]))
            .rev()
            .collect();
        world
    }

    /// The present there.
    pub(crate) fn time(&self) -> Timestamp {
        self.now
    }

    /// Updates of flows that were given.
    pub(crate) fn updates(&self) -> u64 {
        self.updates
    }

    /// A program that a script starts, and what it sends at once: unusual anywhere. Each number is another script.
    pub(crate) fn departure(&mut self, number: u32, time: Timestamp) -> [Observation; 3] {
        let script =
            unsigned(self.pid(), &format!("/Users/ann/Scripts/Job{number}.app/Contents/MacOS/applet"), 1);
        let tool = ProcessInfo {
            parent: Some(script.key),
            ppid: script.key.pid,
            original_ppid: Some(script.key.pid),
            ..platform(self.pid(), "/usr/bin/curl", "com.apple.curl")
        };
        let started = exec(time, script.clone(), &proxy(script.key), vec!["applet"]);
        let forked =
            ProcessInfo { key: earlier(tool.key), parent: Some(script.key), ppid: script.key.pid, ..script };
        let report = FlowReport {
            bytes_out: 50_000_000,
            packets_out: 40_000,
            state: FlowState::Closed,
            ..flow(time, format!("departure-{number}"), &tool, number, 9_000)
        };
        [started, exec(time, tool, &forked, vec!["curl", "-T", "x"]), Observation::Flow(Box::new(report))]
    }

    /// The first program goes to a place where it never was.
    pub(crate) fn visit(number: u32, time: Timestamp) -> Observation {
        let [_, b, c, d] = number.to_be_bytes();
        let report = FlowReport {
            remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(20, b, c, d)), 443),
            bytes_out: 1_000,
            packets_out: 1,
            state: FlowState::Closed,
            ..flow(time, format!("visit-{number}"), &app(0), 0, u16::try_from(number % 50_000).unwrap())
        };
        Observation::Flow(Box::new(report))
    }

    /// A program that nobody has seen starts and goes to the network.
    pub(crate) fn newcomer(&mut self, number: u32, time: Timestamp) -> [Observation; 2] {
        let program = unsigned(self.pid(), &format!("/Users/ann/build/program-{}", words(number)), 1);
        let report = FlowReport {
            bytes_out: 1_000,
            packets_out: 1,
            state: FlowState::Closed,
            ..flow(
                time,
                format!("newcomer-{number}"),
                &program,
                number,
                u16::try_from(number % 50_000).unwrap(),
            )
        };
        [
            exec(time, program.clone(), &proxy(program.key), vec!["program"]),
            Observation::Flow(Box::new(report)),
        ]
    }

    /// A process that starts, does nothing and ends, as most do.
    fn short_lived(&mut self) {
        self.execs += 1;
        let parent = app(self.random(self.size.subjects));
        let key = self.pid();
        let child = ProcessInfo { key, parent: Some(parent.key), ppid: parent.key.pid, ..parent.clone() };
        let target = ProcessInfo {
            parent: Some(parent.key),
            ppid: parent.key.pid,
            ..platform(self.pid_of(key), "/bin/ls", "com.apple.ls")
        };
        let time = self.now;
        let exit = Exit { message: message(time), process: target.clone(), wait_status: 0 };
        self.next.push(Observation::Exit(Box::new(exit)));
        self.next.push(exec(time, target, &child, vec!["ls", "-l"]));
        self.next.push(Observation::Fork(Box::new(Fork { message: message(time), parent, child })));
    }

    /// The next update of a flow. One in a thousand ends its flow, and the next of that place begins another.
    fn update(&mut self) -> Observation {
        self.updates += 1;
        let place = self.random(self.size.flows);
        let grown = u64::from(self.random(20_000));
        let ends = self.random(1_000) == 0;
        let owner = app(place % self.size.subjects);
        let time = self.now;
        let (bytes, turn) = &mut self.places[place as usize];
        let began = *bytes == 0;
        *bytes += 1 + grown;
        let report = FlowReport {
            bytes_out: *bytes,
            bytes_in: *bytes * 4,
            packets_out: *bytes / 1_000 + 1,
            packets_in: *bytes / 400 + 1,
            state: match (began, ends) {
                (_, true) => FlowState::Closed,
                (true, false) => FlowState::Open,
                (false, false) => FlowState::Update,
            },
            ..flow(
                time,
                format!("{place}-{turn}"),
                &owner,
                place / 13,
                u16::try_from(place % 50_000).unwrap(),
            )
        };
        if ends {
            (*bytes, *turn) = (0, *turn + 1);
        }
        Observation::Flow(Box::new(report))
    }

    fn pid(&mut self) -> ProcessKey {
        self.next_pid = if self.next_pid >= LAST_PID { FIRST_SHORT_LIVED } else { self.next_pid + 1 };
        let pid = self.next_pid;
        self.pid_of(ProcessKey { pid, pidversion: None })
    }

    /// The same number in its next generation, as an exec gives it.
    fn pid_of(&mut self, key: ProcessKey) -> ProcessKey {
        self.generation += 1;
        ProcessKey { pid: key.pid, pidversion: Some(self.generation) }
    }

    /// Below `most`: xorshift64.
    fn random(&mut self, most: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        u32::try_from((self.state >> 32) % u64::from(most)).unwrap()
    }
}

impl Iterator for World {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        if let Some(observation) = self.next.pop() {
            return Some(observation);
        }
        self.now = self.now.after(self.size.step);
        if self.updates % u64::from(self.size.updates_an_exec) == 0 {
            self.short_lived();
        }
        Some(self.update())
    }
}

fn message(time: Timestamp) -> Message {
    Message { time, mach_time: None, version: 9, seq_num: None, global_seq_num: None }
}

fn exec(time: Timestamp, target: ProcessInfo, before: &ProcessInfo, arguments: Vec<&str>) -> Observation {
    let actor = before.clone();
    let arguments: Vec<Arc<str>> = arguments.into_iter().map(Arc::from).collect();
    Observation::Exec(Box::new(Exec {
        message: message(time),
        actor,
        target,
        arguments_total: u32::try_from(arguments.len()).unwrap(),
        arguments,
        environment: Vec::new(),
        script: None,
        cwd: Some("/".into()),
        dyld_exec_path: None,
        cpu_type: None,
        denied: false,
    }))
}

fn flow(time: Timestamp, id: String, owner: &ProcessInfo, destination: u32, port: u16) -> FlowReport {
    let [_, b, c, d] = destination.to_be_bytes();
    FlowReport {
        time,
        flow_id: id.into(),
        origin: Origin(0),
        pid: Some(owner.key.pid),
        pidversion: owner.key.pidversion,
        effective_pid: None,
        process: None,
        transport: Transport::Tcp,
        local: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 10_000 + port),
        remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(100 + b % 27, c, d, 1)), 443),
        direction: None,
        interface: None,
        protocol: Some("tls".into()),
        server_name: None,
        bytes_out: 0,
        bytes_in: 0,
        packets_out: 0,
        packets_in: 0,
        wire_bytes_out: None,
        wire_bytes_in: None,
        state: FlowState::Open,
    }
}

/// A number as letters: digits in names are folded, so that the builds of one program are one.
fn words(mut number: u32) -> String {
    let mut text = String::new();
    for _ in 0..6 {
        text.push(char::from(b'a' + u8::try_from(number % 26).unwrap()));
        number /= 26;
    }
    text
}

/// An app that runs as long as the Mac does.
fn app(number: u32) -> ProcessInfo {
    let pid = i32::try_from(number).unwrap() + FIRST_APP;
    let key = ProcessKey { pid, pidversion: Some(pid) };
    let signing = CodeSigning {
        flags: CodeSigning::VALID | CodeSigning::SIGNED,
        is_platform_binary: false,
        signing_id: Some(format!("com.example.app{number}").into()),
        team_id: Some("ABCDE12345".into()),
        cdhash: None,
    };
    ProcessInfo {
        signing,
        ..unsigned(key, &format!("/Applications/App{number}.app/Contents/MacOS/App{number}"), 1)
    }
}

/// What launchd's job is before it becomes its program.
fn proxy(key: ProcessKey) -> ProcessInfo {
    platform(earlier(key), "/usr/libexec/xpcproxy", "com.apple.xpc.proxy")
}

/// The same process before its exec.
fn earlier(key: ProcessKey) -> ProcessKey {
    ProcessKey { pidversion: key.pidversion.map(|version| version + 500_000_000), ..key }
}

fn platform(key: ProcessKey, path: &str, id: &str) -> ProcessInfo {
    let signing = CodeSigning {
        flags: CodeSigning::VALID,
        is_platform_binary: true,
        signing_id: Some(id.into()),
        team_id: None,
        cdhash: None,
    };
    ProcessInfo { signing, ..unsigned(key, path, 1) }
}

fn unsigned(key: ProcessKey, path: &str, ppid: i32) -> ProcessInfo {
    ProcessInfo {
        key,
        parent: Some(LAUNCHD),
        responsible: None,
        ppid,
        original_ppid: Some(ppid),
        group_id: None,
        session_id: None,
        credentials: Credentials { auid: Some(501), euid: Some(501), ruid: Some(501), asid: Some(1) },
        executable: Executable { path: path.into(), path_truncated: false },
        signing: CodeSigning::default(),
        is_es_client: false,
        tty: None,
        start_time: None,
    }
}

const LAUNCHD: ProcessKey = ProcessKey { pid: 1, pidversion: Some(1) };
const FIRST_APP: i32 = 200;
const FIRST_SHORT_LIVED: i32 = 20_000;
/// `PID_MAX` of XNU's `proc_internal.h` is 99999.
const LAST_PID: i32 = 99_999;
