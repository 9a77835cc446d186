"""What a program on the demo Mac can do: run another, open a flow and be done, keep one for hours.

Sizes are log-normal, given as the median in bytes and the standard deviation of the logarithm.
"""

import math
import random
import zlib

from . import programs as p

SEED = 1227
OVER_UDP = {"dns", "mdns", "ntp", "quic", "stun"}
DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0
SITES = [
    f"{word}.example"
    for word in (
        "news weather maps wiki forum recipes trains bank school library museum cinema shop books music video photos games sport health "
        "garden bikes travel hotel flights rent jobs code docs packages issues tracker mail calendar notes drive design fonts icons ads "
        "metrics cdn static images auth login pay tickets radio podcasts papers archive history science space physics maths language"
    ).split()
]


class Acts:
    """The acts, told to a Mac's record. `owners` has the process and image of what runs all the time, by program."""

    def __init__(self, mac):
        self.mac, self.random = mac, random.Random(SEED)
        self.owners = {}
        self.fresh_sites = 0

    def run(self, time, parent, program, args):
        """`parent` forks, and the child becomes a program."""
        process = self.mac.fork(time, parent)
        return process, self.mac.execute(time + 0.012, process, program, args)

    def shell(self, time, process, command):
        """`sh -c`: /bin/sh itself becomes bash."""
        self.mac.execute(time, process, p.SH, ["/bin/sh", "-c", command])
        self.mac.execute(time + 0.006, process, p.BASH, ["/bin/sh", "-c", command])

    def python(self, time, parent, args):
        """Apple's python3: a shim becomes the tool, and the tool becomes the app inside its framework. launchd runs it where no parent does."""
        if parent:
            process, _ = self.run(time, parent, p.PYTHON_SHIM, ["python3", *args])
        else:
            process, _ = self.mac.launch(time, p.PYTHON_SHIM, args, label="com.example.hourly-report")
        self.mac.execute(time + 0.05, process, p.PYTHON_STUB, ["python3", *args])
        return process, self.mac.execute(time + 0.09, process, p.PYTHON, [p.PYTHON.path, *args])

    def talk(
        self,
        time,
        owner,
        server,
        out,
        received,
        protocol="tls",
        port=443,
        seconds=None,
        address=None,
        served=None,
        six=False,
        local=None,
    ):
        """A flow that is over soon: one report, at its end, whose time is returned."""
        flow = self.flow(owner, server, protocol, port, address, served, six, local)
        end = time + (seconds or self.random.uniform(0.2, 3))
        flow.report(end, self.size(out), self.size(received), "closed")
        return end

    def keep(self, begin, end, owner, server, out, received, every, protocol="tls", port=443, transport=None):
        """A flow that lasts: a report at its start, every so many seconds, and at its end."""
        flow = self.flow(owner, server, protocol, port, transport=transport)
        flow.report(begin, 0, 0, "open")
        time = begin + every
        while time < end:
            flow.report(time, self.size(out), self.size(received), "update")
            time += every
        flow.report(max(end, begin + 1), self.size(out) / 2, self.size(received) / 2, "closed")

    def flow(self, owner, server, protocol, port, address=None, served=None, six=False, local=None, transport=None):
        transport = transport or ("udp" if protocol in OVER_UDP else "tcp")
        remote = address or located(server, six)
        return self.mac.flow(*owner, f"{remote}:{port}", transport, server, protocol, served, local)

    def site(self):
        """A site of the web: mostly the usual ones, now and then one never seen."""
        if self.random.random() < 0.04:
            self.fresh_sites += 1
            return f"www.found-{self.fresh_sites}.example"
        return "www." + SITES[min(int(self.random.paretovariate(0.6)) - 1, len(SITES) - 1)]

    def moments(self, begin, end, minutes):
        """Times of a Poisson process with so many minutes between two of them."""
        times, time = [], begin + self.random.expovariate(1 / (minutes * MINUTE))
        while time < end:
            times.append(time)
            time += self.random.expovariate(1 / (minutes * MINUTE))
        return times

    def size(self, size):
        median, sigma = size
        return median * math.exp(self.random.gauss(0, sigma))


def located(server, six=False):
    """A documentation address for a name, always the same one, and none that the attack uses (.1 to .99)."""
    number = zlib.crc32(server.encode())
    if six:
        return f"[2001:db8:{number >> 16:x}::{number & 0xFFFF or 1:x}]"
    return f"{('198.51.100', '203.0.113')[number & 1]}.{100 + number % 150}"
