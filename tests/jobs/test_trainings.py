"""What of a training stays on disk when it does not come to its end."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput, BadModel, Infrastructure, OpinionError
from distill.registry import Registry
from jobs import student_flags
from jobs.cli import home
from jobs.distill_student import distil
from jobs.trainings import begin, ended_when_refused
from jobs.warehouse import Warehouse
from tests.jobs.tiny_tables import put_labels


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the trainings of a home of its own are."""
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    return tmp_path / "train"


def snapshot(folder: str) -> dict[str, Any]:
    Path(folder, "labels").mkdir(parents=True)
    return {"rows": {"train": 1}}


def attempt(raises: BaseException, resume: str | None = None, checkpoint: bool = False) -> None:
    args = Namespace(resume=resume)
    training = begin(Registry(str(home() / "registry")), args, "textcnn", snapshot)
    with pytest.raises(type(raises)), ended_when_refused(training, args):
        if checkpoint:
            Path(training.checkpoints, "epoch-001-step-000003").mkdir(parents=True)
        raise raises


@pytest.mark.parametrize("refused", [BadInput("labels"), BadModel("teacher")])
def test_a_refused_training_leaves_no_snapshot_unless_it_can_be_resumed(folders: Path, refused: OpinionError) -> None:
    attempt(refused)
    assert list(folders.iterdir()) == []
    attempt(refused, checkpoint=True)
    [kept] = folders.iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["checkpoints", "labels", "lineage.json"]


@pytest.mark.parametrize("stopped", [Infrastructure("a rank died"), KeyboardInterrupt(), OSError("disk")])
def test_a_training_that_was_stopped_keeps_its_snapshot_and_a_refused_resume_does_too(
    folders: Path, stopped: BaseException
) -> None:
    attempt(stopped)
    [kept] = folders.iterdir()
    attempt(BadInput("--seed is another"), resume=kept.name)
    assert (kept / "lineage.json").exists() and (kept / "labels").exists()


@pytest.mark.parametrize("failed", [BadInput("no labels"), RuntimeError("Spark"), KeyboardInterrupt()])
def test_half_a_snapshot_is_removed_whatever_stopped_it(folders: Path, failed: BaseException) -> None:
    def half(folder: str) -> dict[str, Any]:
        snapshot(folder)
        raise failed

    with pytest.raises(type(failed)):
        begin(Registry(str(home() / "registry")), Namespace(resume=None), "textcnn", half)
    assert list(folders.iterdir()) == []


@pytest.mark.spark
def test_labels_that_no_student_can_learn_from_leave_no_snapshot(spark: SparkSession, database: str) -> None:
    rows = [(str(i), f"投诉 {i}", i % 2, "train") for i in range(8)] + [("v", "好", 0, "valid")]
    put_labels(Warehouse(spark, database), rows)
    before = set((home() / "train").glob("*"))
    with pytest.raises(BadInput, match="valid"):
        distil(lambda: spark, student_flags.parser().parse_args(["--database", database]))
    assert set((home() / "train").glob("*")) == before
