#!/usr/bin/env python3
"""Makes config/priors/allow-list.json: which share of real macOS images uses which protocol.

usage: allow_list_priors.py BENIGN_PAIRS.csv > config/priors/allow-list.json

The input is the dated history of an allow-list (columns date, file, uid, proto, port, name, rest); each line once was a false alert that
somebody silenced. The three numbers stand in a different order in different years, and some ports are byte-swapped; a number's place is
told by its value. The protocol is read from the port, since nothing else was recorded.
"""
import collections
import csv
import json
import sys

UIDS = {"0", "500", "99"}
TRANSPORTS = {"6": "tcp", "17": "udp"}
EPHEMERAL = {"32768"}  # the allow-list's own name for "any high port"
WELL_KNOWN = {
    "tcp/443": "tls", "udp/443": "tls", "tcp/80": "http", "udp/53": "dns", "tcp/53": "dns", "tcp/22": "ssh", "udp/123": "ntp", "tcp/993": "tls", "tcp/21": "ftp",
    "tcp/3389": "rdp", "tcp/9418": "git", "udp/68": "dhcp", "tcp/5222": "xmpp", "tcp/25": "smtp", "tcp/3306": "mysql",
}
OTHER = {"tcp/5228": "tls", "tcp/5223": "tls", "tcp/8443": "tls", "tcp/2083": "tls", "tcp/8080": "http", "tcp/8888": "http", "tcp/8009": "tls", "tcp/4318": "http", "udp/8801": "rtp"}

# A port that is registered for nothing says nothing about the payload.
SILENT_ON = ["unknown/dynamic", "unknown/other"]


def service(row):
    """the symbol of a row, or None where its numbers make no sense"""
    numbers = [row["uid"], row["proto"], row["port"]]
    transport = next((n for n in numbers if n in TRANSPORTS), None)
    if transport is None:
        return None
    numbers.remove(transport)
    uid = next((n for n in reversed(numbers) if n in UIDS), None)
    if uid is None:
        return None
    numbers.remove(uid)
    port = int(numbers[0])
    if port == 0:
        return None
    swapped = (port & 255) << 8 | port >> 8
    if str(port) not in EPHEMERAL and port >= 1024 and swapped in (9, 22, 53, 80):
        port = swapped
    key = f"{TRANSPORTS[transport]}/{port}"
    if key in WELL_KNOWN:
        return WELL_KNOWN[key] + "/well-known"
    return OTHER.get(key, "unknown") + "/other"


def main():
    users = collections.defaultdict(set)
    images = set()
    for row in csv.DictReader(open(sys.argv[1])):
        symbol = service(row)
        if symbol:
            images.add(row["name"])
            users[symbol].add(row["name"])
    for symbol in SILENT_ON:
        users.pop(symbol, None)
    table = {symbol: round(len(names) / len(images), 4) for symbol, names in sorted(users.items())}
    document = {
        "schema": "tidemark.priors/1",
        "provenance": "Measured on real Macs, by port only: the history (2022-09 to 2025-08) of the macOS allow-list of chainguard-dev/osquery-defense-kit (Apache-2.0), "
        "which names each image and port that raised a false alert and was accepted. Made by scripts/allow_list_priors.py.",
        "images": len(images),
        "silent_on": SILENT_ON,
        "prevalence": table,
    }
    json.dump(document, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
