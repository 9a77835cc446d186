#!/usr/bin/env python3
"""Reads the alerts of a replay of the demo recording (`tidemark replay ... | check_demo.py`) and says whether they are the expected ones.

There must be an alert on each of the two attacks that names process, initiator, destination and bytes, and none on the fortnight. The alert
that the README shows must be one of them, so that the README stays true.
"""

import json
import pathlib
import sys

# RFC 3339 in UTC, of which text order is time order: when Automator, which starts the first attack, is opened.
ATTACK_BEGIN = "2026-06-15T09:41"
ATTACKS = {
    "the upload": ("apple:com.apple.curl", "apple:com.apple.Automator", "198.51.100.23:443"),
    "the remote control": ("apple:com.apple.python3", "apple:com.apple.osascript", "203.0.113.66:4444"),
}


def main():
    alerts = [json.loads(line) for line in sys.stdin]
    faults = [f"an alert on the fortnight: {a['time']} {a['summary']}" for a in alerts if a["time"] < ATTACK_BEGIN]
    for attack, (image, initiator, destination) in ATTACKS.items():
        subject = {"image": image, "initiator": initiator}
        about = [a for a in alerts if a["subject"] == subject]
        if not about:
            faults.append(f"no alert on {attack}, {image} < {initiator}")
        elif not any(destination in json.dumps(a["flow"]) for a in about):
            faults.append(f"no alert on {attack} names {destination}: {about[0]['flow']}")
    if not any(is_shown(a) for a in alerts):
        faults.append("the README shows an alert that the replay does not give")
    print("\n".join(faults) or f"{len(alerts)} alerts: both attacks, nothing on the fortnight")
    sys.exit(bool(faults))


def is_shown(alert):
    """Whether the README shows the beginning of this alert; it breaks the line between members."""
    members = ("schema", "time", "severity", "score", "summary", "subject")
    begin = json.dumps({name: alert[name] for name in members}).removesuffix("}")
    return begin in README.read_text(encoding="utf-8").replace(",\n ", ", ")


README = pathlib.Path(__file__).parent.parent / "README.md"


if __name__ == "__main__":
    main()
