"""Logits reach the table whole or not at all: a fault between computing and publishing leaves what was there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from distill.errors import BadInput, OpinionError
from jobs.ingest.hashed_texts import hashed
from jobs.training import logit_store
from jobs.training.logit_store import LogitWriter
from jobs.training.logits import with_logits
from jobs.warehouse import publish
from jobs.warehouse.tables import RAW_OPINION, TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_tables, tiny_teacher
from tests.jobs.stored_logits import DAY, ROWS, counts, stored, writer_of

pytestmark = pytest.mark.spark


@pytest.fixture
def warehouse(spark: SparkSession, database: str) -> Warehouse:
    warehouse = Warehouse(spark, database)
    tiny_tables.put_day(warehouse, DAY, ROWS)
    return warehouse


@pytest.fixture(scope="module")
def teacher(home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_teacher.add_teacher(tmp_path_factory.mktemp("encoder"), 1)


def times_one(rows: DataFrame, logits: str) -> DataFrame:
    """The rows, the first id's with other logits."""
    return rows.withColumn("logits", F.when(F.col("opinion_id") == "id-0", F.expr(logits)).otherwise(F.col("logits")))


DAMAGES: dict[str, Callable[[DataFrame], DataFrame]] = {
    "a row is lost": lambda rows: rows.where("opinion_id != 'id-0'"),
    "a row is doubled": lambda rows: rows.union(rows.where("opinion_id = 'id-0'")),
    "one is lost and one doubled": lambda rows: rows.where("opinion_id != 'id-0'").union(
        rows.where("opinion_id = 'id-1'")
    ),
    "no logits": lambda rows: times_one(rows, "cast(null as array<float>)"),
    "one number": lambda rows: times_one(rows, "slice(logits, 1, 1)"),
    "a null": lambda rows: times_one(rows, "array(logits[0], cast(null as float))"),
    "NaN": lambda rows: times_one(rows, "array(float('NaN'), logits[1])"),
    "infinity": lambda rows: times_one(rows, "array(logits[0], float('-Infinity'))"),
}


def damaged(monkeypatch: pytest.MonkeyPatch, damage: Callable[[DataFrame], DataFrame]) -> None:
    """From here on what is staged differs from what was computed."""
    stage = publish.Run.stage
    monkeypatch.setattr(
        publish.Run, "stage", lambda run, rows, tables, pack=True: stage(run, damage(rows), tables, pack)
    )


def test_what_is_not_stored_whole_is_not_published(
    warehouse: Warehouse, teacher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_of(warehouse, teacher)
    writer.write(DAY)
    before, partition = stored(warehouse, teacher), {"teacher": teacher, "dt": DAY}
    location = warehouse.location(TEACHER_LOGIT, partition)
    folder = f"{warehouse.root}/store_teacher_logits/{teacher}+{DAY}"
    files = warehouse.files.names(folder)
    for name, damage in DAMAGES.items():
        with monkeypatch.context() as patch:
            damaged(patch, damage)
            with pytest.raises(OpinionError, match=rf"17 rows of {DAY} became .*; nothing was published"):
                writer.write(DAY)
        assert warehouse.location(TEACHER_LOGIT, partition) == location, name
        assert warehouse.files.names(folder) == files, f"{name}: files are left"
    assert stored(warehouse, teacher) == before


def test_logits_of_an_older_version_that_are_no_numbers_are_computed_anew(
    warehouse: Warehouse, teacher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_of(warehouse, teacher)
    with monkeypatch.context() as older:
        damaged(older, DAMAGES["NaN"])
        older.setattr(logit_store, "audit", lambda staged, wanted, dt: wanted)
        writer.write(DAY)
    texts = hashed(warehouse.read(RAW_OPINION, dt=DAY).select("opinion_id", "text"))
    joined = with_logits(warehouse, texts, teacher, DAY, [writer.fingerprint]).collect()
    assert [row.opinion_id for row in joined if row.logits is None] == ["id-0"], "as if there were none"
    writer.write(DAY)
    logits = np.array(list(stored(warehouse, teacher).values()))
    assert logits.shape == (17, 2) and np.isfinite(logits).all()


def test_a_run_that_ends_before_it_publishes_leaves_its_work_to_the_next(warehouse: Warehouse, teacher: str) -> None:
    class Stopped(LogitWriter):
        def compute(self, keyed, progress):  # type: ignore[no-untyped-def]
            super().compute(keyed, progress)
            raise OpinionError("stopped")

    with pytest.raises(OpinionError, match="stopped"):
        writer_of(warehouse, teacher, kind=Stopped).write(DAY)
    assert warehouse.location(TEACHER_LOGIT, {"teacher": teacher, "dt": DAY}) is None
    folder = f"{warehouse.root}/store_teacher_logits"
    assert [name for name in warehouse.files.names(folder) if name.startswith("progress+")]
    assert counts(writer_of(warehouse, teacher).write(DAY)) == (20, 3, 15, 0, 15, 17)
    assert not [name for name in warehouse.files.names(folder) if name.startswith("progress+")]


def test_weights_that_change_under_a_running_session_are_noticed(warehouse: Warehouse, tmp_path: Path) -> None:
    """Spark ships a file of one name once, so that executors would compute with the old ones."""
    version = tiny_teacher.add_teacher(tmp_path / "one", 5, scheme="changed")
    writer_of(warehouse, version).write(DAY)
    tiny_teacher.add_teacher(tmp_path / "two", 6, version)
    with pytest.raises(Exception, match=rf"the bundle {version} on this executor is not the driver's; run the job"):
        writer_of(warehouse, version).write(DAY)


def test_days_and_labels_that_are_not_there_are_refused(warehouse: Warehouse, teacher: str) -> None:
    writer = writer_of(warehouse, teacher)
    with pytest.raises(BadInput, match=r"has no day 2026-01-01; load it: opinion load_opinions --dt 2026-01-01"):
        writer.write("2026-01-01")
    with pytest.raises(BadInput, match=r"labelled_opinion \(labelled\) has no rows"):
        writer.write("labelled")
    for dt in ("2026-01-01", "labelled"):
        assert warehouse.location(TEACHER_LOGIT, {"teacher": teacher, "dt": dt}) is None
