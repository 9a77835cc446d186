//! In which order the protocols are asked, and which of them a first byte leaves.

use super::{OfDatagrams, OfStreams, Recogniser};
use super::{
    afp, amqp, bittorrent, dcerpc, dhcp, dhcpv6, dns, dtls, ftp, ftp_data, git, http, http2, imap, ipsec,
    irc, kerberos, ldap, mongodb, mqtt, mssql, mysql, netbios, nfs, nntp, ntp, openvpn, pop3, postgres, quic,
    radius, rdp, redis, rsync, rtcp, rtp, rtsp, sip, smb, smtp, snmp, socks, ssdp, ssh, stratum, stun,
    syslog, telnet, tftp, tls, vnc, websocket, wireguard, xmpp,
};

/// Recognisers of streams in the order in which they are asked. Where two could take the same bytes, the stricter one comes first;
/// within one strictness the more frequent.
pub(super) const STREAMS: &[OfStreams] = &[
    // Frequent, and fixed bytes or a grammar that nothing else shares. The preface of HTTP/2 is a request line of HTTP/1 on purpose.
    tls::STREAMS,
    http2::STREAMS,
    http::STREAMS,
    ssh::STREAMS,
    // Before `http`'s relatives could take them: their version token stands at the other end of the line.
    rtsp::STREAMS,
    sip::STREAMS,
    // Binary with a magic number or a length that must agree with what follows.
    smb::STREAMS,
    dcerpc::STREAMS,
    ldap::STREAMS,
    kerberos::STREAMS,
    dns::STREAMS,
    mysql::STREAMS,
    postgres::STREAMS,
    mongodb::STREAMS,
    mssql::STREAMS,
    rdp::STREAMS,
    mqtt::STREAMS,
    bittorrent::STREAMS,
    vnc::STREAMS,
    amqp::STREAMS,
    nfs::STREAMS,
    afp::STREAMS,
    netbios::STREAMS,
    // Text with a magic word.
    rsync::STREAMS,
    git::STREAMS,
    stratum::STREAMS,
    xmpp::STREAMS,
    redis::STREAMS,
    // Greetings that resemble each other: each asks for a word of its own, or for what the other end says.
    imap::STREAMS,
    pop3::STREAMS,
    smtp::STREAMS,
    ftp::STREAMS,
    nntp::STREAMS,
    irc::STREAMS,
    // Few bytes: last, since what they ask for is little.
    socks::STREAMS,
    telnet::STREAMS,
    openvpn::STREAMS,
    stun::STREAMS,
    syslog::STREAMS,
    ftp_data::STREAMS,
    websocket::STREAMS,
    rtp::STREAMS,
];

/// Recognisers of datagrams in the order in which they are asked, by the same rule.
pub(super) const DATAGRAMS: &[OfDatagrams] = &[
    // Frequent and strict. The name service of NetBIOS has the form of DNS, and its names have their own.
    netbios::DATAGRAMS,
    dns::DATAGRAMS,
    quic::DATAGRAMS,
    stun::DATAGRAMS,
    dtls::DATAGRAMS,
    dhcp::DATAGRAMS,
    snmp::DATAGRAMS,
    ldap::DATAGRAMS,
    kerberos::DATAGRAMS,
    ssdp::DATAGRAMS,
    sip::DATAGRAMS,
    bittorrent::DATAGRAMS,
    radius::DATAGRAMS,
    ipsec::DATAGRAMS,
    wireguard::DATAGRAMS,
    dhcpv6::DATAGRAMS,
    nfs::DATAGRAMS,
    dcerpc::DATAGRAMS,
    rdp::DATAGRAMS,
    mssql::DATAGRAMS,
    // RTCP before RTP: it is the stricter half of one format.
    rtcp::DATAGRAMS,
    syslog::DATAGRAMS,
    // Weak: two datagrams or the port.
    tftp::DATAGRAMS,
    ntp::DATAGRAMS,
    openvpn::DATAGRAMS,
    rtp::DATAGRAMS,
];

/// [`STREAMS`] by first byte.
pub(super) static STREAMS_BY_BYTE: [u64; 256] = by_byte(STREAMS);

/// [`DATAGRAMS`] by first byte.
pub(super) static DATAGRAMS_BY_BYTE: [u64; 256] = by_byte(DATAGRAMS);

/// For each first byte, the recognisers of a table worth asking, one bit each.
#[allow(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, for which an index out of range is an error"
)]
const fn by_byte<Question>(table: &[Recogniser<Question>]) -> [u64; 256] {
    assert!(table.len() <= 64, "a mask holds 64 recognisers");
    let mut index = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut at = 0;
        while at < table.len() {
            if table[at].opens.holds(byte) {
                index[byte as usize] |= 1 << at;
            }
            at += 1;
        }
        if byte == u8::MAX {
            return index;
        }
        byte += 1;
    }
}
