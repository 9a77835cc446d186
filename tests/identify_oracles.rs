//! Second opinions: the packet walk against `etherparse`, and the reading of a TLS hello against `tls-parser`, over every capture at hand.
//!
//! Where the other parser gives an answer, it must be ours too. Where it gives none (it knows fewer link layers, and refuses what is cut
//! short), nothing is compared. The captures are those of `tests/captures` and, where they lie beside the project, those of `../shared/data`.

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

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use tidemark::network::identify::{Identified, Identifier, Segment, Start};
use tidemark::network::packet::{Datagram, Walk, walk};
use tidemark::observation::{LinkType, Observation, Origin, Packet, Timestamp, Transport};
use tidemark::source::capture;
use tls_parser::{TlsExtension, TlsMessage, TlsMessageHandshake};

#[test]
fn the_packet_walk_agrees_with_etherparse() {
    let (mut compared, mut differ) = (0_u64, Vec::new());
    each_packet(|path, number, packet| {
        let Some(theirs) = second_opinion(&packet.data) else { return };
        compared += 1;
        let ours = walk(packet.link_type, &packet.data, packet.wire_length);
        let agrees = matches!(&ours, Ok(Walk::Datagram(ours)) if Ends::from(ours) == theirs);
        if !agrees && differ.len() < 20 {
            differ.push(format!("{}, packet {number}: {theirs:?} and {ours:?}", path.display()));
        }
    });
    println!("{compared} packets were compared");
    assert!(compared > 100, "the captures of this project alone give more");
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn a_hello_is_read_as_tls_parser_reads_it() {
    let (mut compared, mut differ) = (0_u64, Vec::new());
    each_packet(|path, number, packet| {
        let Ok(Walk::Datagram(datagram)) = walk(packet.link_type, &packet.data, packet.wire_length) else {
            return;
        };
        let Some(theirs) = Hello::by_tls_parser(datagram.payload) else { return };
        compared += 1;
        let ours = Hello::by_tidemark(&datagram);
        if ours.as_ref() != Some(&theirs) && differ.len() < 20 {
            differ.push(format!("{}, packet {number}: {theirs:?} and {ours:?}", path.display()));
        }
    });
    println!("{compared} hellos were compared");
    assert!(compared > 0, "the captures of this project hold some");
    assert!(differ.is_empty(), "{differ:#?}");
}

/// What a packet says of its flow.
#[derive(Debug, PartialEq)]
struct Ends<'a> {
    transport: Transport,
    source: SocketAddr,
    destination: SocketAddr,
    sequence: Option<u32>,
    payload: &'a [u8],
}

impl<'a> From<&Datagram<'a>> for Ends<'a> {
    fn from(datagram: &Datagram<'a>) -> Self {
        let Datagram { transport, source, destination, payload, .. } = *datagram;
        let (source, destination) = (source.into(), destination.into());
        Self { transport, source, destination, sequence: datagram.tcp.map(|header| header.sequence), payload }
    }
}

/// TCP and UDP in a packet that is no fragment, as `etherparse` sees them.
fn second_opinion(frame: &[u8]) -> Option<Ends<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (source, destination) = match packet.net? {
        NetSlice::Ipv4(ip) if !ip.is_payload_fragmented() => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Ipv6(ip) if !ip.is_payload_fragmented() => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        _ => return None,
    };
    let (transport, ports, sequence, payload) = match packet.transport? {
        TransportSlice::Tcp(tcp) => {
            let ports = (tcp.source_port(), tcp.destination_port());
            (Transport::Tcp, ports, Some(tcp.sequence_number()), tcp.payload())
        }
        TransportSlice::Udp(udp) => {
            (Transport::Udp, (udp.source_port(), udp.destination_port()), None, udp.payload())
        }
        _ => return None,
    };
    Some(Ends {
        transport,
        source: SocketAddr::new(source, ports.0),
        destination: SocketAddr::new(destination, ports.1),
        sequence,
        payload,
    })
}

/// What both read of a hello that lies whole in one record.
#[derive(Debug, PartialEq, Default)]
struct Hello {
    name: Option<String>,
    protocols: Vec<String>,
    /// Whether a name is offered, cipher suites and extensions, as JA4 counts them: without GREASE (RFC 8701), up to 99.
    counts: String,
}

impl Hello {
    fn by_tls_parser(bytes: &[u8]) -> Option<Self> {
        let (_, record) = tls_parser::parse_tls_plaintext(bytes).ok()?;
        let [TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello))] = &record.msg[..] else {
            return None;
        };
        // RFC 8446 section 4.1.2 asks for at least one cipher suite, and what offers none is no hello to tidemark.
        if hello.ciphers.is_empty() {
            return None;
        }
        let (rest, extensions) =
            tls_parser::parse_tls_client_hello_extensions(hello.ext.unwrap_or_default()).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut read = Self::default();
        let (mut offers_name, mut kinds) = ('i', 0);
        for extension in &extensions {
            match extension {
                TlsExtension::SNI(names) => {
                    offers_name = 'd';
                    read.name = names.first().map(|(_, name)| shown(name).to_ascii_lowercase());
                }
                TlsExtension::ALPN(protocols) => {
                    read.protocols = protocols.iter().map(|protocol| shown(protocol)).collect();
                }
                _ => {}
            }
            let kind: tls_parser::TlsExtensionType = extension.into();
            kinds += usize::from(!is_grease(kind.0) && !matches!(extension, TlsExtension::Grease(..)));
        }
        let ciphers = hello.ciphers.iter().filter(|cipher| !is_grease(cipher.0)).count();
        read.counts = format!("{offers_name}{:02}{:02}", ciphers.min(99), kinds.min(99));
        Some(read)
    }

    fn by_tidemark(datagram: &Datagram<'_>) -> Option<Self> {
        let mut identifier = Identifier::default();
        let mut identified = Identified::default();
        let start = Start {
            origin: Origin(0),
            transport: Transport::Tcp,
            client: datagram.source.into(),
            server: datagram.destination.into(),
            midstream: false,
        };
        let mut inspection = identifier.begin(&start, &mut identified);
        let segment = Segment {
            time: Timestamp::EPOCH,
            from_client: true,
            sequence: 1,
            syn: false,
            end: false,
            payload: datagram.payload,
            wire_payload: datagram.wire_payload,
        };
        identifier.segment(&mut inspection, &start, segment, &mut identified);
        identifier.finish(inspection, &start, &mut identified);
        let metadata = identified.metadata?;
        Some(Self {
            name: metadata.server_name.map(|name| name.to_string()),
            protocols: metadata.alpn.iter().map(ToString::to_string).collect(),
            counts: metadata.ja4?.get(3..8)?.to_owned(),
        })
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// Every Ethernet packet of every capture at hand, with its place.
fn each_packet(mut look: impl FnMut(&Path, usize, &Packet)) {
    for path in captures() {
        let Ok(file) = File::open(&path) else { continue };
        let Ok(source) = capture::open(file, path.to_string_lossy(), Origin(0)) else { continue };
        let packets = source.filter_map(|observation| match observation {
            Observation::Packet(packet) if packet.link_type == LinkType::ETHERNET => Some(packet),
            _ => None,
        });
        for (number, packet) in packets.enumerate() {
            look(&path, number + 1, &packet);
        }
    }
}

fn captures() -> Vec<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = project.join("../shared/data/protocol-id");
    let mut folders = vec![project.join("tests/captures")];
    if shared.is_dir() {
        folders.extend(["ndpi/pcap", "ext/pcap", "ja4/pcap", "arkime/pcap"].map(|name| shared.join(name)));
    } else {
        println!("only the project's own recordings: {} is absent", shared.display());
    }
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}
