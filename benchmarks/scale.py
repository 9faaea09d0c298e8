"""A simulated night of up to 10^10 rows on a cluster: how long it takes, what grows, and what gives way first.

The driver's steps are the project's own code on made-up days: footers of as many files, the rows that name what the
tasks wrote, the hashes of repeated ids. They are timed here at a size that fits this machine, and their times and
memory grow as they do. Tasks are drawn around the measured cost of a row (scoring.json) with stragglers, and handed to
the cores as they become free, as Spark does. What only a real cluster knows is assumed: each assumption is an option.

    .venv/bin/python benchmarks/scale.py
"""

import argparse
import heapq
import json
import math
import shlex
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.scoring.id_hashes import hashes_of_ids
from jobs.scoring.survey import again
from jobs.warehouse.attempt_files import WRITTEN
from jobs.warehouse.publish import MOVES
from jobs.warehouse.row_groups import LEAST, MOST, tasks_of

RESULTS = Path(__file__).parent / "results"
SIZES = (10**6, 10**7, 10**8, 10**9, 10**10)
CORES = (8, 32, 128, 512)
TABLES = 3  # of which most tasks write a file
CALLS = 12  # of the metastore for a night: look up, describe, five switches
SPREAD, STRAGGLERS, SLOWER = (
    0.2,
    0.01,
    4.0,
)  # of the times of tasks: log-normal, and one in a hundred four times as long


@dataclass(frozen=True)
class Measured:
    """The driver's code on this machine: seconds and bytes a unit; row_us: of one core, from scoring.json."""

    row_us: float
    footer_s: float
    footer_bytes: float
    written_bytes: float
    hash_s: float
    hash_bytes: float


@dataclass(frozen=True)
class Night:
    """A simulated night; times in seconds, memory of the driver in MB."""

    rows: int
    cores: int
    tasks: int
    ship_s: float
    footers_s: float
    scoring_s: float
    moves_s: float
    metastore_s: float
    repeats_s: float
    total_s: float
    rows_per_core_s: float
    driver_mb: float
    files: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes-per-row", type=float, default=100, help="of the raw files (a loaded day has 100)")
    parser.add_argument("--cores-per-executor", type=int, default=4)
    parser.add_argument("--package-mb", type=float, default=188, help="sent to each executor: make ship's archive")
    parser.add_argument("--driver-mb-s", type=float, default=1250, help="the driver's network: 10 Gbit/s")
    parser.add_argument("--move-ms", type=float, default=3, help="a rename on HDFS; on S3 a copy, some 200")
    parser.add_argument("--call-ms", type=float, default=100, help="a call of the metastore")
    parser.add_argument("--repeated", type=float, default=0.002, help="share of rows whose id occurs twice")
    parser.add_argument("--executor-start-s", type=float, default=8, help="from its request to its first task")
    args = parser.parse_args()
    measured = measure()
    nights = [simulate(rows, cores, args, measured) for rows in SIZES for cores in CORES]
    write(args, measured, nights)


def measure() -> Measured:
    """Time the driver's own code on made-up input."""
    scoring = json.loads((RESULTS / "scoring.json").read_text())["ours"]
    with tempfile.TemporaryDirectory() as folder:
        files, rows = 200, pa.table({name: [f"{name} 一二三"] for name in ("opinion_id", "text", "source")})
        for i in range(files):
            pq.write_table(rows, f"{folder}/part-{i:05d}.zstd.parquet")
        tasks_of(f"file://{folder}", 2)  # the first call imports
        footer_s, footer_bytes = cost(lambda: tasks_of(f"file://{folder}", 2), files)
    named = {"table": "opinion_score", "file": f"part-00000-{'0' * 32}.zstd.parquet", "rows": 10**6}
    _, written_bytes = cost(lambda: pa.Table.from_pylist([named] * 1000, WRITTEN).to_pylist(), 1000)
    hashes = np.sort(hashes_of_ids(pa.array([str(i // 2) for i in range(10**6)])))
    hash_s, hash_bytes = cost(lambda: again(hashes), len(hashes) // 2)
    row_us = scoring["jvm_us_per_row"] + scoring["worker_us_per_row"]
    return Measured(row_us, footer_s, footer_bytes, written_bytes, hash_s, hash_bytes)


def cost(work: Callable[[], Any], units: int) -> tuple[float, float]:
    """Seconds and the highest memory in bytes of a unit of the work."""
    started = time.process_time()
    work()
    seconds = time.process_time() - started
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return seconds / units, most / units


def simulate(rows: int, cores: int, args: argparse.Namespace, measured: Measured) -> Night:
    """One night."""
    executors = max(1, cores // args.cores_per_executor)
    size = rows * args.bytes_per_row
    tasks = math.ceil(size / min(MOST, max(LEAST, size / cores)))  # as tasks_of
    repeats, files = rows * args.repeated / 2, tasks * TABLES
    ship = args.executor_start_s + executors * args.package_mb / args.driver_mb_s
    footers, moves = tasks * measured.footer_s, files * args.move_ms / 1000 / MOVES
    metastore = CALLS * args.call_ms / 1000
    hashing = repeats * measured.hash_s + repeats * 8 * executors / (args.driver_mb_s * 1e6)
    scoring = makespan(rows / tasks * measured.row_us / 1e6, tasks, cores)
    total = ship + footers + hashing + scoring + moves + metastore
    # Hashes are there as Spark's rows, as the array, and as the broadcast.
    memory = tasks * measured.footer_bytes + files * measured.written_bytes + repeats * (measured.hash_bytes + 3 * 8)
    return Night(
        rows,
        cores,
        tasks,
        ship,
        footers,
        scoring,
        moves,
        metastore,
        hashing,
        total,
        rows / cores / total,
        memory / 1e6,
        files,
    )


def makespan(mean: float, tasks: int, cores: int) -> float:
    """Seconds until all tasks have ended, each begun by the first core that is free; a function of its arguments."""
    random = np.random.default_rng(0)
    times = mean * random.lognormal(-(SPREAD**2) / 2, SPREAD, tasks)
    times[random.random(tasks) < STRAGGLERS] *= SLOWER
    free = [0.0] * cores
    for seconds in times.tolist():
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def write(args: argparse.Namespace, measured: Measured, nights: list[Night]) -> None:
    """The tables as JSON and as a page."""
    command = shlex.join(["benchmarks/scale.py", *sys.argv[1:]])
    content = {
        "command": command,
        "assumed": vars(args),
        "measured": asdict(measured),
        "nights": [asdict(night) for night in nights],
    }
    (RESULTS / "scale.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# A simulated night",
        "",
        f"`{command}`. Seconds; a row costs {measured.row_us:.1f} µs of a core (scoring.json).",
        "",
        f"Measured of the driver: a footer {measured.footer_s * 1e3:.2f} ms and {measured.footer_bytes:.0f} bytes, the "
        f"name of a written file {measured.written_bytes:.0f} bytes, a repeated id {measured.hash_s * 1e9:.0f} ns and "
        f"{measured.hash_bytes:.0f} bytes.",
        "",
        "Assumed: " + ", ".join(f"`--{name.replace('_', '-')} {value:g}`" for name, value in vars(args).items()) + ".",
        "",
        "| rows | cores | tasks | start, ship | footers | repeats | scoring | moves | metastore | night | driver, MB |",
        "|" + " --- |" * 11,
        *(
            f"| {n.rows:.0e} | {n.cores} | {n.tasks:,} | {n.ship_s:.0f} | {n.footers_s:.1f} | {n.repeats_s:.1f} "
            f"| {n.scoring_s:,.0f} | {n.moves_s:.1f} | {n.metastore_s:.1f} | {n.total_s:,.0f} | {n.driver_mb:,.0f} |"
            for n in nights
        ),
    ]
    (RESULTS / "scale.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
