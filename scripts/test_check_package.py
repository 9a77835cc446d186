#!/usr/bin/env python3
"""Shows that scripts/check_package.py refuses what it should: `test_check_package.py [CHECK'S OPTIONS] PACKAGE`.

A good package is taken apart, one fault is planted, it is packed again, and the check must name the fault. Packed again without a fault it
must pass, so that no fault is found for the packing's sake.
"""

import argparse
import gzip
import plistlib
import stat
import struct
import sys
from copy import deepcopy
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "darwin"))
import check_package as check  # noqa: E402
import pkg  # noqa: E402

PROGRAM = f"{check.CONTENTS}/MacOS/tidemark"


class Package:
    """A package that was taken apart."""

    def __init__(self, data, arguments):
        members = check.read_xar(data)
        self.arguments = arguments
        self.payload = self.entries(members["tidemark.pkg/Payload"])
        self.scripts = self.entries(members["tidemark.pkg/Scripts"])
        self.minimum_os = arguments.minimum_os

    @staticmethod
    def entries(member):
        laid = check.read_cpio(gzip.decompress(member))
        return {name: pkg.Entry(name, e.mode, e.data, e.owner, e.group) for name, e in laid.items()}

    def pack(self):
        arguments = self.arguments
        parts = (list(self.payload.values()), list(self.scripts.values()))
        return pkg.package(*parts, arguments.identifier, arguments.version, self.minimum_os)

    @property
    def job(self):
        return self.payload[f"./Library/LaunchDaemons/{self.arguments.identifier}.plist"]

    def edit(self, entry, **changes):
        entry.data = plistlib.dumps({**plistlib.loads(entry.data), **changes})

    def program(self, old, new):
        """Puts other bytes of the same length into the program."""
        data = self.payload[PROGRAM].data
        assert len(old) == len(new) and old in data, old
        self.payload[PROGRAM].data = data.replace(old, new)


def owner(package):
    package.job.owner = 501


def group_writable(package):
    package.job.mode |= stat.S_IWGRP


def setuid(package):
    package.payload[PROGRAM].mode |= stat.S_ISUID


def link(package):
    package.payload["./Library/x"] = pkg.Entry("./Library/x", stat.S_IFLNK | 0o755, b"/etc")


def outside(package):
    package.payload["./etc"] = pkg.Entry("./etc", stat.S_IFREG | 0o644, b"x")


def label(package):
    package.edit(package.job, Label="com.example.other")


def moved_program(package):
    package.edit(package.job, ProgramArguments=["/usr/local/bin/tidemark", "run"])


def lowered_priority(package):
    package.edit(package.job, ProcessType="Background")


def broken_plist(package):
    package.job.data = package.job.data.replace(b"</dict>", b"", 1)


def version(package):
    package.edit(package.payload[f"{check.CONTENTS}/Info.plist"], CFBundleVersion="9.9.9")


def unsealed(package):
    name = f"{check.CONTENTS}/extra.txt"
    package.payload[name] = pkg.Entry(name, stat.S_IFREG | 0o644, b"x")


def flipped_byte(package):
    data = bytearray(package.payload[PROGRAM].data)
    # In the first page of the first program, behind the load commands of any size.
    (offset,) = struct.unpack_from(">I", data, 16)
    data[offset + 0x3FFF] ^= 1
    package.payload[PROGRAM].data = bytes(data)


def newer_macos(package):
    platform, thirteen, newest = 1, 13 << 16, 26 << 16
    data = package.payload[PROGRAM].data
    at = data.find(struct.pack("<2I", platform, thirteen))
    assert at > 0
    package.payload[PROGRAM].data = data[:at] + struct.pack("<2I", platform, newest) + data[at + 8 :]


def foreign_library(package):
    package.program(b"/usr/lib/libbsm.0.dylib", b"/usr/lib/libbsm.9.dylib")


def one_cpu(package):
    data = package.payload[PROGRAM].data
    _, _, offset, size, _ = struct.unpack_from(">5I", data, 8)
    package.payload[PROGRAM].data = data[offset : offset + size]


def no_postinstall(package):
    del package.scripts["./postinstall"]


def script_mode(package):
    package.scripts["./preinstall"].mode &= ~0o111


def distribution(package):
    package.minimum_os = "11.0"


def no_uninstaller(package):
    del package.payload[f"{check.HOME}/uninstall.sh"]


def rotation(package):
    name = f"./private/etc/newsyslog.d/{package.arguments.identifier}.conf"
    package.payload[name].data = b"/Library/Logs/Tidemark/stderr.log rotate please\n"


FAULTS = {
    owner: "belongs to 501",
    group_writable: "its mode is 664",
    setuid: "its mode is 4755",
    link: "neither file nor folder",
    outside: "no place for a file of ours",
    label: "the label is com.example.other",
    moved_program: "it starts /usr/local/bin/tidemark",
    lowered_priority: "no lowered priority",
    broken_plist: "no property list",
    version: "CFBundleVersion is 9.9.9",
    unsealed: "extra.txt is not sealed",
    flipped_byte: "are not what was signed",
    newer_macos: "it needs macOS 26.0",
    foreign_library: "which is on no list",
    one_cpu: "it is for",
    no_postinstall: "there is no postinstall",
    script_mode: "preinstall is not executable",
    distribution: "the oldest macOS is 11.0",
    no_uninstaller: "it is missing",
    rotation: "no rule of newsyslog's",
}


def bom_that_lacks_a_file(package):
    """What the payload has and the receipt has not."""
    whole = pkg.Bom
    pkg.Bom = lambda entries: whole(entries[:-1])
    try:
        return package.pack()
    finally:
        pkg.Bom = whole


def main():
    arguments = check.parse(sys.argv[1:])
    data = arguments.package.read_bytes()
    # Packed many times, and read once each.
    pkg.COMPRESSION = 1
    good = Package(data, arguments)
    missed = [f"packed again without a fault: {what}" for what in check.faults(arguments, good.pack())]

    def must_say(name, words, options, packed):
        said = check.faults(options, packed)
        if not any(words in what for what in said):
            missed.append(f"{name}: not found; said {said[:3]}")

    for plant, words in FAULTS.items():
        package = deepcopy(good)
        plant(package)
        must_say(plant.__name__, words, arguments, package.pack())
    must_say("bom_that_lacks_a_file", "stands only in the payload", arguments, bom_that_lacks_a_file(good))
    must_say("cut", "cannot be read", arguments, data[: len(data) // 2])
    middle = len(data) // 2
    must_say("flipped in the archive", "checksum is another", arguments, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    other = argparse.Namespace(**{**vars(arguments), "entitled": not arguments.entitled})
    must_say("the entitlement", "the entitlement com.apple.developer.endpoint-security.client", other, data)
    must_say("the team", "signed it", argparse.Namespace(**{**vars(arguments), "team_id": "ZZZZZ99999"}), data)
    for what in missed:
        print(what, file=sys.stderr)
    if missed:
        sys.exit(1)
    print(f"{len(FAULTS) + 5} planted faults were found")


if __name__ == "__main__":
    main()
