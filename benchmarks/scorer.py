"""The Python side of scoring on one core, without Spark: texts a second of each step, medians over rounds.

.venv/bin/python benchmarks/scorer.py --day ../shared/data/stream/dt=2026-11-09.jsonl.gz --model champion
"""

import argparse
import gzip
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

from distill.scoring.scorer import Scorer
from distill.text.normalisation import unscorable_reason
from distill.text.text_batch import normalise_batch
from jobs.common.home import home_registry
from jobs.ingest.records import Opinion, parse_line

Starts = list[tuple[float, float]]
RESULTS = Path(__file__).parent / "results"
BATCH, ROUNDS = 8192, 7
# What a Python worker does until its first row is scored, from the start of the process.
FIRST_ROW = """
import resource, sys
import jobs.scoring.worker
from distill.models import bundle
from distill.scoring.scorer import Scorer
scores = Scorer(bundle.load(sys.argv[1])).score(["物业乱收费"]).scores
assert 0 <= scores[0] <= 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=Path, required=True, help="a day of the stream, JSON lines in gzip")
    parser.add_argument("--model", default="champion", help="a version of the registry")
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    registry = home_registry()
    saved = registry.load(args.model)
    version, bundle = saved.version, saved.bundle
    scorer = Scorer(bundle)
    starts = [start(registry.path(version)) for _ in range(ROUNDS)]
    texts = read(args.day)
    normalised = [t for t in normalise_batch(texts) if unscorable_reason(t) is None]
    encoded = [scorer.vocabulary.encode_batch(normalised[i : i + BATCH]) for i in range(0, len(normalised), BATCH)]
    steps: dict[str, Callable[[], object]] = {
        "normalise": lambda: [normalise_batch(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)],
        "segment and encode": lambda: [
            scorer.vocabulary.encode_batch(normalised[i : i + BATCH]) for i in range(0, len(normalised), BATCH)
        ],
        "look up and pool": lambda: [scorer.logits(batch) for batch in encoded],
        "all of it (Scorer.score)": lambda: [scorer.score(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS + 1):  # interleaved, so that a slow moment of the machine falls on all
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began)
    rates = {name: round(len(texts) / statistics.median(times[1:])) for name, times in seconds.items()}
    mean = sum(map(len, texts)) / len(texts)
    write(version, len(texts), mean, starts, rates, shlex.join(["benchmarks/scorer.py", *sys.argv[1:]]))


def start(path: str) -> tuple[float, float]:
    """Seconds from the start of a process to its first score and its end, and the most memory it had, in MiB."""
    began = time.perf_counter()
    printed = subprocess.run([sys.executable, "-c", FIRST_ROW, path], check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - began, float(printed)


def read(path: Path) -> list[str]:
    with gzip.open(path) as file:
        records = [parse_line(line.rstrip(b"\n"), UTC) for line in file]
    return [record.text for record in records if isinstance(record, Opinion) and record.text]


def write(version: str, texts: int, mean: float, starts: Starts, rates: dict[str, int], command: str) -> None:
    seconds, memory = (statistics.median(measured) for measured in zip(*starts, strict=True))
    result = {
        "command": command,
        "python": platform.python_version(),
        "model": version,
        "texts": texts,
        "mean_characters": round(mean, 1),
        "first_score_s": [round(s, 2) for s, _ in starts],
        "worker_mib": round(memory),
        "texts_per_s_on_one_core": rates,
    }
    (RESULTS / "scorer.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# The Python side of scoring, one core",
        "",
        f"`{command}`: {texts} texts of {mean:.1f} characters on average, in batches of {BATCH}; "
        f"medians of {ROUNDS} rounds. A process has its first score {seconds:.2f} s after it was started, with "
        f"compiled code in its cache, and then {memory:.0f} MiB.",
        "",
        "| step | texts/s |",
        "| --- | --- |",
        *(f"| {name} | {rate:,} |" for name, rate in rates.items()),
    ]
    (RESULTS / "scorer.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
