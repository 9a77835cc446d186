//! A scenario becomes a recording: its acts are played one after another, each with its processes and its flows.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Scenario;
use super::dice::Dice;
use super::language::{Event, Flow, What};
use super::mac::{Cast, Mac};
use super::schedule::{Act, Calendar};
use super::traffic::{self, End, Load, Wire};
use super::{proxy, telling};
use crate::observation::{Direction, FlowState, Observation, Timestamp, Transport};

/// Everything that is observed, in the order in which it arrives.
pub(super) fn recording(scenario: &Scenario, seed: u64) -> Vec<Observation> {
    let calendar = Calendar::of(scenario);
    let mut stage = Stage {
        scenario,
        mac: Mac::new(scenario.programs.clone()),
        told: Vec::new(),
        queue: BTreeMap::new(),
        queued: 0,
        flows: 0,
        tunnel: BTreeMap::new(),
        calendar,
    };
    stage.fill(seed);
    while let Some(((time, _), item)) = stage.queue.pop_first() {
        stage.play(time, item);
    }
    stage.dig_tunnels();
    let Stage { calendar, mac, mut told, .. } = stage;
    told.extend(mac.told);
    telling::in_order(scenario, &calendar, told)
}

/// The Mac while a recording is made.
struct Stage<'a> {
    scenario: &'a Scenario,
    calendar: Calendar<'a>,
    mac: Mac,
    /// Observations with the time at which they really happened.
    told: Vec<(Timestamp, Observation)>,
    /// What is still to be played, by time and by order of entry.
    queue: BTreeMap<(Timestamp, u64), Item<'a>>,
    queued: u64,
    /// Flows so far.
    flows: u64,
    /// What went through each tunnel, by its event and the minute.
    tunnel: BTreeMap<usize, BTreeMap<i64, Load>>,
}

enum Item<'a> {
    Act(Act<'a>),
    Restart,
    Replace(&'a Event),
    /// A flow that a restart cut goes on.
    Resume {
        act: Act<'a>,
        flow: &'a Flow,
        host: String,
        load: Load,
        lasts: Duration,
    },
}

impl<'a> Stage<'a> {
    fn fill(&mut self, seed: u64) {
        for absence in self.calendar.absences().to_vec() {
            if absence.restarts {
                self.enter(absence.from, Item::Restart);
            }
        }
        for event in &self.scenario.document.events {
            if event.what == What::Replace {
                self.enter(self.calendar.instant(event.day, event.at), Item::Replace(event));
            }
        }
        for act in self.calendar.acts(seed) {
            self.enter(act.at, Item::Act(act));
        }
    }

    fn enter(&mut self, time: Timestamp, item: Item<'a>) {
        self.queued += 1;
        self.queue.insert((time, self.queued), item);
    }

    fn play(&mut self, time: Timestamp, item: Item<'a>) {
        match item {
            Item::Restart => self.mac.restart(),
            Item::Replace(event) => {
                let name = |name: &'a Option<toml::Spanned<String>>| {
                    name.as_ref().map(|name| name.get_ref().as_str())
                };
                if let (Some(program), Some(by)) = (name(&event.program), name(&event.by)) {
                    self.mac.replace(program, by);
                }
            }
            Item::Act(act) => self.act(act),
            Item::Resume { act, flow, host, load, lasts } => {
                let chain = self.scenario.chain(act.run);
                let cast = self.mac.play(&act, &chain, self.calendar.awake(time));
                self.run(&act, &cast, flow, &host, load, time, lasts);
            }
        }
    }

    fn act(&mut self, mut act: Act<'a>) {
        let chain = self.scenario.chain(act.run);
        let awake = self.calendar.awake(act.at);
        let cast = self.mac.play(&act, &chain, awake);
        let mut at = act.at.after(Duration::from_secs(1));
        for flow in act.flows {
            for number in 0..flow.times {
                let hosts = flow.to.get_ref().all();
                let host = act.dice.one_of(hosts).cloned().unwrap_or_default();
                let host = host
                    .replace("{n}", &act.number.to_string())
                    .replace("{day}", &act.day.to_string())
                    .replace("{i}", &number.to_string());
                let load = Load::of(flow, &mut act.dice);
                match self.run(&act, &cast, flow, &host, load, at, flow.over.0) {
                    End::At(end) => at = end.after(Duration::from_secs(1)),
                    End::Cut { by, rest, left } => {
                        if cast.stays {
                            let act = Act { at: by.to, ..act.clone() };
                            self.enter(by.to, Item::Resume { act, flow, host, load: rest, lasts: left });
                        }
                        return;
                    }
                }
            }
        }
        let end = at.after(act.lives);
        if self.calendar.next_restart(act.at).is_none_or(|absence| absence.from > end) {
            self.mac.leave(cast, end, self.calendar.awake(end));
        }
    }

    /// Plays one flow.
    #[expect(clippy::too_many_arguments, reason = "the parts of one flow, of which a resumed one has others")]
    fn run(
        &mut self,
        act: &Act<'a>,
        cast: &Cast,
        flow: &Flow,
        host: &str,
        load: Load,
        start: Timestamp,
        lasts: Duration,
    ) -> End<'a> {
        self.flows += 1;
        let (address, named) = traffic::address(host);
        let (transport, port) = traffic::endpoint(flow);
        let awake = self.calendar.awake(start);
        let actor = cast.actor.clone();
        let (owner, behalf) = match &flow.via {
            Some(via) => (self.mac.service(via.get_ref(), act, awake), Some(actor.info.key.pid)),
            None => (actor, None),
        };
        let ours = u16::try_from(self.flows % EPHEMERAL).unwrap_or(0) + FIRST_EPHEMERAL;
        let (ours, theirs) = if flow.inbound { (port, ours) } else { (ours, port) };
        let label = flow.protocol.get_ref().as_str();
        let attempted = label == "attempted";
        let mut wire = Wire {
            owner,
            behalf,
            transport,
            local: SocketAddr::new(HERE.into(), ours),
            remote: SocketAddr::new(address, theirs),
            direction: if flow.inbound { Direction::Inbound } else { Direction::Outbound },
            interface: "en0",
            protocol: (!attempted).then(|| label.into()),
            server_name: (named && flow.named && !attempted).then(|| host.into()),
            start,
            lasts,
            load: if attempted { Load::default() } else { load },
        };
        let outside = !is_near(address);
        let vpn = self.during(What::Vpn, start).filter(|_| outside).map(|(index, _)| index);
        if outside && self.during(What::Proxy, start).is_some() && matches!(label, "tls" | "quic" | "http") {
            wire.transport = Transport::Tcp;
            wire.remote = SocketAddr::new(PROXY.into(), PROXY_PORT);
            (wire.protocol, wire.server_name) = (None, None);
            self.told.extend(proxy::connect(&wire, host, port));
        } else if let Some(proxy) = flow.through.as_ref().and_then(|proxy| proxy.get_ref().parse().ok()) {
            wire.remote = proxy;
            (wire.protocol, wire.server_name) = (None, None);
            self.told.extend(proxy::socks(&wire, host, port));
        }
        if vpn.is_some() {
            wire.interface = "utun4";
        }
        let id = self.flows.to_string();
        let before = self.told.len();
        let end = wire.tell(&id, &self.calendar, &mut self.told);
        if let Some(index) = vpn {
            self.through_tunnel(index, before);
        }
        end
    }

    /// Adds what the reports from `first` on grew by to a tunnel.
    fn through_tunnel(&mut self, index: usize, first: usize) {
        let minutes = self.tunnel.entry(index).or_default();
        let mut last = Load::default();
        for (time, observation) in self.told.iter().skip(first) {
            if let Observation::Flow(report) = observation {
                let sum = minutes.entry(time.as_seconds() / 60).or_default();
                sum.out += report.bytes_out - last.out;
                sum.back += report.bytes_in - last.back;
                last = Load { out: report.bytes_out, back: report.bytes_in };
            }
        }
    }

    /// The event of this kind that lasts at a time, with its place.
    fn during(&self, what: What, time: Timestamp) -> Option<(usize, &'a Event)> {
        self.scenario.document.events.iter().enumerate().filter(|(_, event)| event.what == what).find(
            |(_, event)| {
                let from = self.calendar.instant(event.day, event.at);
                from <= time && time < from.after(event.lasts.0)
            },
        )
    }

    /// The programs that carry tunnels send and receive the sums.
    fn dig_tunnels(&mut self) {
        for (index, minutes) in std::mem::take(&mut self.tunnel) {
            let Some(event) = self.scenario.document.events.get(index) else { continue };
            let Some(program) = &event.program else { continue };
            let from = self.calendar.instant(event.day, event.at);
            let act = service_act(from, event, program.get_ref());
            let task = self.mac.service(program.get_ref(), &act, self.calendar.awake(from));
            let server = event.flows.first();
            let (transport, port) = server.map_or((Transport::Udp, 4_500), traffic::endpoint);
            let host = server
                .and_then(|flow| flow.to.get_ref().all().first())
                .map_or("vpn.example.com", String::as_str);
            let label = server.map_or("ipsec", |flow| flow.protocol.get_ref().as_str());
            self.flows += 1;
            let id = self.flows.to_string();
            let mut wire = Wire {
                owner: task,
                behalf: None,
                transport,
                local: SocketAddr::new(HERE.into(), FIRST_EPHEMERAL),
                remote: SocketAddr::new(traffic::address(host).0, port),
                direction: Direction::Outbound,
                interface: "en0",
                protocol: Some(label.into()),
                server_name: None,
                start: from,
                lasts: Duration::ZERO,
                load: Load::default(),
            };
            for (minute, load) in minutes {
                wire.load.out += load.out + load.out / TUNNEL_OVERHEAD;
                wire.load.back += load.back + load.back / TUNNEL_OVERHEAD;
                let time = Timestamp::from_seconds((minute + 1) * 60, 0).max(from);
                self.told.push((time, wire.snapshot(&id, time)));
            }
        }
    }
}

impl Wire {
    /// One report of a flow that goes on.
    fn snapshot(&self, id: &str, time: Timestamp) -> Observation {
        self.report(id, time, self.load, FlowState::Update)
    }
}

fn service_act<'a>(at: Timestamp, event: &'a Event, program: &'a str) -> Act<'a> {
    Act {
        at,
        day: event.day,
        number: 0,
        run: program,
        job: None,
        responsible: None,
        user: event.user,
        lives: Duration::ZERO,
        late: Duration::ZERO,
        listed: false,
        flows: &[],
        dice: Dice::of(0, &[]),
    }
}

/// Neither through a proxy nor through a tunnel: this Mac, this link, private networks.
fn is_near(address: IpAddr) -> bool {
    use crate::network::Reach;
    Reach::of(address) != Reach::Global
}

/// The Mac's own address.
pub(super) const HERE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
/// The explicit proxy.
const PROXY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 80);
const PROXY_PORT: u16 = 3_128;
/// `net.inet.ip.portrange.first` of macOS, and how many ports follow it.
const FIRST_EPHEMERAL: u16 = 49_152;
const EPHEMERAL: u64 = 16_384;
/// A tunnel adds a twentieth to what it carries (72 bytes of ESP in UDP to packets of 1,400).
const TUNNEL_OVERHEAD: u64 = 20;
