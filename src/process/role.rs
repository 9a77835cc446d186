//! What kinds of program there are, as far as attribution and scoring care.
//!
//! Apple's programs are known by their signing identifier wherever they lie and whatever they are called, so a copy of `/bin/zsh` is a shell. All
//! others are known by file name, and not at all where they are [volatile](super::identity::is_volatile): malware called `sh` in `/tmp` is
//! then nobody's glue and stands in the open as the initiator of what it starts.

use super::facts::Role;
use super::interpreter::Language;
use super::tables::{
    APPLE_SCRIPTING_HOSTS, BROKERS, MULTI_CALL, NETWORK_TOOLS, RUNNERS, SCRIPT_APPS, VENDOR_SCRIPTING_HOSTS,
    WRAPPERS,
};
use super::{identity, path};
use crate::observation::CodeSigning;
use serde::{Deserialize, Serialize};

/// What a program is to attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// The root of all processes: it starts everything and means nothing.
    Launchd,
    /// Becomes or starts another program and does nothing of its own: `xpcproxy`, `env`, `sudo`, a tool shim.
    Wrapper,
    /// A shell.
    Shell,
    /// Runs on behalf of an app that launchd does not name as its parent: the app is responsible.
    Runner,
    /// Owns the sockets of others.
    Broker,
    /// Anything else.
    Program,
}

impl Kind {
    /// Whether what it starts was started by whatever started it.
    pub(super) fn is_glue(self) -> bool {
        matches!(self, Self::Launchd | Self::Wrapper | Self::Shell)
    }
}

/// What attribution knows of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Traits {
    /// What it is to attribution.
    pub(super) kind: Kind,
    /// What it interprets.
    pub(super) language: Option<Language>,
    /// Others run it to reach the network or to run code.
    pub(super) tool: bool,
    /// It runs scripts for people who may not know it: what it starts is news.
    pub(super) scripting_host: bool,
}

impl Traits {
    /// From what is known of a file. `argv0` tells the applets of one file apart.
    pub(super) fn of(signing: &CodeSigning, executable: &str, argv0: Option<&str>) -> Self {
        let id = signing.signing_id.as_deref().unwrap_or_default();
        let platform = signing.is_platform_binary;
        let name = match path::file_name(executable) {
            "busybox" | "toybox" | "coreutils" => {
                argv0.map_or("busybox", path::file_name).trim_start_matches('-')
            }
            name => name,
        };
        let apple_name = if platform { id.strip_prefix("com.apple.").unwrap_or_default() } else { "" };
        let named =
            |table: &[&str]| table.contains(&name) || !apple_name.is_empty() && table.contains(&apple_name);
        let trusted = platform || !identity::is_volatile(signing, executable);
        let language = Language::of(name).or_else(|| Language::of(apple_name));
        let apple = |table: &[&str]| platform && table.iter().any(|entry| entry.eq_ignore_ascii_case(id));

        let kind = if executable == "/sbin/launchd" || apple(&["com.apple.xpc.launchd"]) {
            Kind::Launchd
        } else if trusted && language == Some(Language::Shell) {
            Kind::Shell
        } else if identity::is_tool_shim(signing) || trusted && named(&WRAPPERS) {
            Kind::Wrapper
        } else if apple(&RUNNERS) {
            Kind::Runner
        } else if apple(&BROKERS) {
            Kind::Broker
        } else {
            Kind::Program
        };
        let vendor = identity::vendor(signing).is_some_and(|by| {
            VENDOR_SCRIPTING_HOSTS.iter().any(|(team, host)| by == *team && host.eq_ignore_ascii_case(id))
        });
        Self {
            kind,
            language,
            tool: language.is_some() || named(&NETWORK_TOOLS) || name.starts_with("git-remote-"),
            scripting_host: vendor || apple(&APPLE_SCRIPTING_HOSTS) || SCRIPT_APPS.contains(&name),
        }
    }
}

/// The role of a subject from the traits of its two halves.
pub(super) fn role(image: Traits, initiator: Option<Traits>) -> Role {
    Role {
        tool: image.tool,
        scripting_host: image.scripting_host,
        scripted: initiator.is_some_and(|initiator| initiator.scripting_host),
    }
}

/// Whether `part` is a piece of the program `front`, which people run and which then starts its pieces, itself among them: `git`,
/// `git remote-https` and `git-remote-https`. The front end is not what made its own piece run.
pub(super) fn is_part_of(part: &str, front: &str) -> bool {
    let belongs = |name: &str, program: &str| {
        name.strip_prefix(program).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let (part, front) = (path::file_name(part), path::file_name(front));
    MULTI_CALL.iter().any(|program| belongs(front, program) && belongs(part, program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apple(id: &str, executable: &str) -> Traits {
        let signing = CodeSigning {
            flags: CodeSigning::SIGNED,
            is_platform_binary: true,
            signing_id: Some(id.into()),
            ..CodeSigning::default()
        };
        Traits::of(&signing, executable, None)
    }

    fn unsigned(executable: &str) -> Traits {
        Traits::of(&CodeSigning::default(), executable, None)
    }

    #[test]
    fn a_copied_shell_is_a_shell() {
        assert_eq!(apple("com.apple.zsh", "/private/tmp/update").kind, Kind::Shell);
        assert_eq!(unsigned("/opt/homebrew/Cellar/fish/3.7.1/bin/fish").kind, Kind::Shell);
        assert_eq!(unsigned("/bin/dash").kind, Kind::Shell);
    }

    #[test]
    fn malware_called_like_glue_is_not_glue() {
        for path in ["/private/tmp/sh", "/private/tmp/.xpcproxy", "/Users/ann/Library/xpcproxy"] {
            assert_eq!(unsigned(path).kind, Kind::Program, "{path}");
        }
    }

    #[test]
    fn tools_interpreters_and_shells_are_tools() {
        for (id, path) in [
            ("com.apple.curl", "/usr/bin/curl"),
            ("com.apple.openssh", "/usr/bin/ssh"),
            ("com.apple.python3", "/Library/Developer/CommandLineTools/x/Python"),
            ("com.apple.git-remote-http", "/x/git-core/git-remote-https"),
            ("com.apple.zsh", "/bin/zsh"),
            ("com.apple.osascript", "/usr/bin/osascript"),
        ] {
            assert!(apple(id, path).tool, "{id}");
        }
        assert!(!apple("com.apple.make", "/usr/bin/make").tool);
        assert!(unsigned("/opt/homebrew/Cellar/wget/1.24.5/bin/wget").tool);
        assert!(!unsigned("/Users/ann/bin/server").tool);
    }

    #[test]
    fn scripting_hosts_are_known_by_signature_and_exported_scripts_by_name() {
        assert!(apple("com.apple.Automator", "/System/Applications/Automator.app/x").scripting_host);
        assert!(apple("com.apple.Mail", "/System/Applications/Mail.app/x").scripting_host);
        assert!(unsigned("/Users/ann/Foo.app/Contents/MacOS/Automator Application Stub").scripting_host);
        assert!(unsigned("/Users/ann/Foo.app/Contents/MacOS/applet").scripting_host);
        assert!(!apple("com.apple.Terminal", "/System/Applications/Utilities/Terminal.app/x").scripting_host);
        let word = CodeSigning {
            flags: CodeSigning::SIGNED,
            signing_id: Some("com.microsoft.Word".into()),
            team_id: Some("UBF8T346G9".into()),
            ..CodeSigning::default()
        };
        assert!(Traits::of(&word, "/Applications/Microsoft Word.app/x", None).scripting_host);
        let forged = CodeSigning { team_id: Some("AAAAAAAAAA".into()), ..word };
        assert!(!Traits::of(&forged, "/Applications/Microsoft Word.app/x", None).scripting_host);
    }

    #[test]
    fn applets_of_one_file_are_told_apart_by_their_name() {
        let applet = |argv0| Traits::of(&CodeSigning::default(), "/bin/busybox", Some(argv0));
        assert_eq!(applet("/bin/sh").kind, Kind::Shell);
        assert_eq!(applet("-sh").kind, Kind::Shell);
        assert!(applet("wget").tool);
        assert_eq!(applet("httpd").kind, Kind::Program);
    }

    #[test]
    fn pieces_of_git_are_not_started_by_git() {
        assert!(is_part_of("/x/git-core/git-remote-https", "/usr/bin/git"));
        assert!(is_part_of("/x/git-core/git-remote-https", "/x/git-core/git-remote"));
        assert!(!is_part_of("/usr/bin/ssh", "/usr/bin/git"));
        assert!(is_part_of("/x/git-core/git", "/usr/bin/git"));
        assert!(!is_part_of("/usr/bin/gitk", "/usr/bin/git"));
    }
}
