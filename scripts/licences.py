#!/usr/bin/env python3
"""Checks what tidemark depends on: every crate under a licence that we accept, and from the registry, on every platform that we build for.

Reads `cargo metadata`, so it needs no network beyond what the build needs, and no advisory database. Prints one line when all is
well, else one line for each crate that is not, and exits with 1.
"""

import json
import re
import subprocess
import sys

PLATFORMS = ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-apple-darwin"]

# Licences that let a program under Apache-2.0 OR MIT ship in source and binary form with no more than a notice. What is not here,
# copyleft above all, is for a person to decide.
ACCEPTED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}

TOKEN = re.compile(r"\(|\)|AND\b|OR\b|[\w.+-]+(?: WITH [\w.+-]+)?")


def accepted(expression):
    """Whether an SPDX expression can be met by accepted licences. AND binds closer than OR; `MIT/Apache-2.0` is the old way to write OR."""
    tokens = TOKEN.findall(expression.replace("/", " OR "))

    def any_of():
        met = all_of()
        while tokens[:1] == ["OR"]:
            tokens.pop(0)
            met = all_of() or met
        return met

    def all_of():
        met = one()
        while tokens[:1] == ["AND"]:
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        if not tokens:
            return False
        token = tokens.pop(0)
        if token == "(":
            met = any_of()
            return tokens[:1] == [")"] and bool(tokens.pop(0)) and met
        return token in ACCEPTED

    return any_of() and not tokens


def packages():
    """Every package of the dependency tree, once."""
    found = {}
    for platform in PLATFORMS:
        command = [
            "cargo",
            "metadata",
            "--format-version=1",
            "--locked",
            "--all-features",
            f"--filter-platform={platform}",
        ]
        metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        resolved = {node["id"] for node in metadata["resolve"]["nodes"]}
        found.update((package["id"], package) for package in metadata["packages"] if package["id"] in resolved)
    return sorted(found.values(), key=lambda package: package["name"])


def main():
    faults = []
    dependencies = packages()
    for package in dependencies:
        name = f"{package['name']} {package['version']}"
        if not accepted(package["license"] or ""):
            faults.append(f"{name}: licence {package['license'] or 'not named'} is not accepted")
        if not (package["source"] or "registry+").startswith("registry+"):
            faults.append(f"{name}: comes from {package['source']}, not from the registry")
    print("\n".join(faults) or f"{len(dependencies)} packages, all under accepted licences and from the registry")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
