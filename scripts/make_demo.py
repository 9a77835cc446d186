#!/usr/bin/env python3
"""Makes the demo recording: `make_demo.py [--ordinary-only] [FOLDER]`, FOLDER being tests/recordings where none is named.

Writes fortnight.ndjson.gz (a Mac's ordinary life, the same lines on every run), attack.ndjson (the process events of the attack
on the day after) and attack.pcapng (its packets, captured anew from the real programs on every run). The attack needs root on
Linux, `ip`, `unshare`, `openssl` and `curl`; `--ordinary-only` leaves it out. What is real and what is made: tests/recordings/README.md.
"""

import argparse
import datetime
import gzip
import io
import json
from pathlib import Path

from demo import attack
from demo.acts import DAY, HOUR, MINUTE
from demo.life import Life
from demo.mac import Mac

# Two weeks from a Monday on, in the time of central Europe's summer.
ZONE = datetime.timezone(datetime.timedelta(hours=2))
FIRST_MIDNIGHT = datetime.datetime(2026, 6, 1, tzinfo=ZONE).timestamp()
DAYS = 14
BOOT = 8 * HOUR + 5 * MINUTE
# On the last day: when the record of ordinary life ends, and when the attacks begin.
ORDINARY_END, UPLOAD_BEGIN, CONTROL_BEGIN = 11.5 * HOUR, 11 * HOUR + 42 * MINUTE, 14 * HOUR + 7 * MINUTE

HEADER = {
    "recording": {
        "schema": "tidemark.recording/1",
        "host": "demo-mac",
        "os_version": "15.5",
        "utc_offset_seconds": int(ZONE.utcoffset(None).total_seconds()),
        "producer": "make_demo.py",
    }
}


def main():
    arguments = argparse.ArgumentParser(description="Makes the demo recording.")
    arguments.add_argument("--ordinary-only", action="store_true", help="leave out the attack, which needs root")
    arguments.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent.parent / "tests/recordings")
    arguments = arguments.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps(HEADER) + "\n"

    mac = Mac(FIRST_MIDNIGHT + BOOT)
    life = Life(mac)
    life.start(FIRST_MIDNIGHT + BOOT)
    for day in range(DAYS):
        life.day(FIRST_MIDNIGHT + day * DAY, day)
    last_midnight = FIRST_MIDNIGHT + DAYS * DAY
    life.day(last_midnight, DAYS, until=ORDINARY_END)
    text = io.StringIO(header)
    text.seek(0, io.SEEK_END)
    mac.write(text)
    # Neither a time nor a name in the archive: the same lines on every run.
    archive = gzip.compress(text.getvalue().encode("ascii"), compresslevel=9, mtime=0)
    (arguments.folder / "fortnight.ndjson.gz").write_bytes(archive)

    if not arguments.ordinary_only:
        attack.perform(
            mac,
            last_midnight + UPLOAD_BEGIN,
            last_midnight + CONTROL_BEGIN,
            arguments.folder / "attack.ndjson",
            arguments.folder / "attack.pcapng",
            header,
        )


if __name__ == "__main__":
    main()
