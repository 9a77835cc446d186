//! Which findings the organisation has accepted, who said so, and until when.
//!
//! TOML files hold `[[exception]]` tables. A finding that one of them covers is suppressed: it is still made, counted and named with the
//! exception's id, but it is no alert. Every exception has an owner, a reason and an end. The order of files and of tables never
//! matters: where several cover a finding, the one with the least id is named.

mod file;

pub use file::{ExceptionError, parse};

use serde::Deserialize;

use crate::alert::{Detection, SuppressedBy};
use crate::detect::Channel;
use crate::observation::Timestamp;

/// One accepted behaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Names it: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is accepted.
    pub reason: String,
    /// Where it was agreed.
    pub ticket: Option<String>,
    /// In force from here on.
    pub created: Day,
    /// In force until the end of this day, UTC.
    pub expires: Day,
    /// The channels that it covers; a finding in which any other channel counts stands.
    pub channels: Vec<Channel>,
    /// What it covers.
    pub scope: Scope,
}

/// A calendar day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub jiff::civil::Date);

/// The behaviour that an exception covers: every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Identity of the image.
    pub image: Option<String>,
    /// Identity of the initiator.
    pub initiator: Option<String>,
    /// Identity of the responsible app.
    pub application: Option<String>,
    /// Normalised path or module of the script.
    pub script: Option<String>,
    /// Labels of protocols, any of them.
    #[serde(default)]
    pub protocol: Vec<String>,
    /// Domains, any of them or of their subdomains.
    #[serde(default)]
    pub domain: Vec<String>,
}

/// All exceptions in force or not.
#[derive(Debug, Clone, Default)]
pub struct Exceptions {
    sorted: Vec<Exception>,
}

impl Exceptions {
    /// From any order.
    ///
    /// # Errors
    /// Where two have one id.
    pub fn new(mut exceptions: Vec<Exception>) -> Result<Self, ExceptionError> {
        exceptions.sort_by(|a, b| a.id.cmp(&b.id));
        for pair in exceptions.windows(2) {
            if let [a, b] = pair
                && a.id == b.id
            {
                return Err(ExceptionError::Twice { id: a.id.clone() });
            }
        }
        Ok(Self { sorted: exceptions })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The exception that covers a detection at its time, if any does.
    pub fn covering(&self, detection: &Detection) -> Option<SuppressedBy> {
        let found = self.sorted.iter().find(|exception| exception.covers(detection))?;
        Some(SuppressedBy {
            id: found.id.clone(),
            owner: found.owner.clone(),
            expires: Some(found.expires.0.to_string()),
        })
    }
}

impl Exception {
    fn covers(&self, detection: &Detection) -> bool {
        self.in_force(detection.finding.time)
            && detection
                .finding
                .channels
                .iter()
                .filter(|c| c.counted)
                .all(|c| self.channels.contains(&c.name))
            && self.scope.covers(detection)
    }

    /// Whether it holds at this time: from the beginning of `created` to the end of `expires`, UTC.
    pub fn in_force(&self, time: Timestamp) -> bool {
        let day = jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos()))
            .map(|point| Day(jiff::tz::Offset::UTC.to_datetime(point).date()));
        day.is_ok_and(|day| self.created <= day && day <= self.expires)
    }
}

impl Scope {
    /// Whether it gives no condition at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn covers(&self, detection: &Detection) -> bool {
        let who = &detection.who;
        let subject = &detection.finding.subject;
        let identified = &detection.flow.identified;
        let same =
            |want: &Option<String>, have: Option<&str>| want.as_deref().is_none_or(|want| have == Some(want));
        let names = || {
            let metadata = identified.metadata.as_deref();
            metadata
                .and_then(|m| m.server_name.as_deref())
                .into_iter()
                .chain(detection.destination.as_deref())
        };
        same(&self.image, Some(subject.image.as_str()))
            && same(&self.initiator, subject.initiator.as_ref().map(crate::process::Identity::as_str))
            && same(&self.application, who.application.as_ref().map(|app| app.identity.as_str()))
            && same(&self.script, who.process.script.as_ref().map(|script| &*script.name))
            && (self.protocol.is_empty()
                || identified.protocol.is_some_and(|p| self.protocol.iter().any(|label| label == p.label())))
            && (self.domain.is_empty()
                || names().any(|name| self.domain.iter().any(|domain| lies_in(name, domain))))
    }
}

/// Whether a host name is a domain or lies below it, without regard to case.
fn lies_in(name: &str, domain: &str) -> bool {
    let Some(split) = name.len().checked_sub(domain.len()) else { return false };
    name.get(split..).is_some_and(|end| end.eq_ignore_ascii_case(domain))
        && (split == 0 || name.get(..split).is_some_and(|front| front.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_covers_itself_and_what_is_below_it() {
        for (name, domain, expected) in [
            ("example.com", "example.com", true),
            ("a.Example.com", "example.com", true),
            ("badexample.com", "example.com", false),
            ("example.com", "a.example.com", false),
            ("é.com", "\u{0}com", false),
        ] {
            assert_eq!(lies_in(name, domain), expected, "{name} in {domain}");
        }
    }
}
