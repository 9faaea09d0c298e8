"""Publish is stage, audit, switch: what readers see, and what is left on the disk."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pyspark.sql import Row
from pyspark.sql import functions as F

from distill.errors import Busy
from jobs.common import locks, time_zones
from jobs.warehouse import publish
from jobs.warehouse.tables import (
    AUDIT_SAMPLE,
    LABELLED_OPINION,
    RAW_OPINION,
    REJECTED_LABEL,
    REJECTED_OPINION,
    SCORING_RUN,
)
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.warehouse.publications import JOB, counts, kept, partitions_of, put, stage

pytestmark = pytest.mark.spark


def test_rows_come_back_with_the_tables_columns(warehouse: Warehouse, day: str) -> None:
    with publish.run(warehouse, JOB, f"dt={day}", partitions_of(day)) as run:
        stage(run, 3, 1)
        assert run.read_back(RAW_OPINION).columns == list(RAW_OPINION.columns)
        assert run.read_back(RAW_OPINION).count() == 3
        assert [row.run_id for row in run.read_back(REJECTED_OPINION).collect()] == [run.id]
        assert counts(warehouse, day) == (0, 0)
        run.switch(partitions_of(day))
    assert counts(warehouse, day) == (3, 1)
    assert sorted(row.opinion_id for row in warehouse.read(RAW_OPINION, dt=day).collect()) == ["0", "1", "2"]


def test_a_table_without_rows_this_time_is_empty_not_as_it_was(warehouse: Warehouse, day: str) -> None:
    put(warehouse, day, 3, 2)
    run = put(warehouse, day, 4, 0)
    assert counts(warehouse, day) == (4, 0)
    assert publish.run_id_of(str(warehouse.location(*partitions_of(day)[1]))) == run.id


def test_tables_without_partitions(warehouse: Warehouse) -> None:
    tables = [(LABELLED_OPINION, {}), (REJECTED_LABEL, {})]
    for rows in (3, 2):
        with publish.run(warehouse, "load_labels", "all", tables) as run:
            ids = warehouse.spark.range(rows).select(
                F.lit(LABELLED_OPINION.name).alias("table"), F.col("id").cast("string").alias("opinion_id")
            )
            run.stage(ids, [LABELLED_OPINION, REJECTED_LABEL])
            run.switch(tables)
        assert warehouse.read(LABELLED_OPINION).count() == rows
        assert warehouse.read(REJECTED_LABEL).count() == 0


def test_a_failure_leaves_the_old_day_and_no_files(warehouse: Warehouse, day: str) -> None:
    before = put(warehouse, day, 3, 1)
    with (
        pytest.raises(KeyboardInterrupt),
        publish.run(warehouse, JOB, f"dt={day}", partitions_of(day)) as run,
    ):
        stage(run, 9, 9)
        raise KeyboardInterrupt
    assert counts(warehouse, day) == (3, 1)
    assert kept(warehouse, day) == [f"run={before.id}"]


@pytest.mark.parametrize("first", ["the earlier", "the later"])
def test_hosts_that_share_no_lock_cannot_undo_each_other(warehouse, day, first, monkeypatch) -> None:
    put(warehouse, day, 1)
    monkeypatch.setattr(locks, "hold", lambda *_: contextlib.nullcontext())
    earlier = publish.run(warehouse, JOB, f"dt={day}", partitions_of(day))
    later = publish.run(warehouse, JOB, f"dt={day}", partitions_of(day))
    winner, loser = (earlier, later) if first == "the earlier" else (later, earlier)
    runs = {context: context.__enter__() for context in (earlier, later)}
    for size, context in enumerate((winner, loser), start=5):
        stage(runs[context], size, size)
    runs[winner].switch(partitions_of(day))
    with pytest.raises(Busy, match=runs[winner].id):
        runs[loser].switch(partitions_of(day))
    assert counts(warehouse, day) == (5, 5)


def test_only_the_run_in_force_and_the_last_are_kept(warehouse: Warehouse, day: str) -> None:
    runs = [put(warehouse, day, 1 + i) for i in range(4)]
    assert kept(warehouse, day) == sorted(f"run={run.id}" for run in runs[-2:])
    put(warehouse, day, 9, switch=False)  # as a run that died before its switches
    assert counts(warehouse, day) == (4, 0)
    last = put(warehouse, day, 5)
    assert kept(warehouse, day) == sorted([f"run={runs[-1].id}", f"run={last.id}"])


def test_two_runs_of_a_unit_at_once_one_wins_whole(warehouse: Warehouse, day: str) -> None:
    with publish.run(warehouse, JOB, f"dt={day}", partitions_of(day)) as run:
        with pytest.raises(Busy, match=f"dt={day} of publish .* by another run .pid "):
            put(warehouse, day, 9, 9)
        stage(run, 2, 1)
        run.switch(partitions_of(day))
    assert counts(warehouse, day) == (2, 1)


def test_files_are_few_whatever_the_input(warehouse: Warehouse, day: str) -> None:
    with publish.run(warehouse, JOB, f"dt={day}", partitions_of(day)) as run:
        stage(run, 5000, 500, inputs=50)
        run.switch(partitions_of(day))
    for table, partition in partitions_of(day):
        folder = Path(str(warehouse.location(table, partition)).removeprefix("file:"))
        assert len(list(folder.glob("*.parquet"))) == 1


def test_rows_of_the_driver_are_staged_without_a_job_of_spark(warehouse: Warehouse, day: str) -> None:
    """Of every kind of column that a table has; what a row lacks is null."""
    noon = datetime(2026, 11, 9, 12, 0, 0, 123456, tzinfo=UTC)
    row = {
        "run_id": "r",
        "threshold": 0.1,
        "rows_read": 7,
        "rejected_by_reason": {"null_text": 2},
        "score_histogram": [1, 2],
        "started": noon.astimezone(ZoneInfo("Asia/Shanghai")),
        "certified": True,
        "source_precision": {"微博": 0.25},
        "unlabelled_sources": {"": {"opinions": 3, "valid": 1}},
        "of no column": 1,
    }
    partitions = [(SCORING_RUN, {"dt": day}), (AUDIT_SAMPLE, {"dt": day})]
    context = warehouse.spark.sparkContext
    context.setJobGroup(day, "staging")
    with publish.run(warehouse, "score_opinions", f"dt={day}", partitions) as run:
        run.stage_rows(SCORING_RUN, [row])
        run.stage_rows(AUDIT_SAMPLE, [])
        assert list(context.statusTracker().getJobIdsForGroup(day)) == []
        run.switch(partitions)
    stored = time_zones.first(warehouse.read(SCORING_RUN, dt=day))
    assert stored is not None
    known = {column: stored[column] for column in SCORING_RUN.columns if stored[column] is not None}
    assert known.pop("threshold") == np.float32(0.1)
    assert known.pop("unlabelled_sources") == {"": Row(opinions=3, valid=1)}
    assert known == {column: row[column] for column in known} and len(known) == len(row) - 3
    assert warehouse.read(AUDIT_SAMPLE, dt=day).count() == 0
