//! Parts of a name that differ from build to build and from run to run: versions, UUIDs, hashes, serial numbers.
//!
//! What is folded becomes `*`. The thresholds weigh two errors: a hash that stays makes one subject a build; a word that goes makes two
//! programs one. Names in the wild (the process names of a fleet's allow-list, Homebrew, cargo, `mktemp`) decided them.

use std::fmt::Write as _;

/// Folds UUIDs, hashes, long numbers and versions in one path component or label.
pub(super) fn fold(name: &str) -> String {
    fold_versions(&fold_random(name))
}

/// Folds only versions that stand behind a separator: `terraform-provider-google_v4.37.0_x5` is `terraform-provider-google_*_x5`.
///
/// A version is `v`, digits, and at least one dot with digits. `python3.12` keeps its number (no separator) and so does `python@3.12`
/// (an `@` names a package line; `esbuild@0.19.2` with two dots is a version).
pub(super) fn fold_versions(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    let mut before = None;
    while let Some(next) = rest.chars().next() {
        let version = match before {
            None | Some('-' | '_' | ' ') => version_length(rest, 1),
            Some('@') => version_length(rest, 2),
            Some(_) => None,
        };
        if let Some(tail) = version.and_then(|length| rest.get(length..)) {
            out.push('*');
            rest = tail;
            before = Some('*');
        } else {
            out.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
            before = Some(next);
        }
    }
    out
}

/// Folds the UUIDs and the alphanumeric runs that nobody chose.
fn fold_random(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(next) = rest.chars().next() {
        if !next.is_alphanumeric() {
            out.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
            continue;
        }
        let run =
            rest.find(|c: char| !c.is_alphanumeric()).map_or(rest, |end| rest.get(..end).unwrap_or(rest));
        let length = if starts_with_uuid(rest) { UUID_LENGTH } else { run.len() };
        if length == UUID_LENGTH && length != run.len() || is_random(run) {
            out.push('*');
        } else {
            out.push_str(run);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Whether a run of letters and digits is a hash, a number out of a counter or a clock, or a random name.
pub(super) fn is_random(run: &str) -> bool {
    let run = run.strip_prefix("0x").unwrap_or(run);
    let length = run.len();
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if digits == length {
        return length >= NUMBER_LENGTH;
    }
    if !run.bytes().all(|b| b.is_ascii_alphanumeric()) || digits == 0 {
        return false;
    }
    let hex = run.bytes().all(|b| b.is_ascii_hexdigit());
    (hex && length >= LONG_HEX_LENGTH)
        || (hex && length >= HEX_LENGTH && digits >= 2)
        || length >= RANDOM_LENGTH
}

/// Whether a run looks as `mktemp` and its kin make them. Only for folders where such names are the rule: too many chosen names
/// look so elsewhere.
pub(super) fn is_temporary(run: &str) -> bool {
    let mut digit_groups = 0;
    let mut before = false;
    for byte in run.bytes() {
        if byte.is_ascii_digit() && !before {
            digit_groups += 1;
        }
        before = byte.is_ascii_digit();
    }
    let upper = run.bytes().any(|b| b.is_ascii_uppercase());
    let lower = run.bytes().any(|b| b.is_ascii_lowercase());
    run.len() >= TEMPORARY_LENGTH && (digit_groups >= 2 || digit_groups == 1 && upper && lower)
}

/// The first bytes of SHA-256 and the like, in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Length in bytes of the version at the front of `text`, if there is one with at least `dots` dots.
fn version_length(text: &str, dots: usize) -> Option<usize> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = usize::from(text.starts_with(['v', 'V']));
    let major = digits(text.get(length..)?);
    if major == 0 {
        return None;
    }
    length += major;
    let mut seen = 0;
    while let Some(part) = text.get(length..).and_then(|rest| rest.strip_prefix('.')) {
        let minor = digits(part);
        if minor == 0 {
            break;
        }
        length += 1 + minor;
        seen += 1;
    }
    // A pre-release glued to the number: 3.13.0rc1, 1.2b3.
    let tail = text.get(length..)?;
    let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
    if letters <= PRERELEASE_LETTERS {
        length += letters + digits(tail.get(letters..)?);
    }
    let ends = text.get(length..)?.chars().next().is_none_or(|c| !c.is_alphanumeric());
    (seen >= dots && ends).then_some(length)
}

fn starts_with_uuid(text: &str) -> bool {
    let ends = text.get(UUID_LENGTH..).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
    ends && text.get(..UUID_LENGTH).is_some_and(|uuid| {
        uuid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    })
}

const UUID_LENGTH: usize = 36;
/// Process numbers end at 99,998 on macOS; a shorter number may be a year or a port.
const NUMBER_LENGTH: usize = 5;
/// Short git hashes have seven digits, CRC-32 has eight; with fewer, `decade` and `facade1` would go.
const HEX_LENGTH: usize = 8;
/// cargo's hash.
const LONG_HEX_LENGTH: usize = 16;
/// Base 32, 36 or 62: 20 and more letters with a digit among them are nobody's word.
const RANDOM_LENGTH: usize = 20;
/// `mktemp` fills six and more `X`.
const TEMPORARY_LENGTH: usize = 6;
/// `alpha`, `beta`, `rc`, `dev`, `post`.
const PRERELEASE_LETTERS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fold_behind_a_separator_only() {
        for (name, folded) in [
            ("3.9", "*"),
            ("v18.1.0", "*"),
            ("126.0.6478.57", "*"),
            ("3.13.0rc1", "*"),
            ("Xcode-15.2.app", "Xcode-*.app"),
            ("ms-python.python-2023.4.1", "ms-python.python-*"),
            ("terraform-provider-google_v4.37.0_x5", "terraform-provider-google_*_x5"),
            ("esbuild@0.19.2", "esbuild@*"),
            ("python@3.12", "python@3.12"),
            ("python3.12", "python3.12"),
            ("x86_64", "x86_64"),
            ("libfoo-2", "libfoo-2"),
        ] {
            assert_eq!(fold(name), folded, "{name}");
        }
    }

    #[test]
    fn what_nobody_chose_folds() {
        for (name, folded) in [
            ("nu-b9fb5b9dbba2e494", "nu-*"),
            ("3F2504E0-4F89-11D3-9A0C-0305E82C3301", "*"),
            ("job.3f2504e0-4f89-11d3-9a0c-0305e82c3301.sh", "job.*.sh"),
            ("oneshot.0x10000005.curl", "oneshot.*.curl"),
            ("script-48213", "script-*"),
            ("55554944fbf65684ab9b37c2bad3a27ef78b23f4", "*"),
            ("deadbeef", "deadbeef"),
            ("decade99", "*"),
            ("arm64", "arm64"),
            ("node22", "node22"),
            ("Ünïcode-9", "Ünïcode-9"),
        ] {
            assert_eq!(fold(name), folded, "{name}");
        }
    }

    #[test]
    fn temporary_names_have_mixed_digits() {
        assert!(is_temporary("a8Xk2Q"));
        assert!(is_temporary("k3j9x2"));
        assert!(!is_temporary("sha256sum"));
        assert!(!is_temporary("python3"));
        assert!(!is_temporary("Installer"));
    }
}
