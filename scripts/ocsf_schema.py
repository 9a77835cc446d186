#!/usr/bin/env python3
"""Writes tests/schemas/ocsf-1.8.0-detection_finding.json: the JSON Schema of OCSF's class 2004 with the profiles that tidemark uses.

    python3 -m venv /tmp/ocsf && /tmp/ocsf/bin/pip install ocsf-json-schema==1.2.0
    /tmp/ocsf/bin/python scripts/ocsf_schema.py
"""

import json
import pathlib

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.8.0"
PROFILES = ["host", "security_control", "macos/macos_users"]
TARGET = pathlib.Path(__file__).parent.parent / f"tests/schemas/ocsf-{VERSION}-detection_finding.json"

schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION)).get_class_schema("detection_finding", profiles=PROFILES)
TARGET.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")
print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")
