//! The real sources' portable part, driven from end to end by a simulated kernel: bytes of the statistics and of the packet tap in, alerts out.
//!
//! The kernel is a thread behind a socket pair. It speaks one layout of the statistics, answers polls in parts and out of order, loses
//! messages, and shows of packets what the filter lets pass. The recorded attack of the demo is what happens on its Mac: its processes come as
//! they were recorded, its flows only through the kernel. Time is the simulation's own: it runs on when the kernel has nothing to say.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::engine::{Engine, Settings, Verdict};
use crate::network::{Counters, FlowTable, Limits, Phase};
use crate::observation::{Observation, Origin, Packet, Timestamp, Transport};
use crate::source::live::{Clock, Moment};
use crate::source::network_statistics::simulation::{self, Source as KernelFlow};
use crate::source::network_statistics::{
    self as statistics, Counts, Doubt, Generation, KernelSocket, Lookup, OwnConnection, Provider, Received,
    Request, prove,
};
use crate::source::packet_tap::filter::{Wanted, interpreter, program};
use crate::source::packet_tap::{self, Statistics, Tap, simulation as tap};
use crate::source::{Input, Merged, OpenOptions, Origins};

/// Time that runs on only when it is told to.
#[derive(Debug, Clone)]
struct Simulated {
    began: Timestamp,
    passed: Arc<AtomicU64>,
}

impl Simulated {
    fn from(began: Timestamp) -> Self {
        Self { began, passed: Arc::default() }
    }

    fn pass(&self, span: Duration) {
        self.passed.fetch_add(u64::try_from(span.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Simulated {
    fn now(&mut self) -> Moment {
        let steady = Duration::from_nanos(self.passed.load(Ordering::SeqCst));
        Moment { wall: self.began.after(steady), steady }
    }
}

/// What a datagram of one byte means between the two ends of the pair, beside what the kernel says.
mod mark {
    pub(super) const END_OF_TURN: u8 = 1;
    pub(super) const OVERRUN: u8 = 2;
    pub(super) const END: u8 = 3;
    pub(super) const NUDGE: u8 = 4;
}

/// Our end of the pair.
struct PairSocket {
    pair: UnixDatagram,
    /// Requests whose answer has not ended.
    owed: u32,
    clock: Simulated,
}

impl KernelSocket for PairSocket {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.owed += 1;
        self.pair.send(message).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<Received> {
        if self.owed == 0 {
            self.clock.pass(patience.max(Duration::from_millis(1)));
            return Ok(Received::Nothing);
        }
        let length = self.pair.recv(buffer)?;
        if length > 1 {
            return Ok(Received::Datagram(length));
        }
        match buffer[0] {
            mark::END_OF_TURN => self.owed -= 1,
            mark::OVERRUN => return Ok(Received::Overrun),
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(Received::Nothing)
    }

    fn nudge(&mut self) -> io::Result<()> {
        self.send(&[mark::NUDGE])
    }
}

/// Something that happens on the simulated Mac.
#[derive(Debug, Clone)]
enum Event {
    /// A source comes, or has moved so much.
    Moved(KernelFlow),
    /// A source ends with these counts; its last message may be dropped.
    Ended { flow: KernelFlow, dropped: bool },
    /// The socket's buffer runs over.
    Overrun,
}

/// The kernel's end: what happens when, and how it speaks.
struct Kernel {
    pair: UnixDatagram,
    clock: Simulated,
    generation: Generation,
    /// By time, latest first.
    to_come: Vec<(Timestamp, Event)>,
    live: BTreeMap<u64, KernelFlow>,
    /// Sources of the poll in hand that were not told yet.
    untold: Vec<u64>,
}

impl Kernel {
    /// Starts the thread; our end of the pair.
    fn start(
        generation: Generation,
        mut to_come: Vec<(Timestamp, Event)>,
        clock: &Simulated,
    ) -> (PairSocket, JoinHandle<()>) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        to_come.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let mut kernel = Self {
            pair: theirs,
            clock: clock.clone(),
            generation,
            to_come,
            live: BTreeMap::new(),
            untold: Vec::new(),
        };
        let thread = thread::spawn(move || while kernel.answer() {});
        (PairSocket { pair: ours, owed: 0, clock: clock.clone() }, thread)
    }

    /// Answers one request; `false` when all is over.
    fn answer(&mut self) -> bool {
        let mut request = [0; 64];
        let Ok(length) = self.pair.recv(&mut request) else { return false };
        let request = &request[..length];
        if length == 1 {
            assert_eq!(request[0], mark::NUDGE);
            return self.say(&[mark::END_OF_TURN]);
        }
        let context = u64::from_le_bytes(request[..8].try_into().unwrap());
        let provider =
            Provider::from(u32::from_le_bytes(request.get(32..36).unwrap_or(&[0; 4]).try_into().unwrap()));
        if request == (Request::AddAll { context, provider }.encode()) {
            // This kernel has no QUIC.
            let missing = provider == Provider::QuicUserland;
            let answer = if missing {
                simulation::error(context, 2, request)
            } else {
                simulation::success(context, false)
            };
            return self.say(&answer) && self.say(&[mark::END_OF_TURN]);
        }
        assert_eq!(request, Request::Poll { context }.encode());
        if self.untold.is_empty() {
            if self.to_come.is_empty() && self.live.is_empty() {
                self.say(&[mark::END]);
                return false;
            }
            self.let_happen();
            self.untold = self.live.keys().copied().collect();
        }
        // The youngest first, two at a time, both in one datagram.
        let part: Vec<u64> = (0..2).filter_map(|_| self.untold.pop()).collect();
        let datagram: Vec<u8> = part
            .iter()
            .filter_map(|reference| self.live.get(reference))
            .flat_map(|flow| simulation::update(flow, self.generation, 0, false))
            .collect();
        (datagram.is_empty() || self.say(&datagram))
            && self.say(&simulation::success(context, !self.untold.is_empty()))
            && self.say(&[mark::END_OF_TURN])
    }

    /// What is due by now happens.
    fn let_happen(&mut self) {
        let now = self.clock.now().wall;
        while self.to_come.last().is_some_and(|(time, _)| *time <= now) {
            match self.to_come.pop().unwrap().1 {
                Event::Moved(flow) => drop(self.live.insert(flow.reference, flow)),
                Event::Overrun => drop(self.say(&[mark::OVERRUN])),
                Event::Ended { flow, dropped } => {
                    self.live.remove(&flow.reference);
                    if !dropped {
                        self.say(&simulation::update(&flow, self.generation, 0, true));
                    }
                    self.say(&simulation::removed(flow.reference, dropped));
                }
            }
        }
    }

    fn say(&self, datagram: &[u8]) -> bool {
        self.pair.send(datagram).is_ok()
    }
}

/// A Mac that knows nothing more about its processes.
struct NoLookup;

impl Lookup for NoLookup {
    fn generation(&mut self, _pid: i32, _unique_pid: u64) -> Option<i32> {
        None
    }

    fn interface(&mut self, _number: u32) -> Option<Arc<str>> {
        Some(Arc::from("en0"))
    }
}

/// A tap over a socket pair, written by a thread. A datagram is what one read gives.
struct PairTap {
    pair: UnixDatagram,
    dropped: u32,
}

impl PairTap {
    /// Shows what the filter lets pass of these packets, a few to a buffer.
    fn start(packets: Vec<Packet>, wanted: Wanted) -> (Self, JoinHandle<()>) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let thread = thread::spawn(move || {
            let program = program(wanted);
            let mut buffer = Vec::new();
            for packet in &packets {
                let kept = interpreter::run(&program, &tap::tapped(packet));
                if kept > 0 {
                    buffer.extend(tap::buffered(packet, kept));
                }
                if buffer.len() > BUFFER / 2 {
                    theirs.send(&buffer).unwrap();
                    buffer.clear();
                }
            }
            theirs.send(&buffer).unwrap();
            theirs.send(&[mark::END]).unwrap();
        });
        (Self { pair: ours, dropped: 0 }, thread)
    }
}

impl Tap for PairTap {
    fn buffer_length(&self) -> usize {
        BUFFER
    }

    fn read(&mut self, buffer: &mut [u8], _patience: Duration) -> io::Result<usize> {
        match self.pair.recv(buffer)? {
            1 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok(length),
        }
    }

    fn statistics(&mut self) -> io::Result<Statistics> {
        self.dropped += 3;
        Ok(Statistics { received: 0, dropped: self.dropped })
    }
}

const BUFFER: usize = 16 << 10;

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

fn observations(name: &str) -> Merged {
    Merged::new(Input::all([recording(name)], Origins::Joined, &OpenOptions::default()))
}

/// The packets of the attack, and its flows as the kernel counts them.
fn attack() -> (Vec<Packet>, Vec<(Timestamp, Event)>) {
    let packets: Vec<Packet> = observations("attack.pcapng")
        .filter_map(|seen| match seen {
            Observation::Packet(packet) => Some(packet),
            _ => None,
        })
        .collect();
    let mut table: FlowTable<()> = FlowTable::new(Limits::default());
    let mut events = Vec::new();
    let mut reference = 0;
    let mut note = |update: crate::network::FlowUpdate<'_, ()>| {
        let flow = update.flow;
        let (Phase::Ended, Some(process)) = (update.phase, flow.owner.process) else { return };
        reference += 1;
        let provider = match flow.transport {
            Transport::Tcp => Provider::TcpKernel,
            Transport::Udp => Provider::UdpKernel,
            _ => return,
        };
        let Counters { bytes_in, bytes_out, packets_in, packets_out, .. } = flow.counters;
        let text = |end: SocketAddr| end.to_string();
        let whole = KernelFlow {
            provider,
            counts: Counts { packets_in, bytes_in, packets_out, bytes_out },
            effective_pid: flow.owner.effective_pid.unwrap_or(process.pid),
            ..KernelFlow::tcp(reference, process.pid, &text(flow.local), &text(flow.remote))
        };
        let none = KernelFlow { counts: Counts::default(), ..whole.clone() };
        events.push((flow.start, Event::Moved(none)));
        events.push((flow.last, Event::Moved(whole.clone())));
        let dropped = reference % 2 == 0;
        events.push((flow.last.after(Duration::from_secs(2)), Event::Ended { flow: whole, dropped }));
    };
    for packet in &packets {
        table.packet(packet, &mut note);
    }
    table.finish(&mut note);
    (packets, events)
}

/// The subjects that are alerted on when the fortnight was learnt as recorded, and the attack comes through the kernel; and how many gaps
/// there were.
fn alerts(generation: Generation) -> (Vec<(String, String)>, u64) {
    let (packets, mut events) = attack();
    let first = packets.first().unwrap().time;
    events.push((first.after(Duration::from_secs(3)), Event::Overrun));
    let clock = Simulated::from(first.before(Duration::from_secs(10)));
    let (socket, kernel) = Kernel::start(generation, events, &clock);
    let reader = statistics::Reader::new(socket, NoLookup, clock.clone(), "ntstat-", Origin(0));
    let (device, shown) = PairTap::start(packets, Wanted::Identification);
    let tap = packet_tap::Reader::new(device, Simulated::from(first), Origin(0));
    let mut inputs = Input::all([recording("attack.ndjson")], Origins::Joined, &OpenOptions::default());
    inputs.push(Input::from_source(Box::new(reader), Origin(0)));
    inputs.push(Input::from_source(Box::new(tap), Origin(0)));

    let mut engine = Engine::new(Settings::default());
    let mut verdicts = Vec::new();
    for observation in observations("fortnight.ndjson.gz").chain(Merged::new(inputs)) {
        engine.observe(&observation, &mut verdicts);
    }
    engine.finish(&mut verdicts);
    kernel.join().unwrap();
    shown.join().unwrap();
    let mut subjects: Vec<(String, String)> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Alert(alert) => serde_json::from_str::<serde_json::Value>(&alert.to_json()).ok(),
            _ => None,
        })
        .map(|alert| {
            let part = |name: &str| alert["subject"][name].as_str().unwrap_or_default().to_owned();
            (part("image"), part("initiator"))
        })
        .collect();
    subjects.sort();
    subjects.dedup();
    (subjects, engine.losses().gaps)
}

#[test]
fn an_attack_that_only_the_kernel_tells_of_is_alerted_on_in_every_layout() {
    for generation in [Generation::B, Generation::C] {
        let (subjects, gaps) = alerts(generation);
        let expected = [
            ("apple:com.apple.curl", "apple:com.apple.Automator"),
            ("apple:com.apple.python3", "apple:com.apple.osascript"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(image, initiator)| ((*image).to_owned(), (*initiator).to_owned()))
            .collect();
        assert_eq!(subjects, expected, "{generation:?}");
        // The overrun, the closing messages that were dropped, and the packets that had no room.
        assert!(gaps >= 3, "{gaps} gaps");
    }
}

#[test]
fn a_kernel_is_believed_once_it_tells_of_our_own_connection() {
    let own = 4_711;
    let proved = |pid: i32, generation: Generation, closes: bool| {
        let clock = Simulated::from(Timestamp::from_seconds(1_000, 0));
        let connection = OwnConnection::open().unwrap();
        let (local, remote) = connection.ends();
        let flow = KernelFlow::tcp(1, pid, &local.to_string(), &remote.to_string());
        let begin = Timestamp::from_seconds(1_000, 0);
        let end = if closes { begin.after(Duration::from_millis(100)) } else { Timestamp::MAX };
        let events = vec![(begin, Event::Moved(flow.clone())), (end, Event::Ended { flow, dropped: false })];
        let (socket, _) = Kernel::start(generation, events, &clock);
        prove(socket, clock, own, || Ok(connection))
    };
    assert_eq!(proved(own, Generation::C, true).unwrap(), Generation::C);
    assert!(matches!(proved(7, Generation::C, true), Err(Doubt::Misattributed { own: 4_711, other: 7 })));
    assert!(matches!(proved(own, Generation::B, false), Err(Doubt::Endless)));
}
