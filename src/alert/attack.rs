//! Where an alert stands in MITRE ATT&CK.

use serde::{Deserialize, Serialize};

use crate::network::Protocol;

/// The analytic that tidemark implements and the technique that it is related to. The mapping is ATT&CK's (v18.1,
/// <https://attack.mitre.org/detectionstrategies/DET0444#AN1227>), given as related: it is no verdict on intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attack {
    /// `AN1227`.
    pub analytic: String,
    /// `DET0444`.
    pub strategy: String,
    /// `T1071`, Application Layer Protocol.
    pub technique: String,
    /// The sub-technique by protocol, where ATT&CK has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_technique: Option<String>,
}

impl Attack {
    /// For a flow that speaks this protocol.
    pub fn of(protocol: Option<Protocol>) -> Self {
        Self {
            analytic: "AN1227".to_owned(),
            strategy: "DET0444".to_owned(),
            technique: "T1071".to_owned(),
            sub_technique: protocol.and_then(sub_technique).map(str::to_owned),
        }
    }

    /// The name of the sub-technique, as ATT&CK v18.1 has it.
    pub fn sub_technique_name(&self) -> Option<&'static str> {
        Some(match self.sub_technique.as_deref()? {
            "T1071.001" => "Web Protocols",
            "T1071.002" => "File Transfer Protocols",
            "T1071.003" => "Mail Protocols",
            "T1071.004" => "DNS",
            "T1071.005" => "Publish/Subscribe Protocols",
            _ => return None,
        })
    }
}

/// T1071.001 Web Protocols, .002 File Transfer Protocols, .003 Mail Protocols, .004 DNS, .005 Publish/Subscribe Protocols: by the
/// protocols that each page names.
fn sub_technique(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Http | Protocol::Http2 | Protocol::Tls | Protocol::Quic | Protocol::Websocket => {
            Some("T1071.001")
        }
        Protocol::Ftp | Protocol::FtpData | Protocol::Tftp | Protocol::Smb => Some("T1071.002"),
        Protocol::Smtp | Protocol::Imap | Protocol::Pop3 => Some("T1071.003"),
        Protocol::Dns | Protocol::Mdns | Protocol::Llmnr => Some("T1071.004"),
        Protocol::Mqtt | Protocol::Xmpp | Protocol::Amqp => Some("T1071.005"),
        _ => None,
    }
}
