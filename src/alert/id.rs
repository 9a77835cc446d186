//! Names of events and of findings.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::network::Protocol;
use crate::observation::Timestamp;
use crate::process::Subject;

/// A time-free name of a behaviour: the same behaviour again has the same key. `tmk1:` and 128 bits of SHA-256 in hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingKey(String);

impl FindingKey {
    /// The key of a behaviour on one host; without the host, the same behaviour on any Mac of a fleet. `protocol` is that of the
    /// protocol and initiator channels, where one of them counted.
    pub fn new(host: Option<&str>, subject: &Subject, protocol: Option<Protocol>) -> Self {
        let initiator = subject.initiator.as_ref().map(crate::process::Identity::as_str);
        let digest = digest(&[
            host.unwrap_or_default(),
            subject.image.as_str(),
            initiator.unwrap_or_default(),
            protocol.map_or("", Protocol::label),
        ]);
        let (kept, _) = digest.split_at(KEY_BYTES);
        Self(format!("{KEY_PREFIX}{}", hex::encode(kept)))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const KEY_PREFIX: &str = "tmk1:";
const KEY_BYTES: usize = 16;

/// The id of one event: a UUIDv7 in form (RFC 9562, section 5.7) whose time is the event's and whose other bits are a hash, so that a
/// replay gives the same id.
pub fn event_id(host: &str, finding: &FindingKey, time: Timestamp, sequence: u64) -> String {
    let digest = digest(&[host, finding.as_str(), &time.as_nanos().to_string(), &sequence.to_string()]);
    let mut random = [0; 10];
    for (to, from) in random.iter_mut().zip(digest) {
        *to = from;
    }
    // UUIDv7 has no room for times before 1970.
    let millis = u64::try_from(time.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}

/// Each part is preceded by its length, so that no two lists of parts look alike.
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Identity;

    fn subject(image: &str, initiator: Option<&str>) -> Subject {
        Subject { image: Identity::new(image), initiator: initiator.map(Identity::new) }
    }

    #[test]
    fn a_key_tells_subjects_and_protocols_apart() {
        let keys = [
            FindingKey::new(Some("a"), &subject("curl", None), None),
            FindingKey::new(Some("a"), &subject("curl", Some("Automator")), None),
            FindingKey::new(Some("a"), &subject("curlAutomator", None), None),
            FindingKey::new(Some("a"), &subject("curl", Some("Automator")), Some(Protocol::Ssh)),
            FindingKey::new(None, &subject("curl", None), None),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(i + 1).all(|other| other != key));
            assert_eq!(key.as_str().len(), 5 + 32);
        }
    }

    #[test]
    fn an_event_id_carries_its_time_and_the_version() {
        let key = FindingKey::new(Some("a"), &subject("curl", None), None);
        let time = Timestamp::parse("2026-01-02T03:04:05.678Z").unwrap();
        let id: uuid::Uuid = event_id("a", &key, time, 7).parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (time.as_seconds().unsigned_abs(), 678_000_000));
        assert_ne!(event_id("a", &key, time, 7), event_id("a", &key, time, 8));
        assert_eq!(event_id("a", &key, time, 7), event_id("a", &key, time, 7));
    }
}
