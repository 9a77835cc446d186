#!/usr/bin/env python3
"""Writes the stub libraries that a link for macOS needs: `stubs.py SYMBOLS SDK`.

A linker on Linux needs no Apple library, only the names that the library exports and the path under which dyld will look
for it. Apple's own SDK says this in text files (`.tbd`, TAPI version 4), and so does this program, from the list in
`symbols.txt`. A stub is a claim about a Mac: a name that is listed here and missing there links here and fails there, so
a name is added only after it was found in Apple's headers or lists.
"""

import re
import sys
from pathlib import Path

# Apple's linker knows arm64e beside arm64; a system library exports the same names for both.
TARGETS = {
    "": "x86_64-macos, arm64-macos, arm64e-macos",
    "x86_64": "x86_64-macos",
    "arm64": "arm64-macos, arm64e-macos",
}

HEADING = re.compile(r"\[(?P<install_name>/\S+)\](?P<stubs>( \S+)*)")
SYMBOL = re.compile(r"(?P<name>[\w$.]+)( (?P<cpu>x86_64|arm64))?")


class Library:
    """One library: where dyld finds it, the stubs that stand for it, and what it exports, by CPU."""

    def __init__(self, install_name, stubs):
        self.install_name = install_name
        self.stubs = stubs or [Path(install_name).name]
        self.exports = {cpu: set() for cpu in TARGETS}

    def paths(self, sdk):
        """Where the linker looks for the stubs: `-lname` in usr/lib, a framework in its own folder."""
        if ".framework/" in self.install_name:
            bundle = self.install_name[1:].split(".framework/")[0] + ".framework"
            return [sdk / bundle / f"{stub}.tbd" for stub in self.stubs]
        return [sdk / "usr/lib" / f"{stub}.tbd" for stub in self.stubs]

    def text(self):
        """The stub in TAPI's version 4."""
        lines = [
            "--- !tapi-tbd",
            "tbd-version: 4",
            f"targets: [ {TARGETS['']} ]",
            f"install-name: '{self.install_name}'",
        ]
        if any(self.exports.values()):
            lines.append("exports:")
        for cpu, names in self.exports.items():
            if names:
                lines.append(f"  - targets: [ {TARGETS[cpu]} ]")
                lines.append("    symbols: [ " + ", ".join(f"'{name}'" for name in sorted(names)) + " ]")
        return "\n".join([*lines, "...", ""])


def parse(path):
    """The libraries of a symbol list, or an exit that names the line that is not one."""
    libraries = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        if heading := HEADING.fullmatch(line):
            libraries.append(Library(heading["install_name"], heading["stubs"].split()))
        elif (symbol := SYMBOL.fullmatch(line)) and libraries:
            libraries[-1].exports[symbol["cpu"] or ""].add(symbol["name"])
        else:
            sys.exit(f"{path}:{number}: neither a [/library] heading nor a symbol under one: {line}")
    return libraries


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: stubs.py SYMBOLS SDK")
    symbols, sdk = map(Path, sys.argv[1:])
    for library in parse(symbols):
        for path in library.paths(sdk):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(library.text())


if __name__ == "__main__":
    main()
