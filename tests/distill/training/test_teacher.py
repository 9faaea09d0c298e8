"""A teacher from Parquet to the registry: it learns, says how it came to be, and leaves its route beside it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from distill.data.labelled import TextRows
from distill.data.snapshot import Snapshot
from distill.evaluation import metrics
from distill.models.registry import Registry
from distill.scoring.logits import teacher_of
from distill.scoring.scorer import probability
from distill.training.config import TEACHER, Encoder, Outputs, TrainingConfig, TrainingTask, WarmStart
from distill.training.ranks import SingleProcess
from distill.training.teacher import class_weight, train_on_rank
from tests.distill import tiny_encoder

VERSION = "bert-20261123T201500Z-1a2b3c"
CONFIG = replace(TEACHER, epochs=3, batch=16, learning_rate=5e-3, precision="float32", route=(0.1, 0.5), patience=9)
LINEAGE = {"rows": {"train": 300, "valid": 100, "test": 100}}
NO_ROUTE = replace(CONFIG, route=())
BAD, GOOD = ["退款不给退", "客服骗人"], ["味道好极了", "孩子喜欢"]


def texts_and_labels(rows: int, seed: int) -> tuple[list[str], list[int]]:
    """Texts whose label hangs on one phrase among noise."""
    rng = np.random.default_rng(seed)
    noise = [chr(c) for c in range(0x5000, 0x5040)]
    labels = rng.integers(0, 2, rows).tolist()
    texts = ["".join(rng.choice(noise, rng.integers(1, 9))) + rng.choice(BAD if y else GOOD) for y in labels]
    return texts, labels


def write(folder: Path, texts: list[str], labels: list[int], splits: list[str]) -> str:
    rows = pa.table({"text": texts, "label": labels, "source": ["review"] * len(texts), "split": splits})
    (folder / "labels").mkdir()
    pq.write_table(rows, folder / "labels" / "0.parquet")
    return str(folder)


SPLITS = ["train"] * 300 + ["valid"] * 100 + ["test"] * 100
TEXTS, LABELS = texts_and_labels(500, 0)
Given, Trained = dict[str, str], tuple[dict[str, Any], Path]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """A snapshot of 300, 100 and 100 rows, and an encoder to begin with."""
    folder = tmp_path_factory.mktemp("given")
    init = tiny_encoder.tiny_encoder(folder / "encoder")
    return {"snapshot": write(folder, TEXTS, LABELS, SPLITS), "init": init}


def train(
    given: Given, home: Path, config: TrainingConfig = CONFIG, target: float = 0.8, has_test: bool = True
) -> dict[str, Any]:
    snapshot = Snapshot(given["snapshot"], has_test)
    task = TrainingTask(config, target, LINEAGE, Outputs(checkpoints=str(home / "checkpoints")))
    manifest = train_on_rank(
        SingleProcess(), snapshot, task, Encoder(given["init"], max_length=32), str(home / "registry"), VERSION
    )
    assert manifest is not None
    return manifest


@pytest.fixture(scope="module")
def trained(given: Given, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    home = tmp_path_factory.mktemp("trained")
    return train(given, home), home


def curve(manifest: dict[str, Any]) -> list[list[float]]:
    """Each epoch without the time it took."""
    return [[v for name, v in e.items() if not name.endswith("seconds")] for e in manifest["lineage"]["curve"]]


def scores(home: Path, version: str, texts: list[str]) -> np.ndarray:
    """Of a saved version, as the jobs load it."""
    saved = Registry(home / "registry").load(version).bundle
    return probability(teacher_of(saved, "float32").logits(texts))


def cross_entropies(home: Path, version: str, texts: list[str], labels: list[int]) -> np.ndarray:
    probabilities = scores(home, version, texts)
    return -np.log(np.where(labels, probabilities, 1 - probabilities))


def test_a_teacher_learns_and_the_saved_one_reaches_what_it_says(trained: Trained) -> None:
    manifest, home = trained
    auc = metrics.auc(np.array(LABELS[400:]), scores(home, VERSION, TEXTS[400:]))
    assert auc == pytest.approx(manifest["metrics"]["test"]["auc"])
    assert auc > 0.9


def test_the_manifest_says_how_the_teacher_came_to_be(given: Given, trained: Trained) -> None:
    manifest = Registry(trained[1] / "registry").load(VERSION).bundle.manifest
    assert manifest["architecture"] == {"kind": "bert", "encoder": "bert", "max_length": 32}
    assert manifest["threshold"]["target_precision"] == 0.8 <= manifest["threshold"]["precision"]
    assert [manifest["metrics"][split]["rows"] for split in ("valid", "test")] == [100, 100]
    lineage = manifest["lineage"]
    assert (lineage["init"], lineage["scheme"], lineage["rows"]) == (given["init"], "bert", LINEAGE["rows"])
    assert (lineage["training"]["learning_rate"], lineage["training"]["ranks"]) == (5e-3, 1)
    assert [e["rows"] for e in lineage["curve"]] == [300] * 3


def test_the_route_is_saved_by_its_steps(trained: Trained) -> None:
    """300 rows in batches of 16 are 19 steps, 57 in three epochs, of which 0.1 and 0.5 are 6 and 28."""
    _, home = trained
    registry, anchors = Registry(home / "registry"), [f"{VERSION}-step-6", f"{VERSION}-step-28"]
    assert sorted(registry.versions()) == sorted([VERSION, *anchors]) and registry.resolve("bert") == VERSION
    lineages = [registry.load(version).bundle.manifest["lineage"] for version in anchors]
    assert [(lineage["route_of"], lineage["step"]) for lineage in lineages] == [(VERSION, 6), (VERSION, 28)]
    first, second, last = (cross_entropies(home, v, TEXTS[:300], LABELS[:300]).mean() for v in (*anchors, VERSION))
    assert first > second > last, "each has learnt more than the one before"


def test_a_training_cut_off_between_the_anchors_and_the_teacher_ends_alike(
    given: Given, trained: Trained, tmp_path: Path
) -> None:
    manifest, home = trained
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    for lost in (VERSION, f"{VERSION}-step-28"):
        shutil.rmtree(tmp_path / "registry" / "versions" / lost)
    again = train(given, tmp_path)
    assert again["lineage"]["curve"] == manifest["lineage"]["curve"], "read back with its seconds: nothing was trained"
    one, other = (Registry(where / "registry") for where in (home, tmp_path))
    assert other.versions() == one.versions()
    for version in one.versions():
        before, after = one.load(version).bundle.tensors, other.load(version).bundle.tensors
        assert all(np.array_equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("passes", [2, 13])
def test_passes_that_add_up_to_a_step_make_the_same_curve(
    given: Given, trained: Trained, tmp_path: Path, passes: int
) -> None:
    """The encoder has no dropout. The last batch has 12 rows, so that one of 13 passes has none."""
    parts = train(given, tmp_path, replace(NO_ROUTE, gradient_accumulation_steps=passes))
    assert np.array(curve(parts)) == pytest.approx(np.array(curve(trained[0])), abs=1e-3)


def rows_of(labels: list[int]) -> TextRows:
    count = len(labels)
    return TextRows([""] * count, np.array(labels), np.array([""] * count), np.empty((count, 0, 2), np.float32))


def test_balanced_labels_weigh_the_same_in_all_and_a_row_one_on_average() -> None:
    """One row of 4 against three: 4 / 2 each, so 2 for the one and 2/3 for each of the three."""
    weight = class_weight(rows_of([0, 1, 0, 0]), TrainingConfig(class_weight="balanced"))
    assert weight.dtype == torch.float32 and weight.tolist() == pytest.approx([2 / 3, 2])
    assert class_weight(rows_of([0, 1, 0, 0]), TrainingConfig()).tolist() == [1, 1]


def test_the_loss_weighs_labels_as_the_plan_says(given: Given, tmp_path: Path) -> None:
    """At a learning rate of 0 the loss of an epoch is that of the teacher which is saved."""
    labels = [int(i % 4 == 0) for i in range(64)]
    snapshot = write(tmp_path, TEXTS[:96], labels + [0, 1] * 16, ["train"] * 64 + ["valid"] * 32)
    still = replace(NO_ROUTE, learning_rate=0.0, epochs=1, class_weight="balanced")
    manifest = train({**given, "snapshot": snapshot}, tmp_path, still, target=0.1, has_test=False)
    weighed = cross_entropies(tmp_path, VERSION, TEXTS[:64], labels) * np.where(labels, 2, 2 / 3)
    assert manifest["lineage"]["curve"][0]["loss"] == pytest.approx(weighed.mean(), abs=1e-5)
    assert "test" not in manifest["metrics"]


def test_a_warm_start_goes_on_from_the_weights_and_the_longest_text_of_a_teacher(
    trained: Trained, given: Given, tmp_path: Path
) -> None:
    """At a rate of nearly nothing it says what the teacher says; at a real one it learns what the teacher had not."""
    _, home = trained
    others = "bert-20261126T000000Z-aaaaaa", "bert-20261127T000000Z-aaaaaa"
    swapped = [1 - label for label in LABELS]
    (tmp_path / "swapped").mkdir()
    snapshot = Snapshot(write(tmp_path / "swapped", TEXTS, swapped, SPLITS), True)
    for version, rate in zip(others, (1e-12, 1e-2), strict=True):
        config = replace(CONFIG, learning_rate=rate, epochs=4, route=())
        task = TrainingTask(config, 0.8, LINEAGE, Outputs(checkpoints=str(tmp_path / version)))
        made = train_on_rank(SingleProcess(), snapshot, task, WarmStart(VERSION), str(home / "registry"), version)
        assert made is not None and made["lineage"]["warm_start"] == VERSION and "init" not in made["lineage"]
        assert made["architecture"]["max_length"] == 32
    texts = TEXTS[400:]
    before = scores(home, VERSION, texts)
    np.testing.assert_allclose(scores(home, others[0], texts), before, atol=1e-4)
    wrong = np.array(swapped[400:])
    assert metrics.auc(wrong, scores(home, others[1], texts)) > metrics.auc(wrong, before) + 0.3
