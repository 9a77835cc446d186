#!/usr/bin/env python3
"""Writes tests/schemas/ecs-9.4.0-fields.tsv: every field of the Elastic Common Schema with its type, whether it is a list, and its values
where they are given.

    npm pack @elastic/ecs@9.4.0 && tar xzf elastic-ecs-9.4.0.tgz    # gives a folder `package`
    python3 scripts/ecs_fields.py package
"""

import json
import pathlib
import subprocess
import sys

VERSION = "9.4.0"
TARGET = pathlib.Path(__file__).parent.parent / f"tests/schemas/ecs-{VERSION}-fields.tsv"

package = pathlib.Path(sys.argv[1]).resolve()
assert json.loads((package / "package.json").read_text())["version"] == VERSION
flat = json.loads(
    subprocess.check_output(
        ["node", "-e", f"console.log(JSON.stringify(require({json.dumps(str(package))}).EcsFlat))"], text=True
    )
)
with TARGET.open("w") as out:
    for name, field in sorted(flat.items()):
        values = ",".join(value["name"] for value in field.get("allowed_values") or [])
        print(name, field["type"], "list" if "array" in field.get("normalize", []) else "one", values, sep="\t", file=out)
print(f"{TARGET.name}: {len(flat)} fields, {TARGET.stat().st_size} bytes")
