#!/usr/bin/env python3
"""Runs simulated Macs through tidemark and prints how many attacks it finds and how many alerts are false.

usage: evaluate.py --simulator FOLDER --program target/release/examples/macsim [--worlds A,B,C,D,E] [--seeds 100-109] [--macs 8] [--days 45]
                   [--attacks 24] [--budgets 0.05,0.1] [--jobs 2] [--max-flows 12] [--keep FOLDER]
       evaluate.py --official --simulator FOLDER --program target/release/tidemark [--seeds 100-109] [--budgets 0.05,0.1] [--keep FOLDER]

FOLDER holds the simulator of Macs (macsim.py, which needs numpy). World A is its own; the others move its assumptions:

  B  heavier tails: a third more bursts, Pareto exponents lower by 0.15, log-normal spreads wider by 15 %
  C  drift: three times the version changes, installations and changes of role
  D  lighter tails: a third fewer bursts, exponents higher by 0.3, spreads narrower by 15 %
  E  new destinations: B with five times the rate of destinations that a program never used before

With --official the whole program is judged instead of the detector alone: each Mac becomes a recording (make_recording.py), `tidemark replay` reads it
from an empty store, and score_alerts.py counts; both stand beside the simulator. The judge takes every event that it is given for an alert, so
that those which only say that a finding has been quiet for a month and is closed are not given to it; how many there were is printed.

--keep leaves the flows, or the recordings, compressed (zstd), for another run. Without it they are removed, so that many seeds need little space. A row
sums all seeds. --seeds takes several ranges: 300-321,328-349.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import shutil
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


def generate(simulator, world, seed, macs, days, attacks, flows, labels, max_flows):
    """makes one seed's flows in this process"""
    sys.path.insert(0, simulator)
    import macsim

    macsim.WORLDS[world] = dict(macsim.WORLDS["A"], **WORLDS[world])
    for archetype in macsim.ARCH.values():
        archetype.newdest = min(0.9, archetype.newdest * NEW_DESTINATIONS.get(world, 1.0))
    columns, keys = macsim.gen(macs, days, seed, world)
    made = macsim.sample_attacks(columns, keys, days, seed, attacks)
    macsim.export_flows(columns, keys, flows, labels, made, seed, max_flows=max_flows)


def call_generate(arg, world, seed, flows, labels):
    """makes one seed's flows in a process of its own: a world changes the simulator's tables"""
    numbers = (seed, arg.macs, arg.days, arg.attacks)
    call = [sys.executable, __file__, "--generate", arg.simulator, world, *map(str, numbers), flows, labels, str(arg.max_flows)]
    subprocess.run(call, check=True)


def judge(arg, flows, labels, source=None):
    run = [arg.program, "--json"] + [word for b in arg.budgets.split(",") for word in ("--budget", b)] + [flows, labels]
    out = subprocess.run(run, check=True, stdin=source, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def one_seed(arg, world, seed):
    if not arg.keep:
        with tempfile.TemporaryDirectory(prefix="tidemark-evaluate-") as folder:
            flows, labels = f"{folder}/flows.jsonl", f"{folder}/labels.jsonl"
            call_generate(arg, world, seed, flows, labels)
            return judge(arg, flows, labels)
    kept, labels = f"{arg.keep}/{world}/{seed}.zst", f"{arg.keep}/{world}/{seed}.labels"
    if not os.path.exists(kept):
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        flows = f"{arg.keep}/{world}/{seed}.jsonl"
        call_generate(arg, world, seed, flows, labels)
        subprocess.run(["zstd", "-q", "-3", "-f", "--rm", flows, "-o", f"{kept}.part"], check=True)
        os.rename(f"{kept}.part", kept)
    with subprocess.Popen(["zstd", "-dc", kept], stdout=subprocess.PIPE) as plain:
        return judge(arg, "-", labels, plain.stdout)


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


def record(arg, seed, kept):
    """makes the recordings of one seed's Macs, one Mac at a time, and leaves them compressed"""
    with tempfile.TemporaryDirectory(prefix="tidemark-evaluate-") as folder:
        flows, labels = f"{folder}/flows.jsonl", f"{folder}/labels.jsonl"
        call_generate(arg, "A", seed, flows, labels)
        for mac in range(arg.macs):
            one = f"{folder}/one.jsonl"
            with open(flows) as source, open(one, "w") as target:
                target.writelines(line for line in source if f'"mac":{mac},' in line)
            subprocess.run([sys.executable, f"{arg.simulator}/make_recording.py", one, folder, "--labels", labels], check=True, stdout=subprocess.DEVNULL)
            recording = f"{folder}/mac-{mac}.ndjson"
            if os.path.exists(recording):
                subprocess.run(["zstd", "-q", "-3", "-f", "--rm", recording, "-o", f"{kept}/mac-{mac}.ndjson.zst"], check=True)
        shutil.copy(f"{folder}/labels.ndjson", f"{kept}/labels.ndjson")


def replay(arg, seed, kept, out):
    """replays the recordings of one seed at every budget, and returns how many findings were closed at each; what score_alerts.py reads of a
    recording, its ends, stays in `out`"""
    os.makedirs(out)
    closed = collections.Counter()
    os.link(f"{kept}/labels.ndjson", f"{out}/labels.ndjson")
    for mac in range(arg.macs):
        recording = f"{kept}/mac-{mac}.ndjson.zst"
        if not os.path.exists(recording):
            continue
        for budget in arg.budgets.split(","):
            os.makedirs(f"{out}/{budget}", exist_ok=True)
            with open(f"{out}/config.toml", "w") as config:
                config.write(f"[detection]\nalerts_per_mac_per_day = {budget}\n")
            with open(f"{out}/{budget}/mac-{mac}.ndjson", "w") as alerts:
                call = [arg.program, "replay", "--config", f"{out}/config.toml", recording]
                told = subprocess.run(call, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
                for line in told.splitlines(keepends=True):
                    if json.loads(line)["stage"]["activity"] == "close":
                        closed[budget] += 1
                    else:
                        alerts.write(line)
        plain = subprocess.Popen(["zstd", "-dc", recording], stdout=subprocess.PIPE)
        lines = iter(plain.stdout)
        begin = [next(lines), next(lines)]
        with open(f"{out}/mac-{mac}.ndjson", "wb") as ends:
            ends.writelines(begin + list(collections.deque(lines, 1)))
        plain.wait()
    return closed


def official(arg, seeds):
    closed = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="tidemark-evaluate-", dir=arg.keep) as folder:
        for seed in seeds:
            kept = f"{arg.keep or folder}/{seed}"
            if not os.path.exists(f"{kept}/labels.ndjson"):
                os.makedirs(kept, exist_ok=True)
                record(arg, seed, kept)
            closed += replay(arg, seed, kept, f"{folder}/out-{seed}")
            if not arg.keep:
                shutil.rmtree(kept)
        for budget in arg.budgets.split(","):
            pairs = [path for seed in seeds for path in (f"{folder}/out-{seed}", f"{folder}/out-{seed}/{budget}")]
            print(f"B = {budget} ({closed[budget]} findings closed)", flush=True)
            subprocess.run([sys.executable, f"{arg.simulator}/score_alerts.py", *pairs], check=True)


def main():
    if sys.argv[1:2] == ["--generate"]:
        simulator, world, *numbers, flows, labels, max_flows = sys.argv[2:]
        return generate(simulator, world, *map(int, numbers), flows, labels, int(max_flows))
    arg = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arg.add_argument("--simulator", required=True)
    arg.add_argument("--program", required=True)
    arg.add_argument("--worlds", default="A,B,C,D,E")
    arg.add_argument("--seeds", default="100-109")
    arg.add_argument("--macs", type=int, default=8)
    arg.add_argument("--days", type=int, default=45)
    arg.add_argument("--attacks", type=int, default=24)
    arg.add_argument("--budgets", default="0.05,0.1")
    arg.add_argument("--max-flows", type=int, default=12, help="flows that a window of five minutes is split into, at most: fewer are quicker")
    arg.add_argument("--official", action="store_true")
    arg.add_argument("--keep", help="a folder for the flows, or the recordings of --official")
    arg.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    arg = arg.parse_args()
    ranges = ([int(n) for n in seeds.split("-")] for seeds in arg.seeds.split(","))
    seeds = [seed for first, *last in ranges for seed in range(first, (last or [first])[0] + 1)]
    if arg.official:
        return official(arg, seeds)
    for world in arg.worlds.split(","):
        with concurrent.futures.ThreadPoolExecutor(arg.jobs) as pool:
            table(world, list(pool.map(lambda seed: one_seed(arg, world, seed), seeds)))


if __name__ == "__main__":
    main()
