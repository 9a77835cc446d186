//! Runs the detector over simulated Macs and says how many attacks it finds and how many alerts are false.
//!
//! `macsim [--budget B]... [--learn-days N] [--verbose] [--json] [--list] [--sizes] FLOWS LABELS [FLOWS LABELS]...`: each pair is what the simulator of Macs wrote: one flow a line
//! (`ts`, `mac`, `image`, `initiator`, `l4`, `port`, `service`, `dst`, `bytes_out`, `bytes_in`), and the attacks among them. `-` for FLOWS reads
//! standard input. `--list` prints every false alert with its channels, `--sizes` what a subject takes in the store at the end. The rules of counting are those of the road's own score: a false alert is one outside every attack's window (from five
//! minutes before it to an hour after it) of its Mac and subject, once a subject and day, after the learning days.

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

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::Arc;

use serde::Deserialize;
use tidemark::baseline::Priors;
use tidemark::detect::{Activity, Channel, Detector, Disposition, Finding, ProtocolUse, Settings, Severity};
use tidemark::network::Protocol;
use tidemark::observation::{Timestamp, ZoneOffset};
use tidemark::process::{Identity, Role, Subject};

#[derive(Deserialize)]
struct Flow<'a> {
    ts: i64,
    mac: u32,
    image: &'a str,
    initiator: &'a str,
    l4: &'a str,
    port: &'a str,
    service: &'a str,
    dst: &'a str,
    bytes_out: u64,
    bytes_in: u64,
}

#[derive(Deserialize)]
struct Attack {
    id: u32,
    mac: u32,
    kind: String,
    image: String,
    initiator: String,
    onset: i64,
    end: i64,
    total_out: f64,
}

/// One alert, as far as counting cares.
struct Alert {
    mac: u32,
    subject: (String, String),
    time: i64,
    severity: Severity,
    channels: String,
    /// Score and every channel's Z, for `--list`.
    story: String,
}

/// What is added up over all pairs.
#[derive(Default)]
struct Score {
    found: BTreeMap<(String, &'static str), (u32, u32)>,
    falses: BTreeSet<(usize, u32, String, String, i64)>,
    by_severity: BTreeMap<Severity, u32>,
    mac_days: f64,
    early: u32,
    alerts: u32,
    by_image: BTreeMap<(String, String), u32>,
    by_channels: BTreeMap<String, u32>,
    missed: Vec<String>,
    list: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut budgets, mut learn_days, mut files) = (Vec::new(), 7.0, Vec::new());
    let (mut verbose, mut json, mut list, mut sizes) = (false, false, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--budget" => budgets.push(arguments.next().ok_or("--budget needs a number")?.parse::<f64>()?),
            "--learn-days" => learn_days = arguments.next().ok_or("--learn-days needs a number")?.parse()?,
            "--verbose" => verbose = true,
            "--json" => json = true,
            "--list" => list = true,
            "--sizes" => sizes = true,
            _ => files.push(argument),
        }
    }
    if budgets.is_empty() {
        budgets = vec![0.05, 0.1];
    }
    let priors = Arc::new(Priors::builtin());
    let mut scores: Vec<Score> = budgets.iter().map(|_| Score::default()).collect();
    let mut all_stored = Vec::new();
    for (pair, (flows, labels)) in pairs(&files).enumerate() {
        let attacks: Vec<Attack> = BufReader::new(File::open(labels)?)
            .lines()
            .map(|line| Ok(serde_json::from_str(&line?)?))
            .collect::<Result<_, Box<dyn Error>>>()?;
        let (span, alerts, stored) = run(flows, &budgets, &priors)?;
        all_stored.extend(stored);
        for (score, alerts) in scores.iter_mut().zip(alerts) {
            score.add(pair, &span, &attacks, &alerts, learn_days);
        }
    }
    let mut out = io::stdout().lock();
    for (budget, score) in budgets.iter().zip(&scores) {
        if json {
            writeln!(out, "{}", score.json(*budget))?;
        } else {
            score.print(&mut out, *budget, verbose)?;
        }
        for line in score.list.iter().filter(|_| list) {
            writeln!(out, "  {line}")?;
        }
    }
    if sizes {
        all_stored.sort_unstable();
        let at = |share: usize| all_stored.get(all_stored.len() * share / 100).copied().unwrap_or(0);
        writeln!(
            out,
            "a stored subject with its key: median {} B, p90 {} B, p99 {} B",
            at(50),
            at(90),
            at(99)
        )?;
    }
    Ok(())
}

fn pairs(files: &[String]) -> impl Iterator<Item = (&str, &str)> {
    files.chunks_exact(2).filter_map(|pair| Some((pair.first()?.as_str(), pair.get(1)?.as_str())))
}

/// The span of each Mac, the alerts of each budget, and what each subject takes in the store, in bytes, at the first budget.
type Run = (Span, Vec<Vec<Alert>>, Vec<usize>);

type Span = BTreeMap<u32, (i64, i64)>;

/// Runs one file of flows through a detector a Mac and budget.
fn run(flows: &str, budgets: &[f64], priors: &Arc<Priors>) -> Result<Run, Box<dyn Error>> {
    let mut reader: Box<dyn BufRead> = if flows == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(flows)?))
    };
    let mut macs: HashMap<u32, Vec<Detector>> = HashMap::new();
    let (mut span, mut line) = (Span::new(), String::new());
    let mut alerts: Vec<Vec<Alert>> = budgets.iter().map(|_| Vec::new()).collect();
    while reader.read_line(&mut line)? > 0 {
        let flow: Flow<'_> = serde_json::from_str(&line)?;
        span.entry(flow.mac).and_modify(|s| s.1 = flow.ts).or_insert((flow.ts, flow.ts));
        let detectors = macs.entry(flow.mac).or_insert_with(|| {
            let with = |budget: &f64| Settings { alerts_per_mac_per_day: *budget, ..Settings::default() };
            budgets.iter().map(|budget| Detector::new(with(budget), Arc::clone(priors))).collect()
        });
        let tied = !matches!(flow.initiator, "-" | "");
        let subject = Subject {
            image: Identity::new(flow.image),
            initiator: tied.then(|| Identity::new(identity(flow.initiator))),
        };
        let destination: Arc<str> = flow.dst.into();
        let activity = Activity {
            time: Timestamp::from_seconds(flow.ts, 0),
            zone: ZoneOffset(0),
            subject: &subject,
            role: role(flow.image, flow.initiator),
            initiator_seen: tied,
            volatile_cdhash: None,
            protocol: protocol(flow.service, flow.l4, flow.port),
            destination: Some(&destination),
            bytes_out: flow.bytes_out,
            bytes_in: flow.bytes_in,
            began: true,
            who: None,
        };
        for (detector, alerts) in detectors.iter_mut().zip(&mut alerts) {
            if let Some(finding) = detector.observe(&activity) {
                detector.dispose(&finding, Disposition::Alerted);
                alerts.push(Alert {
                    mac: flow.mac,
                    subject: (flow.image.to_owned(), flow.initiator.to_owned()),
                    time: flow.ts,
                    severity: finding.severity,
                    channels: counted(&finding),
                    story: story(&finding),
                });
            }
        }
        line.clear();
    }
    let first = macs.values_mut().filter_map(|detectors| detectors.first_mut());
    let subjects = first.flat_map(|detector| detector.checkpoint().subjects);
    let stored = subjects.map(|(key, value)| key.len() + value.map_or(0, |value| value.len())).collect();
    Ok((span, alerts, stored))
}

impl Score {
    fn add(&mut self, pair: usize, span: &Span, attacks: &[Attack], alerts: &[Alert], learn_days: f64) {
        self.mac_days +=
            span.values().map(|(a, b)| ((b - a) as f64 / 86_400.0 - learn_days).max(0.0)).sum::<f64>();
        self.alerts += u32::try_from(alerts.len()).unwrap_or(u32::MAX);
        let mut hits = BTreeSet::new();
        for alert in alerts {
            let begin = span.get(&alert.mac).map_or(0, |s| s.0);
            let (image, initiator) = &alert.subject;
            let hit = |a: &&Attack| {
                a.mac == alert.mac
                    && (a.onset - 300..=a.end + 3_600).contains(&alert.time)
                    && ((&a.image, &a.initiator) == (image, initiator) || &a.initiator == image)
            };
            let found: Vec<u32> = attacks.iter().filter(hit).map(|a| a.id).collect();
            if !found.is_empty() {
                hits.extend(found);
            } else if ((alert.time - begin) as f64) < learn_days * 86_400.0 {
                self.early += 1;
            } else if self.falses.insert((
                pair,
                alert.mac,
                image.clone(),
                initiator.clone(),
                (alert.time - begin) / 86_400,
            )) {
                let day = (alert.time - begin) / 86_400;
                self.list
                    .push(format!("{pair} {} day {day} {image} < {initiator}: {}", alert.mac, alert.story));
                *self.by_severity.entry(alert.severity).or_default() += 1;
                *self.by_channels.entry(alert.channels.clone()).or_default() += 1;
                *self.by_image.entry((image.clone(), initiator.clone())).or_default() += 1;
            }
        }
        for attack in attacks {
            let size = if attack.total_out >= 1e8 { ">= 100 MB" } else { "smaller" };
            let entry = self.found.entry((attack.kind.clone(), size)).or_default();
            entry.0 += u32::from(hits.contains(&attack.id));
            entry.1 += 1;
            if !hits.contains(&attack.id) {
                self.missed.push(format!(
                    "{pair} {} {} < {} {}",
                    attack.kind, attack.image, attack.initiator, attack.id
                ));
            }
        }
    }

    /// One line for a script that adds several runs up.
    fn json(&self, budget: f64) -> serde_json::Value {
        let found: BTreeMap<String, (u32, u32)> =
            self.found.iter().map(|((kind, size), counts)| (format!("{kind} {size}"), *counts)).collect();
        let by_severity: BTreeMap<String, u32> =
            self.by_severity.iter().map(|(severity, count)| (severity.to_string(), *count)).collect();
        serde_json::json!({
            "budget": budget, "alerts": self.alerts, "false": self.falses.len(), "mac_days": self.mac_days,
            "early": self.early, "found": found, "by_severity": by_severity,
        })
    }

    fn print(&self, out: &mut impl Write, budget: f64, verbose: bool) -> io::Result<()> {
        let rate = self.falses.len() as f64 / self.mac_days.max(1e-9);
        writeln!(
            out,
            "budget {budget}: {} alerts, {} false in {:.0} mac-days = {rate:.4} a mac-day ({:.2} of the budget), {} while learning",
            self.alerts,
            self.falses.len(),
            self.mac_days,
            rate / budget,
            self.early
        )?;
        for ((kind, size), (found, all)) in &self.found {
            writeln!(
                out,
                "  {kind:16} {size:10} found {found} of {all} = {:.2}",
                f64::from(*found) / f64::from(*all)
            )?;
        }
        for (severity, count) in &self.by_severity {
            writeln!(out, "  false, {severity:8} {count}")?;
        }
        if verbose {
            for (channels, count) in &self.by_channels {
                writeln!(out, "  false, {count:3} {channels}")?;
            }
            for missed in &self.missed {
                writeln!(out, "  missed {missed}")?;
            }
            let mut images: Vec<_> = self.by_image.iter().collect();
            images.sort_by(|a, b| b.1.cmp(a.1));
            for ((image, initiator), count) in images.into_iter().take(12) {
                writeln!(out, "  false, {count:3} {image} < {initiator}")?;
            }
        }
        Ok(())
    }
}

/// The identity that the priors know an initiator by.
fn identity(initiator: &str) -> String {
    match initiator {
        "Terminal" => "apple:com.apple.Terminal".into(),
        "Visual Studio Code" => "UBF8T346G9:com.microsoft.VSCode".into(),
        "brew" => "path:/opt/homebrew/bin/brew".into(),
        "launchd job" => "launchd:com.example.job".into(),
        "make" => "apple:com.apple.make".into(),
        "cron" => "apple:com.apple.cron".into(),
        "Postman" => "213985E128:com.example.Postman".into(),
        "GitHub Desktop" => "D7E689C786:com.example.GitHubDesktop".into(),
        other => format!("name:{other}"),
    }
}

/// The channels that made an alert.
fn counted(finding: &Finding) -> String {
    let names = finding.channels.iter().filter(|c| c.counted).map(|c| match &c.observed {
        serde_json::Value::String(name) if c.name == Channel::Protocol => name.as_str(),
        _ => c.name.label(),
    });
    names.collect::<Vec<_>>().join(" + ")
}

/// Score and every channel's Z.
fn story(finding: &Finding) -> String {
    let channels = finding.channels.iter().map(|c| {
        let counts = if c.counted { "+" } else { "" };
        format!("{counts}{} {:.2} {} {}", c.name.label(), c.z, c.observed, c.evidence)
    });
    let b = &finding.baseline;
    let age = format!("age {:.1} days {} hours {}", b.age_days, b.active_days, b.active_hours);
    format!(
        "S {:.2} trim {:.2} {age} | {}",
        finding.score,
        finding.trim,
        channels.collect::<Vec<_>>().join(" | ")
    )
}

fn role(image: &str, initiator: &str) -> Role {
    Role {
        tool: TOOLS.contains(&image),
        scripting_host: SCRIPTING.contains(&image),
        scripted: SCRIPTING.contains(&initiator),
    }
}

/// The protocol and what the port says, as the road would have it.
fn protocol(service: &str, l4: &str, port: &str) -> Option<ProtocolUse> {
    let label = match service {
        "apns" | "imaps" | "https-alt" | "dot" | "gcm" => "tls",
        "http-alt" | "ipp" => "http",
        "pg" => "postgres",
        "media" => "rtp",
        "wg" => "wireguard",
        "raw" | "spotify" | "afp" => "unknown",
        "echo" => "icmp",
        other => other,
    };
    let protocol: Protocol = label.parse().ok()?;
    let registered = match (l4, port) {
        (_, "443" | "993" | "853") => Some(Protocol::Tls),
        ("tcp", "80") => Some(Protocol::Http),
        (
            _,
            "highport" | "echo" | "631" | "4070" | "4444" | "5223" | "5228" | "8080" | "8443" | "8801"
            | "41641",
        ) => None,
        _ => Some(protocol),
    };
    // The simulator's high ports are those from 40000 to 59999.
    let number = if port == "highport" { 40_000 } else { port.parse().unwrap_or(0) };
    Some(ProtocolUse::new(protocol, number, registered))
}

const TOOLS: &[&str] =
    &["curl", "python3", "git-remote-https", "node", "ruby", "ssh", "wget", "perl", "java"];
const SCRIPTING: &[&str] = &["osascript", "Automator", "Script Editor", "Microsoft Word", "Shortcuts"];
