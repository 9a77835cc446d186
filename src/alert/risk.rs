//! What makes a finding worse or milder than its rarity says.
//!
//! Severity is rarity alone. Risk is beside it, from a table that anyone can read: each factor that holds adds its points.

use serde::{Deserialize, Serialize};

use crate::detect::{Channel, Finding};
use crate::network::{Flow, Protocol};
use crate::observation::CodeSigning;
use crate::process::{Role, Who};

/// The sum of the factors that hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Risk {
    /// 0 to 100.
    pub points: u8,
    /// What adds up to it.
    pub factors: Vec<RiskFactor>,
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskFactor {
    /// A scripting host is the image or its initiator: AN1227's own example.
    ScriptingHost,
    /// The image is neither Apple's nor signed by a team.
    Unsigned,
    /// The destination is new to the subject.
    NewDestination,
    /// Payload of no known protocol.
    RawProtocol,
    /// The payload is of another protocol than the port says.
    PortMismatch,
}

impl RiskFactor {
    /// The points of each factor: an ordering by judgement, not a measurement.
    pub const fn points(self) -> u8 {
        match self {
            Self::ScriptingHost => 30,
            Self::Unsigned | Self::NewDestination | Self::RawProtocol => 20,
            Self::PortMismatch => 10,
        }
    }
}

impl Risk {
    /// The risk of a finding.
    pub fn of(finding: &Finding, who: &Who, flow: &Flow) -> Self {
        let protocol = flow.identified.protocol;
        let port = flow.identified.port_protocol;
        let Role { scripting_host, scripted, .. } = finding.role;
        let holds = [
            (RiskFactor::ScriptingHost, scripting_host || scripted),
            (RiskFactor::Unsigned, !is_signed(&who.process.signing)),
            (
                RiskFactor::NewDestination,
                finding.channels.iter().any(|c| c.name == Channel::Destination && c.z > 0.0),
            ),
            (
                RiskFactor::RawProtocol,
                matches!(protocol, Some(Protocol::Unknown | Protocol::UnknownEncrypted)),
            ),
            (
                RiskFactor::PortMismatch,
                protocol.is_some_and(Protocol::is_identified) && port.is_some() && port != protocol,
            ),
        ];
        let factors: Vec<RiskFactor> =
            holds.into_iter().filter(|(_, holds)| *holds).map(|(factor, _)| factor).collect();
        Self { points: factors.iter().map(|factor| factor.points()).sum(), factors }
    }
}

fn is_signed(signing: &CodeSigning) -> bool {
    signing.is_platform_binary || (signing.team_id.is_some() && signing.flags & CodeSigning::ADHOC == 0)
}
