"""A Python worker of Spark computes with Arrow and has no pandas, until something asks for it."""

import sys
from collections.abc import Iterator

import cloudpickle
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.common.privacy import redact_errors

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors cannot import this file


def modules(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Whether pandas is loaded after arrays were made, and whether it can still be had."""
    for _ in batches:
        numbers = pa.array([1, 2])
        before = "pandas" in sys.modules
        later = numbers.to_pandas().sum() == 3 and "pandas" in sys.modules
        yield pa.RecordBatch.from_pydict({"before": [before], "later": [bool(later)]})


@pytest.mark.spark
def test_a_worker_has_no_pandas_until_it_is_asked_for(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    # Workers of another environment are new ones; an old one may have pandas from another test.
    monkeypatch.setitem(spark.sparkContext.environment, "OPINION_TEST", "pandas")
    rows = spark.range(1).mapInArrow(redact_errors(modules), "before boolean, later boolean").collect()
    assert [(row.before, row.later) for row in rows] == [(False, True)]
