"""Run a job and note the processors' seconds of its phases, its JVM's and its workers' among them.

spark-submit benchmarks/phases.py FILE JOB FLAGS        writes FILE as JSON
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil

# Where a phase's function is defined: what imports it later gets the one that is noted.
PHASES = {
    "session": "jobs.warehouse.session:spark_session",
    "metastore and tables": "jobs.warehouse.warehouse:Warehouse.__init__",
    "survey": "jobs.scoring.survey:survey",
    "stage": "jobs.scoring.quarantine:stage_with_quarantine",
    "audit": "jobs.scoring.audit:count_staged",
    "unlabelled sources": "jobs.scoring.promise:unlabelled_sources",
    "sample": "jobs.scoring.audit_sample:sample_rows",
    "switch": "jobs.warehouse.publish:Run.switch",
    "summary": "jobs.reports.day_summary:day_summary",
}
JVM = psutil.Process(os.getppid())
seconds: dict[str, float] = {}


def spent() -> float:
    total = 0.0
    for process in (JVM, *JVM.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def note(phase: str, place: str) -> None:
    module, _, name = place.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, last = name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    inner = getattr(owner, last)

    @functools.wraps(inner)
    def noted(*args: Any, **options: Any) -> Any:
        before = spent()
        try:
            return inner(*args, **options)
        finally:
            seconds[phase] = seconds.get(phase, 0) + spent() - before

    setattr(owner, last, noted)


def end(file: Path) -> None:
    total = spent()
    seconds["the rest"] = total - sum(seconds.values())
    file.write_text(json.dumps(seconds))


seconds["start of Java"] = spent()
file, job, *flags = sys.argv[1:]
for phase, place in PHASES.items():
    note(phase, place)
sys.argv = [job, *flags]
try:
    from jobs.common.failures import run_main
except ImportError:  # of an older commit
    from jobs.common.cli import run_main  # type: ignore[attr-defined,no-redef]
atexit.register(end, Path(file))
run_main(importlib.import_module(f"jobs.{job}").main)
