//! What a device management (MDM) server ships: how settings reach a Mac without a file being edited on it, and what macOS has to be told
//! before the daemon may see anything.
//!
//! [`Preferences`] reads managed preferences, the property list that macOS writes for a domain when a profile sets it; they stand above the
//! configuration file. [`Profile`] writes the configuration profile that grants Full Disk Access, keeps the background item switched
//! on, and carries such preferences. [`jamf_schema`] describes the settings for a form in Jamf Pro, from the one file that lists them all.
//!
//! All of it is text and property lists, and so the same on any machine; macOS alone judges whether a profile is good.

mod document;
mod preferences;
mod profile;
mod schema;

use std::path::PathBuf;

pub use preferences::{ManagedError, Preferences};
pub use profile::{BundleId, InvalidId, Profile, TeamId};
pub use schema::jamf_schema;

/// The bundle identifier of tidemark's own releases: the domain of its preferences, the label of its LaunchDaemon, and what grants are
/// bound to.
pub const BUNDLE_ID: &str = "com.tidemark.daemon";

/// Where macOS keeps the preferences that an MDM manages for the whole Mac, one file a domain.
const MANAGED_FOLDER: &str = "/Library/Managed Preferences";

/// The file that macOS writes for the domain of tidemark's own releases.
pub fn preferences_file() -> PathBuf {
    PathBuf::from(format!("{MANAGED_FOLDER}/{BUNDLE_ID}.plist"))
}

#[cfg(test)]
mod tests;
