"""Stored logits are those of the model on each text alone, and nothing is computed twice."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput, BadModel
from distill.scoring.scorer import Scorer
from distill.text.normalisation import normalise, text_hash
from jobs.training import logit_store
from jobs.training.logit_flags import LogitJob
from jobs.training.logit_store import LogitWriter
from jobs.training.snapshot import SnapshotSpec, chosen_labels
from jobs.warehouse.tables import LABELLED_OPINION, TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_model, tiny_tables, tiny_teacher
from tests.jobs.stored_logits import DAY, ROWS, TEXTS, counts, registry, stored, writer_of

pytestmark = pytest.mark.spark

NEXT = "2026-11-10"


@pytest.fixture
def warehouse(spark: SparkSession, database: str) -> Warehouse:
    warehouse = Warehouse(spark, database)
    tiny_tables.put_day(warehouse, DAY, ROWS)
    return warehouse


@pytest.fixture(scope="module")
def teacher(home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_teacher.add_teacher(tmp_path_factory.mktemp("encoder"), 1)


def test_logits_are_those_of_the_model_on_each_text_alone(warehouse: Warehouse, teacher: str) -> None:
    summary = writer_of(warehouse, teacher).write(DAY)
    logits = stored(warehouse, teacher)
    assert counts(summary) == (20, 3, 15, 15, 0, 17)
    assert set(logits) == set(ROWS) - {"null", "blank", "marks"}
    alone = tiny_teacher.logits_alone(teacher, [ROWS[opinion] for opinion in logits])
    np.testing.assert_allclose(list(logits.values()), alone, rtol=0, atol=1e-4)
    assert alone.std(axis=0).min() > 0.05, "texts are told apart"
    assert logits["id-0"] == logits["again"] == logits["nearly"]
    digest = registry().load(teacher).bundle.digest
    for row in warehouse.read(TEACHER_LOGIT, teacher=teacher, dt=DAY).collect():
        assert row.text_hash == text_hash(normalise(ROWS[row.opinion_id] or ""))
        assert row.fingerprint == f"{digest}/float32"


def test_what_is_stored_is_not_computed_again(warehouse: Warehouse, teacher: str) -> None:
    writer = writer_of(warehouse, teacher)
    writer.write(DAY)
    before = stored(warehouse, teacher)
    assert counts(writer.write(DAY)) == (20, 3, 15, 0, 15, 17)
    assert stored(warehouse, teacher) == before, "replaced, not appended"
    tiny_tables.put_day(warehouse, NEXT, {"id-0": TEXTS[3], "old": TEXTS[0], "one": "退款退款", "two": "退款退款"})
    assert counts(writer.write(NEXT)) == (4, 0, 3, 1, 2, 4)
    logits = stored(warehouse, teacher, NEXT)
    assert (logits["id-0"], logits["old"]) == (before["id-3"], before["id-0"])
    alone = tiny_teacher.logits_alone(teacher, ["退款退款"])[0]
    np.testing.assert_allclose([logits["one"], logits["two"]], [alone, alone], atol=1e-4)
    assert stored(warehouse, teacher) == before, "the other day is as it was"


def test_a_day_that_was_loaded_anew_has_the_logits_of_its_new_texts(warehouse: Warehouse, teacher: str) -> None:
    writer = writer_of(warehouse, teacher)
    writer.write(DAY)
    tiny_tables.put_day(warehouse, DAY, {"id-0": "菜很差劲", "id-1": TEXTS[1]})
    assert counts(writer.write(DAY)) == (2, 0, 2, 1, 1, 2)
    logits = stored(warehouse, teacher)
    np.testing.assert_allclose(logits["id-0"], tiny_teacher.logits_alone(teacher, ["菜很差劲"])[0], atol=1e-4)
    assert set(logits) == {"id-0", "id-1"}


def test_labels_share_what_was_computed_for_days(warehouse: Warehouse, teacher: str) -> None:
    writer = writer_of(warehouse, teacher)
    writer.write(DAY)
    tiny_tables.put_labels(warehouse, [("a", TEXTS[0], 1, "train"), ("b", "转发转发", 0, "test")])
    assert counts(writer.write("labelled")) == (2, 0, 2, 1, 1, 2)
    assert stored(warehouse, teacher, "labelled")["a"] == stored(warehouse, teacher)["id-0"]


def test_of_some_labels_only_those_are_computed_and_none_that_was_stored_is_lost(
    warehouse: Warehouse, teacher: str
) -> None:
    rows = [(f"t{i}", text, 1, "train") for i, text in enumerate(TEXTS[:6])]
    tiny_tables.put_labels(warehouse, [*rows, ("v", "转发转发", 0, "valid")])
    assert counts(writer_of(warehouse, teacher, train_rows=2).write("labelled")) == (2, 0, 2, 2, 0, 2)
    two = stored(warehouse, teacher, "labelled")
    seen = SnapshotSpec(train_rows=2)
    learned = chosen_labels(warehouse.read(LABELLED_OPINION), seen).where("split = 'train'").collect()
    assert set(two) == {row.opinion_id for row in learned}, "those that a training with --train-rows 2 learns from"
    assert counts(writer_of(warehouse, teacher, train_rows=4).write("labelled")) == (4, 0, 4, 2, 2, 4)
    assert counts(writer_of(warehouse, teacher, train_rows=1).write("labelled"))[5] == 4
    four = stored(warehouse, teacher, "labelled")
    assert four.items() >= two.items()
    assert counts(writer_of(warehouse, teacher).write("labelled")) == (7, 0, 7, 3, 4, 7)


def test_another_precision_is_computed_anew(warehouse: Warehouse, teacher: str) -> None:
    writer_of(warehouse, teacher).write(DAY)
    exact = stored(warehouse, teacher)
    assert counts(writer_of(warehouse, teacher, "bfloat16").write(DAY))[3:5] == (15, 0)
    low = stored(warehouse, teacher)
    apart = np.abs(np.array([exact[opinion] for opinion in low]) - np.array(list(low.values())))
    assert 0 < apart.max() < 0.5
    rows = warehouse.read(TEACHER_LOGIT, teacher=teacher, dt=DAY).select("fingerprint").distinct().collect()
    assert [row.fingerprint.split("/")[1] for row in rows] == ["bfloat16"]


def test_a_textcnn_of_the_registry_is_a_teacher_too(warehouse: Warehouse) -> None:
    version = tiny_model.add_model("textcnn", 3)
    assert counts(writer_of(warehouse, "textcnn").write(DAY)) == (20, 3, 15, 15, 0, 17)
    by_id = stored(warehouse, version)
    scores = Scorer(registry().load(version).bundle).score([ROWS[opinion] for opinion in by_id]).scores
    logits = np.array(list(by_id.values()))
    np.testing.assert_allclose(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), scores, atol=1e-6)


def test_what_is_done_in_parts_is_the_same(warehouse: Warehouse, teacher: str, monkeypatch, capsys) -> None:
    writer = writer_of(warehouse, teacher)
    writer.write(DAY)
    whole = stored(warehouse, teacher)
    monkeypatch.setattr(logit_store, "TASK_TEXTS", 1)
    other = Warehouse(warehouse.spark, f"{warehouse.database}_parts")
    tiny_tables.put_day(other, DAY, ROWS)
    capsys.readouterr()
    assert counts(writer_of(other, teacher).write(DAY)) == (20, 3, 15, 15, 0, 17)
    assert capsys.readouterr().out.count("part ") > 1
    parts = stored(other, teacher)
    np.testing.assert_allclose([parts[opinion] for opinion in whole], list(whole.values()), rtol=0, atol=1e-5)


def test_logits_computed_elsewhere_are_taken_by_text_and_the_rest_is_computed(
    warehouse: Warehouse, teacher: str, tmp_path: Path, database: str
) -> None:
    """A copy of this day's logits serves another warehouse, for the texts that both have."""
    writer_of(warehouse, teacher).write(DAY)
    elsewhere = str(tmp_path / "logits.parquet")
    warehouse.read(TEACHER_LOGIT, teacher=teacher, dt=DAY).write.parquet(f"file://{elsewhere}")
    other = Warehouse(warehouse.spark, f"{database}_other")
    tiny_tables.put_day(other, NEXT, {"a": TEXTS[1], "b": f" {TEXTS[4]}", "new": "退款退款"})
    job = LogitJob(teacher, import_from=(f"file://{elsewhere}",))
    assert counts(LogitWriter(other, registry(), job).write(NEXT)) == (3, 0, 3, 1, 2, 3)
    before, imported = stored(warehouse, teacher), stored(other, teacher, NEXT)
    assert (imported["a"], imported["b"]) == (before["id-1"], before["id-4"])
    np.testing.assert_allclose([imported["new"]], tiny_teacher.logits_alone(teacher, ["退款退款"]), atol=1e-4)

    with pytest.raises(BadModel, match=r"fingerprint .*/float32, which is not .*/bfloat16 of this teacher"):
        LogitWriter(other, registry(), LogitJob(teacher, "bfloat16", import_from=(f"file://{elsewhere}",)))
    other.read(TEACHER_LOGIT).drop("fingerprint").write.parquet(f"file://{tmp_path}/part")
    with pytest.raises(BadInput, match="column fingerprint is missing, and string is needed"):
        LogitWriter(other, registry(), LogitJob(teacher, import_from=(f"file://{tmp_path}/part",)))
