#!/usr/bin/env python3
"""Holds the attribution of a recording's flows against a truth.

usage: tidemark flows --json RECORDING | judge_attribution.py TRUTH

TRUTH is NDJSON with `flow_id`, `image` and `initiator` (null where there is none) of every flow of the recording. Prints how many flows agree
and each kind of difference with an example; exits with 1 where anything differs or is missing.
"""
import collections
import json
import sys


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        truth = {row["flow_id"]: (row["image"], row["initiator"]) for row in map(json.loads, file)}
    agree, differ = 0, collections.Counter()
    examples = {}
    for line in sys.stdin:
        flow = json.loads(line)["flow"]
        subject = flow.get("subject") or {}
        found = (subject.get("image"), subject.get("initiator"))
        expected = truth.pop(flow["flow_id"], "not in the truth")
        if found == expected:
            agree += 1
        else:
            differ[(expected, found)] += 1
            examples.setdefault((expected, found), flow["flow_id"])
    print(f"{agree} flows agree, {differ.total()} differ, {len(truth)} are missing")
    for pair, count in differ.most_common(20):
        print(f"  {count} times: expected {pair[0]}, found {pair[1]} (flow {examples[pair]})")
    sys.exit(1 if differ or truth else 0)


if __name__ == "__main__":
    main()
