//! The tables of a scenario file, as they are written.

use serde::Deserialize;
use toml::Spanned;

use super::values::{Bytes, Clock, Days, Hours, Span, Weekdays};
use crate::detect::{Channel, Severity};

/// A whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// What happens, in a sentence.
    pub(super) title: String,
    /// How many days are observed.
    #[serde(default = "sixteen")]
    pub(super) days: u32,
    /// Why it does not hold yet: the scenario then passes while it fails, and fails once it holds.
    pub(super) expected_failure: Option<String>,
    /// Atomic Red Team tests that it mirrors: `T1105 #31`.
    #[serde(default)]
    pub(super) atomic: Vec<String>,
    /// The organisation's exceptions, as one of their files has them.
    pub(super) exceptions: Option<String>,
    #[serde(default)]
    pub(super) mac: MacTable,
    #[serde(default, rename = "program")]
    pub(super) programs: Vec<Program>,
    #[serde(default, rename = "habit")]
    pub(super) habits: Vec<Habit>,
    #[serde(default, rename = "event")]
    pub(super) events: Vec<Event>,
    pub(super) expect: Option<Expect>,
}

/// `[mac]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MacTable {
    /// An IANA name, `Europe/Berlin`.
    pub(super) zone: Spanned<String>,
    /// The first day.
    pub(super) starts: Spanned<String>,
    /// The system's version.
    pub(super) os: String,
    /// Whether the ordinary Mac's habits are underneath.
    pub(super) ordinary: bool,
    /// Programs whose ordinary habits are left out.
    pub(super) without: Vec<Spanned<String>>,
}

impl Default for MacTable {
    fn default() -> Self {
        let unwritten = |text: &str| Spanned::new(0..0, text.to_owned());
        Self {
            zone: unwritten("Europe/Berlin"),
            starts: unwritten("2026-03-02"),
            os: "15.5".into(),
            ordinary: true,
            without: Vec::new(),
        }
    }
}

/// `[[program]]`: a file that can be executed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    /// What the file calls it; also the display name of its flows.
    pub(super) name: String,
    /// Where it lies. `{n}` is the number of the occurrence, `{user}` who runs it.
    pub(super) path: String,
    /// Signing identifier. `{n}` as in the path.
    pub(super) id: Option<String>,
    /// Team; without it and without `apple` the signature is ad hoc.
    pub(super) team: Option<String>,
    /// It is part of macOS.
    #[serde(default)]
    pub(super) apple: bool,
    /// Names the build: another build has another code hash. `{n}` as in the path.
    #[serde(default)]
    pub(super) build: String,
    /// The path before links were resolved (`dyld_exec_path`).
    pub(super) shown: Option<String>,
    /// It runs until the Mac restarts, wherever in a chain it stands.
    #[serde(default)]
    pub(super) stays: bool,
}

/// `[[habit]]`: something that happens again and again.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Habit {
    /// The chain of programs.
    pub(super) run: Spanned<String>,
    /// The label of launchd's job that it is.
    pub(super) job: Option<String>,
    /// The program that macOS holds responsible.
    pub(super) responsible: Option<Spanned<String>>,
    /// Who runs it.
    #[serde(default = "first_user")]
    pub(super) user: u32,
    /// Once in each such span of its hours, at a moment of its own.
    pub(super) every: Option<Span>,
    /// So often a day, at moments of its own within its hours; once where `every` is not given either.
    pub(super) times: Option<u32>,
    /// The share of its occurrences that take place.
    #[serde(default = "one")]
    pub(super) chance: f64,
    #[serde(default)]
    pub(super) hours: Hours,
    #[serde(default)]
    pub(super) on: Weekdays,
    #[serde(default)]
    pub(super) days: Days,
    /// On every so many days only.
    #[serde(default = "one_day")]
    pub(super) every_days: u32,
    /// How long the processes live beyond their flows.
    #[serde(default)]
    pub(super) lives: Span,
    #[serde(default, rename = "flow")]
    pub(super) flows: Vec<Flow>,
}

/// `[[event]]`: something that happens at one time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub(super) day: u32,
    pub(super) at: Clock,
    #[serde(default)]
    pub(super) what: What,
    /// The chain of programs.
    pub(super) run: Option<Spanned<String>>,
    pub(super) job: Option<String>,
    pub(super) responsible: Option<Spanned<String>>,
    #[serde(default = "first_user")]
    pub(super) user: u32,
    /// How often, one after another.
    #[serde(default = "once")]
    pub(super) times: u32,
    /// From one time to the next.
    #[serde(default)]
    pub(super) every: Span,
    #[serde(default)]
    pub(super) lives: Span,
    #[serde(default, rename = "flow")]
    pub(super) flows: Vec<Flow>,
    /// How much later than its traffic the chain is told.
    #[serde(default)]
    pub(super) late: Span,
    /// The chain ran before observation began: it is only found in the list of processes.
    #[serde(default)]
    pub(super) listed: bool,
    /// How long it lasts.
    #[serde(default, rename = "for")]
    pub(super) lasts: Span,
    /// `upgrade`: the new version. `zone`: the new zone. `clock`: the time that it is set to.
    pub(super) to: Option<Spanned<String>>,
    /// `vpn`: the program that carries the tunnel. `replace`: the program that is replaced.
    pub(super) program: Option<Spanned<String>>,
    /// `replace`: the program that it is from now on.
    pub(super) by: Option<Spanned<String>>,
    /// `gap`: how many observations were lost.
    #[serde(default)]
    pub(super) lost: u64,
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// A chain of programs runs.
    #[default]
    Run,
    /// The Mac sleeps.
    Sleep,
    /// It is switched off, for a minute where nothing else is said, and starts again.
    Restart,
    /// It restarts under another version of macOS.
    Upgrade,
    /// It travels to another zone.
    Zone,
    /// Its clock is set, and set right after some time.
    Clock,
    /// All goes through a tunnel, whose program carries the sum.
    Vpn,
    /// All web traffic goes through an explicit proxy.
    Proxy,
    /// Observations are lost.
    Gap,
    /// A program's file is replaced by another one.
    Replace,
}

/// `flow = [{ … }]`: what a process sends and receives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flow {
    /// A host or an address; of several, one. `{n}` is the number of the occurrence, `{day}` the day.
    pub(super) to: Spanned<OneOrMany>,
    #[serde(default = "tls")]
    pub(super) protocol: Spanned<String>,
    /// The server's port; the protocol's own where it is not given.
    pub(super) port: Option<u16>,
    /// `tcp` or `udp`; the protocol's own where it is not given.
    pub(super) transport: Option<Transport>,
    #[serde(default = "little")]
    pub(super) sends: Bytes,
    #[serde(default = "some")]
    pub(super) receives: Bytes,
    /// One standard deviation of both, as a factor.
    #[serde(default = "half_more")]
    pub(super) spread: f64,
    /// How many, one after another.
    #[serde(default = "once")]
    pub(super) times: u32,
    /// How long it lasts.
    #[serde(default)]
    pub(super) over: Span,
    /// Whether the client names the server.
    #[serde(default = "yes")]
    pub(super) named: bool,
    /// The peer began it.
    #[serde(default)]
    pub(super) inbound: bool,
    /// The SOCKS proxy that it goes through, with its port.
    pub(super) through: Option<Spanned<String>>,
    /// The program that owns the socket on behalf of this one.
    pub(super) via: Option<Spanned<String>>,
}

/// One or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a host, or a list of hosts")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// `[expect]`: without anything in it, that no alert leaves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    /// Alerts that must leave.
    pub(super) alert: Vec<ExpectedAlert>,
    /// How many other alerts may leave.
    pub(super) others_at_most: u32,
    /// How severe the others may be.
    pub(super) severity_at_most: Option<Severity>,
    /// About how many subjects the others may be.
    pub(super) subjects_at_most: Option<u32>,
    /// How many digests may be told.
    pub(super) digests_at_most: Option<u32>,
    /// How many findings exceptions must have covered, at least.
    pub(super) suppressed_at_least: u32,
}

/// `[[expect.alert]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedAlert {
    /// `curl < Automator`: a program and what made it run, by name or identity (`launchd:com.example.job`).
    pub(super) subject: Spanned<String>,
    /// A channel that counts in it.
    pub(super) channel: Option<Channel>,
    /// The least severity.
    pub(super) severity: Option<Severity>,
    /// The protocol of its flow.
    pub(super) protocol: Option<String>,
    /// The day on which it leaves.
    pub(super) day: u32,
    /// Not before this time.
    pub(super) from: Option<Clock>,
    /// Not after this time.
    pub(super) by: Option<Clock>,
}

fn sixteen() -> u32 {
    16
}

fn first_user() -> u32 {
    501
}

fn once() -> u32 {
    1
}

fn one_day() -> u32 {
    1
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn half_more() -> f64 {
    1.5
}

fn little() -> Bytes {
    Bytes(2_000)
}

fn some() -> Bytes {
    Bytes(10_000)
}

fn tls() -> Spanned<String> {
    Spanned::new(0..0, "tls".to_owned())
}
