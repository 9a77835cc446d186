"""Reads Mach-O programs and their code signatures, for scripts/check_package.py.

Forms after Apple's headers `mach-o/loader.h`, `mach-o/fat.h` and, for signatures, XNU's `osfmk/kern/cs_blobs.h`. What is read is not
trusted: a field that points outside of the file is a `Malformed`.
"""

import hashlib
import plistlib
import struct
from dataclasses import dataclass, field

FAT_MAGIC, MACHO_64 = 0xCAFEBABE, 0xFEEDFACF
CPU_NAMES = {0x01000007: "x86_64", 0x0100000C: "arm64"}
EXECUTABLE = 2
# Load commands.
LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_RPATH = 0xC, 0x80000018, 0x8000001C
LC_CODE_SIGNATURE, LC_BUILD_VERSION, LC_MAIN = 0x1D, 0x32, 0x80000028
LC_ENCRYPTION_INFO_64 = 0x2C
PLATFORM_MACOS = 1
# The blobs of a signature, and the slots that its code directory keeps hashes of.
SUPERBLOB, CODE_DIRECTORY, ENTITLEMENTS, ENTITLEMENTS_DER = 0xFADE0CC0, 0xFADE0C02, 0xFADE7171, 0xFADE7172
SLOT_INFO, SLOT_REQUIREMENTS, SLOT_RESOURCES, SLOT_ENTITLEMENTS, SLOT_ENTITLEMENTS_DER = 1, 2, 3, 5, 7
SLOT_SIGNATURE = 0x10000
SHA256 = 2
FLAG_ADHOC, FLAG_RUNTIME, FLAG_LINKER_SIGNED = 0x2, 0x10000, 0x20000


class Malformed(Exception):
    """The file is not what it says it is."""


def unpack(form, data, at):
    size = struct.calcsize(form)
    if at < 0 or at + size > len(data):
        raise Malformed(f"{size} bytes at {at} of {len(data)}")
    return struct.unpack_from(form, data, at)


def piece(data, at, size):
    if at < 0 or size < 0 or at + size > len(data):
        raise Malformed(f"{size} bytes at {at} of {len(data)}")
    return data[at : at + size]


def text(data, at):
    end = data.find(b"\0", at)
    if at < 0 or end < 0:
        raise Malformed(f"no text at {at}")
    return data[at:end].decode()


@dataclass
class Signature:
    """What a code directory says, and what its hashes are of."""

    identifier: str
    team: str | None
    flags: int
    entitlements: dict
    has_certificate: bool
    # Pages of the program whose hash is another.
    wrong_pages: list
    # By slot: the hash that the code directory holds.
    special: dict
    blobs: dict

    def covers(self, slot, data):
        """Whether the code directory's hash of this slot is that of these bytes."""
        return self.special.get(slot) == hashlib.sha256(data).digest()


@dataclass
class Program:
    """One program for one kind of CPU."""

    cpu: str
    file_type: int
    platform: int | None = None
    minimum_os: str | None = None
    libraries: list = field(default_factory=list)
    search_paths: list = field(default_factory=list)
    has_entry: bool = False
    signature: Signature | None = None


def programs(data):
    """The programs of a universal file, or the one of a thin file."""
    (magic,) = unpack(">I", data, 0)
    if magic != FAT_MAGIC:
        return [program(data)]
    (count,) = unpack(">I", data, 4)
    found = []
    for number in range(count):
        cpu, _, offset, size, align = unpack(">5I", data, 8 + 20 * number)
        if offset % (1 << align):
            raise Malformed(f"the program at {offset} is not aligned")
        found.append(program(piece(data, offset, size)))
        if CPU_NAMES.get(cpu) != found[-1].cpu:
            raise Malformed(f"the universal header says {cpu:#x} of a program for {found[-1].cpu}")
    return found


def program(data):
    magic, cpu, _, kind, count, size, _, _ = unpack("<8I", data, 0)
    if magic != MACHO_64:
        raise Malformed(f"no Mach-O program: {magic:#x}")
    read = Program(CPU_NAMES.get(cpu, hex(cpu)), kind)
    at, end = 32, 32 + size
    for _ in range(count):
        command, length = unpack("<2I", data, at)
        if length < 8 or at + length > end:
            raise Malformed(f"a load command of {length} bytes at {at}")
        body = piece(data, at, length)
        if command in (LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB):
            read.libraries.append(text(body, unpack("<I", body, 8)[0]))
        elif command == LC_RPATH:
            read.search_paths.append(text(body, unpack("<I", body, 8)[0]))
        elif command == LC_BUILD_VERSION:
            read.platform, minimum = unpack("<2I", body, 8)
            read.minimum_os = f"{minimum >> 16}.{minimum >> 8 & 0xFF}"
        elif command == LC_MAIN:
            read.has_entry = True
        elif command == LC_CODE_SIGNATURE:
            offset, blob_size = unpack("<2I", body, 8)
            read.signature = signature(data, offset, blob_size)
        at += length
    return read


def signature(data, offset, size):
    blob = piece(data, offset, size)
    magic, _, count = unpack(">3I", blob, 0)
    if magic != SUPERBLOB:
        raise Malformed(f"no signature: {magic:#x}")
    blobs = {}
    for number in range(count):
        slot, at = unpack(">2I", blob, 12 + 8 * number)
        _, length = unpack(">2I", blob, at)
        blobs[slot] = piece(blob, at, length)
    # Where there are several code directories, a Mac takes that of the strongest hash.
    directories = [entry for slot, entry in blobs.items() if slot == 0 or 0x1000 <= slot < 0x1005]
    for directory in directories:
        if unpack(">B", directory, 37)[0] == SHA256:
            return code_directory(data, directory, blobs)
    raise Malformed("the signature has no code directory with SHA-256")


def code_directory(data, directory, blobs):
    magic, _, version, flags, hashes, name, specials, pages, limit = unpack(">9I", directory, 0)
    hash_size, _, _, page_bits = unpack(">4B", directory, 36)
    if magic != CODE_DIRECTORY or hash_size != 32 or not 10 <= page_bits <= 16:
        raise Malformed("the code directory is no code directory")
    team_at = unpack(">I", directory, 48)[0] if version >= 0x20200 else 0
    wrong = []
    for number in range(pages):
        begin = number << page_bits
        page = piece(data, begin, min(1 << page_bits, limit - begin))
        if hashlib.sha256(page).digest() != piece(directory, hashes + 32 * number, 32):
            wrong.append(number)
    special = {slot: piece(directory, hashes - 32 * slot, 32) for slot in range(1, specials + 1)}
    xml = blobs.get(SLOT_ENTITLEMENTS)
    return Signature(
        identifier=text(directory, name),
        team=text(directory, team_at) if team_at else None,
        flags=flags,
        entitlements=plistlib.loads(xml[8:]) if xml else {},
        # A CMS of nothing but its own header is what an ad hoc signature has.
        has_certificate=len(blobs.get(SLOT_SIGNATURE, b"")) > 8,
        wrong_pages=wrong,
        special=special,
        blobs=blobs,
    )
