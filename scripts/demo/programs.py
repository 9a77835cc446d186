"""The programs of the demo Mac, as code signing knows them.

Paths, signing ids and team ids are those of the real programs. What is called `example` does not exist.
"""

from dataclasses import dataclass

# Code signing flags (xnu, osfmk/kern/cs_blobs.h) as real records show them: an Apple binary of macOS 15, a Developer ID app with the
# hardened runtime, and a build that only the linker signed.
APPLE = 0x26015B11
DEVELOPER_ID = 0x22010301
AD_HOC = 0x22020203


@dataclass(frozen=True)
class Program:
    """An executable file."""

    path: str
    signing_id: str
    team_id: str | None = None
    platform: bool = False

    @property
    def name(self):
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def flags(self):
        """What the kernel says about its signature."""
        if self.platform:
            return APPLE
        return DEVELOPER_ID if self.team_id else AD_HOC


def apple(path, signing_id):
    """A program that is part of macOS."""
    return Program(path, signing_id, platform=True)


CLT = "/Library/Developer/CommandLineTools"
WEBKIT = "com.apple.WebKit.Networking"
CHROME = "/Applications/Google Chrome.app/Contents"
CHROME_HELPER = (
    CHROME + "/Frameworks/Google Chrome Framework.framework/Versions/137.0.7151.56/Helpers"
    "/Google Chrome Helper.app/Contents/MacOS/Google Chrome Helper"
)
CODE = "/Applications/Visual Studio Code.app/Contents"
GOOGLE_UPDATER = (
    "/Users/demo/Library/Application Support/Google/GoogleUpdater/138.0.7194.0"
    "/GoogleUpdater.app/Contents/MacOS/GoogleUpdater"
)
# /usr/bin/python3 and /usr/bin/git are one Mach-O file under many names, which executes the real tool.
SHIM = "com.apple.dt.xcode_select.tool-shim-public"

LAUNCHD = apple("/sbin/launchd", "com.apple.xpc.launchd")
XPCPROXY = apple("/usr/libexec/xpcproxy", "com.apple.xpc.proxy")

MDNS_RESPONDER = apple("/usr/sbin/mDNSResponder", "com.apple.mDNSResponder")
APSD = apple("/System/Library/PrivateFrameworks/ApplePushService.framework/apsd", "com.apple.apsd")
TRUSTD = apple("/usr/libexec/trustd", "com.apple.trustd")
TIMED = apple("/usr/libexec/timed", "com.apple.timed")
CLOUDD = apple("/System/Library/PrivateFrameworks/CloudKitDaemon.framework/Support/cloudd", "com.apple.cloudd")
NSURLSESSIOND = apple("/usr/libexec/nsurlsessiond", "com.apple.nsurlsessiond")
SOFTWAREUPDATED = apple(
    "/System/Library/CoreServices/Software Update.app/Contents/Resources/softwareupdated", "com.apple.softwareupdated"
)
CRON = apple("/usr/sbin/cron", "com.apple.cron")

SAFARI = apple(
    "/System/Volumes/Preboot/Cryptexes/App/System/Applications/Safari.app/Contents/MacOS/Safari", "com.apple.Safari"
)
SAFARI_NETWORKING = apple(
    f"/System/Library/Frameworks/WebKit.framework/Versions/A/XPCServices/{WEBKIT}.xpc/Contents/MacOS/{WEBKIT}", WEBKIT
)
MAIL = apple("/System/Applications/Mail.app/Contents/MacOS/Mail", "com.apple.mail")
TERMINAL = apple("/System/Applications/Utilities/Terminal.app/Contents/MacOS/Terminal", "com.apple.Terminal")
AUTOMATOR = apple("/System/Applications/Automator.app/Contents/MacOS/Automator", "com.apple.Automator")

CHROME_APP = Program(CHROME + "/MacOS/Google Chrome", "com.google.Chrome", "EQHXZ8M8AV")
CHROME_NETWORK = Program(CHROME_HELPER, "com.google.Chrome.helper", "EQHXZ8M8AV")
GOOGLE_UPDATER_APP = Program(GOOGLE_UPDATER, "com.google.GoogleUpdater", "EQHXZ8M8AV")
SLACK = Program("/Applications/Slack.app/Contents/MacOS/Slack", "com.tinyspeck.slackmacgap", "BQR82RBBHL")
SLACK_HELPER = Program(
    "/Applications/Slack.app/Contents/Frameworks/Slack Helper.app/Contents/MacOS/Slack Helper",
    "com.tinyspeck.slackmacgap.helper",
    "BQR82RBBHL",
)
ZOOM = Program("/Applications/zoom.us.app/Contents/MacOS/zoom.us", "us.zoom.xos", "BJ4HAAB9B3")
DROPBOX = Program("/Applications/Dropbox.app/Contents/MacOS/Dropbox", "com.getdropbox.dropbox", "G7HH3F8CAK")
VSCODE = Program(CODE + "/MacOS/Electron", "com.microsoft.VSCode", "UBF8T346G9")
VSCODE_HELPER = Program(
    CODE + "/Frameworks/Code Helper.app/Contents/MacOS/Code Helper", "com.microsoft.VSCode.helper", "UBF8T346G9"
)
BACKUP = Program(
    "/Library/Application Support/Example Backup/Example Backup Agent.app/Contents/MacOS/Example Backup Agent",
    "com.example.backup.agent",
    "EXAMPLE123",
)

LOGIN = apple("/usr/bin/login", "com.apple.login")
SH = apple("/bin/sh", "com.apple.sh")
BASH = apple("/bin/bash", "com.apple.bash")
ZSH = apple("/bin/zsh", "com.apple.zsh")
ENV = apple("/usr/bin/env", "com.apple.env")
CURL = apple("/usr/bin/curl", "com.apple.curl")
SSH = apple("/usr/bin/ssh", "com.apple.openssh")
OSASCRIPT = apple("/usr/bin/osascript", "com.apple.osascript")
GIT_SHIM = apple("/usr/bin/git", SHIM)
GIT = apple(CLT + "/usr/bin/git", "com.apple.git")
GIT_REMOTE_HTTPS = apple(CLT + "/usr/libexec/git-core/git-remote-http", "com.apple.git-remote-http")
PYTHON_SHIM = apple("/usr/bin/python3", SHIM)
PYTHON_STUB = apple(CLT + "/Library/Frameworks/Python3.framework/Versions/3.9/bin/python3.9", "com.apple.python3")
PYTHON = apple(
    CLT + "/Library/Frameworks/Python3.framework/Versions/3.9/Resources/Python.app/Contents/MacOS/Python",
    "com.apple.python3",
)
BREW_RUBY = Program("/opt/homebrew/Library/Homebrew/vendor/portable-ruby/3.4.4/bin/ruby", "ruby")

# What the attack brings: a disk image's app that nobody signed but the linker.
INVOICE_VIEWER = Program(
    "/Users/demo/Downloads/Invoice Viewer.app/Contents/MacOS/Invoice Viewer", "invoice_viewer-55554944a1b2c3d4"
)
