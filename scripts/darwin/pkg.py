#!/usr/bin/env python3
"""Writes an installer package for macOS, with nothing but Python:
`pkg.py --root DIR --scripts DIR --identifier ID --version V --minimum-os V --output FILE`.

A package is an archive of the kind XAR with a `Distribution`, which says what may be installed where, and one component: `Payload`
and `Scripts` (cpio in its old portable form, gzip), `Bom` (what the payload lays down, as the installer's receipt) and `PackageInfo`. Apple
publishes none of these forms; they are written as its own tools write them, and read back by `scripts/check_package.py`.

What is laid down belongs to root:wheel, whoever builds the package. The same input gives the same bytes: times are SOURCE_DATE_EPOCH.
"""

import argparse
import gzip
import hashlib
import os
import stat
import struct
import sys
import zlib
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

ROOT = WHEEL = 0
ADMIN = 80
# Folders of the system whose owners are others than root:wheel; a package that says otherwise would change them.
SYSTEM_FOLDERS = {"./Library/Application Support": ADMIN}
COMPRESSION = 9
# 2026-01-01, for builds that name no time.
DEFAULT_TIME = 1767225600


@dataclass
class Entry:
    """A file, folder or link as it is laid down."""

    name: str
    mode: int
    data: bytes = b""
    owner: int = ROOT
    group: int = WHEEL
    time: int = DEFAULT_TIME

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self):
        return stat.S_ISLNK(self.mode)


def read_tree(root, time):
    """The entries of a folder, parents before their members. Modes are those of a release, not of the builder's umask."""
    entries = []
    for path in [root, *sorted(root.rglob("*"), key=lambda path: path.relative_to(root).parts)]:
        name = "./" + path.relative_to(root).as_posix() if path != root else "."
        if path.is_symlink():
            entries.append(Entry(name, stat.S_IFLNK | 0o755, os.readlink(path).encode(), time=time))
        elif path.is_dir():
            group = SYSTEM_FOLDERS.get(name, WHEEL)
            entries.append(Entry(name, stat.S_IFDIR | 0o755, group=group, time=time))
        else:
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            entries.append(Entry(name, stat.S_IFREG | mode, path.read_bytes(), time=time))
    return entries


def cpio(entries):
    """The entries in the portable ASCII form (`odc`, POSIX.1-1990)."""
    out = bytearray()
    for inode, entry in enumerate([*entries, Entry("TRAILER!!!", 0, time=0)], 1):
        name = entry.name.encode() + b"\0"
        links = 2 if entry.is_folder else 1
        fields = [(0, 6), (inode, 6), (entry.mode, 6), (entry.owner, 6), (entry.group, 6), (links, 6), (0, 6)]
        fields += [(entry.time, 11), (len(name), 6), (len(entry.data), 11)]
        out += b"070707" + b"".join(b"%0*o" % (width, value) for value, width in fields) + name + entry.data
    return bytes(out)


def posix_cksum(data):
    """The checksum of POSIX's `cksum`, which a Bom keeps of each file: the CRC of zlib with the bits of each byte, and of the result, in
    the other order, over the bytes and then their number, least byte first."""
    length = len(data)
    data += length.to_bytes((length.bit_length() + 7) // 8, "little")
    crc = zlib.crc32(data.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2) ^ 0xFFFFFFFF


REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Bom:
    """A bill of materials: numbered blocks, some of which have names."""

    HEADER = 512
    PATHS_BLOCK, OTHER_BLOCK = 4096, 128
    # Of a path's block: it is a leaf, and holds pairs of block numbers after 12 bytes.
    PATHS_A_LEAF = (PATHS_BLOCK - 12) // 8

    def __init__(self, entries):
        if len(entries) > self.PATHS_A_LEAF:
            sys.exit(f"pkg: {len(entries)} paths; one leaf of a Bom holds {self.PATHS_A_LEAF}")
        self.blocks = [b""]
        pairs, numbers = [], {}
        for number, entry in enumerate(entries, 1):
            numbers[entry.name] = number
            parent = numbers.get(os.path.dirname(entry.name), 0)
            details = self.add(self.details(entry))
            path = self.add(struct.pack(">II", number, details))
            base = os.path.basename(entry.name).encode()
            pairs.append((path, self.add(struct.pack(">I", parent) + base + b"\0")))
        information = struct.pack(">7I", 1, len(entries) + 1, 1, 0, 0, 0, 0)
        self.variables = {
            "BomInfo": self.add(information),
            "Paths": self.tree(pairs, self.PATHS_BLOCK),
            "HLIndex": self.tree([], self.PATHS_BLOCK),
            "VIndex": self.add(struct.pack(">IIIB", 1, self.tree([], self.OTHER_BLOCK), 0, 0)),
            "Size64": self.tree([], self.OTHER_BLOCK),
        }

    def add(self, block):
        self.blocks.append(block)
        return len(self.blocks) - 1

    def tree(self, pairs, size):
        """A tree of one leaf."""
        leaf = struct.pack(">HHII", 1, len(pairs), 0, 0) + b"".join(struct.pack(">II", *pair) for pair in pairs)
        child = self.add(leaf.ljust(size, b"\0"))
        return self.add(b"tree" + struct.pack(">IIIIB", 1, child, size, len(pairs), 0))

    @staticmethod
    def details(entry):
        kind = 2 if entry.is_folder else 3 if entry.is_link else 1
        checksum = 0 if entry.is_folder else posix_cksum(entry.data)
        target = entry.data + b"\0" if entry.is_link else b""
        any_architecture = 15
        numbers = (kind, 1, any_architecture, entry.mode, entry.owner, entry.group, entry.time, len(entry.data))
        return struct.pack(">BBHHIIII", *numbers) + struct.pack(">BII", 1, checksum, len(target)) + target

    def __bytes__(self):
        names = struct.pack(">I", len(self.variables))
        for name, block in self.variables.items():
            names += struct.pack(">IB", block, len(name)) + name.encode()
        places, body = [(0, 0)], bytearray()
        for block in self.blocks[1:]:
            places.append((self.HEADER + len(names) + len(body), len(block)))
            body += block
        index = struct.pack(">I", len(places)) + b"".join(struct.pack(">II", *place) for place in places)
        # The list of free blocks: two, as every tool writes it, and empty.
        index += struct.pack(">I", 2) + bytes(16)
        index_at = self.HEADER + len(names) + len(body)
        header = struct.pack(">8s6I", b"BOMStore", 1, len(self.blocks) - 1, index_at, len(index), self.HEADER, len(names))
        return header.ljust(self.HEADER, b"\0") + names + bytes(body) + index


class Xar:
    """The outer archive: a table of contents in XML, then the members' bytes."""

    def __init__(self, time):
        self.time = datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        self.heap = bytearray()
        self.count = 0

    def file(self, name, data):
        """A member's element; text is packed, what is packed already is stored."""
        packed = data[:2] == b"\x1f\x8b"
        stored = data if packed else zlib.compress(data, 9)
        style = "application/octet-stream" if packed else "application/x-gzip"
        self.count += 1
        # The heap begins with the checksum of the table of contents.
        place = hashlib.sha1().digest_size + len(self.heap)
        self.heap += stored
        return (
            f'<file id="{self.count}"><name>{escape(name)}</name><type>file</type><mode>0644</mode><data>'
            f'<length>{len(stored)}</length><offset>{place}</offset><size>{len(data)}</size><encoding style="{style}"/>'
            f'<archived-checksum style="sha1">{hashlib.sha1(stored).hexdigest()}</archived-checksum>'
            f'<extracted-checksum style="sha1">{hashlib.sha1(data).hexdigest()}</extracted-checksum></data></file>'
        )

    def folder(self, name, members):
        self.count += 1
        number = self.count
        files = "".join(self.file(*member) for member in members)
        return f'<file id="{number}"><name>{escape(name)}</name><type>directory</type><mode>0755</mode>{files}</file>'

    def archive(self, elements):
        toc = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<xar><toc><creation-time>{self.time}</creation-time>'
            f'<checksum style="sha1"><offset>0</offset><size>20</size></checksum>{"".join(elements)}</toc></xar>'
        ).encode()
        packed = zlib.compress(toc, 9)
        version, sha1 = 1, 1
        header = struct.pack(">4sHHQQI", b"xar!", 28, version, len(packed), len(toc), sha1)
        return header + packed + hashlib.sha1(packed).digest() + bytes(self.heap)


def package_info(identifier, version, entries, scripts):
    kib = sum(len(entry.data) for entry in entries) // 1024 + 1
    names = [entry.name[2:] for entry in scripts if entry.name in ("./preinstall", "./postinstall")]
    run = "".join(f"<{name} file={quoteattr('./' + name)}/>" for name in names)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<pkg-info format-version="2" identifier={quoteattr(identifier)} version={quoteattr(version)} install-location="/" '
        'auth="root" overwrite-permissions="true" relocatable="false" postinstall-action="none">'
        f'<payload numberOfFiles="{len(entries)}" installKBytes="{kib}"/><scripts>{run}</scripts></pkg-info>'
    ).encode(), kib


def distribution(identifier, version, minimum_os, component, kib):
    """Without `hostArchitectures` the installer would ask for Rosetta on Apple silicon."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<installer-gui-script minSpecVersion="2"><title>Tidemark</title>'
        '<options customize="never" require-scripts="false" rootVolumeOnly="true" hostArchitectures="arm64,x86_64"/>'
        f"<volume-check><allowed-os-versions><os-version min={quoteattr(minimum_os)}/></allowed-os-versions></volume-check>"
        '<choices-outline><line choice="default"/></choices-outline>'
        f'<choice id="default" title="Tidemark"><pkg-ref id={quoteattr(identifier)}/></choice>'
        f'<pkg-ref id={quoteattr(identifier)} version={quoteattr(version)} auth="Root" installKBytes="{kib}">#{component}</pkg-ref>'
        "</installer-gui-script>"
    ).encode()


def package(entries, scripts, identifier, version, minimum_os, time=DEFAULT_TIME):
    """The bytes of a package."""
    component = "tidemark.pkg"
    information, kib = package_info(identifier, version, entries, scripts)
    pack = lambda data: gzip.compress(data, COMPRESSION, mtime=0)
    xar = Xar(time)
    members = [
        ("Bom", bytes(Bom(entries))),
        ("Payload", pack(cpio(entries))),
        ("Scripts", pack(cpio(scripts))),
        ("PackageInfo", information),
    ]
    folder = xar.folder(component, members)
    return xar.archive([folder, xar.file("Distribution", distribution(identifier, version, minimum_os, component, kib))])


def main():
    parser = argparse.ArgumentParser(description="Writes an installer package for macOS.")
    parser.add_argument("--root", type=Path, required=True, help="what is laid down at /")
    parser.add_argument("--scripts", type=Path, required=True, help="preinstall and postinstall")
    for name in ("--identifier", "--version", "--minimum-os"):
        parser.add_argument(name, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    time = int(os.environ.get("SOURCE_DATE_EPOCH", DEFAULT_TIME))
    root, scripts = read_tree(arguments.root, time), read_tree(arguments.scripts, time)
    arguments.output.write_bytes(
        package(root, scripts, arguments.identifier, arguments.version, arguments.minimum_os, time)
    )
    print(f"{arguments.output}: {len(root)} paths, {arguments.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
