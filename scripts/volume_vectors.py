#!/usr/bin/env python3
"""Compares the volume score with its reference on generated histories, and prints the largest difference in log10 p.

usage: volume_vectors.py --reference FOLDER --program target/release/examples/volume_vectors [--vectors 500] [--seeds 1-4] [--values N]

FOLDER holds the reference, bayes_pot.py, and its priors.json, whose hourly prior is the one of config/priors/simulated.json. A history has 0 to 300
values, as those that the reference makes itself, or --values each; six values are asked of each. Exits 1 where a difference exceeds 10^-6.
"""
import argparse
import json
import random
import subprocess
import sys

ASKED = (0, 10, 5_000, 1_000_000, 250_000_000, 50_000_000_000)  # bytes
LENGTHS = (0, 1, 3, 10, 50, 300)  # values a history


def histories(reference, prior, seed, count, values):
    """lines of the form that the reference prints: for each history, every value asked"""
    numbers = random.Random(seed)
    for _ in range(count):
        model, learnt, day = reference.BayesPot(prior), [], 0
        for _ in range(values or numbers.choice(LENGTHS)):
            day += numbers.choice((0, 0, 1))
            value = int(numbers.lognormvariate(numbers.choice((8, 11, 14)), 1.5))
            learnt.append([value, day])
            model.learn(value, day)
        for x in ASKED:
            yield json.dumps({"learnt": learnt, "x": x, "log10_p": model.log10_p(x)})


def main():
    arg = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arg.add_argument("--reference", required=True)
    arg.add_argument("--program", required=True)
    arg.add_argument("--vectors", type=int, default=500, help="histories a seed")
    arg.add_argument("--seeds", default="1-4")
    arg.add_argument("--values", type=int, help="values a history, instead of 0 to 300")
    arg = arg.parse_args()
    sys.path.insert(0, arg.reference)
    import bayes_pot

    with open(f"{arg.reference}/priors.json") as file:
        prior = json.load(file)["bytes_out"]["hour"]
    first, last = (int(n) for n in arg.seeds.split("-"))
    agrees = True
    for seed in range(first, last + 1):
        lines = "\n".join(histories(bayes_pot, prior, seed, arg.vectors, arg.values))
        run = subprocess.run([arg.program], input=lines, text=True, stdout=subprocess.PIPE)
        print(f"seed {seed}: {run.stdout.strip()}", flush=True)
        agrees &= run.returncode == 0
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
