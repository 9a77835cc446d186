#!/usr/bin/env python3
"""Reads an installer package back and checks all of it:
`check_package.py --identifier ID --version V --minimum-os V [--entitled] [--team-id ID] PACKAGE`.

It shares no code with what writes packages. Each thing that is wrong is one line; the exit code is 1 where there is any. What it cannot
say is whether Apple's installer, launchd and AMFI take it: that needs a Mac.
"""

import argparse
import gzip
import hashlib
import plistlib
import re
import stat
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "darwin"))
import macho  # noqa: E402

ROOT, WHEEL, ADMIN = 0, 0, 80
HOME = "./Library/Application Support/Tidemark"
CONTENTS = f"{HOME}/Tidemark.app/Contents"
# Every library that the program may need; all are part of every macOS 13.
LIBRARIES = {
    "/usr/lib/libSystem.B.dylib",
    "/usr/lib/libEndpointSecurity.dylib",
    "/usr/lib/libbsm.0.dylib",
    "/usr/lib/libobjc.A.dylib",
    "/usr/lib/libiconv.2.dylib",
    "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation",
    "/System/Library/Frameworks/Foundation.framework/Versions/C/Foundation",
    "/System/Library/Frameworks/Security.framework/Versions/A/Security",
    "/System/Library/Frameworks/SystemConfiguration.framework/Versions/A/SystemConfiguration",
}
ENDPOINT_SECURITY = "com.apple.developer.endpoint-security.client"
# Entitlements that notarisation refuses, or that would open the hardened runtime.
FORBIDDEN = ("com.apple.security.get-task-allow", "com.apple.security.cs.")


class Unreadable(Exception):
    """A part has not the form that it should have."""


@dataclass
class Laid:
    """A file, folder or link as the package lays it down."""

    mode: int
    owner: int
    group: int
    data: bytes


class Check:
    """Collects what is wrong."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.identifier = arguments.identifier
        self.wrong = []

    def that(self, holds, what):
        if not holds:
            self.wrong.append(what)

    def package(self, data):
        members = read_xar(data)
        self.distribution(members["Distribution"])
        information = ElementTree.fromstring(members["tidemark.pkg/PackageInfo"])
        payload = read_cpio(gzip.decompress(members["tidemark.pkg/Payload"]))
        scripts = read_cpio(gzip.decompress(members["tidemark.pkg/Scripts"]))
        self.information(information, payload, scripts)
        self.receipt(read_bom(members["tidemark.pkg/Bom"]), payload)
        self.owners(payload)
        self.job(payload)
        self.scripts(scripts)
        self.rotation(payload)
        self.app(payload)
        return payload

    def distribution(self, text):
        root = ElementTree.fromstring(text)
        self.that(root.tag == "installer-gui-script", "Distribution: it is no installer script")
        options = root.find("options")
        architectures = set((options.get("hostArchitectures") or "").split(",")) if options is not None else set()
        self.that(architectures == {"arm64", "x86_64"}, "Distribution: it is not for both kinds of Mac")
        minimum = root.find("volume-check/allowed-os-versions/os-version")
        oldest = minimum.get("min") if minimum is not None else None
        self.that(oldest == self.arguments.minimum_os, f"Distribution: the oldest macOS is {oldest}")
        references = [r for r in root.findall("pkg-ref") if (r.text or "").strip() == "#tidemark.pkg"]
        self.that(len(references) == 1, "Distribution: it does not name the component")
        for reference in references:
            self.that(reference.get("id") == self.identifier, "Distribution: the component has another identifier")
            self.that(reference.get("version") == self.arguments.version, "Distribution: the version is another")

    def information(self, root, payload, scripts):
        expected = {
            "identifier": self.identifier,
            "version": self.arguments.version,
            "install-location": "/",
            "auth": "root",
            # An app that was moved by hand would be upgraded where it is, and launchd would start the old one.
            "relocatable": "false",
        }
        for key, value in expected.items():
            self.that(root.get(key) == value, f"PackageInfo: {key} is {root.get(key)}, and should be {value}")
        count = root.find("payload").get("numberOfFiles")
        self.that(count == str(len(payload)), f"PackageInfo: {count} files, and the payload has {len(payload)}")
        for script in ("preinstall", "postinstall"):
            named = root.find(f"scripts/{script}")
            self.that(named is not None and named.get("file") == f"./{script}", f"PackageInfo: {script} is not named")
            self.that(f"./{script}" in scripts, f"Scripts: there is no {script}")

    def receipt(self, bom, payload):
        for name in sorted(bom.keys() ^ payload.keys()):
            self.that(False, f"Bom: {name} stands only in the {'Bom' if name in bom else 'payload'}")
        for name in sorted(bom.keys() & payload.keys()):
            mode, owner, group, size, checksum = bom[name]
            laid = payload[name]
            self.that((mode, owner, group) == (laid.mode, laid.owner, laid.group), f"Bom: {name} has another owner or mode")
            if not stat.S_ISDIR(laid.mode):
                self.that(size == len(laid.data), f"Bom: {name} has {len(laid.data)} bytes, not {size}")
                self.that(checksum == cksum(laid.data), f"Bom: the checksum of {name} is another")

    def owners(self, payload):
        executable = {f"{CONTENTS}/MacOS/tidemark", f"{HOME}/uninstall.sh"}
        allowed = (".", "./Library", "./private", HOME)
        for name, laid in payload.items():
            group = ADMIN if name == "./Library/Application Support" else WHEEL
            self.that((laid.owner, laid.group) == (ROOT, group), f"{name}: it belongs to {laid.owner}:{laid.group}")
            kind = stat.S_IFMT(laid.mode)
            self.that(kind in (stat.S_IFDIR, stat.S_IFREG), f"{name}: it is neither file nor folder")
            wanted = 0o755 if kind == stat.S_IFDIR or name in executable else 0o644
            self.that(stat.S_IMODE(laid.mode) == wanted, f"{name}: its mode is {stat.S_IMODE(laid.mode):o}")
            inside = name in allowed or name.startswith(("./Library/", "./private/etc"))
            self.that(inside and ".." not in name.split("/"), f"{name}: no place for a file of ours")
        for name in executable:
            self.that(name in payload, f"{name}: it is missing")

    def job(self, payload):
        path = f"./Library/LaunchDaemons/{self.identifier}.plist"
        job = self.plist(payload, path)
        if job is None:
            return
        self.that(job.get("Label") == self.identifier, f"{path}: the label is {job.get('Label')}")
        program = (job.get("ProgramArguments") or [""])[0]
        self.that(program == f"{CONTENTS[1:]}/MacOS/tidemark", f"{path}: it starts {program}")
        self.that(job.get("RunAtLoad") is True and job.get("KeepAlive") is True, f"{path}: launchd would not keep it up")
        self.that("ProcessType" not in job, f"{path}: an Endpoint Security client runs at no lowered priority")
        managed = f"/Library/Managed Preferences/{self.identifier}.plist"
        self.that(managed in job.get("ProgramArguments", []), f"{path}: managed preferences are not read")
        bundle = job.get("AssociatedBundleIdentifiers")
        self.that(bundle == self.identifier, f"{path}: System Settings would show it under {bundle}")

    def scripts(self, scripts):
        for name, laid in scripts.items():
            if name == ".":
                continue
            self.that(stat.S_IMODE(laid.mode) == 0o755, f"Scripts: {name} is not executable")
            self.that(laid.data.startswith(b"#!/bin/sh\n"), f"Scripts: {name} is no shell script")
            self.that(self.identifier.encode() in laid.data, f"Scripts: {name} names another job")

    def rotation(self, payload):
        path = f"./private/etc/newsyslog.d/{self.identifier}.conf"
        laid = payload.get(path)
        if laid is None:
            self.that(False, f"{path}: it is missing")
            return
        rules = [line.split() for line in laid.data.decode().splitlines() if line.strip() and not line.startswith("#")]
        self.that(bool(rules), f"{path}: it has no rule")
        for rule in rules:
            fits = len(rule) in (6, 7) and re.fullmatch(r"\w+:\w+", rule[1]) and re.fullmatch(r"[0-7]{3}", rule[2])
            self.that(bool(fits) and rule[3].isdigit(), f"{path}: no rule of newsyslog's: {' '.join(rule)}")

    def app(self, payload):
        path = f"{CONTENTS}/Info.plist"
        information = self.plist(payload, path)
        if information is not None:
            expected = {
                "CFBundleIdentifier": self.identifier,
                "CFBundleExecutable": "tidemark",
                "CFBundlePackageType": "APPL",
                "CFBundleShortVersionString": self.arguments.version,
                "CFBundleVersion": self.arguments.version,
                "LSMinimumSystemVersion": self.arguments.minimum_os,
            }
            for key, value in expected.items():
                self.that(information.get(key) == value, f"{path}: {key} is {information.get(key)}")
        resources = self.plist(payload, f"{CONTENTS}/_CodeSignature/CodeResources")
        if resources is not None:
            self.resources(payload, resources)
        laid = payload.get(f"{CONTENTS}/MacOS/tidemark")
        if laid is None:
            return
        programs = macho.programs(laid.data)
        kinds = sorted(program.cpu for program in programs)
        self.that(kinds == ["arm64", "x86_64"], f"tidemark: it is for {', '.join(kinds)}")
        for program in programs:
            self.program(program, payload)

    def resources(self, payload, resources):
        """Every file of the bundle but the program and the seal itself is sealed."""
        sealed = resources.get("files2", {})
        apart = {"Info.plist", "MacOS/tidemark", "_CodeSignature/CodeResources"}
        for name, laid in payload.items():
            inner = name.removeprefix(f"{CONTENTS}/")
            if inner == name or stat.S_ISDIR(laid.mode) or inner in apart:
                continue
            entry = sealed.get(inner, {})
            self.that(entry.get("hash2") == hashlib.sha256(laid.data).digest(), f"CodeResources: {inner} is not sealed")

    def program(self, program, payload):
        name = f"tidemark for {program.cpu}"
        self.that(program.file_type == macho.EXECUTABLE and program.has_entry, f"{name}: it is no program")
        self.that(program.platform == macho.PLATFORM_MACOS, f"{name}: it is for platform {program.platform}")
        self.that(program.minimum_os == self.arguments.minimum_os, f"{name}: it needs macOS {program.minimum_os}")
        for library in program.libraries:
            self.that(library in LIBRARIES, f"{name}: it needs {library}, which is on no list")
        self.that(not program.search_paths, f"{name}: it looks for libraries in {program.search_paths}")
        needed = "/usr/lib/libEndpointSecurity.dylib" in program.libraries
        self.that(needed, f"{name}: it was built without Endpoint Security")
        signature = program.signature
        if signature is None:
            self.that(False, f"{name}: it is not signed")
            return
        self.that(not signature.wrong_pages, f"{name}: pages {signature.wrong_pages[:5]} are not what was signed")
        self.that(signature.identifier == self.identifier, f"{name}: signed as {signature.identifier}")
        self.that(bool(signature.flags & macho.FLAG_RUNTIME), f"{name}: without the hardened runtime")
        self.that(not signature.flags & macho.FLAG_LINKER_SIGNED, f"{name}: only the linker signed it")
        for slot, path in ((macho.SLOT_INFO, "Info.plist"), (macho.SLOT_RESOURCES, "_CodeSignature/CodeResources")):
            laid = payload.get(f"{CONTENTS}/{path}")
            self.that(laid is not None and signature.covers(slot, laid.data), f"{name}: {path} is not what was signed")
        for slot in (macho.SLOT_REQUIREMENTS, macho.SLOT_ENTITLEMENTS, macho.SLOT_ENTITLEMENTS_DER):
            blob = signature.blobs.get(slot)
            self.that(blob is None or signature.covers(slot, blob), f"{name}: the blob of slot {slot} is not what was signed")
        self.entitlements(name, signature, payload)

    def entitlements(self, name, signature, payload):
        entitled = signature.entitlements.get(ENDPOINT_SECURITY) is True
        self.that(
            entitled == self.arguments.entitled,
            f"{name}: it {'has' if entitled else 'lacks'} the entitlement {ENDPOINT_SECURITY}",
        )
        if entitled:
            # Since macOS 12 the kernel reads the DER form alone.
            self.that(macho.SLOT_ENTITLEMENTS_DER in signature.blobs, f"{name}: the entitlements have no DER form")
        for key in signature.entitlements:
            self.that(not key.startswith(FORBIDDEN), f"{name}: no release has the entitlement {key}")
        team = self.arguments.team_id
        if team is None:
            return
        self.that(signature.has_certificate and signature.team == team, f"{name}: team {signature.team} signed it")
        application = signature.entitlements.get("com.apple.application-identifier")
        self.that(
            not entitled or application == f"{team}.{self.identifier}",
            f"{name}: its application identifier is {application}",
        )
        profile = f"{CONTENTS}/embedded.provisionprofile"
        self.that(not entitled or profile in payload, f"{profile}: it is missing")

    def plist(self, payload, path):
        laid = payload.get(path)
        if laid is None:
            self.that(False, f"{path}: it is missing")
            return None
        try:
            return plistlib.loads(laid.data)
        except Exception as error:  # noqa: BLE001 # plistlib raises what its XML parser raises
            self.that(False, f"{path}: no property list: {error}")
            return None


def read_xar(data):
    """The members by path, each held against its checksums."""
    magic, header, version, packed, length, kind = struct.unpack_from(">4sHHQQI", data)
    if magic != b"xar!" or version != 1 or kind != 1:
        raise Unreadable("it is no XAR archive of version 1 with SHA-1")
    toc = zlib.decompress(data[header : header + packed])
    if len(toc) != length:
        raise Unreadable("the table of contents has another length")
    heap = data[header + packed :]
    if hashlib.sha1(data[header : header + packed]).digest() != heap[:20]:
        raise Unreadable("the checksum of the table of contents is another")
    members = {}

    def walk(element, folder):
        for file in element.findall("file"):
            path = folder + file.findtext("name")
            if file.findtext("type") == "directory":
                walk(file, path + "/")
                continue
            part = file.find("data")
            begin, size = int(part.findtext("offset")), int(part.findtext("length"))
            stored = heap[begin : begin + size]
            style = part.find("encoding").get("style")
            member = zlib.decompress(stored) if style == "application/x-gzip" else stored
            for name, content in (("archived-checksum", stored), ("extracted-checksum", member)):
                if hashlib.sha1(content).hexdigest() != part.findtext(name):
                    raise Unreadable(f"{path}: the {name} is another")
            if len(member) != int(part.findtext("size")):
                raise Unreadable(f"{path}: its length is another")
            members[path] = member

    walk(ElementTree.fromstring(toc).find("toc"), "")
    return members


def read_cpio(data):
    """What a cpio archive of the portable form lays down, by name."""
    laid, at = {}, 0
    while True:
        header = data[at : at + 76]
        if header[:6] != b"070707":
            raise Unreadable(f"no header of cpio at {at}")
        mode, owner, group = (int(header[begin : begin + 6], 8) for begin in (18, 24, 30))
        name_size, size = int(header[59:65], 8), int(header[65:76], 8)
        name = data[at + 76 : at + 76 + name_size - 1].decode()
        begin = at + 76 + name_size
        if name == "TRAILER!!!":
            return laid
        if name in laid:
            raise Unreadable(f"{name} stands twice in the payload")
        laid[name] = Laid(mode, owner, group, data[begin : begin + size])
        at = begin + size


def read_bom(data):
    """What a bill of materials lists: mode, owner, group, size and checksum by path."""
    magic, version, _, index_at, _, names_at, _ = struct.unpack_from(">8s6I", data)
    if magic != b"BOMStore" or version != 1:
        raise Unreadable("the Bom is no Bom")
    (count,) = struct.unpack_from(">I", data, index_at)
    places = [struct.unpack_from(">II", data, index_at + 4 + 8 * number) for number in range(count)]
    block = lambda number: data[places[number][0] : sum(places[number])]
    names, at = {}, names_at + 4
    for _ in range(struct.unpack_from(">I", data, names_at)[0]):
        number, length = struct.unpack_from(">IB", data, at)
        names[data[at + 5 : at + 5 + length].decode()] = number
        at += 5 + length
    tree = block(names["Paths"])
    if tree[:4] != b"tree":
        raise Unreadable("the Bom's paths are no tree")
    (leaf,) = struct.unpack_from(">I", tree, 8)
    found, parents = {}, {}
    while leaf:
        content = block(leaf)
        is_leaf, entries, forward, _ = struct.unpack_from(">HHII", content)
        if not is_leaf:
            (leaf,) = struct.unpack_from(">I", content, 12)
            continue
        for number in range(entries):
            first, second = struct.unpack_from(">II", content, 12 + 8 * number)
            path_id, details_at = struct.unpack_from(">II", block(first))
            (parent,) = struct.unpack_from(">I", block(second))
            name = block(second)[4:].rstrip(b"\0").decode()
            parents[path_id] = f"{parents[parent]}/{name}" if parent else name
            _, _, _, mode, owner, group, _, size, _, checksum = struct.unpack_from(">BBHHIIIIBI", block(details_at))
            found[parents[path_id]] = (mode, owner, group, size, checksum)
        leaf = forward
    return found


def cksum(data):
    """What the program of that name says, which every POSIX system has."""
    done = subprocess.run(["cksum"], input=data, capture_output=True, check=True)
    return int(done.stdout.split()[0])


def parse(words):
    parser = argparse.ArgumentParser(description="Reads an installer package back and checks all of it.")
    for name in ("--identifier", "--version", "--minimum-os"):
        parser.add_argument(name, required=True)
    parser.add_argument("--entitled", action="store_true", help="it must have the Endpoint Security entitlement")
    parser.add_argument("--team-id", help="who must have signed it")
    parser.add_argument("package", type=Path)
    return parser.parse_args(words)


def faults(arguments, data):
    """Everything that is wrong with a package."""
    check = Check(arguments)
    try:
        check.package(data)
    except (Unreadable, macho.Malformed, KeyError, struct.error, zlib.error, OSError, ValueError, ElementTree.ParseError) as error:
        check.that(False, f"cannot be read: {type(error).__name__}: {error}")
    return check.wrong


def main():
    arguments = parse(sys.argv[1:])
    wrong = faults(arguments, arguments.package.read_bytes())
    for what in wrong:
        print(f"{arguments.package}: {what}", file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"{arguments.package}: OK")


if __name__ == "__main__":
    main()
