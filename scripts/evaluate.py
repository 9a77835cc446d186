#!/usr/bin/env python3
"""Runs simulated Macs through tidemark and prints how many attacks it finds and how many alerts are false.

usage: evaluate.py --simulator FOLDER --program target/release/examples/macsim [--worlds A,B,C,D,E] [--seeds 100-109] [--macs 8] [--days 45]
                   [--attacks 24] [--budgets 0.05,0.1] [--jobs 2]

FOLDER holds the simulator of Macs (macsim.py, which needs numpy). World A is its own; the others move its assumptions:

  B  heavier tails: a third more bursts, Pareto exponents lower by 0.15, log-normal spreads wider by 15 %
  C  drift: three times the version changes, installations and changes of role
  D  lighter tails: a third fewer bursts, exponents higher by 0.3, spreads narrower by 15 %
  E  new destinations: B with five times the rate of destinations that a program never used before

Each seed's flows are made in a temporary folder and removed after their run, so that many seeds need little space. A row sums all seeds.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

WORLDS = {
    "A": dict(),
    "B": dict(da=-0.15, fp=1.33, fs=1.15),
    "C": dict(ver=3 / 30, inst=0.30, role=0.15),
    "D": dict(da=0.3, fp=0.67, fs=0.85),
    "E": dict(da=-0.15, fp=1.33, fs=1.15),
}
NEW_DESTINATIONS = {"E": 5.0}


def generate(simulator, world, seed, macs, days, attacks, flows, labels):
    """makes one seed's flows in this process"""
    sys.path.insert(0, simulator)
    import macsim

    macsim.WORLDS[world] = dict(macsim.WORLDS["A"], **WORLDS[world])
    for archetype in macsim.ARCH.values():
        archetype.newdest = min(0.9, archetype.newdest * NEW_DESTINATIONS.get(world, 1.0))
    columns, keys = macsim.gen(macs, days, seed, world)
    made = macsim.sample_attacks(columns, keys, days, seed, attacks)
    macsim.export_flows(columns, keys, flows, labels, made, seed)


def one_seed(arg, world, seed):
    with tempfile.TemporaryDirectory(prefix="tidemark-evaluate-") as folder:
        flows, labels = f"{folder}/flows.jsonl", f"{folder}/labels.jsonl"
        call = [sys.executable, __file__, "--generate", arg.simulator, world, str(seed), str(arg.macs), str(arg.days), str(arg.attacks), flows, labels]
        subprocess.run(call, check=True)
        run = [arg.program, "--json"] + [word for b in arg.budgets.split(",") for word in ("--budget", b)] + [flows, labels]
        out = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def table(world, runs):
    """sums the seeds of a world, one row a budget"""
    for rows in zip(*runs):
        budget = rows[0]["budget"]
        false, mac_days = sum(r["false"] for r in rows), sum(r["mac_days"] for r in rows)
        severity, found = collections.Counter(), collections.defaultdict(lambda: [0, 0])
        for r in rows:
            severity.update(r["by_severity"])
            for kind, (hit, of) in r["found"].items():
                found[kind][0] += hit
                found[kind][1] += of
        rate = false / mac_days
        recall = "  ".join(f"{kind}: {hit}/{of} = {hit / of:.2f}" for kind, (hit, of) in sorted(found.items()))
        print(f"world {world}  B = {budget}: {false} false in {mac_days:.0f} Mac-days = {rate:.4f} ({rate / budget:.2f} B)  {dict(severity)}")
        print(f"    {recall}", flush=True)


def main():
    if sys.argv[1:2] == ["--generate"]:
        simulator, world, seed, macs, days, attacks, flows, labels = sys.argv[2:]
        return generate(simulator, world, int(seed), int(macs), int(days), int(attacks), flows, labels)
    arg = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arg.add_argument("--simulator", required=True)
    arg.add_argument("--program", required=True)
    arg.add_argument("--worlds", default="A,B,C,D,E")
    arg.add_argument("--seeds", default="100-109")
    arg.add_argument("--macs", type=int, default=8)
    arg.add_argument("--days", type=int, default=45)
    arg.add_argument("--attacks", type=int, default=24)
    arg.add_argument("--budgets", default="0.05,0.1")
    arg.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    arg = arg.parse_args()
    first, last = (int(n) for n in arg.seeds.split("-"))
    for world in arg.worlds.split(","):
        with concurrent.futures.ThreadPoolExecutor(arg.jobs) as pool:
            table(world, list(pool.map(lambda seed: one_seed(arg, world, seed), range(first, last + 1))))


if __name__ == "__main__":
    main()
