"""A long run of the fuzz targets, written to benchmarks/results/fuzz.json and fuzz.md.

    NUMBA_BOUNDSCHECK=1 .venv/bin/python -m tests.fuzz --seed 1

With NUMBA_BOUNDSCHECK compiled code raises where it would read beside an array. A round is a function of the seed and
its number: a failure is shown again with --only TARGET --round N.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz.targets import TARGETS

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
INPUTS = {"records": 600_000, "texts": 400_000, "bundles": 30_000}


def run(name: str, seed: int, inputs: int, folder: Path, first: int = 0) -> dict[str, Any]:
    """Rounds of one target until so many inputs were tried; raises at the first broken promise, naming the round."""
    target, outcomes, started, number = TARGETS[name](folder), Counter[str](), time.monotonic(), first
    while outcomes.total() < inputs:
        try:
            outcomes.update(target(random.Random(f"{name} {seed} {number}")))
        except Exception as e:
            e.add_note(f"seen again with --only {name} --seed {seed} --round {number}")
            raise
        number += 1
    seconds = round(time.monotonic() - started, 1)
    ordered = dict(sorted(outcomes.items(), key=lambda o: (-o[1], o[0])))
    return {"target": name, "seed": seed, "inputs": outcomes.total(), "seconds": seconds, "outcomes": ordered}


def page(runs: list[dict[str, Any]]) -> str:
    """The results for people."""
    lines = [
        "# Fuzzing",
        "",
        "`NUMBA_BOUNDSCHECK=1 .venv/bin/python -m tests.fuzz --seed 1` (targets: `tests/fuzz/targets.py`). No input",
        "broke a promise: an exception that is none of ours, an id out of range, a score out of [0, 1], a score that",
        "depends on the batch, or a bundle that loads and cannot score would have ended the run.",
        "",
        "| target | inputs | seconds | outcomes |",
        "| --- | --- | --- | --- |",
    ]
    for run in runs:
        outcomes = ", ".join(f"{name} {count:,}" for name, count in run["outcomes"].items())
        lines.append(f"| {run['target']} | {run['inputs']:,} | {run['seconds']} | {outcomes} |")
    lines.append(f"\n{sum(run['inputs'] for run in runs):,} inputs in all.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all targets, or one round of one again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=TARGETS)
    parser.add_argument("--round", type=int)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.round is not None:
            print(run(args.only, args.seed, 1, Path(folder), args.round))
            return
        runs = []
        for name in [args.only] if args.only else TARGETS:
            runs.append(run(name, args.seed, INPUTS[name], Path(folder)))
            print(runs[-1], flush=True)
    if not args.only:
        checked = bool(int(os.environ.get("NUMBA_BOUNDSCHECK", "0")))
        content = {"bounds_checked": checked, "runs": runs}
        (RESULTS / "fuzz.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "fuzz.md").write_text(page(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
