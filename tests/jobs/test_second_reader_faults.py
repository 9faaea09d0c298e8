"""A second reader that fails: the day has the student's decisions and a warning, or stays as it was if required."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput, BadModel, OpinionError
from distill.scoring.scorer import probability_of
from jobs.reports.day_summary import day_summary
from jobs.scoring.scoring_flags import ReaderOptions
from jobs.steps.second_reading import checked_reader
from jobs.training import logit_store, reader_store
from jobs.warehouse.tables import OPINION_SCORE, SCORING_RUN, TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import read_day, tiny_model, tiny_teacher
from tests.jobs.read_day import DAY, STREAM, run_of, score, scores_of
from tests.jobs.tamper import tamper

pytestmark = [pytest.mark.spark, pytest.mark.slow]

NOWHERE = "bert-20260101T000000Z-000000"


@pytest.fixture(scope="module")
def model(home: Path) -> str:
    return tiny_model.add_model("read", 1)


@pytest.fixture(scope="module")
def teacher(home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_teacher.add_teacher(tmp_path_factory.mktemp("encoder"), 1)


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession, model: str, teacher: str) -> Warehouse:
    warehouse = Warehouse(spark, "second_reader_faults")
    read_day.put_day(warehouse)
    read_day.put_labels(warehouse, model, teacher)
    return warehouse


def with_nan(folder: Path, teacher: str, warehouse: Warehouse) -> str:
    """A teacher whose logits overflow, with the logits of the labels that another one has."""
    bad, registry = tiny_teacher.add_teacher(folder, 2), read_day.registry()
    bundle = registry.load(bad).bundle
    tensors = {name: tensor.copy() for name, tensor in bundle.tensors.items()}
    for name in ("encoder.encoder.layer.1.output.LayerNorm.weight", "output.weight"):
        tensors[name][:] = 1e30  # a number, which a bundle may hold
    shutil.rmtree(registry.path(bad))
    registry.add(bad, tensors, bundle.files, {"architecture": bundle.manifest["architecture"]})
    read_day.put_label_logits(warehouse, bad, tiny_teacher.logits_alone(teacher, read_day.LABELLED))
    return bad


def dies(*_: Any) -> Any:
    def kill(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _batch in batches:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from ()

    return kill


def out_of_memory(*_: Any) -> Any:
    def fail(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _batch in batches:
            raise MemoryError
        yield from ()

    return fail


def hangs(*_: Any) -> Any:
    def wait(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _batch in batches:
            time.sleep(600)
        yield from ()

    return wait


def assert_students_day(warehouse: Warehouse, model: str, reader: str, cause: str) -> None:
    """The day is published with the student's decisions; run and summary say why."""
    run, scores = run_of(warehouse), scores_of(warehouse)
    assert run.warning.startswith(f"the second reader {reader} failed, so the decisions are the student's: ")
    assert cause in run.warning and "\n" not in run.warning
    assert (run.second_reader, run.reader_texts, run.reader_rows, run.band_low) == (reader, None, 0, None)
    assert (run.rows_made_valid, run.rows_made_junk, run.combination) == (0, 0, None)
    alone = probability_of(read_day.student_margins(model, STREAM))
    assert [scores[f"id-{i}"][0] for i in range(len(STREAM))] == alone.tolist()
    assert {row[3:] for row in scores.values()} == {(None, "student")}
    assert f"warning: {run.warning}" in day_summary(warehouse, DAY, highest=False).splitlines()


FAULTS = {"killed": (dies, "exited unexpectedly"), "memory": (out_of_memory, "MemoryError")}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_reader_that_dies_leaves_the_students_day(warehouse, model, teacher, monkeypatch, fault) -> None:
    work, cause = FAULTS[fault]
    monkeypatch.setattr(reader_store, "unit_logits", work)
    monkeypatch.setattr(reader_store.ReaderStore, "stored", without_stream(reader_store.ReaderStore.stored))
    score(warehouse, model, teacher, read=20)
    assert_students_day(warehouse, model, teacher, cause)
    before = scores_of(warehouse), run_of(warehouse)
    with pytest.raises(OpinionError):
        score(warehouse, model, teacher, read=20, second_reader_required=True)
    assert (scores_of(warehouse), run_of(warehouse)) == before, "the day is as it was"
    assert warehouse.files.names(f"{warehouse.root}/pending") == []
    monkeypatch.undo()
    score(warehouse, model, teacher, read=20)
    assert (run_of(warehouse).warning, run_of(warehouse).reader_texts) == (None, 20)


def test_a_reader_that_hangs_is_stopped_when_its_seconds_end(warehouse, model, teacher, monkeypatch) -> None:
    monkeypatch.setattr(reader_store, "unit_logits", hangs)
    monkeypatch.setattr(reader_store.ReaderStore, "stored", without_stream(reader_store.ReaderStore.stored))
    started = time.monotonic()
    score(warehouse, model, teacher, read_seconds=20.0)
    assert time.monotonic() - started < 300
    assert_students_day(warehouse, model, teacher, "read no text in the seconds that it has")


def without_stream(stored: Any) -> Any:
    """Only the logits of labels are stored, as on a first night."""

    def of_labels(store: Any, keys: Any) -> Any:
        return stored(store, keys) if len(keys) == len(read_day.LABELLED) else {}

    return of_labels


def test_a_reader_stopped_by_its_seconds_decides_what_it_has_read(warehouse, model, teacher, monkeypatch) -> None:
    """The nearest texts, of a band that is as narrow; what it computed is stored."""
    whole = reader_store.chunk_logits
    chunks = []

    def slow(store: Any, texts: Any, chunk: Any) -> Any:
        chunks.append(chunk)
        logits = whole(store, texts, chunk)
        store.deadline = 0 if len(chunks) == 2 else store.deadline
        return logits

    monkeypatch.setattr(reader_store, "chunk_logits", slow)
    monkeypatch.setattr(reader_store, "UNIT", 8)
    monkeypatch.setattr(reader_store, "UNITS_A_CHUNK", 1)
    monkeypatch.setattr(reader_store.ReaderStore, "stored", without_stream(reader_store.ReaderStore.stored))
    score(warehouse, model, teacher, read_seconds=500.0)
    run = run_of(warehouse)
    assert run.reader_texts == sum(map(len, chunks)) < len(STREAM)
    student = read_day.student_margins(model, STREAM)
    read = [i for i in range(len(STREAM)) if scores_of(warehouse)[f"id-{i}"][3] is not None]
    middle = (run.band_low + run.band_high) / 2
    assert read == sorted(np.argsort(np.abs(student - middle), kind="stable")[: run.reader_texts].tolist())
    stored = warehouse.read(TEACHER_LOGIT, teacher=teacher, dt=f"read-{DAY}").select("text_hash").distinct().count()
    assert stored >= run.reader_texts


def test_logits_that_are_not_numbers(warehouse, model, teacher, tmp_path) -> None:
    bad = with_nan(tmp_path, teacher, warehouse)
    score(warehouse, model, bad, read=20)
    assert_students_day(warehouse, model, bad, "the teacher gives NaN or infinity for 20 of 20 texts")
    with pytest.raises(BadModel, match="NaN or infinity"):
        score(warehouse, model, bad, read=20, second_reader_required=True)


def test_a_version_that_is_not_there(warehouse, model) -> None:
    asked = checked_reader(read_day.registry(), ReaderOptions(NOWHERE))
    assert asked.second_reader == NOWHERE, "the night says so, and goes on"
    score(warehouse, model, NOWHERE, read=20)
    assert_students_day(warehouse, model, NOWHERE, f"no model {NOWHERE}")
    with pytest.raises(BadModel, match=f"no model {NOWHERE}"):
        score(warehouse, model, NOWHERE, read=20, second_reader_required=True)


def test_weights_that_are_swapped_while_the_day_is_read(warehouse, model, teacher, tmp_path, monkeypatch) -> None:
    swapped = tiny_teacher.add_teacher(tmp_path / "first", 3)
    read_day.put_label_logits(warehouse, swapped, tiny_teacher.logits_alone(teacher, read_day.LABELLED))
    ship = logit_store.ship

    def swap(spark: SparkSession, path: str) -> None:
        tiny_teacher.add_teacher(tmp_path / "second", 4, version=swapped)
        ship(spark, path)

    monkeypatch.setattr(logit_store, "ship", swap)
    score(warehouse, model, swapped, read=20)
    assert_students_day(warehouse, model, swapped, "on this executor is not the driver's")
    stored = warehouse.read(TEACHER_LOGIT, teacher=swapped, dt=f"read-{DAY}").count()
    assert stored == 0


def test_a_student_is_no_second_reader(warehouse, model, teacher) -> None:
    with pytest.raises(BadInput, match="is a textcnn"):
        checked_reader(read_day.registry(), ReaderOptions(model))
    assert checked_reader(read_day.registry(), ReaderOptions("bert")).second_reader in read_day.registry().versions()


def test_too_few_labels_to_combine(spark, database, model, teacher) -> None:
    empty = Warehouse(spark, database)
    read_day.put_day(empty)
    score(empty, model, teacher, read=20)
    assert_students_day(empty, model, teacher, "0 labels of nights and 0 of valid")


@pytest.mark.parametrize("column", ["score", "student_score", "reader_score"])
def test_the_audit_counts_what_the_second_reader_changed(warehouse, model, teacher, monkeypatch, column) -> None:
    score(warehouse, model, teacher, read=len(STREAM))
    before = scores_of(warehouse)
    value = {"score": 2.0, "student_score": None, "reader_score": 2.0}[column]

    def changed(rows: pa.Table) -> pa.Table:
        values = [value, *rows[column].to_pylist()[1:]]
        return rows.set_column(rows.column_names.index(column), column, pa.array(values, pa.float32()))

    tamper(monkeypatch, OPINION_SCORE, changed)
    with pytest.raises(OpinionError, match="of them wrong"):
        score(warehouse, model, teacher, read=len(STREAM))
    assert scores_of(warehouse) == before
    assert warehouse.read(SCORING_RUN, dt=DAY).count() == 1
