//! Which protocol these bytes are: one file a protocol, two tables that say in which order they are asked.
//!
//! A recogniser is a pure function from the first bytes of a stream, or from one datagram, to a [`Verdict`]. It sees both directions,
//! because a greeting may come from either end, and the ports only as a hint for formats that are too weak to stand alone. It states
//! beforehand with which bytes its protocol can begin ([`FirstBytes`]); a table computed by the compiler from these turns the first
//! byte of a payload into the few recognisers worth asking, so that most flows cost two or three calls.
//!
//! Adding a protocol: write its file, and add its line in `tables`.

mod afp;
mod amqp;
mod bittorrent;
mod dcerpc;
mod dhcp;
mod dhcpv6;
mod dns;
mod dtls;
mod ftp;
mod ftp_data;
mod git;
mod http;
mod http2;
mod imap;
mod ipsec;
mod irc;
mod kerberos;
mod ldap;
mod mongodb;
mod mqtt;
mod mssql;
mod mysql;
mod netbios;
mod nfs;
mod nntp;
mod ntp;
mod openvpn;
mod pop3;
mod postgres;
mod quic;
mod radius;
mod rdp;
mod redis;
mod rsync;
mod rtcp;
mod rtp;
mod rtsp;
mod sip;
mod smb;
mod smtp;
mod snmp;
mod socks;
mod ssdp;
mod ssh;
mod stratum;
mod stun;
mod syslog;
mod telnet;
mod tftp;
mod tls;
mod vnc;
mod websocket;
mod wireguard;
mod xmpp;

mod ber;
mod first_bytes;
mod tables;
#[cfg(test)]
mod testing;
pub(super) mod text;

use self::first_bytes::FirstBytes;
use self::tables::{DATAGRAMS, DATAGRAMS_BY_BYTE, STREAMS, STREAMS_BY_BYTE};
use super::ports;
use crate::network::protocol::Protocol;

/// What a recogniser says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not this protocol, or not to be told yet: a recogniser is asked again when more has come.
    No,
    /// A datagram that looks like it, but other protocols may look like that too: believed where the port agrees. The token is the
    /// recogniser's own note to itself, handed back with the next datagrams ([`Datagram::before`], [`Datagram::reply`]), which may make
    /// it a proof.
    Weak(Protocol, u64),
    /// It is.
    Match(Protocol),
}

impl Verdict {
    /// `Match` where `proof` holds.
    pub(super) fn when(proof: bool, protocol: Protocol) -> Self {
        if proof { Self::Match(protocol) } else { Self::No }
    }

    /// `Match` where the parse came to `Some(true)`.
    pub(super) fn proven(parse: Option<bool>, protocol: Protocol) -> Self {
        Self::when(parse == Some(true), protocol)
    }
}

/// What a datagram looked like, with the token that its recogniser left.
pub(super) type Suspicion = (Protocol, u64);

/// The ports of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    /// Of the end that sent first.
    pub(super) client: u16,
    /// Of the other end.
    pub(super) server: u16,
}

impl Ports {
    /// Whether either end is at this port.
    pub(super) fn include(self, port: u16) -> bool {
        self.client == port || self.server == port
    }
}

/// The beginning of one direction of a TCP connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream<'a> {
    /// What this end has said, from its first byte on.
    pub(super) bytes: &'a [u8],
    /// What the other end has said; empty where it was silent so far.
    pub(super) reply: &'a [u8],
    /// The ports.
    pub(super) ports: Ports,
    /// What the port suggests.
    pub(super) hint: Option<Protocol>,
    /// Nothing more will be seen: what can be decided must be decided now.
    pub(super) last: bool,
}

/// One UDP datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram<'a> {
    /// The payload that was captured.
    pub(super) bytes: &'a [u8],
    /// Length of the payload on the wire, in bytes.
    pub(super) wire_length: usize,
    /// The ports.
    pub(super) ports: Ports,
    /// What the port suggests.
    pub(super) hint: Option<Protocol>,
    /// Whether it goes to a group of hosts, and to which.
    pub(super) group: Option<ports::Group>,
    /// What the latest datagram of this end looked like, with the token that its recogniser left.
    pub(super) before: Option<Suspicion>,
    /// The same of the other end.
    pub(super) reply: Option<Suspicion>,
}

impl Stream<'_> {
    /// For bytes that say little: a match where the port agrees.
    fn on_its_port(&self, protocol: Protocol) -> Verdict {
        Verdict::when(self.hint == Some(protocol), protocol)
    }
}

impl Datagram<'_> {
    /// For bytes that say little: a match where the port agrees.
    fn on_its_port(&self, protocol: Protocol) -> Verdict {
        Verdict::when(self.hint == Some(protocol), protocol)
    }

    /// Whether all of it was captured.
    pub(super) fn is_whole(&self) -> bool {
        self.bytes.len() >= self.wire_length
    }

    /// The token that the recogniser of `protocol` left at this end's latest datagram.
    fn token(&self, protocol: Protocol) -> Option<u64> {
        self.before.filter(|(before, _)| *before == protocol).map(|(_, token)| token)
    }

    /// The token that it left at the other end's latest datagram.
    fn reply_token(&self, protocol: Protocol) -> Option<u64> {
        self.reply.filter(|(before, _)| *before == protocol).map(|(_, token)| token)
    }
}

/// A recogniser: with what its protocol can begin, and the question.
pub(super) struct Recogniser<Question> {
    /// First bytes that are worth the question.
    opens: FirstBytes,
    /// The question.
    recognise: Question,
}

/// A recogniser of streams.
pub(super) type OfStreams = Recogniser<fn(&Stream<'_>) -> Verdict>;

/// A recogniser of datagrams.
pub(super) type OfDatagrams = Recogniser<fn(&Datagram<'_>) -> Verdict>;

/// Asks which protocol a stream speaks.
pub(super) fn stream(stream: &Stream<'_>) -> Verdict {
    ask(STREAMS, &STREAMS_BY_BYTE, stream.bytes, |recognise| recognise(stream))
}

/// Asks which protocol a datagram speaks.
pub(super) fn datagram(datagram: &Datagram<'_>) -> Verdict {
    ask(DATAGRAMS, &DATAGRAMS_BY_BYTE, datagram.bytes, |recognise| recognise(datagram))
}

/// The first proof among the recognisers that the first byte allows, else the first suspicion.
fn ask<Question: Copy>(
    table: &[Recogniser<Question>],
    by_byte: &[u64; 256],
    bytes: &[u8],
    mut answer: impl FnMut(Question) -> Verdict,
) -> Verdict {
    let Some(first) = bytes.first() else { return Verdict::No };
    let mut worth_asking = by_byte.get(usize::from(*first)).copied().unwrap_or_default();
    let mut suspicion = Verdict::No;
    while worth_asking != 0 {
        let Some(recogniser) = table.get(worth_asking.trailing_zeros() as usize) else { break };
        worth_asking &= worth_asking - 1;
        match answer(recogniser.recognise) {
            Verdict::No => {}
            Verdict::Weak(..) if suspicion != Verdict::No => {}
            weak @ Verdict::Weak(..) => suspicion = weak,
            proof @ Verdict::Match(_) => return proof,
        }
    }
    suspicion
}
