"""Publish is stage, audit, switch: what readers see, what the next run mends, and what is left on the disk."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from distill.errors import Busy
from jobs.common import locks, time_zones
from jobs.warehouse import publish
from jobs.warehouse.schema import Table
from jobs.warehouse.tables import (
    AUDIT_SAMPLE,
    LABELLED_OPINION,
    RAW_OPINION,
    REJECTED_LABEL,
    REJECTED_OPINION,
    SCORING_RUN,
)
from jobs.warehouse.warehouse import Warehouse

pytestmark = pytest.mark.spark

JOB = "load_opinions"


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession) -> Warehouse:
    """One database for all tests, each of which has a day of its own."""
    return Warehouse(spark, "publish")


@pytest.fixture
def day(request: pytest.FixtureRequest) -> str:
    tests = [item.name for item in request.session.items]
    number = tests.index(request.node.name)
    return f"{2000 + number // 28}-01-{number % 28 + 1:02d}"


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


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("by", ["the same day", "another day"])
def test_a_run_that_died_between_switches_is_finished(warehouse, day, by, nth, monkeypatch, capsys) -> None:
    put(warehouse, day, 3, 1)
    dead = die_at_switch(warehouse, day, nth, monkeypatch)
    assert counts(warehouse, day) == [(3, 1), (7, 1)][nth - 1]
    assert len(pending(warehouse)) == 1
    unit = day if by == "the same day" else f"{day[:4]}-02-{day[-2:]}"
    with publish.run(warehouse, JOB, f"dt={unit}", partitions_of(unit)):
        assert counts(warehouse, day) == (7, 2)
    assert f"finished run {dead.id} of {JOB} dt={day}" in capsys.readouterr().out
    assert pending(warehouse) == []
    put(warehouse, day, 4, 1)
    assert counts(warehouse, day) == (4, 1)


def test_a_run_that_fails_right_after_its_pending_file_keeps_its_files(warehouse, day, monkeypatch) -> None:
    """The file is there, so the next run will point readers at what was staged."""
    put(warehouse, day, 3, 1)
    write_text = warehouse.files.write_text

    def interrupted(uri: str, text: str) -> None:
        write_text(uri, text)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(warehouse.files, "write_text", interrupted)
        put(warehouse, day, 7, 2)
    assert counts(warehouse, day) == (3, 1) and len(pending(warehouse)) == 1
    publish.finish_pending(warehouse)
    assert counts(warehouse, day) == (7, 2) and pending(warehouse) == []


def test_a_pending_file_that_cannot_be_read_stays(warehouse, day, monkeypatch) -> None:
    put(warehouse, day, 3, 1)
    die_at_switch(warehouse, day, 1, monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="data node"):
        patch.setattr(warehouse.files, "read_text", lambda uri: (_ for _ in ()).throw(OSError("data node gone")))
        publish.finish_pending(warehouse)
    assert len(pending(warehouse)) == 1
    with monkeypatch.context() as patch:  # its run ended after the folder was listed
        patch.setattr(warehouse.files, "read_text", lambda uri: (_ for _ in ()).throw(FileNotFoundError(uri)))
        publish.finish_pending(warehouse)
    assert counts(warehouse, day) == (3, 1)
    publish.finish_pending(warehouse)
    assert counts(warehouse, day) == (7, 2) and pending(warehouse) == []


def test_a_run_that_still_lives_is_left_to_finish_by_itself(warehouse, day, monkeypatch) -> None:
    put(warehouse, day, 3, 1)
    dead = die_at_switch(warehouse, day, 2, monkeypatch)
    with locks.hold(publish.lock_path(warehouse, JOB, f"dt={day}"), "as if it lived"):
        publish.finish_pending(warehouse)
        assert counts(warehouse, day) == (7, 1)
        assert publish.is_pending(warehouse, dead.id)
    publish.finish_pending(warehouse)
    assert counts(warehouse, day) == (7, 2)


def test_half_a_pending_file_is_removed_by_the_next_run_of_its_scope_alone(warehouse: Warehouse, day: str) -> None:
    name = f"{JOB},dt={day},20260101T000000Z-00000000.json"
    warehouse.files.write_text(f"{warehouse.root}/pending/{name}.tmp", '[["raw_opi')
    publish.finish_pending(warehouse)
    assert pending(warehouse) == [f"{name}.tmp"]
    put(warehouse, day, 1)
    assert pending(warehouse) == []


def test_files_of_others_beside_the_pending_ones_are_left_alone(warehouse: Warehouse, day: str) -> None:
    name = f"{JOB},dt={day},20260101T000000Z-00000000.json"
    foreign = {f"._{name}", ".DS_Store", "notes.json", f"{name}.bak"}
    for other in foreign:
        file = f"{warehouse.root}/pending/{other}"
        warehouse.files._fs.create(warehouse.files._path(file), True).close()
    put(warehouse, day, 2, 1)
    assert counts(warehouse, day) == (2, 1) and not publish.is_pending(warehouse, "20260101T000000Z-00000000")
    assert set(pending(warehouse)) == foreign
    for other in foreign:
        warehouse.files.delete(f"{warehouse.root}/pending/{other}")


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


def test_a_failure_after_the_switches_takes_no_file_from_readers(warehouse, day, monkeypatch) -> None:
    put(warehouse, day, 5)
    with monkeypatch.context() as patched, pytest.raises(OSError, match="disk"):
        patched.setattr(publish.Run, "delete_old_runs", lambda run, keep: (_ for _ in ()).throw(OSError("disk")))
        put(warehouse, day, 7, 2)
    assert counts(warehouse, day) == (7, 2)
    put(warehouse, day, 8)
    assert counts(warehouse, day) == (8, 0) and pending(warehouse) == []


def test_a_publication_that_the_run_did_not_see_is_not_replaced(warehouse: Warehouse, day: str) -> None:
    put(warehouse, day, 3, 1)
    other = f"{warehouse.root}/elsewhere/{day}/run=of-another-host/table={REJECTED_OPINION.name}"
    warehouse.files.make_folder(other)
    with (
        pytest.raises(Busy, match=r"published by another run while this one worked .*of-another-host"),
        publish.run(warehouse, JOB, f"dt={day}", partitions_of(day)) as run,
    ):
        stage(run, 5, 5)
        second, partition = partitions_of(day)[1]
        warehouse.set_location(second, partition, other, warehouse.location(second, partition))
        run.switch(partitions_of(day))
    assert counts(warehouse, day) == (3, 0)
    assert pending(warehouse) == []
    assert f"run={run.id}" not in kept(warehouse, day)


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
