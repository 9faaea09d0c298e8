"""Run by test_store_command.py through spark-submit: store a teacher's logits, and die on the way as a killed run does.

    spark-submit tests/jobs/stop_storing.py TEACHER DAYS

DAYS is a JSON file of two days and their texts by id. The second day ends when all of it is computed and nothing
published; on the first the whole process group is killed while a Python worker computes the second part. What is
patched here is only how large a part is, and where a run ends.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill.errors import OpinionError
from distill.models.registry import Registry
from jobs.common.home import home
from jobs.training import logit_store
from jobs.training.logit_flags import LogitJob
from jobs.training.logit_store import LogitWriter, logits_of
from jobs.warehouse.session import spark_session
from jobs.warehouse.warehouse import Warehouse


class Stopped(LogitWriter):
    """Ends between computing and publishing."""

    def compute(self, keyed: Any, progress: str) -> int:
        super().compute(keyed, progress)
        raise OpinionError("stopped")


def main() -> None:
    from tiny_tables import put_day

    teacher, days = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    warehouse, registry = Warehouse(spark_session("stops"), "opinion"), Registry(str(home() / "registry"))
    for day, texts in days.items():
        put_day(warehouse, day, texts)
    day, other = days
    job = LogitJob(teacher)
    try:
        Stopped(warehouse, registry, job).write(other)
    except OpinionError:
        logit_store.TASK_TEXTS = 8
        logit_store.logits_of = dies_in_part_2()
        LogitWriter(warehouse, registry, job).write(day)
    raise AssertionError("survived")


def dies_in_part_2() -> Any:
    parts, group = count(1), os.getpgrp()

    def made(*args: str) -> Any:
        part, compute = next(parts), logits_of(*args)

        def dying(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for computed in compute(batches):
                if part == 2:
                    os.killpg(group, signal.SIGKILL)
                    os.kill(os.getpid(), signal.SIGKILL)  # a Python worker is of another group
                yield computed

        return dying

    return made


main()
