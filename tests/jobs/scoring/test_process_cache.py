"""A cached value is made once a process, not once a task."""

import os
import uuid
from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.scoring.process_cache import cached


@pytest.mark.spark
def test_tasks_of_one_process_share_what_the_first_made(spark: SparkSession) -> None:
    wanted = uuid.uuid4().hex

    def make() -> str:
        return uuid.uuid4().hex

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        list(batches)
        yield pa.RecordBatch.from_pydict({"pid": [os.getpid()], "made": [cached(wanted, make)]})

    tasks = spark.range(0, 24, 1, 12)
    pairs = [tuple(row) for _ in range(2) for row in tasks.mapInArrow(work, "pid long, made string").collect()]
    assert len(pairs) == 24
    assert len(set(pairs)) == len({pid for pid, _ in pairs}), "one made a process"


def test_only_the_last_is_cached() -> None:
    first = cached("a", object)
    assert cached("a", object) is first
    cached("b", object)
    assert cached("a", object) is not first
