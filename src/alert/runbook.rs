//! Which page of `docs/runbooks/` an analyst opens.

use crate::detect::{Channel, Finding};

/// The address of the page for the strongest channel of a finding.
pub(super) fn runbook(finding: &Finding) -> String {
    page(finding.channels.iter().find(|channel| channel.counted).map(|channel| channel.name))
}

/// The address of a channel's page; volume where none is named.
fn page(channel: Option<Channel>) -> String {
    let name = match channel {
        Some(Channel::Destination) => "destination",
        Some(Channel::Protocol) => "protocol",
        Some(Channel::Initiator) => "initiator",
        Some(Channel::Volume | Channel::Received | Channel::FanOut) | None => "volume",
    };
    format!("{PAGES}/{name}.md")
}

/// Where the pages stand, in the repository and beside an installation.
const PAGES: &str = "docs/runbooks";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_a_page() {
        for channel in [
            Channel::Volume,
            Channel::Destination,
            Channel::Protocol,
            Channel::Initiator,
            Channel::Received,
            Channel::FanOut,
        ] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page(Some(channel)));
            let text =
                std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for part in ["## What it means", "## What to look at", "## Sanctioned or not", "## What to do"] {
                assert!(text.contains(part), "{}: {part}", path.display());
            }
        }
    }
}
