//! The programs that attribution and scoring know by name, with the reason for each table.
//!
//! Apple's are signing identifiers, compared without regard to case; file names stand where no signature names a program.

/// Programs that start or become another one and whose own name says nothing about why. `make`, `git`, `ssh` and the like are not among
/// them: they decide what runs. `g...` are the GNU tools of Homebrew.
pub(super) const WRAPPERS: [&str; 42] = [
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
pub(super) const RUNNERS: [&str; 8] = [
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
pub(super) const BROKERS: [&str; 6] = [
    "com.apple.nsurlsessiond",
    "com.apple.mDNSResponder",
    "com.apple.mDNSResponderHelper",
    "com.apple.WebKit.Networking",
    "com.apple.networkserviceproxy",
    "com.apple.CFNetworkAgent",
];

/// Programs that people and scripts run to reach the network: what macOS ships and attackers use (the living-off-the-land list for macOS; the commands of the Atomic Red Team
/// tests for macOS), and the usual ones of Homebrew.
pub(super) const NETWORK_TOOLS: [&str; 60] = [
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
pub(super) const APPLE_SCRIPTING_HOSTS: [&str; 19] = [
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
pub(super) const VENDOR_SCRIPTING_HOSTS: [(&str, &str); 7] = [
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
pub(super) const SCRIPT_APPS: [&str; 5] =
    ["applet", "droplet", "cocoaapplet", "Application Stub", "Automator Application Stub"];

/// Programs that come in pieces named after them.
pub(super) const MULTI_CALL: [&str; 1] = ["git"];
