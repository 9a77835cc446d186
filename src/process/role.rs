//! What kinds of program there are, as far as attribution and scoring care.
//!
//! Apple's programs are known by their signing identifier wherever they lie and whatever they are called, so a copy of `/bin/zsh` is a shell. All
//! others are known by file name, and not at all where they are [volatile](super::identity::is_volatile): malware called `sh` in `/tmp` is
//! then nobody's glue and stands in the open as the initiator of what it starts.

use super::facts::{Identity, Role};
use super::interpreter::Language;
use super::{identity, path};
use crate::observation::CodeSigning;

/// What a program is to attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        let vendor = VENDOR_SCRIPTING_HOSTS
            .iter()
            .any(|(team, host)| signing.team_id.as_deref() == Some(team) && host.eq_ignore_ascii_case(id));
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

/// The label that launchd gave a job, without what differs from instance to instance; `None` where it names no job: `0` outside of
/// launchd's jobs, `application.*` for apps, which have an identity of their own.
pub(super) fn job(xpc_service_name: &str) -> Option<String> {
    (!xpc_service_name.is_empty()
        && xpc_service_name != "0"
        && !xpc_service_name.starts_with(APPLICATION_LABEL))
    .then(|| super::token::fold(xpc_service_name))
}

/// The bundle identifier in an app's label `application.<bundle id>.<n>.<n>`.
pub(super) fn application_label(xpc_service_name: &str) -> Option<&str> {
    let mut bundle = xpc_service_name.strip_prefix(APPLICATION_LABEL)?;
    while let Some((front, number)) = bundle.rsplit_once('.') {
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        bundle = front;
    }
    (!bundle.is_empty()).then_some(bundle)
}

/// The identity of a job of launchd as an initiator.
pub(super) fn launchd_identity(label: &str) -> Identity {
    Identity::new(format!("launchd:{label}"))
}

const APPLICATION_LABEL: &str = "application.";

/// Programs that start or become another one and whose own name says nothing about why. `make`, `git`, `ssh` and the like are not among
/// them: they decide what runs. `g...` are the GNU tools of Homebrew.
const WRAPPERS: [&str; 42] = [
    "arch",
    "asdf",
    "caffeinate",
    "chroot",
    "direnv",
    "doas",
    "env",
    "flock",
    "genv",
    "gnice",
    "gnohup",
    "gstdbuf",
    "gtime",
    "gtimeout",
    "gxargs",
    "ionice",
    "launchctl",
    "login",
    "mise",
    "nice",
    "nohup",
    "sandbox-exec",
    "script",
    "security_authtrampoline",
    "setsid",
    "sshd-keygen-wrapper",
    "start-stop-daemon",
    "stdbuf",
    "su",
    "sudo",
    "taskpolicy",
    "time",
    "timeout",
    "tini",
    "unbuffer",
    "volta-shim",
    "watch",
    "xargs",
    "xcrun",
    "xcode-select",
    "xpcproxy",
    "dumb-init",
];

/// XPC services and helpers that launchd starts and that run scripts for an app (chains of Elastic's rules and of a trace of Shortcuts on
/// macOS 12): Automator's runner and services, the Shortcuts helpers, folder actions and `NSUserScriptTask`.
const RUNNERS: [&str; 8] = [
    "com.apple.automator.runner",
    "com.apple.automator.xpc.workflowServiceRunner",
    "com.apple.automator.WorkflowServiceRunner",
    "com.apple.WorkflowKit.BackgroundShortcutRunner",
    "com.apple.WorkflowKit.MacHelper",
    "com.apple.shortcuts.MacHelper",
    "com.apple.foundation.UserScriptService",
    "com.apple.FolderActionsDispatcher",
];

/// Daemons whose sockets carry the traffic of others, with the reason:
/// - `nsurlsessiond` transfers in the background for apps, also when they do not run;
/// - `mDNSResponder` asks DNS for everybody and marks the asker on its sockets (`mDNSMacOSX.c`);
/// - `com.apple.WebKit.Networking` is the network process of every app that shows web pages, and one of many instances;
/// - `networkserviceproxy` carries Private Relay;
/// - `CFNetworkAgent` finds proxies and credentials for the URL loading of others.
const BROKERS: [&str; 6] = [
    "com.apple.nsurlsessiond",
    "com.apple.mDNSResponder",
    "com.apple.mDNSResponderHelper",
    "com.apple.WebKit.Networking",
    "com.apple.networkserviceproxy",
    "com.apple.CFNetworkAgent",
];

/// Programs that people and scripts run to reach the network: what macOS ships and attackers use (the living-off-the-land list for macOS; the commands of the Atomic Red Team
/// tests for macOS), and the usual ones of Homebrew.
const NETWORK_TOOLS: [&str; 60] = [
    "aria2c",
    "aws",
    "axel",
    "az",
    "chisel",
    "cloudflared",
    "curl",
    "dig",
    "dns-sd",
    "doctl",
    "drill",
    "finger",
    "frpc",
    "ftp",
    "gcloud",
    "gh",
    "git",
    "gost",
    "gsutil",
    "host",
    "http",
    "https",
    "iodine",
    "lftp",
    "lynx",
    "mc",
    "mosh-client",
    "nc",
    "ncat",
    "netcat",
    "ngrok",
    "nmap",
    "nscurl",
    "nslookup",
    "openssh",
    "openssl",
    "ping",
    "ping6",
    "rclone",
    "restic",
    "rsync",
    "s3cmd",
    "scp",
    "sftp",
    "slogin",
    "smbutil",
    "snmpget",
    "socat",
    "ssh",
    "ssh-keyscan",
    "sshfs",
    "sslocal",
    "tailscale",
    "telnet",
    "tftp",
    "tnftp",
    "w3m",
    "wget",
    "wget2",
    "xh",
];

/// Apple's programs that run scripts or documents of others. osascript and the Automator and Shortcuts family: AN1227's own examples. Mail and
/// Preview: what they start was sent to somebody.
const APPLE_SCRIPTING_HOSTS: [&str; 19] = [
    "com.apple.osascript",
    "com.apple.Automator",
    "com.apple.automator.runner",
    "com.apple.automator.xpc.workflowServiceRunner",
    "com.apple.automator.WorkflowServiceRunner",
    "com.apple.AutomatorRunner",
    "com.apple.ScriptEditor2",
    "com.apple.ScriptMonitor",
    "com.apple.ScriptMenuApp",
    "com.apple.shortcuts",
    "com.apple.shortcuts.ShortcutsCommandLine",
    "com.apple.shortcuts.MacHelper",
    "com.apple.siriactionsd",
    "com.apple.WorkflowKit.BackgroundShortcutRunner",
    "com.apple.WorkflowKit.MacHelper",
    "com.apple.foundation.UserScriptService",
    "com.apple.FolderActionsDispatcher",
    "com.apple.mail",
    "com.apple.Preview",
];

/// Programs of others that run macros or open what was sent: team and signing identifier.
const VENDOR_SCRIPTING_HOSTS: [(&str, &str); 7] = [
    ("UBF8T346G9", "com.microsoft.Word"),
    ("UBF8T346G9", "com.microsoft.Excel"),
    ("UBF8T346G9", "com.microsoft.Powerpoint"),
    ("UBF8T346G9", "com.microsoft.Outlook"),
    ("UBF8T346G9", "com.microsoft.onenote.mac"),
    ("JQ525L2MZD", "com.adobe.Reader"),
    ("7P5S3ZLCN7", "org.libreoffice.script"),
];

/// Main executables of exported scripts, whoever signed them: AppleScript's applet and droplet, Cocoa-AppleScript's, and Automator's
/// stub under both of its names.
const SCRIPT_APPS: [&str; 5] =
    ["applet", "droplet", "cocoaapplet", "Application Stub", "Automator Application Stub"];

/// Programs that come in pieces named after them.
const MULTI_CALL: [&str; 1] = ["git"];

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

    #[test]
    fn labels_lose_what_differs_between_instances() {
        assert_eq!(job("com.example.job").as_deref(), Some("com.example.job"));
        assert_eq!(
            job("com.apple.xpc.launchd.oneshot.0x10000005.curl").as_deref(),
            Some("com.apple.xpc.launchd.oneshot.*.curl")
        );
        assert_eq!(job("0"), None);
        assert_eq!(job(""), None);
        assert_eq!(job("application.com.apple.Terminal.1152921500311883555.1152921500311883560"), None);
        assert_eq!(
            application_label("application.com.apple.Terminal.1152921500311883555.1152921500311883560"),
            Some("com.apple.Terminal")
        );
        assert_eq!(application_label("com.example.job"), None);
    }
}
