"""An analyst who queries while days are published again sees one whole run or another, never a mixture or nothing."""

import threading
import time
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.warehouse import publish
from jobs.warehouse.tables import SCORING_RUN, VALID_COMPLAINT
from jobs.warehouse.warehouse import Warehouse

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAY = "2026-11-09"


@pytest.fixture
def warehouse(spark: SparkSession) -> Warehouse:
    return Warehouse(spark, "readers")


@pytest.fixture
def seen_by_a_reader(warehouse: Warehouse) -> Iterator[list[tuple[str, int, int]]]:
    """Reads of the analysts' view by a thread, again and again while the test runs: run, rows, rows with audit."""
    seen: list[tuple[str, int, int]] = []
    stop = threading.Event()
    session = warehouse.spark.newSession()

    def read() -> None:
        while not stop.is_set():
            rows = session.sql(f"SELECT run_id, rows_read FROM readers.complaint WHERE dt = '{DAY}'").collect()
            runs = ",".join(sorted({row.run_id for row in rows}))
            seen.append((runs, len(rows), sum(row.rows_read is not None for row in rows)))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield seen
    stop.set()
    thread.join(60)


def test_a_reader_sees_only_whole_runs(warehouse, seen_by_a_reader) -> None:
    partitions = [(VALID_COMPLAINT, {"dt": DAY}), (SCORING_RUN, {"dt": DAY})]
    sizes = {"": 0}
    for size in (10, 20, 30, 40, 50, 60):
        with publish.run(warehouse, "score_opinions", f"dt={DAY}", partitions) as run:
            ids = warehouse.spark.range(size + 1).select(
                F.when(F.col("id") < size, VALID_COMPLAINT.name).otherwise(SCORING_RUN.name).alias("table"),
                F.col("id").cast("string").alias("opinion_id"),
                F.lit(run.id).alias("run_id"),
                F.lit(size).cast("bigint").alias("rows_read"),
            )
            run.stage(ids, [VALID_COMPLAINT, SCORING_RUN])
            sizes[run.id] = size
            run.switch(partitions)
        # Every run is looked at. A query may take as long as a publication: it keeps the files of the run before.
        wanted, patience = len(seen_by_a_reader) + 2, time.monotonic() + 120
        while len(seen_by_a_reader) < wanted:
            assert time.monotonic() < patience, "the reader has died"
            time.sleep(0.05)
    runs = [run_id for run_id, _, _ in seen_by_a_reader if run_id]
    assert runs == sorted(runs, key=list(sizes).index)
    assert [run_id for run_id, _, _ in seen_by_a_reader][-len(runs) :] == runs  # never nothing once there was something
    for run_id, rows, audited in seen_by_a_reader:
        assert rows == sizes[run_id]
        assert audited in (0, rows)
    assert {*runs} == sizes.keys() - {""}
