//! The configuration profile: what macOS has to be told, once, by a device management server.
//!
//! Keys, types and allowed values are those of Apple's published schema (`apple/device-management`, `mdm/profiles/*.yaml`, read at
//! 39e2a82); the tests hold a profile against them. macOS takes the first two payloads only from a server that the user has
//! approved, never from a profile that is opened by hand.

use std::fmt;
use std::io;
use std::str::FromStr;

use plist::{Dictionary, Value};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use toml::Table;

use super::document;

/// What a profile is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Who signed the app.
    pub team: TeamId,
    /// The app's bundle identifier, which is the label of its LaunchDaemon and the domain of its preferences too.
    pub bundle: BundleId,
    /// The name of who ships it, for people.
    pub organization: Option<String>,
    /// Settings to ship: what `tidemark.toml` holds, and `exception`.
    pub settings: Option<Table>,
}

/// The team identifier of an Apple developer account: ten capital letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamId(String);

/// A bundle identifier: parts of letters, digits and `-`, joined by dots, at least two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleId(String);

/// A text is no identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// No team identifier.
    #[error(
        "a team identifier has ten capital letters and digits, and {0:?} does not; `codesign -dv` prints it"
    )]
    Team(String),
    /// No bundle identifier.
    #[error(
        "a bundle identifier is letters, digits and - in at least two parts that dots join, and {0:?} is not"
    )]
    Bundle(String),
}

impl FromStr for TeamId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let fits = text.len() == TEAM_LENGTH
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidId::Team(text.to_owned())) }
    }
}

impl FromStr for BundleId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let fits = text.len() <= MOST_BUNDLE_BYTES && text.contains('.') && text.split('.').all(part);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidId::Bundle(text.to_owned())) }
    }
}

impl fmt::Display for TeamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Profile {
    /// Writes the profile as an XML property list, ready for upload. The same profile has the same bytes and the same UUIDs: a new upload
    /// replaces the old one.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, to: impl io::Write) -> io::Result<()> {
        Value::Dictionary(self.document())
            .to_writer_xml(to)
            .map_err(|error| error.into_io().unwrap_or_else(|error| io::Error::other(error.to_string())))
    }

    /// What the app's signature must satisfy: the designated requirement that `codesign -d -r -` prints for an app that this team signed
    /// with a Developer ID. It names no version, so that the grant survives updates.
    pub fn code_requirement(&self) -> String {
        format!(
            "identifier \"{}\" and anchor apple generic and certificate 1[field.1.2.840.113635.100.6.2.6] /* exists */ \
             and certificate leaf[field.1.2.840.113635.100.6.1.13] /* exists */ and certificate leaf[subject.OU] = \"{}\"",
            self.bundle, self.team
        )
    }

    /// The profile as a property list.
    pub fn document(&self) -> Dictionary {
        let mut payloads = vec![self.full_disk_access(), self.background_item()];
        payloads.extend(self.settings.as_ref().map(|settings| self.preferences(settings)));
        let mut profile = self.payload("Configuration", "profile", "tidemark");
        put(
            &mut profile,
            "PayloadDescription",
            "Lets tidemark see the processes of this Mac, and keeps it running.",
        );
        put(&mut profile, "PayloadScope", "System");
        put(&mut profile, "PayloadRemovalDisallowed", true);
        put(&mut profile, "TargetDeviceType", TARGET_MAC);
        put(&mut profile, "PayloadContent", payloads);
        profile
    }

    /// Full Disk Access, without which Endpoint Security refuses a client (`ES_NEW_CLIENT_RESULT_ERR_NOT_PERMITTED`). The app is a bundle,
    /// and a bundle is named by its identifier, never by its path.
    fn full_disk_access(&self) -> Value {
        let mut identity = Dictionary::new();
        put(&mut identity, "Identifier", self.bundle.to_string());
        put(&mut identity, "IdentifierType", "bundleID");
        put(&mut identity, "CodeRequirement", self.code_requirement());
        put(&mut identity, "StaticCode", false);
        // In place of `Authorization`, which may not stand beside it.
        put(&mut identity, "Allowed", true);
        let mut services = Dictionary::new();
        put(&mut services, "SystemPolicyAllFiles", vec![Value::Dictionary(identity)]);
        let mut payload =
            self.payload("com.apple.TCC.configuration-profile-policy", "tcc", "tidemark: Full Disk Access");
        put(&mut payload, "Services", services);
        Value::Dictionary(payload)
    }

    /// The LaunchDaemon stays switched on in System Settings, Login Items.
    fn background_item(&self) -> Value {
        let mut rule = Dictionary::new();
        put(&mut rule, "RuleType", "Label");
        put(&mut rule, "RuleValue", self.bundle.to_string());
        put(&mut rule, "TeamIdentifier", self.team.to_string());
        put(&mut rule, "Comment", "tidemark's LaunchDaemon");
        let mut payload =
            self.payload("com.apple.servicemanagement", "servicemanagement", "tidemark: background item");
        put(&mut payload, "Rules", vec![Value::Dictionary(rule)]);
        Value::Dictionary(payload)
    }

    /// Settings, forced: a user cannot change them.
    fn preferences(&self, settings: &Table) -> Value {
        let mut forced = Dictionary::new();
        put(&mut forced, "mcx_preference_settings", document::dictionary(settings));
        let mut domain = Dictionary::new();
        put(&mut domain, "Forced", vec![Value::Dictionary(forced)]);
        let mut domains = Dictionary::new();
        put(&mut domains, &self.bundle.0, domain);
        let mut payload =
            self.payload("com.apple.ManagedClient.preferences", "preferences", "tidemark: settings");
        put(&mut payload, "PayloadContent", domains);
        Value::Dictionary(payload)
    }

    /// What every payload says of itself.
    fn payload(&self, kind: &str, part: &str, name: &str) -> Dictionary {
        let identifier = format!("{}.{part}", self.bundle);
        let mut payload = Dictionary::new();
        put(&mut payload, "PayloadType", kind);
        put(&mut payload, "PayloadVersion", 1);
        put(&mut payload, "PayloadUUID", uuid(&[&identifier, &self.team.0]));
        put(&mut payload, "PayloadIdentifier", identifier);
        put(&mut payload, "PayloadDisplayName", name);
        if let Some(organization) = &self.organization {
            put(&mut payload, "PayloadOrganization", organization.as_str());
        }
        payload
    }
}

fn put(dictionary: &mut Dictionary, key: &str, value: impl Into<Value>) {
    dictionary.insert(key.to_owned(), value.into());
}

/// A UUID of version 8 (RFC 9562, section 5.8) from a hash of names, in capitals as `uuidgen` prints it.
fn uuid(names: &[&str]) -> String {
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name);
        // No name holds a NUL: two lists of names never hash alike.
        hash.update([0]);
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    let uuid = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    uuid.hyphenated().encode_upper(&mut uuid::Uuid::encode_buffer()).to_owned()
}

const TEAM_LENGTH: usize = 10;
/// Bytes: what App Store Connect takes.
const MOST_BUNDLE_BYTES: usize = 155;
/// `TargetDeviceType` of a profile: 5 is a Mac.
const TARGET_MAC: i64 = 5;
