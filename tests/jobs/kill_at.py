"""Run by test_kills.py through spark-submit: look at what a killed run left, run the day again, die at a named point.

    spark-submit tests/jobs/kill_at.py REPORT POINT

The first process of a home makes its tables, days and models instead of looking. What is patched here is only where a
run dies. The re-runs use model A and the runs that die model B, so that their rows differ.
"""

import hashlib
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

from pyspark.sql import functions as F

from distill.registry import Registry
from distill.scorer import Scorer
from jobs import publish, score_opinions, score_rows
from jobs.cli import home
from jobs.files import Files
from jobs.publish import Run
from jobs.session import spark_session
from jobs.tables import OPINION_SCORE, RAW_OPINION, REJECTED_OPINION, SCORING_RUN, VALID_COMPLAINT
from jobs.warehouse import Warehouse

DAYS = ("2026-11-09", "2026-11-10")  # runs die on the first
TABLES = (OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT, SCORING_RUN)  # in the order of their switches
OF_A_RUN = ("run_id", "started", "ended", "application_id")
WORDS = ("物业", "乱收费", "退款", "没到账", "菜", "真好吃", "客服", "打不通")


def main() -> None:
    report, point = Path(sys.argv[1]), sys.argv[2]
    warehouse = Warehouse(spark_session("kills"), "opinion")
    if not report.exists():
        seen = prepare(warehouse)
    else:
        seen = {"found": look(warehouse)}
        publish.finish_pending(warehouse)  # as the next run of any unit does
        seen |= {"finished": look(warehouse)}
        score(warehouse, DAYS[0], "A")
        seen |= {"again": look(warehouse)}
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
        texts = [WORDS[i % 8] + WORDS[i // 8 % 8] + WORDS[i // 64 % 8] for i in range(400)] + ["!!!", None, " "]
        rows = [(f"{day}-{i}", text, "test", None) for i, text in enumerate(texts)]
        rows += rows[:2]
        raw = warehouse.spark.createDataFrame(rows, RAW_OPINION.ddl).repartition(2)
        partitions = [(RAW_OPINION, {"dt": day})]
        with publish.run(warehouse, "load_opinions", f"dt={day}", partitions) as run:
            run.stage(raw.withColumn("table", F.lit(RAW_OPINION.name)), [RAW_OPINION])
            run.switch(partitions)
    score(warehouse, DAYS[1], "A")
    score(warehouse, DAYS[0], "B")
    seen = {"B": look(warehouse)}
    score(warehouse, DAYS[0], "A")  # a second run of the day leaves on the disk what every further one does
    return seen | {"A": look(warehouse)}


def score(warehouse: Warehouse, day: str, model: str) -> None:
    registry = Registry(str(home() / "registry"))
    version = next(v for v in registry.versions() if v.startswith(model.lower()))
    version, bundle = registry.load(version)
    score_opinions.score_day(warehouse, day, version, registry.path(version), bundle, Scorer(bundle).threshold)


def look(warehouse: Warehouse) -> dict[str, Any]:
    """What an analyst and the disk show now."""
    warehouse.spark.catalog.clearCache()
    seen: dict[str, Any] = {}
    for table in TABLES:
        rows = [row.asDict() for row in warehouse.read(table).collect()]
        for day in DAYS:
            of_day = [row for row in rows if row["dt"] == day]
            content = sorted(repr([row[c] for c in table.columns if c not in OF_A_RUN]) for row in of_day)
            digest = hashlib.sha256("\n".join(content).encode()).hexdigest()
            runs = sorted({row["run_id"] for row in of_day})
            seen[f"{day} {table.name}"] = {"runs": runs, "rows": len(of_day), "digest": digest}
    view = "SELECT dt, run_id, count(*) n, count(rows_read) audited FROM opinion.complaint GROUP BY 1, 2"
    found = warehouse.spark.sql(view).collect()
    for day in DAYS:
        seen[f"{day} complaint"] = [[row.run_id, row.n, row.audited] for row in found if row.dt == day]
    seen["pending"] = sorted(os.listdir(pending)) if (pending := home() / "data/opinion/pending").exists() else []
    seen["folders"] = sum(1 for path in (home() / "data").rglob("*") if path.is_dir())  # of days, runs and tables
    return seen


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
        before(score_rows, "score_batch", of=lambda _, batch, *__: f"{DAYS[0]}-250" in batch["opinion_id"].to_pylist())
    elif point == "write":
        threading.Thread(target=die_when_written, args=(die,), daemon=True).start()
    elif point == "staged":
        before(Run, "read_back_all")
    elif point == "audited":  # the pending file is written but not yet renamed
        before(Files, "_path", of=lambda _, uri: uri.endswith(".json") and Path(f"{uri[7:]}.tmp").exists())
    elif point == "switched":
        before(Files, "delete", of=lambda _, uri: "/pending/" in uri)
    elif point == "sweep":
        delete = Files.delete

        def half(files: Files, uri: str) -> None:
            if "/run=" in uri and "/table=" not in uri:
                delete(files, f"{uri}/table={OPINION_SCORE.name}")  # a folder is deleted file by file
                die()
            delete(files, uri)

        Files.delete = half  # type: ignore[method-assign]
    else:
        before(Warehouse, "point", int(point.removeprefix("switch")))


def die_when_written(die: Callable[[], None]) -> None:
    before = set((home() / "data").rglob("run=*"))
    while not any(file for run in set((home() / "data").rglob("run=*")) - before for file in run.rglob("*.parquet")):
        time.sleep(0.01)
    die()


main()
