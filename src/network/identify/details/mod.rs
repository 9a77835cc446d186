//! What an analyst needs to know beyond the label: names, versions, fingerprints; and what passes inside a proxy or after an upgrade.

mod client_hello;
mod dns;
mod dtls;
mod encrypted_dns;
pub(super) mod google_quic;
mod http;
mod ja4;
pub(super) mod quic;
mod socks;
mod ssh;
mod text;
mod tls;

pub(super) use dns::Answers;

use std::sync::Arc;

use super::shared::SharedTexts;
use super::{Metadata, Protocol};

/// What both ends of a connection have said, from the point on where the protocol in question began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversation<'a> {
    /// What the end that sent first has said.
    pub(super) client: &'a [u8],
    /// What the other end has said.
    pub(super) server: &'a [u8],
    /// Nothing more will be seen: what was read of an unfinished message is all there is.
    pub(super) last: bool,
}

/// How a reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing more to learn.
    Complete,
    /// More bytes are needed.
    More,
    /// The next segments are looked at one by one, without a buffer: an upgrade to TLS may come.
    Watch,
    /// The protocol gave way to another: an upgrade without a handshake of its own.
    Upgraded(Protocol),
    /// A proxy was opened: after so many bytes of each end, what passes inside begins.
    Inside {
        /// Bytes of the end that sent first.
        client: usize,
        /// Bytes of the other end.
        server: usize,
    },
}

/// A flow's metadata while it is being written.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    metadata: &'a mut Option<Box<Metadata>>,
    texts: &'a mut SharedTexts,
    /// Port of the server, for what is only a hint.
    pub(super) server_port: u16,
    /// Whether anything was written.
    pub(super) changed: bool,
}

impl<'a> Notes<'a> {
    /// Notes in this metadata.
    pub(super) fn new(
        metadata: &'a mut Option<Box<Metadata>>,
        texts: &'a mut SharedTexts,
        server_port: u16,
    ) -> Self {
        Self { metadata, texts, server_port, changed: false }
    }

    /// The metadata, to be written.
    fn write(&mut self) -> &mut Metadata {
        self.changed = true;
        self.metadata.get_or_insert_default()
    }

    /// The bytes as [`text::shown`], to be kept.
    fn shown(&mut self, bytes: &[u8]) -> Option<Arc<str>> {
        text::shown(bytes).map(|text| self.texts.share(&text))
    }

    /// The bytes as [`text::host`], to be kept.
    fn host(&mut self, bytes: &[u8]) -> Option<Arc<str>> {
        text::host(bytes).map(|text| self.texts.share(&text))
    }

    /// The metadata as far as it was written.
    fn read(&self) -> Option<&Metadata> {
        self.metadata.as_deref()
    }
}

/// Reads the beginning of a stream whose protocol is known.
pub(super) fn stream(
    protocol: Protocol,
    conversation: &Conversation<'_>,
    notes: &mut Notes<'_>,
    answers: &mut Answers,
) -> Progress {
    match protocol {
        Protocol::Tls => tls::read(conversation, notes),
        Protocol::Http => http::read(conversation, notes),
        Protocol::Ssh => ssh::read(conversation, notes),
        Protocol::Socks => socks::read(conversation, notes),
        Protocol::Dns => dns::read_stream(conversation, notes, answers),
        // Those that may go on in TLS: STARTTLS, AUTH TLS, SSLRequest, or a negotiation of their own.
        Protocol::Smtp
        | Protocol::Imap
        | Protocol::Pop3
        | Protocol::Ftp
        | Protocol::Nntp
        | Protocol::Irc
        | Protocol::Xmpp
        | Protocol::Ldap
        | Protocol::Postgres
        | Protocol::Mysql
        | Protocol::Mssql
        | Protocol::Rdp
        | Protocol::Amqp
        | Protocol::Vnc => Progress::Watch,
        _ => Progress::Complete,
    }
}

/// Reads a datagram whose protocol is known. QUIC, whose hello spans datagrams, is read by [`quic`].
pub(super) fn datagram(
    protocol: Protocol,
    bytes: &[u8],
    notes: &mut Notes<'_>,
    answers: &mut Answers,
) -> Progress {
    match protocol {
        Protocol::Dns | Protocol::Mdns | Protocol::Llmnr => dns::read(bytes, notes, answers),
        Protocol::Dtls => dtls::read(bytes, notes),
        _ => Progress::Complete,
    }
}

/// Whether a segment begins with the hello of TLS, as after STARTTLS.
pub(super) fn begins_tls(segment: &[u8]) -> bool {
    matches!(segment, [0x16, 3, 0..=4, _, _, 1, 0, ..])
}
