"""Writes packets as Apple's tcpdump does: pcapng with process information blocks.

The blocks and options are those of the pcapng draft (draft-ietf-opsawg-pcapng) and, for processes, of Apple's libpcap
(pcap-ng.h): a process information block names a process, and a packet's option points at one by its place in the section.
"""

import struct

SECTION_HEADER, INTERFACE, ENHANCED_PACKET, PROCESS_INFORMATION = 0x0A0D0D0A, 1, 6, 0x80000001
BYTE_ORDER_MAGIC = 0x1A2B3C4D
ETHERNET = 1
NANOSECONDS = 9

# Options, by block.
END, COMMENT = 0, 1
SECTION_HARDWARE, SECTION_OS, SECTION_APPLICATION = 2, 3, 4
INTERFACE_NAME, INTERFACE_RESOLUTION = 2, 9
PROCESS_NAME = 2
PACKET_FLAGS, PACKET_PROCESS = 2, 0x8001
# The direction in the two low bits of a packet's flags.
INBOUND, OUTBOUND = 1, 2


def section(system, application, comment):
    """The block that begins a file."""
    # The length of the section is not told.
    body = struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1)
    return block(
        SECTION_HEADER,
        body,
        (COMMENT, comment.encode()),
        (SECTION_HARDWARE, b"arm64"),
        (SECTION_OS, system.encode()),
        (SECTION_APPLICATION, application.encode()),
    )


def interface(name):
    """An Ethernet interface whose times are in nanoseconds."""
    body = struct.pack("<HHI", ETHERNET, 0, 0)
    return block(INTERFACE, body, (INTERFACE_NAME, name.encode()), (INTERFACE_RESOLUTION, bytes([NANOSECONDS])))


def process(pid, name):
    """A process; packets name it by how many such blocks stand before it in the section."""
    return block(PROCESS_INFORMATION, struct.pack("<I", pid), (PROCESS_NAME, name.encode()))


def packet(time, data, length, outbound, process_index):
    """A packet of the first interface. `time` is in nanoseconds, `length` that of the frame before it was cut."""
    body = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(data), length) + padded(data)
    flags = struct.pack("<I", OUTBOUND if outbound else INBOUND)
    return block(ENHANCED_PACKET, body, (PACKET_FLAGS, flags), (PACKET_PROCESS, struct.pack("<I", process_index)))


def block(kind, body, *options):
    """A block with its options, and its length at both ends."""
    for code, value in (*options, (END, b"")):
        body += struct.pack("<HH", code, len(value)) + padded(value)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def padded(data):
    return data + bytes(-len(data) % 4)
