//! Other products' system extensions, as macOS keeps them in `/Library/SystemExtensions/db.plist`.
//!
//! The file is Apple's own and undocumented; its keys are those that osquery's table `system_extensions` reads. What is not as expected is
//! passed over: the check informs, and nothing rests on it.

use std::io::Cursor;

use plist::Dictionary;

/// A system extension that is switched on.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(not(any(test, target_os = "macos")), allow(dead_code, reason = "only a Mac has such a file"))]
pub(super) struct Extension {
    pub(super) identifier: String,
    /// It filters or relays network traffic.
    pub(super) is_network: bool,
    /// It is a client of Endpoint Security.
    pub(super) is_endpoint_security: bool,
}

/// The extensions that are switched on; `None` where the bytes are not such a file.
#[cfg_attr(not(any(test, target_os = "macos")), allow(dead_code, reason = "only a Mac has such a file"))]
pub(super) fn active(bytes: &[u8]) -> Option<Vec<Extension>> {
    let document = plist::Value::from_reader(Cursor::new(bytes)).ok()?;
    let all = document.as_dictionary()?.get("extensions")?.as_array()?;
    Some(all.iter().filter_map(|extension| read(extension.as_dictionary()?)).collect())
}

fn read(extension: &Dictionary) -> Option<Extension> {
    if extension.get("state")?.as_string()? != "activated_enabled" {
        return None;
    }
    let categories = extension.get("categories")?.as_array()?;
    let has = |kind: &str| categories.iter().any(|category| category.as_string() == Some(kind));
    Some(Extension {
        identifier: extension.get("identifier")?.as_string()?.to_owned(),
        is_network: has("com.apple.system_extension.network_extension"),
        is_endpoint_security: has("com.apple.system_extension.endpoint_security"),
    })
}
