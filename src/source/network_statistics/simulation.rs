//! The kernel's side of the control, for tests: messages as XNU lays them out.

use std::net::SocketAddr;

use super::descriptor::{AF_INET, AF_INET6, START, UNIQUE_PID};
use super::message::{
    COUNTS_LENGTH, DOMAIN_EXTENSION, EXTENSION_ALIGNMENT, HEADER_LENGTH, flag, kind, put_header,
};
use super::{Counts, Descriptor, Generation, Provider};

/// A source as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) reference: u64,
    pub(crate) provider: Provider,
    pub(crate) counts: Counts,
    pub(crate) pid: i32,
    pub(crate) effective_pid: i32,
    pub(crate) unique_pid: u64,
    pub(crate) process: String,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) tcp_state: u32,
    pub(crate) properties: u32,
    pub(crate) domain: String,
}

impl Source {
    pub(crate) fn tcp(reference: u64, pid: i32, local: &str, remote: &str) -> Self {
        Self {
            reference,
            provider: Provider::TcpKernel,
            counts: Counts::default(),
            pid,
            effective_pid: pid,
            unique_pid: 0x1_0000 + u64::from(pid.unsigned_abs()),
            process: "curl".to_owned(),
            local: Some(local.parse().unwrap()),
            remote: Some(remote.parse().unwrap()),
            tcp_state: 4,
            properties: super::property::OUTBOUND,
            domain: String::new(),
        }
    }

    pub(crate) fn udp(reference: u64, pid: i32, local: &str, remote: &str) -> Self {
        Self { provider: Provider::UdpKernel, ..Self::tcp(reference, pid, local, remote) }
    }

    /// What a reader should understand of it.
    pub(crate) fn descriptor(&self, generation: Generation) -> Descriptor<'_> {
        let properties = match generation {
            Generation::A => self.properties & 0xffff,
            Generation::B | Generation::C => self.properties,
        };
        Descriptor {
            generation,
            unique_pid: self.unique_pid,
            start: 1_000_000,
            interface: 14,
            tcp_state: (!self.provider.is_datagram()).then_some(self.tcp_state),
            pid: self.pid,
            effective_pid: self.effective_pid,
            local: self.local,
            remote: self.remote,
            process: self.process.as_bytes(),
            uuid: [0x10; 16],
            effective_uuid: [0x40; 16],
            properties,
        }
    }
}

/// `NSTAT_MSG_TYPE_SRC_UPDATE`, or `SRC_EXTENDED_UPDATE` where the source has a domain.
pub(crate) fn update(source: &Source, generation: Generation, events: u64, is_closing: bool) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&source.reference.to_le_bytes());
    body.extend_from_slice(&events.to_le_bytes());
    body.extend_from_slice(&counts(source.counts));
    body.extend_from_slice(&source.provider.number().to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&descriptor(source, generation));
    let mut kind = kind::UPDATE;
    if !source.domain.is_empty() {
        kind = kind::EXTENDED_UPDATE;
        body.extend_from_slice(&DOMAIN_EXTENSION.to_le_bytes());
        body.extend_from_slice(&1_055_u32.to_le_bytes());
        let mut domain = source.domain.clone().into_bytes();
        domain.resize(1_055_usize.next_multiple_of(EXTENSION_ALIGNMENT), 0);
        body.extend_from_slice(&domain);
    }
    let flags = if is_closing { flag::CLOSING } else { 0 };
    message(0, kind, flags, &body)
}

pub(crate) fn description(source: &Source, generation: Generation) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&source.reference.to_le_bytes());
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&source.provider.number().to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&descriptor(source, generation));
    message(0, kind::DESCRIPTION, 0, &body)
}

pub(crate) fn counts_alone(source: &Source) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&source.reference.to_le_bytes());
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&counts(source.counts));
    message(0, kind::COUNTS, 0, &body)
}

pub(crate) fn added(source: &Source) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&source.reference.to_le_bytes());
    body.extend_from_slice(&source.provider.number().to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    message(0, kind::ADDED, 0, &body)
}

pub(crate) fn removed(reference: u64, after_drop: bool) -> Vec<u8> {
    let flags = if after_drop { flag::CLOSED_AFTER_DROP } else { 0 };
    message(0, kind::REMOVED, flags, &reference.to_le_bytes())
}

pub(crate) fn success(context: u64, is_partial: bool) -> Vec<u8> {
    message(context, kind::SUCCESS, if is_partial { flag::CONTINUATION } else { 0 }, &[])
}

pub(crate) fn error(context: u64, errno: u32, request: &[u8]) -> Vec<u8> {
    let mut body = errno.to_le_bytes().to_vec();
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(request);
    message(context, kind::ERROR, 0, &body)
}

pub(crate) fn message(context: u64, kind: u32, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_header(&mut bytes, context, kind, HEADER_LENGTH + body.len(), flags);
    bytes.extend_from_slice(body);
    bytes
}

fn counts(counts: Counts) -> Vec<u8> {
    let Counts { packets_in, bytes_in, packets_out, bytes_out } = counts;
    let mut bytes: Vec<u8> =
        [packets_in, bytes_in, packets_out, bytes_out].into_iter().flat_map(u64::to_le_bytes).collect();
    bytes.resize(COUNTS_LENGTH, 0xee);
    bytes
}

fn descriptor(source: &Source, generation: Generation) -> Vec<u8> {
    let layout = generation.layout(source.provider);
    let described = source.descriptor(generation);
    // What is not read has a value too.
    let mut bytes = vec![0xdd; layout.length];
    let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    put(UNIQUE_PID, &described.unique_pid.to_le_bytes());
    put(START, &described.start.to_le_bytes());
    put(layout.interface, &described.interface.to_le_bytes());
    if let Some(offset) = layout.tcp_state {
        put(offset, &source.tcp_state.to_le_bytes());
    }
    put(layout.pid, &source.pid.to_le_bytes());
    put(layout.effective_pid, &source.effective_pid.to_le_bytes());
    put(layout.local, &address(source.local));
    put(layout.remote, &address(source.remote));
    let mut process = source.process.clone().into_bytes();
    process.resize(64, 0);
    put(layout.process, &process);
    put(layout.uuid, &described.uuid);
    put(layout.effective_uuid, &described.effective_uuid);
    match generation {
        Generation::A => put(layout.properties, &described.properties.to_le_bytes()[..2]),
        Generation::B | Generation::C => put(layout.properties, &described.properties.to_le_bytes()),
    }
    bytes
}

fn address(address: Option<SocketAddr>) -> [u8; 28] {
    let mut bytes = [0; 28];
    match address {
        None => {}
        Some(SocketAddr::V4(end)) => {
            bytes[..2].copy_from_slice(&[16, AF_INET]);
            bytes[2..4].copy_from_slice(&end.port().to_be_bytes());
            bytes[4..8].copy_from_slice(&end.ip().octets());
        }
        Some(SocketAddr::V6(end)) => {
            bytes[..2].copy_from_slice(&[28, AF_INET6]);
            bytes[2..4].copy_from_slice(&end.port().to_be_bytes());
            bytes[8..24].copy_from_slice(&end.ip().octets());
            bytes[24..].copy_from_slice(&end.scope_id().to_le_bytes());
        }
    }
    bytes
}
