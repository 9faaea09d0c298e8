"""A training on disk: what is begun under a version goes on with the same options, and with no others."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from distill.data.snapshot import Snapshot
from distill.errors import BadInput, BadModel, Infrastructure, OpinionError
from jobs.training.student_flags import StudentTraining
from jobs.training.student_training import distil
from jobs.training.training_run import begin, folder_of, version_of
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.tiny_tables import put_labels

VERSION = "offline-20261123T201500Z-1a2b3c"
OPTIONS = StudentTraining(scheme="offline", teacher=("bert-20261123T201500Z-1a2b3c",), route=((10, 1), (20, 2)))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    return tmp_path


class Snapshots:
    """Writes a snapshot, and counts how often it was asked to."""

    written = 0

    def __call__(self, folder: str) -> tuple[Snapshot, dict[str, object]]:
        assert not Path(folder).exists(), "Spark writes to a new folder"
        (Path(folder) / "labels").mkdir(parents=True)
        self.written += 1
        return Snapshot(folder, has_test=True), {"data_hash": f"hash {self.written}"}


def test_the_same_options_go_on_with_the_snapshot_that_is_there() -> None:
    write = Snapshots()
    first = begin(VERSION, OPTIONS, write)
    again = begin(VERSION, replace(OPTIONS, num_proc=2), write)
    assert (first.is_new, again.is_new) == (True, False)
    assert replace(again, is_new=True) == first and write.written == 1
    assert (again.snapshot.has_test, again.snapshot.has_transfer) == (True, False)
    assert again.lineage["data_hash"] == "hash 1" and "scheme" not in again.lineage
    task = again.task(OPTIONS, OPTIONS.config())
    assert task.outputs.checkpoints == f"{folder_of(VERSION)}/checkpoints" and task.lineage == first.lineage


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scheme": "textcnn", "teacher": ()}, "it was begun with --scheme offline, not textcnn; give the same flags"),
        ({"batch": 64}, "--batch 128, not 64"),
        ({"route": ((10, 1),)}, "--route 10:1 20:2, not 10:1"),
        ({"sources": ("web",)}, "--sources none, not web"),
        ({"teacher": ("bert-20261124T201500Z-1a2b3c",)}, "--teacher bert-20261123T201500Z-1a2b3c, not bert-20261124"),
    ],
)
def test_other_options_than_it_was_begun_with_are_refused_by_name(change: dict[str, object], message: str) -> None:
    write = Snapshots()
    begin(VERSION, OPTIONS, write)
    with pytest.raises(BadInput, match=f"--resume {VERSION}: .*{message}"):
        begin(VERSION, replace(OPTIONS, **change), write)
    assert write.written == 1


def test_half_a_snapshot_of_a_run_that_was_killed_is_written_anew(own_home: Path) -> None:
    (own_home / "train" / VERSION / "labels").mkdir(parents=True)
    write = Snapshots()
    begin(VERSION, OPTIONS, write)
    assert write.written == 1


def test_a_refused_snapshot_leaves_nothing(own_home: Path) -> None:
    def refused(folder: str) -> tuple[Snapshot, dict[str, object]]:
        (Path(folder) / "labels").mkdir(parents=True)
        raise BadInput("no labels")

    with pytest.raises(BadInput, match="no labels"):
        begin(VERSION, OPTIONS, refused)
    assert not (own_home / "train" / VERSION).exists()


def test_resume_names_a_training_that_is_there(own_home: Path) -> None:
    new = version_of("offline", argparse.Namespace(resume=None))
    assert new.startswith("offline-") and new != VERSION
    for wrong, message in [(VERSION, "there is nothing to resume"), ("../x", "is not the name of a version")]:
        with pytest.raises(BadInput, match=message):
            version_of("offline", argparse.Namespace(resume=wrong))
    begin(VERSION, OPTIONS, Snapshots())
    assert version_of("offline", argparse.Namespace(resume=VERSION)) == VERSION


def attempt(raises: BaseException, has_checkpoint: bool = False) -> None:
    training = begin(VERSION, OPTIONS, Snapshots() if not folder_of(VERSION).exists() else never)
    with pytest.raises(type(raises)), training.ended_when_refused():
        if has_checkpoint:
            (training.checkpoints / "epoch-001-step-000003").mkdir(parents=True)
        raise raises


def never(folder: str) -> tuple[Snapshot, dict[str, object]]:
    raise AssertionError("a resumed training takes no new snapshot")


@pytest.mark.parametrize("refused", [BadInput("labels"), BadModel("teacher")])
def test_a_refused_training_leaves_no_snapshot_unless_it_can_be_resumed(refused: OpinionError) -> None:
    attempt(refused)
    assert not folder_of(VERSION).exists()
    attempt(refused, has_checkpoint=True)
    assert sorted(path.name for path in folder_of(VERSION).iterdir()) == ["begun.json", "checkpoints", "labels"]


@pytest.mark.parametrize("stopped", [Infrastructure("a rank died"), KeyboardInterrupt(), OSError("disk")])
def test_a_stopped_training_keeps_its_snapshot_and_so_does_a_refused_resume(stopped: BaseException) -> None:
    attempt(stopped)
    attempt(BadInput("--seed is another"))
    assert sorted(path.name for path in folder_of(VERSION).iterdir()) == ["begun.json", "labels"]


@pytest.mark.parametrize("failed", [RuntimeError("Spark"), KeyboardInterrupt()])
def test_half_a_snapshot_is_removed_whatever_stopped_it(own_home: Path, failed: BaseException) -> None:
    def half(folder: str) -> tuple[Snapshot, dict[str, object]]:
        (Path(folder) / "labels").mkdir(parents=True)
        raise failed

    with pytest.raises(type(failed)):
        begin(VERSION, OPTIONS, half)
    assert not (own_home / "train" / VERSION).exists()


@pytest.mark.spark
def test_labels_that_no_student_can_learn_from_leave_no_snapshot(spark: SparkSession, database: str) -> None:
    rows = [(str(i), f"投诉 {i}", i % 2, "train") for i in range(8)] + [("v", "好", 0, "valid")]
    warehouse = Warehouse(spark, database)
    put_labels(warehouse, rows)
    with pytest.raises(BadInput, match="valid"):
        distil(lambda: warehouse, StudentTraining(), VERSION)
    assert not folder_of(VERSION).exists()
