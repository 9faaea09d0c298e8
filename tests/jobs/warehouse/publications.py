"""Runs that publish numbered rows of a day, and what readers and the disk have of them."""

import pytest
from pyspark.sql import functions as F

from jobs.warehouse import publish
from jobs.warehouse.schema import Table
from jobs.warehouse.tables import RAW_OPINION, REJECTED_OPINION
from jobs.warehouse.warehouse import Warehouse

JOB = "load_opinions"


def partitions_of(day: str) -> list[tuple[Table, dict[str, str]]]:
    return [(RAW_OPINION, {"dt": day}), (REJECTED_OPINION, {"dt": day, "stage": "load"})]


def put(warehouse: Warehouse, day: str, stored: int, rejected: int = 0, switch: bool = True) -> publish.Run:
    """Publish so many rows of each table, numbered from 0."""
    with publish.run(warehouse, JOB, f"dt={day}", partitions_of(day)) as run:
        stage(run, stored, rejected)
        if switch:
            run.switch(partitions_of(day))
    return run


def stage(run: publish.Run, stored: int, rejected: int, inputs: int = 1) -> None:
    rows = run.warehouse.spark.range(0, stored + rejected, 1, inputs).select(
        F.when(F.col("id") < stored, RAW_OPINION.name).otherwise(REJECTED_OPINION.name).alias("table"),
        F.col("id").cast("string").alias("opinion_id"),
        F.lit("好").alias("text"),
        F.lit(run.id).alias("run_id"),
    )
    run.stage(rows, [RAW_OPINION, REJECTED_OPINION])


def counts(warehouse: Warehouse, day: str) -> tuple[int, int]:
    return warehouse.read(RAW_OPINION, dt=day).count(), warehouse.read(REJECTED_OPINION, dt=day).count()


def kept(warehouse: Warehouse, day: str) -> list[str]:
    return warehouse.files.names(f"{warehouse.root}/{JOB}/dt={day}")


def pending(warehouse: Warehouse) -> list[str]:
    return warehouse.files.names(f"{warehouse.root}/pending")


def die_at_switch(warehouse: Warehouse, day: str, nth: int, monkeypatch: pytest.MonkeyPatch) -> publish.Run:
    """A run whose metastore is gone at the nth switch; it leaves what a death there leaves (see test_kills.py)."""
    with monkeypatch.context() as patch:
        point, calls = warehouse.set_location, iter(range(1, 9))

        def failing(*args: object) -> None:
            if next(calls) == nth:
                raise ConnectionError("metastore gone")
            point(*args)

        patch.setattr(warehouse, "set_location", failing)
        with pytest.raises(ConnectionError), publish.run(warehouse, JOB, f"dt={day}", partitions_of(day)) as run:
            stage(run, 7, 2)
            run.switch(partitions_of(day))
    return run
