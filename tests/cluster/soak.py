"""Load and score days for some minutes while faults strike at random; after every step each day must be whole.

    .venv/bin/python -m tests.cluster.soak --minutes 10 --seed 1

The order of steps, faults and delays follows from the seed; what a fault hits depends on the machine's pace too.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from distill.models.registry import Registry
from jobs.scoring import worker
from jobs.warehouse import publish
from tests.cluster.cluster import CORE, ROOT, Cluster
from tests.cluster.night import DAY, OPTIONS, OTHER, Fault, Night, attempt, night_on
from tests.cluster.test_faults_scoring import at_the_marked_row, killing_worker
from tests.jobs.whole_day import TABLES, load, score

TRIES = 4  # of a step that a fault has stopped
POISON = "poisoned row"
Strike = Callable[[Night, random.Random], None]


def executors(night: Night) -> list[psutil.Process]:
    """The executors of all applications."""
    running = [process for worker in night.cluster.workers if (process := worker.process())]
    below = [child for process in running for child in process.children(recursive=True)]
    return [child for child in below if child.name() == "java"]


def kill_executor(night: Night, draw: random.Random) -> None:
    """One of them."""
    if processes := executors(night):
        draw.choice(processes).kill()


def kill_python(night: Night, draw: random.Random) -> None:
    """All Python processes of one executor."""
    if processes := executors(night):
        for child in draw.choice(processes).children(recursive=True):
            child.kill()


def lose_machine(night: Night, draw: random.Random) -> None:
    """One worker with all that it runs."""
    draw.choice(night.cluster.workers).kill()


def stop(name: str, seconds: float) -> Strike:
    """A component is killed, and started again some seconds later."""

    def strike(night: Night, draw: random.Random) -> None:
        night.cluster.services[name].kill()
        time.sleep(seconds)
        night.cluster.start("postgres", "metastore")

    return strike


def kill_a_driver(night: Night, draw: random.Random) -> None:
    """Another driver scores the same day, and is killed somewhere on its way."""
    command = night.cluster.command("jobs/score_opinions.py", "--dt", DAY, *OPTIONS, spark_cores_max="1")
    other = subprocess.Popen(
        command,
        cwd=ROOT,
        env=night.cluster.job_env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        other.wait(timeout=draw.uniform(5, 25))
    except subprocess.TimeoutExpired:
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()


STRIKES: dict[str, Strike | None] = {
    "none": None,
    "executor killed": kill_executor,
    "Python workers killed": kill_python,
    "machine lost": lose_machine,
    "metastore killed": stop("metastore", 1),
    "metastore away for 10 s": stop("metastore", 10),
    "PostgreSQL killed": stop("postgres", 1),
    "PostgreSQL away for 10 s": stop("postgres", 10),
    "another driver killed": kill_a_driver,
    POISON: None,
}


def step(night: Night, draw: random.Random) -> dict[str, Any]:
    """One action under one fault, again until it is done; returns what came of it."""
    name, day, action = draw.choice(list(STRIKES)), draw.choice((DAY, OTHER)), draw.choice(("load", "A", "B", "A", "B"))
    strike, delay = STRIKES[name], draw.uniform(0, 4)
    struck = threading.Event()
    if name == POISON:
        day, action = DAY, draw.choice("AB")  # only who scores this day meets the row
        struck.set()

    def later() -> None:
        time.sleep(delay)
        if strike:
            struck.set()
            strike(night, draw)

    original, started = worker.score_batch, time.monotonic()
    if name == POISON:
        worker.score_batch = at_the_marked_row(killing_worker())
    thread = threading.Thread(target=later)
    thread.start()
    codes, met = [], []
    for _ in range(TRIES):
        fault = Fault()
        attempt(fault, lambda: load(night.warehouse, day) if action == "load" else score(night.warehouse, day, action))
        codes.append(fault.code)
        met.append(struck.is_set())
        thread.join(timeout=120)
        night.cluster.start(*CORE)
        if codes[-1] == 0:
            break
    worker.score_batch = original
    check(night, poisoned=name == POISON)
    return {
        "fault": name,
        "struck_while_it_worked": met[0],
        "day": day,
        "action": action,
        "codes": codes,
        "seconds": round(time.monotonic() - started, 1),
    }


def check(night: Night, poisoned: bool) -> None:
    """Each table of each day is one whole run of A or B, and once the dead are finished all are of one run."""
    publish.finish_pending(night.warehouse)
    seen = night.look()
    assert [name for name in seen["pending"] if name.endswith(".json")] == []
    for day in (DAY, OTHER):
        runs = {run for table in TABLES for run in seen[f"{day} {table.name}"]["runs"]}
        assert len(runs) == 1, (day, runs)
        rows = sum(seen[f"{day} {table.name}"]["rows"] for table in TABLES[:2])
        assert rows == night.rows, f"{day} has {rows} of {night.rows} rows"
        if not (poisoned and day == DAY):
            digests = [
                [seen[f"{day} {t.name}"]["digest"], *(digest_of(night, m, day, t.name) for m in "AB")] for t in TABLES
            ]
            # The audit names the files that were read, and a load of the day makes new ones.
            assert all(digest in (a, b) for digest, a, b in digests[:3]), f"{day} is neither A's nor B's"
    if poisoned:
        score(night.warehouse, DAY, "A")


def digest_of(night: Night, model: str, day: str, table: str) -> str:
    """The digest that a clean run of the model leaves; both days have equal texts under other ids."""
    return str(night.clean[f"{model} {day}"][f"{day} {table}"]["digest"])


def soak(night: Night, minutes: float, seed: int) -> dict[str, Any]:
    """Steps until the time is over."""
    registry = Registry(str(night.cluster.home / "registry"))
    registry.promote(next(v for v in registry.versions() if v.startswith("a-")), "what the other driver scores with")
    for model in "BA":
        for day in (DAY, OTHER):
            score(night.warehouse, day, model)
            night.clean[f"{model} {day}"] = night.look()
    draw, until, steps = random.Random(seed), time.monotonic() + 60 * minutes, []
    while time.monotonic() < until:
        steps.append(step(night, draw))
        print(json.dumps(steps[-1], ensure_ascii=False), flush=True)
    faults = Counter(done["fault"] for done in steps if done["struck_while_it_worked"])
    refused = sum(code != 0 for done in steps for code in done["codes"])
    assert all(done["codes"][-1] == 0 for done in steps), "a step was never done"
    slowest = max(done["seconds"] for done in steps)
    return {
        "seed": seed,
        "minutes": minutes,
        "steps": len(steps),
        "refused_and_done_again": refused,
        "slowest_step_s": slowest,
        "rows_lost_or_doubled": 0,
        "faults": dict(faults),
        "log": steps,
    }


def main() -> None:
    """Start a cluster, soak, write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="opinion-soak-"))
    cluster = Cluster(folder, cores=2, memory="2g")
    try:
        with night_on(cluster) as night:
            results = soak(night, args.minutes, args.seed)
    finally:
        cluster.stop()
    shutil.rmtree(folder)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
