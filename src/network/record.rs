//! A flow as a line of the recording format.

use std::sync::Arc;

use serde::Serialize;

use super::flow::{Counters, Flow};
use super::identify::Metadata;
use super::protocol::{Evidence, Protocol};
use crate::observation::{FlowReport, FlowState, Timestamp};

/// The `flow` record of the recording format for a flow that the table told, with everything that is known about it beside.
///
/// A reader of recordings takes it for the [`FlowReport`] that it contains, so that what `tidemark flows --json` prints can be replayed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlowRecord {
    /// What a report of the flow says; its time is the flow's last activity.
    #[serde(flatten)]
    pub report: FlowReport,
    /// The file that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<Arc<str>>,
    /// First packet or report.
    pub start: Timestamp,
    /// Latest packet or report.
    pub end: Timestamp,
    /// What `protocol` rests on.
    pub protocol_evidence: Evidence,
    /// What the port suggests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_protocol: Option<Protocol>,
    /// It was joined in its middle.
    pub midstream: bool,
    /// No payload passed.
    pub attempted: bool,
    /// What it was upgraded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgraded: Option<Protocol>,
    /// Details, but for the server name, which stands in the report.
    #[serde(flatten)]
    pub metadata: Option<Metadata>,
    /// How its process was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<&'static str>,
}

impl FlowRecord {
    /// The record of a flow as it stands.
    pub fn new(flow: &Flow, state: FlowState) -> Self {
        let identified = &flow.identified;
        let mut metadata = identified.metadata.as_deref().cloned();
        let server_name = metadata.as_mut().and_then(|metadata| metadata.server_name.take());
        let Counters { wire_bytes_out, wire_bytes_in, .. } = flow.counters;
        let saw_frames = wire_bytes_out > 0 || wire_bytes_in > 0;
        let process = flow.owner.process;
        Self {
            report: FlowReport {
                time: flow.last,
                flow_id: flow.id.to_string().into(),
                origin: flow.origin,
                pid: process.map(|process| process.pid),
                pidversion: process.and_then(|process| process.pidversion),
                effective_pid: flow.owner.effective_pid,
                process: flow.owner.name.clone(),
                transport: flow.transport,
                local: flow.local,
                remote: flow.remote,
                direction: flow.direction,
                interface: flow.interface.clone(),
                protocol: identified.protocol.map(|protocol| protocol.label().into()),
                server_name,
                bytes_out: flow.counters.bytes_out,
                bytes_in: flow.counters.bytes_in,
                packets_out: flow.counters.packets_out,
                packets_in: flow.counters.packets_in,
                wire_bytes_out: saw_frames.then_some(wire_bytes_out),
                wire_bytes_in: saw_frames.then_some(wire_bytes_in),
                state,
            },
            capture: None,
            start: flow.start,
            end: flow.last,
            protocol_evidence: identified.evidence,
            port_protocol: identified.port_protocol,
            midstream: flow.midstream,
            attempted: flow.attempted,
            upgraded: identified.upgraded,
            metadata,
            attribution: None,
        }
    }

    /// With the file that it came from.
    #[must_use]
    pub fn in_capture(self, capture: Arc<str>) -> Self {
        Self { capture: Some(capture), ..self }
    }

    /// With how its process was found.
    #[must_use]
    pub fn attributed(self, how: &'static str) -> Self {
        Self { attribution: Some(how), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::flow::{FlowId, FlowOwner};
    use crate::network::identify::Identified;
    use crate::observation::{Direction, Origin, ProcessKey, Transport};

    fn flow() -> Flow {
        Flow {
            id: FlowId::Numbered(7),
            serial: 7,
            origin: Origin(2),
            owner: FlowOwner {
                process: Some(ProcessKey { pid: 42, pidversion: Some(3) }),
                effective_pid: None,
                name: Some("curl".into()),
            },
            transport: Transport::Tcp,
            local: "192.0.2.1:50000".parse().unwrap(),
            remote: "[2001:db8::1]:443".parse().unwrap(),
            direction: Some(Direction::Outbound),
            interface: Some("en0".into()),
            counters: Counters { bytes_out: 5, packets_out: 1, wire_bytes_out: 59, ..Counters::default() },
            unwindowed: None,
            start: Timestamp::EPOCH,
            last: Timestamp::from_seconds(1, 0),
            midstream: false,
            attempted: false,
            identified: Identified {
                protocol: Some(Protocol::Tls),
                evidence: Evidence::Payload,
                port_protocol: Some(Protocol::Tls),
                metadata: Some(Box::new(Metadata {
                    server_name: Some("example.com".into()),
                    alpn: vec!["h2".into()],
                    ..Metadata::default()
                })),
                ..Identified::default()
            },
        }
    }

    #[test]
    fn names_are_those_of_the_recording_format() {
        let record =
            FlowRecord::new(&flow(), FlowState::Closed).in_capture("a.pcap".into()).attributed("exact");
        let expected = serde_json::json!({
            "time": "1970-01-01T00:00:01.000000000Z", "flow_id": "p7", "pid": 42, "pidversion": 3,
            "process": "curl", "transport": "tcp", "local": "192.0.2.1:50000", "remote": "[2001:db8::1]:443",
            "direction": "outbound", "interface": "en0", "protocol": "tls", "server_name": "example.com",
            "bytes_out": 5, "bytes_in": 0, "packets_out": 1, "packets_in": 0,
            "wire_bytes_out": 59, "wire_bytes_in": 0, "state": "closed",
            "capture": "a.pcap", "start": "1970-01-01T00:00:00.000000000Z",
            "end": "1970-01-01T00:00:01.000000000Z", "protocol_evidence": "payload", "port_protocol": "tls",
            "midstream": false, "attempted": false, "alpn": ["h2"], "attribution": "exact",
        });
        assert_eq!(serde_json::to_value(&record).unwrap(), expected);
    }

    #[test]
    fn a_record_reads_back_as_the_report_in_it() {
        let record = FlowRecord::new(&flow(), FlowState::Update);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(text.matches("server_name").count(), 1, "{text}");
        let report: FlowReport = serde_json::from_str(&text).unwrap();
        assert_eq!(FlowReport { origin: Origin(2), ..report }, record.report);
    }
}
