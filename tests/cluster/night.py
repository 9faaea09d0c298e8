"""A driver on the cluster in the test's own process, two scored days, and what a fault did to them."""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from distill.errors import OpinionError
from jobs.common.failures import error_of
from jobs.warehouse.session import spark_session
from jobs.warehouse.tables import SCORING_RUN
from jobs.warehouse.warehouse import Warehouse
from tests.cluster.cluster import CORE, ROOT, Cluster
from tests.jobs import tiny_model
from tests.jobs.whole_day import SAMPLE, TABLES, load, look, score

DAY, OTHER = "2026-11-09", "2026-11-10"  # faults meet the first
DATABASE = "faults"
OPTIONS = ("--database", DATABASE, "--sample", str(SAMPLE))  # of a job that scores a day as `score` does
ALL_WHOLE = f"{2 * len(TABLES)} of {2 * len(TABLES)}"  # of the tables of both days
Look = dict[str, Any]


def record(name: str, **figures: Any) -> None:
    """Print what a scenario came to, and keep it for the report where FAULTS_REPORT names a file."""
    line = json.dumps({"scenario": name, **figures}, ensure_ascii=False)
    print(f"\n{line}")
    if path := os.environ.get("FAULTS_REPORT"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")


def whole_partitions(seen: Look) -> str:
    """How many partitions of both days hold the rows of exactly one run, of how many."""
    runs = [seen[f"{day} {table.name}"]["runs"] for day in (DAY, OTHER) for table in TABLES]
    return f"{sum(len(of) == 1 for of in runs)} of {len(runs)}"


@dataclass
class Fault:
    """How a run under a fault ended: its exit code, its error line, and seconds until the day was right again."""

    code: int = 0
    message: str = ""
    seconds: float = 0.0


@dataclass
class Night:
    """The driver's warehouse; `clean` is what DAY and OTHER look like after a run of each model without a fault."""

    cluster: Cluster
    warehouse: Warehouse
    rows: int
    clean: dict[str, Look] = field(default_factory=dict)
    current: str = "A"

    @property
    def next(self) -> str:
        """The model that does not have DAY now, so that old and new rows differ."""
        return "B" if self.current == "A" else "A"

    def look(self) -> Look:
        """The tables as an analyst sees them, and the disk, now."""
        return look(self.warehouse, (DAY, OTHER))

    def score(self, model: str) -> None:
        """Score DAY."""
        score(self.warehouse, DAY, model)
        self.current = model

    def is_whole(self, model: str) -> Look:
        """Check that DAY is one whole run of the model with its right content, and OTHER as it was."""
        seen, clean = self.look(), self.clean[model]
        runs = {run for table in TABLES for run in seen[f"{DAY} {table.name}"]["runs"]}
        assert len(runs) == 1, runs
        for name in seen:
            if name.startswith(DAY) and "complaint" not in name.split()[1:]:
                assert seen[name]["digest"] == clean[name]["digest"], name
        self.other_is_untouched(seen)
        assert seen["pending"] == []
        [[run, rows, audited]] = seen[f"{DAY} complaint"]
        assert {run} == runs and rows == audited == seen[f"{DAY} valid_complaint"]["rows"]
        return seen

    def other_is_untouched(self, seen: Look) -> None:
        """Check OTHER."""
        names = [name for name in seen if name.startswith(OTHER)]
        assert [seen[name] for name in names] == [self.clean["A"][name] for name in names]

    def each_table_is_whole(self, old: str, new: str) -> int:
        """Check that each table of DAY is a whole run of one of two models; returns how many are of the new one."""
        seen, switched = self.look(), 0
        for table in TABLES:
            table_seen = seen[f"{DAY} {table.name}"]
            assert len(table_seen["runs"]) == 1
            digests = [self.clean[model][f"{DAY} {table.name}"]["digest"] for model in (old, new)]
            assert table_seen["digest"] in digests
            switched += table_seen["digest"] == digests[1]
        return switched

    @contextmanager
    def fault(self, name: str, **more: Any) -> Iterator[Fault]:
        """A scenario: whatever its block raises becomes an exit code and a line; then all is recorded.

        The block must leave DAY whole, of the model `current`.
        """
        before, fault, started = self.look(), Fault(), time.monotonic()
        yield fault
        fault.seconds = fault.seconds or time.monotonic() - started
        after = self.look()
        counts = [sum(seen[f"{DAY} {t.name}"]["rows"] for t in TABLES[:2]) for seen in (before, after)]
        assert counts == [self.rows, self.rows], "no row is lost or doubled"
        whole = whole_partitions(after)
        assert whole == ALL_WHOLE
        self.other_is_untouched(after)
        record(
            name,
            exit_code=fault.code,
            rows_before=counts[0],
            rows_after=counts[1],
            partitions_whole=whole,
            seconds=round(fault.seconds, 1),
            message=fault.message.replace(str(self.cluster.folder), "FOLDER").replace(f"{ROOT}/", ""),
            **more,
        )

    def audit(self) -> Any:
        """The row of DAY in scoring_run."""
        return self.warehouse.read(SCORING_RUN, dt=DAY).collect()[0]

    def logs(self) -> str:
        """All that the cluster and the driver have logged."""
        files = [*self.cluster.folder.glob("*/log"), *self.cluster.folder.glob("work/*/*/std*")]
        files += [*self.cluster.folder.glob("events/*"), *(self.cluster.home / "logs").glob("*")]
        return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())


def attempt(fault: Fault, work: Callable[[], object]) -> None:
    """Do the work; what it raises becomes the exit code and the line of the job that would have ended with it."""
    try:
        work()
    except Exception as e:
        error = e if isinstance(e, OpinionError) else error_of(e)
        fault.code, fault.message = error.exit_code, " ".join(str(error).split())


@contextmanager
def night_on(stack: Cluster) -> Iterator[Night]:
    """The session of this process on the cluster, with DAY and OTHER loaded and scored."""
    stack.start(*CORE)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.job_env.items():
            patch.setenv(name, value)
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        flags = stack.command("", spark_sql_shuffle_partitions="2")[1:-1]
        patch.setenv("PYSPARK_SUBMIT_ARGS", shlex.join([*flags, "pyspark-shell"]))
        spark = spark_session("faults")
        try:
            warehouse = Warehouse(spark, DATABASE)
            if not list((Path(stack.home) / "registry").glob("versions/a-*")):
                tiny_model.add_model("A", 1)
                tiny_model.add_model("B", 2)
            night = Night(stack, warehouse, load(warehouse, DAY))
            load(warehouse, OTHER)
            score(warehouse, OTHER, "A")
            for model in ("B", "A"):
                night.score(model)
                night.clean[model] = night.look()
            yield night
        finally:
            spark.stop()
