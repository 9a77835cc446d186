//! Which live sources are used, and what the ones that are cannot see.
//!
//! Each kind of source has a best one and others that stand in for it where it cannot be had. They are tried from the top; what was
//! refused, and why, is kept beside what was taken, in words for a person ([`Coverage`]).
//!
//! | rung | flows from | bytes from | protocols from |
//! |---|---|---|---|
//! | 1 | statistics and tap | the kernel's counters | payload |
//! | 2 | tap | packets | payload |
//! | 3 | statistics | the kernel's counters | the server's port, marked as such |
//! | 4 | unified log | the kernel's summaries, at the end of a connection | the server's port, marked as such |
//!
//! Process events come from Endpoint Security, else from Apple's `eslogger`. Left out: the notification of connections that macOS 26.4 gives
//! Endpoint Security clients. It has no byte counts and no end, Apple does not document it, and its layout is known from two dumps.

#[cfg(target_os = "macos")]
mod mac;
#[cfg(target_os = "macos")]
pub(crate) use mac::ThisMac;

use std::fmt;
use std::io;

use super::endpoint_security::{self, Denied};
use super::live::{BoxedSource, Live, Outbox};
use super::packet_tap::filter::Wanted;
use super::{network_statistics, packet_tap, unified_log};
use crate::observation::{Observation, Running};

/// Where process events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessSource {
    /// Endpoint Security.
    EndpointSecurity,
    /// Apple's own client of it, a program whose output is read.
    Eslogger,
    /// None.
    None,
}

/// Where flows come from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowSource {
    /// The kernel's statistics count, packets identify.
    StatisticsAndTap,
    /// Packets count and identify.
    Tap,
    /// The kernel's statistics alone.
    Statistics,
    /// The kernel's summaries in the unified log.
    UnifiedLog,
    /// None.
    None,
}

impl ProcessSource {
    /// What cannot be seen by it, in words.
    pub const fn blind_spots(self) -> &'static [&'static str] {
        match self {
            Self::EndpointSecurity => &[],
            Self::Eslogger => {
                &["events between a crash of eslogger and its restart, a second to a minute later"]
            }
            Self::None => &["which program acts: no flow has a subject, and nothing can be scored"],
        }
    }
}

impl FlowSource {
    /// What cannot be seen by it, in words.
    pub const fn blind_spots(self) -> &'static [&'static str] {
        match self {
            Self::StatisticsAndTap => {
                &["which of several peers an unconnected UDP socket's bytes went to within a second"]
            }
            Self::Tap => &[
                "whose the packets of very short connections are, where their socket was gone when they were read",
                "bytes of packets that the kernel had no room for",
            ],
            Self::Statistics => &[
                "protocols: they are taken from the server's port and never scored as new",
                "names of servers, but for those that a program gave its connection itself",
                "ICMP and raw sockets",
            ],
            Self::UnifiedLog => &[
                "connections that last: nothing is told of them until they end",
                "addresses, where the log withholds them",
                "connections beyond the rate at which the kernel logs",
                "protocols: they are taken from the server's port and never scored as new",
                "everything, where this macOS does not log connections by default",
            ],
            Self::None => &["the network"],
        }
    }
}

impl fmt::Display for ProcessSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::EndpointSecurity => "Endpoint Security",
            Self::Eslogger => "eslogger",
            Self::None => "nowhere",
        })
    }
}

impl fmt::Display for FlowSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::StatisticsAndTap => "the kernel's statistics and the packet tap",
            Self::Tap => "the packet tap",
            Self::Statistics => "the kernel's statistics",
            Self::UnifiedLog => "the unified log",
            Self::None => "nowhere",
        })
    }
}

/// What can be seen, and what cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Where process events come from.
    pub processes: ProcessSource,
    /// Where flows come from.
    pub flows: FlowSource,
    /// What was refused, one sentence each.
    pub refused: Vec<String>,
}

impl Coverage {
    /// What cannot be seen, in words.
    pub fn blind_spots(&self) -> impl Iterator<Item = &'static str> {
        self.processes.blind_spots().iter().chain(self.flows.blind_spots()).copied()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process events from {}, flows from {}", self.processes, self.flows)
    }
}

/// What a Mac offers, or what stands for it in a test. It is asked again, from the thread of a source that ended.
pub trait Mac: Clone + Send + 'static {
    /// Subscribes to process events, which go to `outbox`.
    ///
    /// # Errors
    /// Why macOS refuses.
    fn endpoint_security(&mut self, outbox: Outbox) -> Result<(), Denied>;

    /// Starts `eslogger`.
    ///
    /// # Errors
    /// Where it cannot be started.
    fn eslogger(&mut self) -> io::Result<BoxedSource>;

    /// Lists the processes that run.
    fn running(&mut self) -> Vec<Running>;

    /// The kernel's statistics, once a connection of our own has proved them.
    ///
    /// # Errors
    /// Why they cannot be used, as a sentence.
    fn statistics(&mut self) -> Result<BoxedSource, String>;

    /// The packet tap.
    ///
    /// # Errors
    /// Why it cannot be used, as a sentence.
    fn tap(&mut self, wanted: Wanted) -> Result<BoxedSource, String>;

    /// The unified log.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn unified_log(&mut self) -> io::Result<BoxedSource>;
}

/// Opens the best sources that can be had, and joins them to `live`.
///
/// Process events come first, then the list of what runs, then flows: a flow finds its process, and what an event said stands.
///
/// # Errors
/// Where no thread can be started.
pub fn climb(mac: &mut impl Mac, live: &mut Live) -> io::Result<Coverage> {
    let mut refused = Vec::new();
    let processes = process_source(mac, live, &mut refused)?;
    if let Some(outbox) = live.outbox(LISTING) {
        for running in mac.running() {
            outbox.send(Observation::Running(Box::new(running)));
        }
    }
    let flows = flow_source(mac, live, &mut refused)?;
    Ok(Coverage { processes, flows, refused })
}

fn process_source(
    mac: &mut impl Mac,
    live: &mut Live,
    refused: &mut Vec<String>,
) -> io::Result<ProcessSource> {
    let denied = match live.outbox(endpoint_security::SOURCE_NAME).map(|outbox| mac.endpoint_security(outbox))
    {
        Some(Ok(())) => return Ok(ProcessSource::EndpointSecurity),
        Some(Err(denied)) => denied,
        None => Denied::Other("the stream is being read already".to_owned()),
    };
    let may_pass = denied.may_pass();
    refused.push(denied.to_string());
    // The client's thread stays and tries again; `eslogger` would be refused for the same reason, and then both would tell everything.
    if may_pass {
        return Ok(ProcessSource::EndpointSecurity);
    }
    match mac.eslogger() {
        Ok(source) => {
            let mut mac = mac.clone();
            live.keep(ESLOGGER, Some(source), move || mac.eslogger().map_err(|error| error.to_string()))?;
            Ok(ProcessSource::Eslogger)
        }
        Err(error) => {
            refused.push(format!("eslogger cannot be started: {error}"));
            Ok(ProcessSource::None)
        }
    }
}

fn flow_source(mac: &mut impl Mac, live: &mut Live, refused: &mut Vec<String>) -> io::Result<FlowSource> {
    let statistics =
        mac.statistics().map_err(|why| refused.push(format!("no kernel statistics: {why}"))).ok();
    // Without the kernel's counters the packets are what is counted.
    let wanted = if statistics.is_some() { Wanted::Identification } else { Wanted::Volume };
    let tap = mac.tap(wanted).map_err(|why| refused.push(format!("no packet tap: {why}"))).ok();
    let rung = match (&statistics, &tap) {
        (Some(_), Some(_)) => FlowSource::StatisticsAndTap,
        (None, Some(_)) => FlowSource::Tap,
        (Some(_), None) => FlowSource::Statistics,
        (None, None) => FlowSource::UnifiedLog,
    };
    // What is refused at the start is not asked for again: the rung below stands in for it.
    if statistics.is_some() {
        let mut mac = mac.clone();
        live.keep(network_statistics::SOURCE_NAME, statistics, move || mac.statistics())?;
    }
    if tap.is_some() {
        let mut mac = mac.clone();
        live.keep(packet_tap::SOURCE_NAME, tap, move || mac.tap(wanted))?;
    }
    if rung != FlowSource::UnifiedLog {
        return Ok(rung);
    }
    match mac.unified_log() {
        Ok(source) => {
            let mut mac = mac.clone();
            live.keep(unified_log::SOURCE_NAME, Some(source), move || {
                mac.unified_log().map_err(|error| error.to_string())
            })?;
            Ok(FlowSource::UnifiedLog)
        }
        Err(error) => {
            refused.push(format!("the unified log cannot be read: {error}"));
            Ok(FlowSource::None)
        }
    }
}

/// Opens the live sources of this Mac, and says in the log what they cannot see.
///
/// # Errors
/// Where no thread can be started, or this is no Mac.
#[cfg(target_os = "macos")]
pub fn open() -> io::Result<(Live, Coverage)> {
    let mut live = Live::new();
    let coverage = climb(&mut ThisMac::new(live.effort()), &mut live)?;
    tracing::info!(%coverage, "observing");
    for refused in &coverage.refused {
        tracing::warn!("{refused}");
    }
    for unseen in coverage.blind_spots() {
        tracing::warn!(%unseen, "cannot be seen");
    }
    Ok((live, coverage))
}

/// There are no live sources here.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "macos"))]
pub fn open() -> io::Result<(Live, Coverage)> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "live sources exist on a Mac only; name an input with --source",
    ))
}

/// The name under which losses of the list of running processes are reported.
const LISTING: &str = "running";
/// The name under which losses of Apple's own client are reported.
const ESLOGGER: &str = "eslogger";

#[cfg(test)]
mod tests;
