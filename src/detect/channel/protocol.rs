//! Protocol novelty: the first use of a protocol by a subject.
//!
//! Z = −log10(hazard · share · r): the Pitman–Yor probability that the next unit of activity brings something new, times how much of what
//! would be new is at least this rare, times active days a day (METHOD.md 2). It is kept for an hour after the first use. Some things go
//! beyond METHOD.md:
//!
//! - A protocol whose only days were over the alert threshold has a weight below one day; it recurs with probability
//!   weight/(θ + n), added to that of novelty, until an analyst says what it was.
//! - The first use of the network at all by an image that ran for [`SILENT_DAYS`] days without it is rarer by a factor
//!   ([`SILENT_SHARE`], [`SILENT_SCRIPTING_SHARE`]; both assumptions) unless the settings expect that image to open sockets: AN1227's
//!   `SocketParentProcessMatch`.
//! - What a program speaks on its first day is what it is for: `redis-cli` speaks RESP, the screen sharing app VNC. Of those, that it is rare
//!   among programs says nothing. It counts in full for tools and interpreters, for unsigned files where a user can write, for payload that is not
//!   identified or contradicts its port, and after a long silence.
//! - The same holds at any age for what web pages speak ([`WEB_PLATFORM`]) where the image is expected to open sockets.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bytes::round;
use crate::baseline::{PortClass, Presence, Priors, ProtocolUse, Protocols, Spoken, hazard, recurrence};
use crate::detect::host::Prevalence;
use crate::network::Protocol;

/// A first use, with the numbers that its score was computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::detect) struct ProtocolNovelty {
    pub(in crate::detect) z: f64,
    /// What is new.
    pub(in crate::detect) protocol: ProtocolUse,
    hazard: f64,
    share: f64,
    recurrence: f64,
    rate: f64,
    /// It is the subject's first use of the network at all, after a long silence.
    pub(in crate::detect) first_socket: bool,
}

/// What the subject was before this use.
#[expect(clippy::struct_excessive_bools, reason = "four independent facts about one image")]
#[derive(Debug, Clone, Copy)]
pub(in crate::detect) struct History<'a> {
    /// The protocols that it spoke.
    pub(in crate::detect) protocols: &'a Protocols,
    /// When it used the network, or where it never did, when it ran.
    pub(in crate::detect) activity: Presence,
    /// Days since it was first seen.
    pub(in crate::detect) age_days: f64,
    /// It never used the network.
    pub(in crate::detect) silent: bool,
    /// The settings expect this image to open sockets.
    pub(in crate::detect) expected: bool,
    /// The image is a scripting host.
    pub(in crate::detect) scripting_host: bool,
    /// The image is a network tool or an interpreter: what is rare is what is rare among those.
    pub(in crate::detect) tool: bool,
    /// It is the first day on which the subject uses the network, and its image is neither a tool nor a file that a user can replace.
    pub(in crate::detect) newcomer: bool,
}

impl History<'_> {
    /// Whether the protocol is part of what such an image does anyway.
    fn comes_with(&self, protocol: ProtocolUse) -> bool {
        let plain = protocol.protocol.is_identified() && protocol.port != PortClass::Contradicts;
        plain && (self.newcomer || self.expected && WEB_PLATFORM.contains(&protocol.protocol))
    }
}

/// Scores the use of a protocol that is not known in full.
pub(in crate::detect) fn score(
    protocol: ProtocolUse,
    history: &History<'_>,
    priors: &Priors,
    prevalence: &Prevalence,
) -> ProtocolNovelty {
    let units = history.activity.units();
    let weight = history.protocols.of(protocol).map_or(0.0, Spoken::weight);
    let kinds = history.protocols.len();
    let hazard = hazard(kinds, units);
    let first_socket = history.silent && !history.expected && history.activity.days >= SILENT_DAYS;
    let silence = match (first_socket, history.scripting_host) {
        (false, _) => 1.0,
        (true, false) => SILENT_SHARE,
        (true, true) => SILENT_SCRIPTING_SHARE,
    };
    let tail = if !first_socket && history.comes_with(protocol) {
        1.0
    } else {
        tail_share(protocol, history, priors, prevalence)
    };
    let share = (tail * silence).max(LEAST_SHARE);
    let recurrence = recurrence(weight, units);
    let rate = (f64::from(history.activity.days) + 1.0) / (history.age_days + 2.0);
    let p = (hazard * share + recurrence).min(1.0);
    ProtocolNovelty {
        z: (-libm::log10(p * rate)).max(0.0),
        protocol,
        hazard,
        share,
        recurrence,
        rate,
        first_socket,
    }
}

impl ProtocolNovelty {
    /// The numbers behind the score.
    pub(in crate::detect) fn evidence(&self) -> Value {
        json!({
            "log10_hazard": round(libm::log10(self.hazard)),
            "log10_share": round(libm::log10(self.share)),
            "recurrence": round(self.recurrence),
            "active_days_per_day": round(self.rate),
            "first_socket": self.first_socket,
        })
    }
}

/// Which share of what would be new to the subject is at most as common as this protocol.
fn tail_share(protocol: ProtocolUse, history: &History<'_>, priors: &Priors, prevalence: &Prevalence) -> f64 {
    let own = prevalence.of(protocol, priors.prevalence(protocol, history.tool));
    let (mut rarer, mut all, mut listed) = (0.0, 0.0, false);
    for (other, fleet) in priors.protocols(history.tool) {
        if other != protocol && history.protocols.of(other).is_some() {
            continue;
        }
        listed |= other == protocol;
        let share = prevalence.of(other, fleet);
        all += share;
        if share <= own {
            rarer += share;
        }
    }
    if !listed {
        rarer += own;
        all += own;
    }
    if all > 0.0 { rarer / all } else { 1.0 }
}

/// What a page can have a browser speak: HTTP, WebSocket (WHATWG), and WebRTC's transports (RFC 8835, section 3.4: ICE with STUN, DTLS, SRTP).
const WEB_PLATFORM: [Protocol; 7] = [
    Protocol::Tls,
    Protocol::Http,
    Protocol::Websocket,
    Protocol::Stun,
    Protocol::Dtls,
    Protocol::Rtp,
    Protocol::Rtcp,
];
/// The least share that is told from nothing (METHOD.md 2).
const LEAST_SHARE: f64 = 1e-4;
/// Days on which an image must have run without a socket before its first one is news.
const SILENT_DAYS: u32 = 7;
/// The share for the first socket of an image that is not expected to open any. An assumption: nothing real was available to measure it.
const SILENT_SHARE: f64 = 0.1;
/// The same for a scripting host. An assumption.
const SILENT_SCRIPTING_SHARE: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::{Learning, ObservedClock};
    use crate::observation::{Timestamp, ZoneOffset};

    fn ran(days: i64) -> Presence {
        let (mut clock, mut presence) = (ObservedClock::default(), Presence::default());
        for day in 0..days {
            clock.tick(Timestamp::from_seconds(day * 86_400, 0), ZoneOffset(0), None);
            presence.note(&clock);
        }
        presence
    }

    fn history(protocols: &Protocols, days: i64, silent: bool) -> History<'_> {
        let age_days = days as f64;
        History {
            protocols,
            activity: ran(days),
            age_days,
            silent,
            expected: false,
            scripting_host: false,
            tool: false,
            newcomer: false,
        }
    }

    fn z(protocol: Protocol, history: &History<'_>) -> f64 {
        let protocol = ProtocolUse { protocol, port: PortClass::WellKnown };
        score(protocol, history, &Priors::builtin(), &Prevalence::default()).z
    }

    fn tls_speaker() -> Protocols {
        let mut protocols = Protocols::default();
        protocols.spoke(ProtocolUse { protocol: Protocol::Tls, port: PortClass::WellKnown }, 0);
        protocols.learn_day(0, Learning::Full);
        protocols
    }

    #[test]
    fn what_few_images_speak_is_rarer_than_what_many_speak() {
        let spoken = tls_speaker();
        let history = history(&spoken, 20, false);
        assert!(z(Protocol::Irc, &history) > z(Protocol::Http, &history) + 1.0);
    }

    #[test]
    fn payload_against_port_is_rarer_than_either() {
        let spoken = tls_speaker();
        let history = history(&spoken, 20, false);
        let ssh = |port| {
            let protocol = ProtocolUse { protocol: Protocol::Ssh, port };
            score(protocol, &history, &Priors::builtin(), &Prevalence::default()).z
        };
        assert!(ssh(PortClass::Contradicts) > ssh(PortClass::WellKnown));
    }

    #[test]
    fn the_first_socket_after_weeks_of_silence_is_news_and_on_day_two_it_is_not() {
        let none = Protocols::default();
        let old = History { scripting_host: true, ..history(&none, 30, true) };
        let young = History { scripting_host: true, ..history(&none, 2, true) };
        assert!(z(Protocol::Tls, &old) > 3.5, "{}", z(Protocol::Tls, &old));
        assert!(z(Protocol::Tls, &young) < 1.5, "{}", z(Protocol::Tls, &young));
        let browser = History { expected: true, ..old };
        assert!(z(Protocol::Tls, &browser) < z(Protocol::Tls, &old) - 1.0);
    }

    #[test]
    fn what_a_program_speaks_on_its_first_day_is_what_it_is_for() {
        let none = Protocols::default();
        let old = history(&none, 1, true);
        let young = History { newcomer: true, ..old };
        assert!(z(Protocol::Redis, &young) < z(Protocol::Redis, &old) - 1.0);
        assert!((z(Protocol::Unknown, &young) - z(Protocol::Unknown, &old)).abs() < 1e-9);
    }

    #[test]
    fn a_call_in_a_browser_is_no_new_protocol_and_mail_in_it_is() {
        let spoken = tls_speaker();
        let other = history(&spoken, 20, false);
        let browser = History { expected: true, ..other };
        assert!(z(Protocol::Rtp, &browser) < z(Protocol::Rtp, &other) - 1.0);
        assert!((z(Protocol::Smtp, &browser) - z(Protocol::Smtp, &other)).abs() < 1e-9);
    }

    #[test]
    fn an_unjudged_protocol_recurs_with_less_surprise_than_it_came() {
        let mut spoken = tls_speaker();
        let irc = ProtocolUse { protocol: Protocol::Irc, port: PortClass::WellKnown };
        let first = z(Protocol::Irc, &history(&spoken, 20, false));
        spoken.spoke(irc, 1);
        spoken.learn_day(1, Learning::Discounted);
        let second = z(Protocol::Irc, &history(&spoken, 20, false));
        assert!(second < first && second > 0.5, "{first} then {second}");
    }
}
