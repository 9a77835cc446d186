"""The ordinary life of the demo Mac: what its daemons, apps and its user do, day by day, from one seed.

Every number here is an assumption: how often, how much, to how many places. The sizes are log-normal, given as the median in bytes
and the standard deviation of the logarithm.
"""

import math

from . import programs as p
from .acts import DAY, HOUR, MINUTE, Acts
from .mac import DEMO_USER, HOME

ROUTER = "192.0.2.1"
WORKDAYS = range(5)

# Programs that talk by themselves while the Mac is awake: minutes between flows, bytes out, bytes in, protocol, port, servers.
CHATTER = [
    (p.TRUSTD, 45, (900, 0.5), (4_500, 0.8), "http", 80, ["ocsp2.apple.com", "crl.apple.com"]),
    (p.TIMED, 300, (96, 0.2), (96, 0.2), "ntp", 123, ["time.apple.com"]),
    (p.CLOUDD, 14, (9_000, 0.9), (14_000, 1.0), "tls", 443, ["gateway.icloud.com", "p62-ckdatabase.icloud.com"]),
    (p.SOFTWAREUPDATED, 350, (7_000, 0.5), (60_000, 0.7), "tls", 443, ["gdmf.apple.com", "swscan.apple.com"]),
    (p.GOOGLE_UPDATER_APP, 62, (6_000, 0.3), (11_000, 0.5), "tls", 443, ["update.googleapis.com"]),
    (p.MAIL, 6, (4_000, 0.8), (24_000, 1.2), "tls", 993, ["imap.mail.example"]),
    (
        p.SLACK_HELPER,
        8,
        (14_000, 0.9),
        (60_000, 1.1),
        "tls",
        443,
        ["slack.com", "files.slack.com", "edgeapi.slack.com"],
    ),
    (p.DROPBOX, 12, (18_000, 1.1), (26_000, 1.1), "tls", 443, ["client.dropbox.com", "block.dropbox.com"]),
    (
        p.VSCODE_HELPER,
        35,
        (9_000, 0.9),
        (40_000, 1.1),
        "tls",
        443,
        ["default.exp-tas.com", "marketplace.visualstudio.com"],
    ),
]
# Programs that keep one connection while the Mac is awake: bytes out and in of every report, seconds between reports.
LASTING = [
    (p.APSD, (900, 0.5), (1_100, 0.6), 1_800, "tls", 5223, "courier.push.apple.com"),
    (p.SLACK_HELPER, (5_000, 0.6), (16_000, 0.8), 1_200, "tls", 443, "wss-primary.slack.com"),
    (p.DROPBOX, (1_200, 0.4), (1_500, 0.5), 1_800, "tls", 443, "bolt.dropbox.com"),
]
# What the user hands over, by program: minutes between two such acts, bytes out, the server.
SHARED = [
    (p.CHROME_NETWORK, 130, (4e6, 1.0), "upload.drive.example"),
    (p.DROPBOX, 110, (5e6, 1.2), "block.dropbox.com"),
    (p.SLACK_HELPER, 140, (700_000, 1.1), "files.slack.com"),
]


class Life(Acts):
    """Fills a Mac's record from its boot on."""

    def start(self, time):
        """The system boots and its user logs in."""
        daemons = [p.MDNS_RESPONDER, p.APSD, p.TRUSTD, p.TIMED, p.NSURLSESSIOND, p.SOFTWAREUPDATED, p.CRON, p.BACKUP]
        for n, program in enumerate(daemons):
            self.owners[program] = self.mac.launch(
                time + 3 + n * 0.4, program, user=0 if program is not p.NSURLSESSIOND else 501
            )
        self.owners[p.CLOUDD] = self.mac.launch(time + 21, p.CLOUDD)
        for n, program in enumerate([p.SLACK, p.MAIL, p.DROPBOX, p.VSCODE, p.CHROME_APP, p.SAFARI, p.TERMINAL]):
            self.owners[program] = self.mac.open(time + 40 + n * 6, program)
        self.owners[p.SAFARI_NETWORKING] = self.mac.launch(
            time + 90, p.SAFARI_NETWORKING, responsible=self.owners[p.SAFARI][0]
        )
        for n, (app, helper) in enumerate(
            [(p.SLACK, p.SLACK_HELPER), (p.CHROME_APP, p.CHROME_NETWORK), (p.VSCODE, p.VSCODE_HELPER)]
        ):
            process = self.mac.fork(time + 92 + n, self.owners[app][0])
            kind = "--type=utility", "--utility-sub-type=network.mojom.NetworkService"
            self.owners[helper] = process, self.mac.execute(time + 92.01 + n, process, helper, [helper.path, *kind])
        self.owners[p.GOOGLE_UPDATER_APP] = self.mac.launch(
            time + 110, p.GOOGLE_UPDATER_APP, ["--server", "--service=update"]
        )

    def day(self, midnight, number, until=DAY):
        """One day. `number` counts from a Monday; nothing happens after `until` seconds."""
        weekday = number % 7
        present = [span for span in self.presence(weekday) if span[0] < until]
        present = [(midnight + begin, midnight + min(end, until)) for begin, end in present]
        for begin, end in present:
            self.background(begin - 4 * MINUTE, end + 6 * MINUTE)
            self.browse(begin, end, p.CHROME_NETWORK, 9)
            self.browse(begin, end, p.SAFARI_NETWORKING, 31)
            self.share(begin, end)
            self.jobs(begin, end)
            if weekday in WORKDAYS:
                self.develop(begin, end, number)
                self.send_mail(begin, end)
                self.meet(begin, end)
        for hour in (2.2, 5.1):
            if number > 0:  # the Mac wakes in the dark; it boots on the first morning
                self.background(midnight + hour * HOUR, midnight + hour * HOUR + 3 * MINUTE)
        if present and weekday in WORKDAYS:
            begin, _ = present[0]
            self.back_up(begin + 10 * MINUTE)
            if number in (1, 4, 8, 11):
                self.brew(begin + 31 * MINUTE)
            if number == 3:
                self.update_system(begin + 50 * MINUTE)
            if number in (2, 7, 9):
                self.script_without_network(begin + 77 * MINUTE)

    def presence(self, weekday):
        """When the user sits at the Mac, in seconds of the day."""

        def around(hour, spread):
            return (hour + self.random.gauss(0, spread)) * HOUR

        if weekday in WORKDAYS:
            spans = [(around(8.6, 0.15), around(12.2, 0.15)), (around(13.1, 0.1), around(17.6, 0.3))]
            if self.random.random() < 0.4:
                spans.append((around(20.4, 0.2), around(21.6, 0.2)))
            return spans
        begin = around(10.8 if weekday == 5 else 18.5, 0.4)
        return [(begin, begin + self.random.uniform(0.8, 2.0) * HOUR)]

    # What runs by itself.

    def background(self, begin, end):
        for program, minutes, out, received, protocol, port, servers in CHATTER:
            for time in self.moments(begin, end, minutes):
                self.talk(time, self.owners[program], self.random.choice(servers), out, received, protocol, port)
        for program, out, received, every, protocol, port, server in LASTING:
            self.keep(
                begin + self.random.uniform(1, 20),
                end - 1,
                self.owners[program],
                server,
                out,
                received,
                every,
                protocol,
                port,
            )
        resolver = self.owners[p.MDNS_RESPONDER]
        for time in self.moments(begin, end, 6):
            self.talk(time, resolver, None, (420, 0.6), (1_300, 0.6), "dns", 53, address=ROUTER)
        for time in self.moments(begin, end, 25):
            self.talk(time, resolver, None, (900, 0.5), (2_600, 0.7), "mdns", 5353, address="224.0.0.251", local=5353)
        for time in self.moments(begin, end, 40):
            # nsurlsessiond transfers for others: here for Mail and Safari.
            served = self.owners[self.random.choice([p.MAIL, p.SAFARI])][0]
            size = (5_000, 0.9), (30_000, 1.4)
            self.talk(time, self.owners[p.NSURLSESSIOND], "init.itunes.apple.com", *size, "tls", 443, served=served)

    def jobs(self, begin, end):
        """An hourly agent that sends a report, and a crontab's heartbeat."""
        for hour in range(math.ceil(begin / HOUR), math.ceil(end / HOUR)):
            time = hour * HOUR + 1 + self.random.random()
            owner = self.python(time, None, [f"{HOME}/bin/hourly_report.py"])
            end = self.talk(time + 1, owner, "reports.team.example", (42_000, 0.25), (6_000, 0.3))
            self.mac.exit(end + 0.1, owner[0])

            child = self.mac.fork(time + 5, self.owners[p.CRON][0], user=501)
            ping = ["curl", "-fsS", "https://alive.team.example/demo-mac"]
            self.shell(time + 5.01, child, " ".join(ping))
            image = self.mac.execute(time + 5.03, child, p.CURL, ping)
            end = self.talk(time + 5.1, (child, image), "alive.team.example", (850, 0.1), (5_200, 0.1))
            self.mac.exit(end + 0.01, child)

    def back_up(self, begin):
        self.keep(
            begin,
            begin + self.random.uniform(9, 16) * MINUTE,
            self.owners[p.BACKUP],
            "vault.backup.example",
            (14e6, 0.35),
            (9_000, 0.3),
            60,
        )

    def update_system(self, begin):
        self.keep(
            begin, begin + 8 * MINUTE, self.owners[p.SOFTWAREUPDATED], "swcdn.apple.com", (40_000, 0.3), (90e6, 0.2), 60
        )

    # What the user does with apps.

    def browse(self, begin, end, browser, minutes):
        for time in self.moments(begin, end, minutes):
            for _ in range(self.random.randint(1, 4)):
                quic = self.random.random() < 0.35
                self.talk(
                    time + self.random.uniform(0, 20), self.owners[browser], self.site(), (5_500, 1.0), (160_000, 1.5),
                    "quic" if quic else "tls", 443, six=self.random.random() < 0.3,
                )  # fmt: skip
        for time in self.moments(begin, end, minutes * 9):
            self.talk(time, self.owners[browser], self.site(), (1_100, 0.5), (18_000, 1.0), "http", 80)

    def share(self, begin, end):
        """Attachments, pictures, a folder that is synchronised."""
        for program, minutes, out, server in SHARED:
            for time in self.moments(begin, end, minutes):
                self.talk(time, self.owners[program], server, out, (9_000, 0.5), seconds=self.random.uniform(3, 25))

    def send_mail(self, begin, end):
        for time in self.moments(begin, end, 70):
            self.talk(time, self.owners[p.MAIL], "smtp.mail.example", (30_000, 1.3), (3_500, 0.3), "smtp", 587)

    def meet(self, begin, end):
        """A call with pictures, the very first one included."""
        if self.random.random() < 0.6:
            begin = self.random.uniform(begin + 20 * MINUTE, end - 50 * MINUTE)
            end = begin + self.random.uniform(18, 40) * MINUTE
            owner = self.mac.open(begin, p.ZOOM)
            self.talk(begin + 3, owner, "us04web.zoom.us", (40_000, 0.5), (300_000, 0.6), seconds=8)
            self.talk(begin + 6, owner, "zoomams42mmr.zoom.us", (600, 0.2), (700, 0.2), "stun", 3478)
            # Zoom wraps its media in headers of its own, which nobody's recogniser takes for RTP.
            self.keep(begin + 8, end, owner, "zoomams42mmr.zoom.us", (22e6, 0.3), (38e6, 0.4), 240, "unknown", 8801, "udp")
            self.mac.exit(end + 5, owner[0])

    # What the user does in a terminal and an editor.

    def develop(self, begin, end, number):
        login, shell = self.tab(begin + 30, f"/dev/ttys{number % 7:03}")
        for n, time in enumerate(self.moments(begin + 2 * MINUTE, end, 16)):
            [self.curl, self.git_https, self.run_python, self.git_ssh, self.pip, self.curl][n % 6](time, shell)
        if number % 2 == 0 and end - begin > 2 * HOUR:
            self.ssh(begin + 40 * MINUTE, begin + self.random.uniform(60, 100) * MINUTE, shell)
        editor = self.owners[p.VSCODE_HELPER][0]
        for time in self.moments(begin, end, 40):
            self.git_https(time, editor)
        self.mac.exit(end + MINUTE, shell)
        self.mac.exit(end + MINUTE + 0.01, login)

    def tab(self, time, tty):
        """A new tab of Terminal: login, and under it the shell."""
        login = self.mac.fork(time, self.owners[p.TERMINAL][0])
        login.env = ["XPC_SERVICE_NAME=0", "__CFBundleIdentifier=com.apple.Terminal", "TERM=xterm-256color"]
        login.tty, login.user = tty, 0
        self.mac.execute(time + 0.01, login, p.LOGIN, ["login", "-pf", "demo"])
        shell = self.mac.fork(time + 0.2, login, user=DEMO_USER)
        self.mac.execute(time + 0.21, shell, p.ZSH, ["-zsh"])
        return login, shell

    def curl(self, time, shell):
        host = self.random.choice(
            ["api.github.com", "staging.team.example", "httpbin.example", "raw.githubusercontent.com"]
        )
        owner = self.run(time, shell, p.CURL, ["curl", "-s", f"https://{host}/v1/status"])
        end = self.talk(time + 0.1, owner, host, (1_300, 0.6), (24_000, 1.3))
        self.mac.exit(end + 0.01, owner[0])

    def git(self, time, parent, *args):
        process, _ = self.run(time, parent, p.GIT_SHIM, ["git", *args])
        self.mac.execute(time + 0.04, process, p.GIT, ["git", *args])
        return process

    def git_https(self, time, parent):
        git = self.git(time, parent, "fetch", "--prune")
        owner = self.run(
            time + 0.1, git, p.GIT_REMOTE_HTTPS, ["git-remote-https", "origin", "https://github.com/demo/tide.git"]
        )
        end = self.talk(time + 0.2, owner, "github.com", (6_000, 0.7), (32_000, 1.3))
        self.mac.exit(end + 0.01, owner[0])
        self.mac.exit(end + 0.1, git)

    def git_ssh(self, time, parent):
        git = self.git(time, parent, "push")
        owner = self.run(time + 0.1, git, p.SSH, ["ssh", "git@git.team.example", "git-receive-pack 'tide.git'"])
        end = self.talk(time + 0.2, owner, "git.team.example", (26_000, 1.0), (7_000, 0.4), "ssh", 22)
        self.mac.exit(end + 0.01, owner[0])
        self.mac.exit(end + 0.1, git)

    def ssh(self, begin, end, shell):
        owner = self.run(begin, shell, p.SSH, ["ssh", "build.team.example"])
        self.keep(begin + 0.1, end, owner, "build.team.example", (9_000, 0.8), (60_000, 1.0), 300, "ssh", 22)
        self.mac.exit(end + 1, owner[0])

    def run_python(self, time, shell):
        owner = self.python(time, shell, ["etl.py"])
        self.talk(time + 0.8, owner, "warehouse.team.example", (30_000, 1.0), (220_000, 1.2))
        self.mac.exit(time + 20, owner[0])

    def pip(self, time, shell):
        owner = self.python(time, shell, ["-m", "pip", "install", "-r", "requirements.txt"])
        self.talk(time + 0.8, owner, "pypi.org", (4_000, 0.5), (90_000, 0.9))
        self.talk(time + 1.9, owner, "files.pythonhosted.org", (2_500, 0.5), (1.5e6, 1.2))
        self.mac.exit(time + 9, owner[0])

    def brew(self, time):
        """brew is a shell script that hands over to Ruby, which downloads with curl."""
        login, shell = self.tab(time, "/dev/ttys009")
        brew = self.mac.fork(time + 2, shell)
        self.mac.execute(
            time + 2.01,
            brew,
            p.BASH,
            ["/bin/bash", "-p", "/opt/homebrew/bin/brew", "upgrade"],
            script="/opt/homebrew/bin/brew",
        )
        self.mac.execute(time + 2.3, brew, p.BREW_RUBY, ["ruby", "/opt/homebrew/Library/Homebrew/brew.rb", "upgrade"])
        for n in range(self.random.randint(2, 5)):
            begin = time + 5 + n * 20
            owner = self.run(
                begin, brew, p.CURL, ["/usr/bin/curl", "--disable", "--fail", "--location", "--remote-time"]
            )
            self.talk(
                begin + 0.1,
                owner,
                self.random.choice(["ghcr.io", "formulae.brew.sh"]),
                (3_000, 0.6),
                (4e6, 1.1),
                seconds=6,
            )
            self.mac.exit(begin + 8, owner[0])
        self.mac.exit(time + 130, brew)
        self.mac.exit(time + 140, shell)
        self.mac.exit(time + 140.01, login)

    def script_without_network(self, time):
        """osascript and Automator run in an ordinary life, too, and open no socket."""
        login, shell = self.tab(time, "/dev/ttys008")
        told, _ = self.run(time + 5, shell, p.OSASCRIPT, ["osascript", "-e", 'display notification "built"'])
        for n, process in enumerate([told, shell, login]):
            self.mac.exit(time + 6 + n, process)
        automator, _ = self.mac.open(time + 60, p.AUTOMATOR)
        self.mac.exit(time + 400, automator)
