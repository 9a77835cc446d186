//! The protocols that a subject ever spoke, and how probable a new one is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::window::Learning;
use crate::network::Protocol;

/// A protocol as novelty sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProtocolUse {
    /// The label.
    pub protocol: Protocol,
    /// The port, only as well-known for this protocol or other.
    pub port: PortClass,
}

impl ProtocolUse {
    /// From a protocol, the server's port (zero where there are none), and what that port is registered for.
    pub fn new(protocol: Protocol, server_port: u16, registered: Option<Protocol>) -> Self {
        let same = |other: Protocol| {
            let family = |protocol| Self { protocol, port: PortClass::Other }.family();
            family(other) == family(protocol)
        };
        let port = match registered {
            Some(registered) if same(registered) => PortClass::WellKnown,
            Some(_) => PortClass::Contradicts,
            None if !protocol.is_identified() && server_port >= FIRST_DYNAMIC_PORT => PortClass::Dynamic,
            None => PortClass::Other,
        };
        Self { protocol, port }
    }

    /// The member of its family that stands for all: `quic`, `tls` and `http2` are one, since a client moves between them as it
    /// likes (RFC 9114, section 3.1.1: a server announces HTTP/3 and the client switches).
    #[must_use]
    pub fn family(self) -> Self {
        match self.protocol {
            Protocol::Quic | Protocol::Http2 => Self { protocol: Protocol::Tls, ..self },
            _ => self,
        }
    }
}

impl fmt::Display for ProtocolUse {
    /// `ssh/well-known`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol, self.port.label())
    }
}

/// What the port says about the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortClass {
    /// A port registered for this protocol.
    WellKnown,
    /// A port registered for nothing that tidemark knows.
    Other,
    /// Of an unidentified protocol: a port of the range from which systems take ports by themselves, 32768 to 65535 (Linux begins there;
    /// RFC 6335 begins at 49152). Peers of calls, games and file sharing listen there, while a service with a port of its own does not, so
    /// that unknown payload to port 4444 is not what unknown payload to port 51413 is.
    Dynamic,
    /// A port registered for another protocol: `ssh` on 443.
    Contradicts,
}

impl PortClass {
    /// Every class.
    pub const ALL: &'static [Self] = &[Self::WellKnown, Self::Other, Self::Dynamic, Self::Contradicts];

    /// Its name: `well-known`, `other`, `dynamic`, `contradicts`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WellKnown => "well-known",
            Self::Other => "other",
            Self::Dynamic => "dynamic",
            Self::Contradicts => "contradicts",
        }
    }
}

/// What is known of one protocol of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// The protocol, as its family.
    pub protocol: ProtocolUse,
    /// Days on which it was used.
    pub days: u32,
    /// The weight of those days in tenths: 10 for an ordinary one, 1 for one on which its use was over the alert threshold.
    pub tenths: u32,
    /// The host day of its latest use.
    pub last_day: u32,
}

impl Spoken {
    /// The weight of the days on which it was used, in ordinary days.
    pub fn weight(&self) -> f64 {
        f64::from(self.tenths) / 10.0
    }

    /// Whether it is learnt: it was used on an ordinary day, or an analyst said that it is normal.
    pub fn is_known(&self) -> bool {
        self.tenths >= KNOWN_TENTHS
    }
}

/// The protocols of a subject, in the order of first use. Bounded by the vocabulary.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Protocols {
    spoken: Vec<Spoken>,
}

impl FromIterator<Spoken> for Protocols {
    fn from_iter<I: IntoIterator<Item = Spoken>>(spoken: I) -> Self {
        Self { spoken: spoken.into_iter().collect() }
    }
}

impl Protocols {
    /// What is known of one of them.
    pub fn of(&self, protocol: ProtocolUse) -> Option<&Spoken> {
        self.spoken.iter().find(|s| s.protocol == protocol)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Spoken> {
        self.spoken.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.spoken.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spoken.is_empty()
    }

    /// Notes a use on a host day; `true` where it is the first of that day.
    pub fn spoke(&mut self, protocol: ProtocolUse, day: u32) -> bool {
        if let Some(known) = self.spoken.iter_mut().find(|s| s.protocol == protocol) {
            let first_today = known.last_day != day || known.days == 0;
            if first_today {
                known.days = known.days.saturating_add(1);
                known.last_day = day;
            }
            return first_today;
        }
        self.spoken.push(Spoken { protocol, days: 1, tenths: 0, last_day: day });
        true
    }

    /// A day closed: what was used on it is learnt, in full where it was known already, else as the day is.
    pub fn learn_day(&mut self, day: u32, lesson: Learning) {
        for spoken in self.spoken.iter_mut().filter(|s| s.last_day == day) {
            let lesson = if spoken.is_known() { Learning::Full } else { lesson };
            spoken.tenths = spoken.tenths.saturating_add(lesson.tenths());
        }
    }

    /// An analyst's word: what is not known in full yet becomes known, or is forgotten.
    pub fn settle(&mut self, benign: bool) {
        if benign {
            for known in &mut self.spoken {
                known.tenths = known.tenths.max(KNOWN_TENTHS);
            }
        } else {
            self.spoken.retain(Spoken::is_known);
        }
    }

    /// Moves the days of latest use.
    pub(super) fn shift(&mut self, days: u32) {
        for known in &mut self.spoken {
            known.last_day = known.last_day.saturating_add(days);
        }
    }

    /// Adds what another baseline of the same subject knows; days of both are taken as different days.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.spoken {
            match self.spoken.iter_mut().find(|s| s.protocol == theirs.protocol) {
                Some(ours) => {
                    ours.days = ours.days.saturating_add(theirs.days);
                    ours.tenths = ours.tenths.saturating_add(theirs.tenths);
                    ours.last_day = ours.last_day.max(theirs.last_day);
                }
                None => self.spoken.push(*theirs),
            }
        }
        self.spoken.sort_by_key(|s| s.protocol);
    }
}

/// Linux takes ephemeral ports from here on (`net.ipv4.ip_local_port_range`).
const FIRST_DYNAMIC_PORT: u16 = 32_768;

/// From this weight on a protocol is known: one ordinary day.
const KNOWN_TENTHS: u32 = 10;

/// The probability that the next unit of activity brings something new (Pitman–Yor process, concentration θ = 0.3, discount d = 0.05;
/// METHOD.md 2 and 5.1). `kinds` is the number of kinds seen, `units` the effective number of units, √(active days · active hours).
pub fn hazard(kinds: usize, units: f64) -> f64 {
    ((CONCENTRATION + DISCOUNT * kinds as f64) / (CONCENTRATION + units)).min(1.0)
}

/// The probability that the next unit brings a kind that was seen with a weight below one day.
pub fn recurrence(weight: f64, units: f64) -> f64 {
    (weight / (CONCENTRATION + units)).min(1.0)
}

/// θ of the Pitman–Yor process: measured best of those tried with `units` in days and hours together (METHOD.md 5.1).
const CONCENTRATION: f64 = 0.3;
/// d of the Pitman–Yor process: an image that speaks much is expected to speak more.
const DISCOUNT: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    const SSH: ProtocolUse = ProtocolUse { protocol: Protocol::Ssh, port: PortClass::WellKnown };

    #[test]
    fn a_family_keeps_its_port_class() {
        let quic = ProtocolUse { protocol: Protocol::Quic, port: PortClass::Other };
        assert_eq!(quic.family(), ProtocolUse { protocol: Protocol::Tls, port: PortClass::Other });
        assert_eq!(SSH.family(), SSH);
    }

    #[test]
    fn the_port_says_little_and_never_more_than_that() {
        let of = |protocol, port, registered| ProtocolUse::new(protocol, port, registered).port;
        assert_eq!(of(Protocol::Quic, 443, Some(Protocol::Tls)), PortClass::WellKnown);
        assert_eq!(of(Protocol::Ssh, 443, Some(Protocol::Tls)), PortClass::Contradicts);
        assert_eq!(of(Protocol::Tls, 51_413, None), PortClass::Other);
        assert_eq!(of(Protocol::Unknown, 51_413, None), PortClass::Dynamic);
        assert_eq!(of(Protocol::Unknown, 4_444, None), PortClass::Other);
    }

    #[test]
    fn a_discounted_day_leaves_a_protocol_unknown_until_somebody_says_benign() {
        let mut protocols = Protocols::default();
        assert!(protocols.spoke(SSH, 3));
        assert!(!protocols.spoke(SSH, 3));
        protocols.learn_day(3, Learning::Discounted);
        assert!(!protocols.of(SSH).unwrap().is_known());
        protocols.settle(true);
        assert!(protocols.of(SSH).unwrap().is_known());
    }

    #[test]
    fn a_malicious_protocol_is_forgotten_and_a_known_one_stays() {
        let mut protocols = Protocols::default();
        protocols.spoke(SSH, 0);
        protocols.learn_day(0, Learning::Full);
        let irc = ProtocolUse { protocol: Protocol::Irc, port: PortClass::WellKnown };
        protocols.spoke(irc, 9);
        protocols.learn_day(9, Learning::Discounted);
        protocols.settle(false);
        assert!(protocols.of(SSH).is_some() && protocols.of(irc).is_none());
    }

    #[test]
    fn novelty_falls_with_history_and_rises_with_variety() {
        assert!(hazard(1, 30.0) < hazard(1, 3.0));
        assert!(hazard(8, 30.0) > hazard(1, 30.0));
        assert!(hazard(0, 0.0) <= 1.0);
    }
}
