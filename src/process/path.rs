//! One name for the places where one program lies.
//!
//! The same program has many paths: a user's name, a version, a project's folder, a hash of the build, a temporary folder, a second name
//! for a system volume. [`normalise`] takes all of that out, so that an identity made of a path survives updates, builds and users.
//! It works on the text alone; no file is looked at.

use super::token;

/// The normal form of a path. A relative path stays relative. Normalising twice changes nothing.
pub(super) fn normalise(path: &str) -> String {
    let mut text = fold(path);
    for _ in 0..MOST_ROUNDS {
        let again = fold(&text);
        if again == text {
            break;
        }
        text = again;
    }
    text
}

/// A path as it was given, made absolute where the working directory is known.
pub(super) fn absolute(path: &str, cwd: Option<&str>) -> String {
    match cwd {
        Some(cwd) if !path.starts_with('/') => format!("{cwd}/{path}"),
        _ => path.to_owned(),
    }
}

/// The last component.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether the path leads into an app's bundle.
pub(super) fn is_in_app(path: &str) -> bool {
    path.contains(".app/Contents/")
}

/// Whether an ordinary user (the first account of a Mac is an administrator) can put another file in this place without being asked
/// for a password. `normal` is a normal form.
pub(super) fn is_user_writable(normal: &str) -> bool {
    !normal.starts_with('/')
        || USER_WRITABLE
            .iter()
            .any(|place| normal.strip_prefix(place).is_some_and(|rest| rest.starts_with('/')))
}

/// Whether a package or version manager keeps this file: then its bytes change by an update and the name is what stays.
/// `normal` is a normal form.
pub(super) fn is_package_managed(normal: &str) -> bool {
    normal.split('/').any(|component| PACKAGE_FOLDERS.contains(&component))
}

fn fold(path: &str) -> String {
    let mut parts = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    let absolute = path.starts_with('/');
    if absolute {
        strip_twins(&mut parts);
        fold_temporary(&mut parts);
        fold_owners(&mut parts);
        fold_fleet_scripts(&mut parts);
    }
    fold_versioned_folders(&mut parts);
    fold_projects(&mut parts);
    let folded: Vec<String> = parts.into_iter().map(fold_component).collect();
    let text = folded.join("/");
    if absolute { format!("/{text}") } else { text }
}

/// Second names of one place: Cryptexes, the data volume under its mount point, and `/private`.
fn strip_twins(parts: &mut Vec<&str>) {
    loop {
        let twin = match parts.as_slice() {
            ["System", "Volumes", "Preboot", "Cryptexes", _, _, ..] => 5,
            ["private", "preboot", "Cryptexes", _, _, ..] => 4,
            ["System", "Cryptexes", _, _, ..] | ["System", "Volumes", "Data", _, ..] => 3,
            ["private", "var" | "tmp" | "etc", ..] => 1,
            _ => return,
        };
        parts.drain(..twin);
    }
}

/// Temporary folders: what lies between their root and the program is nobody's choice.
fn fold_temporary(parts: &mut Vec<&str>) {
    let (root, inner): (&[&'static str], usize) = match parts.as_slice() {
        // An app opened where it was downloaded runs from a random mount point, and nothing public leads back.
        ["var", "folders", .., "AppTranslocation", _, "d", _] => (&["AppTranslocation"], parts.len() - 1),
        ["var", "folders", rest @ ..] => match rest.iter().position(|part| *part == "AppTranslocation") {
            Some(at) if rest.get(at + 2) == Some(&"d") => (&["AppTranslocation"], at + 5),
            _ => match rest {
                ["*", "T", ..] => (&["var", "folders", "*", "T"], 4),
                ["*", "C", ..] => (&["var", "folders", "*", "C"], 4),
                ["*", ..] => (&["var", "folders", "*"], 3),
                [_, _, "T", ..] => (&["var", "folders", "*", "T"], 5),
                [_, _, "C", ..] => (&["var", "folders", "*", "C"], 5),
                [_, _, ..] => (&["var", "folders", "*"], 4),
                _ => return,
            },
        },
        ["tmp", _, ..] => (&["tmp"], 1),
        ["var", "tmp", _, ..] => (&["var", "tmp"], 2),
        _ => return,
    };
    let inside: Vec<&str> = parts.drain(..).skip(inner).collect();
    parts.extend(root);
    if inside.iter().any(|part| part.starts_with("go-build")) {
        // `go run` and `go test` build, run and delete: all of it is one image.
        parts.push("go-build*");
        return;
    }
    let bundle = inside.iter().position(|part| BUNDLES.iter().any(|end| part.ends_with(end)));
    let program = bundle.unwrap_or(inside.len().saturating_sub(1));
    if program > 0 {
        parts.push("*");
    }
    let direct = inside.get(program..).unwrap_or_default();
    match direct {
        [name] if is_temporary_name(name) => parts.push("*"),
        kept => parts.extend(kept),
    }
}

fn is_temporary_name(name: &str) -> bool {
    let made =
        TEMPORARY_PREFIXES.iter().any(|(prefix, length)| name.starts_with(prefix) && name.len() >= *length);
    made || name.split(|c: char| !c.is_alphanumeric()).any(token::is_temporary)
}

/// Users and volumes.
fn fold_owners(parts: &mut [&str]) {
    let rest = match parts {
        ["Volumes", volume, rest @ ..] => {
            *volume = "*";
            rest
        }
        all => all,
    };
    if let ["Users" | "home", name, ..] = rest
        && *name != "Shared"
    {
        *name = "*";
    }
}

/// Folders in which a fleet's management puts each script under a fresh name: everything in them is one.
fn fold_fleet_scripts(parts: &mut Vec<&str>) {
    let Some(vendor) = parts.iter().position(|part| {
        let lower = part.to_ascii_lowercase();
        FLEET_VENDORS.iter().any(|vendor| lower.contains(vendor))
    }) else {
        return;
    };
    let folder = parts
        .iter()
        .skip(vendor)
        .position(|part| FLEET_SCRIPT_FOLDERS.iter().any(|folder| part.eq_ignore_ascii_case(folder)));
    if let Some(folder) = folder.map(|at| vendor + at)
        && folder + 1 < parts.len()
    {
        parts.truncate(folder + 1);
        parts.push("*");
    }
}

/// Folders whose children are versions or environments of one thing.
fn fold_versioned_folders(parts: &mut [&str]) {
    for at in 0..parts.len() {
        let Some([folder, rest @ ..]) = parts.get_mut(at..) else { return };
        match (*folder, rest) {
            ("Cellar" | "Caskroom" | "installs" | "candidates", [_, version, ..])
            | (
                "Versions"
                | "DerivedData"
                | "versions"
                | "virtualenvs"
                | ".virtualenvs"
                | "toolchains"
                | "node-versions"
                | "JavaVirtualMachines",
                [version, _, ..],
            )
            | ("envs", [version, "bin", ..]) => *version = "*",
            _ => {}
        }
    }
}

/// Builds and environments inside a project: which project it is does not matter, and neither does the hash of the build.
fn fold_projects(parts: &mut Vec<&str>) {
    let Some(marker) =
        (0..parts.len()).rev().find(|&at| is_project_marker(parts.get(at..).unwrap_or_default()))
    else {
        return;
    };
    let kept = match parts.as_slice() {
        ["Volumes", "*", "Users" | "home", _, ..] => 4,
        ["Users" | "home" | "Volumes", _, ..] => 2,
        _ => 1,
    };
    let mut output = parts.split_off(marker);
    if parts.len() > kept {
        parts.truncate(kept);
        parts.push("*");
    }
    match output.as_mut_slice() {
        // cargo: a triple may stand before the profile.
        ["target", _, "debug" | "release", ..] => {
            output.remove(1);
        }
        // SwiftPM: likewise.
        [".build", triple, "debug" | "release", ..] if triple.contains('-') => {
            output.remove(1);
        }
        _ => {}
    }
    match output.as_mut_slice() {
        // Unit and integration tests: hundreds of names a project, each with a hash.
        ["target", _, "deps", name] | ["target", _, "build", name, _] => *name = "*",
        _ => {}
    }
    parts.append(&mut output);
}

fn is_project_marker(parts: &[&str]) -> bool {
    match parts {
        ["target", "debug" | "release", _, ..]
        | ["target", _, "debug" | "release", _, ..]
        | [".build" | "node_modules", _, ..]
        | ["venv" | ".venv" | "env" | ".env", "bin", _, ..] => true,
        [folder, _, ..] => folder.starts_with("cmake-build-") || *folder == "bazel-out",
        _ => false,
    }
}

fn fold_component(name: &str) -> String {
    if name.starts_with("go-build") {
        return "go-build*".to_owned();
    }
    if name.starts_with("_bazel_") {
        return "_bazel_*".to_owned();
    }
    if name.starts_with("___") && name.contains("go_build") {
        // JetBrains GoLand names a run after the file: ___go_build_main_go, ___1go_build_example_com_x.
        return "___go_build*".to_owned();
    }
    token::fold(name)
}

/// A fold can make room for another (a volume that holds a home that holds a project); deeper nests than this are nobody's.
const MOST_ROUNDS: usize = 4;

const BUNDLES: [&str; 5] = [".app", ".appex", ".xpc", ".framework", ".bundle"];

/// Prefix and least length of what `mktemp`, Python's tempfile and `PyInstaller` make.
const TEMPORARY_PREFIXES: [(&str, usize); 4] =
    [("tmp.", 8), ("tmp", 9), ("_MEI", 8), ("PKInstallSandbox.", 18)];

/// Names that stand in the folders of the common management agents, in lower case: Jamf, Microsoft Intune, Kandji (Iru), Addigy, Mosyle,
/// Workspace ONE, munki (`Managed Installs`), Hexnode, `SimpleMDM`, Fleet.
const FLEET_VENDORS: [&str; 11] = [
    "jamf",
    "intune",
    "kandji",
    "addigy",
    "mosyle",
    "airwatch",
    "munki",
    "managed installs",
    "hexnode",
    "simplemdm",
    "fleetd",
];

const FLEET_SCRIPT_FOLDERS: [&str; 6] = ["tmp", "temp", "scripts", "downloads", "packages", "cache"];

/// `/Applications` belongs to the group `admin`, `/usr/local` and `/opt` to whoever installed Homebrew.
const USER_WRITABLE: [&str; 11] = [
    "/Users",
    "/home",
    "/tmp",
    "/var/tmp",
    "/var/folders",
    "/dev/shm",
    "/Volumes",
    "/AppTranslocation",
    "/Applications",
    "/usr/local",
    "/opt",
];

/// Homebrew, npm, and the version managers of languages.
const PACKAGE_FOLDERS: [&str; 17] = [
    "Cellar",
    "Caskroom",
    "node_modules",
    ".nvm",
    ".pyenv",
    ".rbenv",
    ".asdf",
    "mise",
    ".rustup",
    ".cargo",
    ".volta",
    ".sdkman",
    "miniconda3",
    "anaconda3",
    "miniforge3",
    "node-versions",
    ".vscode",
];

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
