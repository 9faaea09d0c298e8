"""Run through spark-submit by test_kills.py, and by its like on a cluster: mend what a killed run left, die at a point.

    spark-submit tests/jobs/kill_at.py REPORT POINT [DATABASE]

The first process of a home makes its tables, days and models instead of looking. What is patched here is only where a
run dies. The re-runs use model A and the runs that die model B, so that their rows differ.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from whole_day import load, look, score  # beside this file, which spark-submit runs

from jobs.common.home import home
from jobs.scoring import worker
from jobs.warehouse import publish
from jobs.warehouse.files import Files
from jobs.warehouse.publish import Run
from jobs.warehouse.session import spark_session
from jobs.warehouse.tables import OPINION_SCORE
from jobs.warehouse.warehouse import Warehouse

DAYS = ("2026-11-09", "2026-11-10")  # runs die on the first


def main() -> None:
    report, point = Path(sys.argv[1]), sys.argv[2]
    warehouse = Warehouse(spark_session("kills"), (sys.argv[3:] or ["opinion"])[0])
    if not report.exists():
        seen = prepare(warehouse)
    else:
        seen = {"found": look(warehouse, DAYS)}
        publish.finish_pending(warehouse)  # as the next run of any scope does
        seen |= {"finished": look(warehouse, DAYS)}
        score(warehouse, DAYS[0], "A")
        seen |= {"again": look(warehouse, DAYS)}
    with open(report, "a", encoding="utf-8") as file:
        file.write(json.dumps(seen) + "\n")
    if point != "nowhere":
        arm(point)
        score(warehouse, DAYS[0], "B")
        raise AssertionError(f"survived {point}")


def prepare(warehouse: Warehouse) -> dict[str, Any]:
    """Days scored with both models without a death: what all later runs are compared with."""
    from tiny_model import add_model  # imports torch, which the processes after the first do not need

    add_model("A", 1)
    add_model("B", 2)
    for day in DAYS:
        load(warehouse, day)
    score(warehouse, DAYS[1], "A")
    score(warehouse, DAYS[0], "B")
    seen = {"B": look(warehouse, DAYS)}
    score(warehouse, DAYS[0], "A")  # a second run of the day leaves on the disk what every further one does
    return seen | {"A": look(warehouse, DAYS)}


def arm(point: str) -> None:
    """Patch the place where the run dies, with all processes of its group."""
    group = os.getpgrp()

    def die() -> None:
        os.killpg(group, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)  # a Python worker is of another group

    def before(owner: Any, name: str, nth: int = 1, of: Callable[..., bool] = lambda *_: True) -> None:
        original, calls = getattr(owner, name), count(1)

        def dying(*args: Any) -> Any:
            if of(*args) and next(calls) == nth:
                die()
            return original(*args)

        setattr(owner, name, dying)

    if point == "task":
        before(worker, "score_batch", of=lambda _, batch, *__: f"{DAYS[0]}-250" in batch["opinion_id"].to_pylist())
    elif point == "write":
        threading.Thread(target=die_when_written, args=(die,), daemon=True).start()
    elif point == "moved":  # some of the files that workers wrote are in their tables' folders
        before(Files, "rename", 2)
    elif point == "staged":
        before(Run, "read_back_all")
    elif point == "sampled":  # the CSV of the sample is written, and nothing is switched
        before(Run, "discard")
    elif point == "audited":  # the pending file is written but not yet renamed
        before(Files, "_path", of=lambda _, uri: uri.endswith(".json") and Path(f"{uri[7:]}.tmp").exists())
    elif point == "switched":  # all tables are, and the pending file is still there
        before(Files, "delete", of=lambda _, uri: "/pending/" in uri)
    elif point == "sweep":
        delete = Files.delete

        def half(files: Files, uri: str) -> None:
            if Path(uri).name.startswith("run="):
                delete(files, f"{uri}/table={OPINION_SCORE.name}")  # a folder is deleted file by file
                die()
            delete(files, uri)

        Files.delete = half  # type: ignore[method-assign]
    else:
        before(Warehouse, "set_location", int(point.removeprefix("switch")))


def die_when_written(die: Callable[[], None]) -> None:
    before = set((home() / "data").rglob("run=*"))
    while not any(file for run in set((home() / "data").rglob("run=*")) - before for file in run.rglob("*.parquet")):
        time.sleep(0.01)
    die()


main()
