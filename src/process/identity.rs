//! Which program an image is, whatever its version, place or build.
//!
//! The order, and why: Apple's own code is named by its signing identifier, because only the kernel's word `is_platform_binary` cannot be
//! forged; a signed program by team and identifier, which its vendor keeps over updates (so do Santa and TCC); everything else by its
//! normalised path. Three traps are avoided. An ad-hoc or linker-made signature carries no vendor, and its identifier may hold the hash of
//! a build (`nu-b9fb5b9dbba2e494`), so it names nothing. The 78 names of Xcode's tool shim (`/usr/bin/python3`, `/usr/bin/git`, ...) are
//! one file with one identifier, so that identifier names nothing either. And the code hash differs between the CPU slices of one
//! file, so it is an attribute and never a name.

use super::facts::Identity;
use super::{path, token};
use crate::observation::CodeSigning;

/// The identity of an image. `shown_path` is the path before links were resolved (`dyld_exec_path`), where known.
pub(super) fn identify(signing: &CodeSigning, executable: &str, shown_path: Option<&str>) -> Identity {
    match named_by_signature(signing) {
        Some(name) => Identity::new(name),
        None if is_tool_shim(signing) => by_path(shown_path.unwrap_or(executable)),
        None => by_path(executable),
    }
}

/// Whether the image is unsigned or ad-hoc signed and lies where a user can write. What a package manager keeps there is not: its bytes
/// change by updates, under a name that stays.
pub(super) fn is_volatile(signing: &CodeSigning, executable: &str) -> bool {
    if signing.is_platform_binary || named_by_signature(signing).is_some() {
        return false;
    }
    let normal = path::normalise(executable);
    path::is_user_writable(&normal) && !path::is_package_managed(&normal)
}

/// Whether the image is the stand-in that finds the real `python3`, `git`, `make`, ... in Xcode or the Command Line Tools and becomes it.
pub(super) fn is_tool_shim(signing: &CodeSigning) -> bool {
    signing.is_platform_binary && signing.signing_id.as_deref().is_some_and(|id| id.starts_with(TOOL_SHIM))
}

/// The team that vouches for the image; `None` for Apple's own and for self-made signatures.
pub(super) fn vendor(signing: &CodeSigning) -> Option<&str> {
    let signed = signing.flags & CodeSigning::SIGNED != 0;
    let self_made = signing.flags & (CodeSigning::ADHOC | CodeSigning::LINKER_SIGNED) != 0;
    signing
        .team_id
        .as_deref()
        .filter(|team| signed && !self_made && !signing.is_platform_binary && !team.is_empty())
}

fn named_by_signature(signing: &CodeSigning) -> Option<String> {
    let signing_id = signing.signing_id.as_deref().filter(|id| !id.is_empty())?;
    if signing.is_platform_binary {
        return (!is_tool_shim(signing)).then(|| format!("apple:{signing_id}"));
    }
    // Go tools are signed under their file's name, version and all.
    vendor(signing).map(|team| format!("{team}:{}", token::fold_versions(signing_id)))
}

fn by_path(executable: &str) -> Identity {
    Identity::new(format!("path:{}", path::normalise(executable)))
}

/// `com.apple.dt.xcode_select.tool-shim-public`, and without the suffix on older systems.
const TOOL_SHIM: &str = "com.apple.dt.xcode_select.tool-shim";

#[cfg(test)]
mod tests {
    use super::*;

    fn signing(flags: u32, platform: bool, id: &str, team: &str) -> CodeSigning {
        CodeSigning {
            flags,
            is_platform_binary: platform,
            signing_id: Some(id.into()),
            team_id: (!team.is_empty()).then(|| team.into()),
            cdhash: None,
        }
    }

    const SIGNED: u32 = CodeSigning::SIGNED | CodeSigning::VALID;

    #[test]
    fn apple_names_only_what_the_kernel_calls_its_own() {
        let real = identify(&signing(SIGNED, true, "com.apple.curl", ""), "/usr/bin/curl", None);
        assert_eq!(real.as_str(), "apple:com.apple.curl");
        let forged = signing(SIGNED | CodeSigning::ADHOC, false, "com.apple.curl", "");
        assert_eq!(identify(&forged, "/private/tmp/curl", None).as_str(), "path:/tmp/curl");
    }

    #[test]
    fn a_copy_of_apples_curl_is_curl() {
        let copy = identify(&signing(SIGNED, true, "com.apple.curl", ""), "/private/tmp/updater", None);
        assert_eq!(copy.as_str(), "apple:com.apple.curl");
    }

    #[test]
    fn a_vendor_keeps_its_name_through_updates_and_moves() {
        let signing_now = signing(SIGNED, false, "com.google.Chrome.helper", "EQHXZ8M8AV");
        for path in
            ["/Applications/Google Chrome.app/x/126.0.1/y", "/Users/ann/Google Chrome.app/x/127.0.0/y"]
        {
            assert_eq!(identify(&signing_now, path, None).as_str(), "EQHXZ8M8AV:com.google.Chrome.helper");
        }
        let go_tool = signing(SIGNED, false, "terraform-provider-google_v4.37.0_x5", "D38WU7D763");
        assert_eq!(identify(&go_tool, "/x", None).as_str(), "D38WU7D763:terraform-provider-google_*_x5");
    }

    #[test]
    fn another_team_is_another_program() {
        let ours =
            identify(&signing(SIGNED, false, "com.foo", "AAAAAAAAAA"), "/Applications/Foo.app/x", None);
        let theirs =
            identify(&signing(SIGNED, false, "com.foo", "BBBBBBBBBB"), "/Applications/Foo.app/x", None);
        assert_ne!(ours, theirs);
    }

    #[test]
    fn self_made_signatures_name_nothing() {
        let linker = signing(0x2202_0203, false, "nu-b9fb5b9dbba2e494", "");
        assert_eq!(
            identify(&linker, "/Users/ann/.cargo/bin/nu", None).as_str(),
            "path:/Users/*/.cargo/bin/nu"
        );
        let with_team = signing(SIGNED | CodeSigning::ADHOC, false, "x", "EQHXZ8M8AV");
        assert_eq!(identify(&with_team, "/usr/sbin/x", None).as_str(), "path:/usr/sbin/x");
        let unsigned = signing(0, false, "x", "EQHXZ8M8AV");
        assert_eq!(identify(&unsigned, "/usr/sbin/x", None).as_str(), "path:/usr/sbin/x");
    }

    #[test]
    fn the_tool_shim_is_named_by_what_was_asked_for() {
        let shim = signing(SIGNED, true, "com.apple.dt.xcode_select.tool-shim-public", "");
        assert_eq!(
            identify(&shim, "/usr/bin/git", Some("/usr/bin/python3")).as_str(),
            "path:/usr/bin/python3"
        );
        assert_eq!(identify(&shim, "/usr/bin/git", None).as_str(), "path:/usr/bin/git");
        assert!(!is_volatile(&shim, "/usr/bin/git"));
    }

    #[test]
    fn both_slices_of_a_file_are_one_image() {
        let mut arm = signing(SIGNED, true, "com.apple.curl", "");
        let mut intel = arm.clone();
        arm.cdhash = Some([1; 20]);
        intel.cdhash = Some([2; 20]);
        assert_eq!(identify(&arm, "/usr/bin/curl", None), identify(&intel, "/usr/bin/curl", None));
    }

    #[test]
    fn only_unsigned_files_where_a_user_writes_are_volatile() {
        let adhoc = signing(SIGNED | CodeSigning::ADHOC, false, "a.out", "");
        let vendor = signing(SIGNED, false, "com.foo", "AAAAAAAAAA");
        assert!(is_volatile(&adhoc, "/private/tmp/implant"));
        assert!(is_volatile(&adhoc, "/Users/ann/src/app/target/debug/app"));
        assert!(is_volatile(&adhoc, "/opt/homebrew/bin/tool"));
        assert!(!is_volatile(&adhoc, "/opt/homebrew/Cellar/wget/1.24.5/bin/wget"));
        assert!(!is_volatile(&adhoc, "/Library/Vendor/tool"));
        assert!(!is_volatile(&vendor, "/Users/ann/Foo.app/Contents/MacOS/Foo"));
    }
}
