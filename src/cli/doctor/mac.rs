//! What only a Mac can answer.

use super::Finding;

#[cfg(not(target_os = "macos"))]
pub(super) fn findings() -> Vec<Finding> {
    let skipped = |check| Finding::skipped(check, "exists on a Mac only");
    [ROOT, ENTITLEMENT, FULL_DISK_ACCESS, ENDPOINT_SECURITY, STATISTICS, PACKET_TAP, OTHER_PRODUCTS]
        .map(skipped)
        .into()
}

#[cfg(target_os = "macos")]
pub(super) fn findings() -> Vec<Finding> {
    vec![
        this_mac::root(),
        this_mac::entitlement(),
        this_mac::full_disk_access(),
        this_mac::endpoint_security(),
        this_mac::statistics(),
        this_mac::packet_tap(),
        this_mac::other_products(),
    ]
}

#[cfg(target_os = "macos")]
mod this_mac {
    use std::fs::File;
    use std::io;

    use super::super::{Finding, extensions};
    use super::{
        ENDPOINT_SECURITY, ENTITLEMENT, FULL_DISK_ACCESS, OTHER_PRODUCTS, PACKET_TAP, ROOT, STATISTICS,
    };
    use crate::source::ladder::{Mac, ThisMac};
    use crate::source::live::Live;
    use crate::source::packet_tap::filter::Wanted;
    use crate::source::running::has_entitlement;

    pub(super) fn root() -> Finding {
        if rustix::process::geteuid().is_root() {
            return Finding::ok(ROOT, "runs as root");
        }
        Finding::failed(ROOT, "does not run as root", "start it with sudo; the checks below need it too")
    }

    pub(super) fn entitlement() -> Finding {
        if has_entitlement("com.apple.developer.endpoint-security.client") {
            return Finding::ok(ENTITLEMENT, "this program may be an Endpoint Security client");
        }
        Finding::warning(
            ENTITLEMENT,
            "this program lacks com.apple.developer.endpoint-security.client, so that process events come from eslogger",
            "install a release that was signed with Apple's grant (docs/deploy.md)",
        )
    }

    /// Only who has Full Disk Access may open the database of such grants.
    pub(super) fn full_disk_access() -> Finding {
        match File::open("/Library/Application Support/com.apple.TCC/TCC.db") {
            Ok(_) => Finding::ok(FULL_DISK_ACCESS, "granted to who started this"),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Finding::failed(
                FULL_DISK_ACCESS,
                "not granted to who started this",
                "install the profile of `tidemark mdm profile`, or grant it in System Settings, Privacy & Security",
            ),
            Err(error) => Finding::skipped(FULL_DISK_ACCESS, format!("cannot be told: {error}")),
        }
    }

    pub(super) fn endpoint_security() -> Finding {
        let mut live = Live::new();
        let Some(outbox) = live.outbox("doctor") else {
            return Finding::skipped(ENDPOINT_SECURITY, "cannot be told");
        };
        match ThisMac::default().endpoint_security(outbox) {
            Ok(()) => Finding::ok(ENDPOINT_SECURITY, "a client was accepted"),
            // What stands in for it is there and works by the same grants.
            Err(denied) if File::open("/usr/bin/eslogger").is_ok() => {
                Finding::warning(ENDPOINT_SECURITY, denied.to_string(), "eslogger stands in for it")
            }
            Err(denied) => Finding::failed(ENDPOINT_SECURITY, denied.to_string(), "see docs/deploy.md"),
        }
    }

    pub(super) fn statistics() -> Finding {
        match ThisMac::default().statistics() {
            Ok(_) => Finding::ok(STATISTICS, "a connection of our own appeared in them, and ended"),
            Err(why) => Finding::warning(
                STATISTICS,
                why,
                "packets are counted instead; please report the version of macOS",
            ),
        }
    }

    pub(super) fn packet_tap() -> Finding {
        match ThisMac::default().tap(Wanted::Identification) {
            Ok(_) => Finding::ok(PACKET_TAP, "a pktap interface was made and read through /dev/bpf"),
            Err(why) => Finding::warning(
                PACKET_TAP,
                why,
                "protocols are taken from ports until it opens; look for another program that holds every /dev/bpf",
            ),
        }
    }

    /// A filter or proxy of another product changes what can be seen: its process may own every connection.
    pub(super) fn other_products() -> Finding {
        let read = std::fs::read("/Library/SystemExtensions/db.plist");
        let Some(found) = read.ok().and_then(|bytes| extensions::active(&bytes)) else {
            return Finding::skipped(OTHER_PRODUCTS, "the list of system extensions cannot be read");
        };
        let named = |wanted: fn(&extensions::Extension) -> bool| {
            let names: Vec<_> =
                found.iter().filter(|e| wanted(e)).map(|extension| extension.identifier.as_str()).collect();
            names.join(", ")
        };
        let (network, security) = (named(|e| e.is_network), named(|e| e.is_endpoint_security));
        match (network.is_empty(), security.is_empty()) {
            (true, true) => Finding::ok(OTHER_PRODUCTS, "no other network or Endpoint Security extension"),
            (true, false) => Finding::ok(OTHER_PRODUCTS, format!("Endpoint Security: {security}")),
            (false, _) => Finding::warning(
                OTHER_PRODUCTS,
                format!("network extensions: {network}"),
                "if one of them is a transparent proxy, connections belong to it (docs/limitations.md)",
            ),
        }
    }
}

const ROOT: &str = "root";
const ENTITLEMENT: &str = "entitlement";
const FULL_DISK_ACCESS: &str = "full disk access";
const ENDPOINT_SECURITY: &str = "endpoint security";
const STATISTICS: &str = "kernel statistics";
const PACKET_TAP: &str = "packet tap";
const OTHER_PRODUCTS: &str = "other products";
