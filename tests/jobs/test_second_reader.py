"""A day that a second reader reads too: it decides the nearest texts alone, and a day is the same however it is cut."""

import numpy as np
import pytest
from pyspark.sql import SparkSession

from distill.evaluation import combination
from distill.scoring.scorer import margin_of, probability_of
from distill.scoring.second_reader import rounded_margins
from distill.text.normalisation import normalise, text_hash
from jobs.scoring.scoring_flags import ReaderOptions
from jobs.steps import second_reading
from jobs.steps.score_day import is_scored
from jobs.training import reader_store
from jobs.warehouse.tables import TEACHER_LOGIT, VALID_COMPLAINT
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import read_day, tiny_model, tiny_teacher
from tests.jobs.read_day import DAY, STREAM, run_of, score, scores_of

pytestmark = pytest.mark.spark

READ = 40


@pytest.fixture(scope="module")
def model(home) -> str:
    return tiny_model.add_model("read", 1)


@pytest.fixture(scope="module")
def teacher(home, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_teacher.add_teacher(tmp_path_factory.mktemp("encoder"), 1)


def prepared(spark: SparkSession, database: str, model: str, teacher: str) -> Warehouse:
    warehouse = Warehouse(spark, database)
    read_day.put_day(warehouse)
    read_day.put_labels(warehouse, model, teacher)
    return warehouse


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession, model: str, teacher: str) -> Warehouse:
    """The day is loaded, and scored with a second reader."""
    warehouse = prepared(spark, "second_reader", model, teacher)
    score(warehouse, model, teacher, read=READ)
    return warehouse


def test_the_nearest_texts_have_the_score_of_both_and_the_others_the_students(
    warehouse: Warehouse, model: str, teacher: str
) -> None:
    run, scores = run_of(warehouse), scores_of(warehouse)
    assert run.warning is None
    student = read_day.student_margins(model, STREAM)
    threshold = margin_of(run.threshold)
    order = sorted(range(len(STREAM)), key=lambda i: (abs(student[i] - threshold), text_hash(normalise(STREAM[i]))))
    near = sorted(order[:READ])
    logits = tiny_teacher.logits_alone(teacher, [STREAM[i] for i in near])
    reader = rounded_margins(logits)
    numbers = run.combination
    final = student.copy()
    final[near] = numbers["intercept"] + numbers["student"] * student[near] + numbers["reader"] * reader
    expected, alone = probability_of(final), probability_of(student)
    of_reader = dict(zip(near, probability_of(reader), strict=True))
    for i in range(len(STREAM)):
        found = [scores[f"id-{i}"]] + ([scores[f"again-{i // 3}"]] if i % 3 == 0 else [])
        decided_by = "second reader" if i in of_reader else "student"
        for row in found:
            assert row == (expected[i], expected[i] >= run.threshold, alone[i], of_reader.get(i), decided_by)
    changed = [row for row in scores.values() if row[1] != (row[2] >= run.threshold)]
    assert {row[1] for row in changed} == {True, False}, "the example has changes in both directions"
    assert run.rows_made_valid == sum(row[1] for row in changed)
    assert run.rows_made_junk == sum(not row[1] for row in changed)
    assert run.reader_rows == sum(row[3] is not None for row in scores.values()) > READ == run.reader_texts
    assert (run.second_reader, run.reader_texts_budget, run.reader_seconds_budget) == (teacher, READ, None)
    assert run.band_low == pytest.approx(threshold - abs(student[order[READ - 1]] - threshold))
    valid = {row.opinion_id: row.score for row in warehouse.read(VALID_COMPLAINT, dt=DAY).collect()}
    assert valid == {opinion: row[0] for opinion, row in scores.items() if row[1]}
    assert sum(run.score_histogram) == run.rows_scored == len(scores)


def test_a_second_run_reads_nothing_and_changes_nothing(warehouse: Warehouse, model: str, teacher: str) -> None:
    before, first = scores_of(warehouse), run_of(warehouse)
    assert first.reader_texts_computed in (0, READ)
    score(warehouse, model, teacher, read=READ)
    run = run_of(warehouse)
    assert (run.reader_texts, run.reader_texts_computed) == (READ, 0)
    assert scores_of(warehouse) == before
    stored = warehouse.read(TEACHER_LOGIT, teacher=teacher, dt=f"read-{DAY}").collect()
    assert len({row.text_hash for row in stored}) == len(stored) == READ
    score(warehouse, model, teacher, read=READ + 10)
    assert run_of(warehouse).reader_texts_computed == 10


@pytest.mark.slow
@pytest.mark.parametrize(("partitions", "batch", "chunk"), [(1, 10000, 1), (5, 7, 3)])
def test_partitions_batches_and_chunks_change_no_bit(
    spark, warehouse, database, model, teacher, monkeypatch, partitions, batch, chunk
) -> None:
    """In a database of its own, so that nothing is stored: every logit is computed again."""
    score(warehouse, model, teacher, read=READ)
    again = prepared(spark, database, model, teacher)
    rows = second_reading.nearest
    monkeypatch.setattr(second_reading, "nearest", lambda raw, *more: rows(raw.repartition(partitions), *more))
    monkeypatch.setattr(reader_store, "UNITS_A_CHUNK", chunk)
    monkeypatch.setattr(reader_store, "UNIT", 16)  # several units, and as many here as there would be of 256
    limit = spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", batch)
    try:
        score(again, model, teacher, read=READ)
    finally:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", limit)
    assert run_of(again).reader_texts_computed == READ
    assert scores_of(again) == scores_of(warehouse)


def test_a_day_is_done_for_its_second_reader_alone(warehouse: Warehouse, model: str, teacher: str) -> None:
    score(warehouse, model, teacher, read=READ)
    saved = read_day.registry().load(model)
    assert is_scored(warehouse, DAY, saved, ReaderOptions(teacher, read=READ))
    assert not is_scored(warehouse, DAY, saved, ReaderOptions(teacher, read=READ + 1))
    assert not is_scored(warehouse, DAY, saved, ReaderOptions(teacher, read_seconds=5))
    assert not is_scored(warehouse, DAY, saved, ReaderOptions("bert-20260101T000000Z-000000", read=READ))
    assert not is_scored(warehouse, DAY, saved)
    score(warehouse, model, None)
    assert is_scored(warehouse, DAY, saved)
    assert not is_scored(warehouse, DAY, saved, ReaderOptions(teacher, read=READ))
    alone = probability_of(read_day.student_margins(model, STREAM))
    scores = scores_of(warehouse)
    assert [scores[f"id-{i}"][0] for i in range(len(STREAM))] == alone.tolist()
    assert {row[4] for row in scores.values()} == {"student"} and {row[3] for row in scores.values()} == {None}


def test_labels_of_nights_are_read_once_and_combine_with_valid(spark, database, model, teacher, monkeypatch) -> None:
    monkeypatch.setattr(combination, "LEAST_BESIDE_VALID", 60)
    warehouse = Warehouse(spark, database)
    read_day.put_day(warehouse)
    read_day.put_labels(warehouse, model, teacher, nights=60)
    score(warehouse, model, teacher, read=READ)
    run = run_of(warehouse)
    assert run.warning is None
    valid = len(read_day.LABELLED) - 60
    assert run.combination_labels == f"60 labels of nights and {valid} labels of valid"
    assert (run.reader_texts, run.reader_texts_computed) == (READ, READ), "the labels are no texts of the budget"
    stored = {row.text_hash for row in warehouse.read(TEACHER_LOGIT, teacher=teacher, dt=f"read-{DAY}").collect()}
    assert len(stored) == READ + 60 and text_hash(normalise(read_day.LABELLED[0])) in stored


def test_a_budget_of_seconds_reads_all_when_there_is_time(warehouse: Warehouse, model: str, teacher: str) -> None:
    score(warehouse, model, teacher, read_seconds=500.0)
    run = run_of(warehouse)
    assert (run.reader_texts, run.reader_texts_budget, run.reader_seconds_budget) == (len(STREAM), None, 500.0)
    assert {row[4] for row in scores_of(warehouse).values()} == {"second reader"}
    assert np.isfinite([run.band_low, run.band_high]).all()
