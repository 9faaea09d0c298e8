"""The loop: every row once an epoch, one seed one curve, the best epoch kept; a student learns what there is."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from distill.data.dataset import shuffled
from distill.data.labelled import Splits, TextRows
from distill.errors import OpinionError
from distill.evaluation import metrics
from distill.scoring.scorer import Scorer
from distill.training import schemes
from distill.training.config import TrainingConfig, TrainingTask
from distill.training.learner import EMA_EVERY, moving_average
from distill.training.loop import warm_up_then_cosine
from distill.training.ranks import SingleProcess
from distill.training.student import train_student

BAD, GOOD = ["退款不给退", "客服骗人", "质量太差"], ["味道好极了", "物流很快", "孩子喜欢"]


def rows(count: int, seed: int) -> TextRows:
    """Texts whose label hangs on one phrase between others that say nothing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    noise = [chr(c) for c in range(0x5000, 0x5040)]
    texts = [
        "".join(rng.choice(noise, 6)) + rng.choice(BAD if label else GOOD) + "".join(rng.choice(noise, 6))
        for label in labels
    ]
    return TextRows(texts, labels.astype(np.int64), np.array(["review"] * count), np.empty((count, 0, 2), np.float32))


@pytest.fixture(scope="module")
def trained():  # type: ignore[no-untyped-def]
    torch.set_num_threads(1)
    config = TrainingConfig(epochs=3, batch=16, seed=7)
    return train_student(
        SingleProcess(), Splits(rows(600, 1), rows(200, 2), rows(200, 3)), TrainingTask(config, 0.95), "textcnn"
    )


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    factor = warm_up_then_cosine(100, 0.1)
    values = [factor(step) for step in range(101)]
    assert values[9] == values[10] == 1 and values[0] == 0.1
    assert values[10:] == sorted(values[10:], reverse=True) and values[100] == pytest.approx(0)
    assert math.isclose(factor(55), 0.5)


def test_the_average_forgets_the_start_and_then_moves_slowly() -> None:
    update = moving_average(0.999)
    averaged = [torch.tensor([100.0])]
    for updates in range(1, 400):
        update(averaged, [torch.tensor([1.0])], torch.tensor(updates))
    assert averaged[0].item() == pytest.approx(1, abs=1e-3)
    update(averaged, [torch.tensor([2.0])], torch.tensor(100_000))
    assert averaged[0].item() == pytest.approx(2 - 0.999**EMA_EVERY, abs=1e-3)


def test_a_student_learns_and_says_what_it_reaches(trained) -> None:  # type: ignore[no-untyped-def]
    manifest = trained.manifest
    test = rows(200, 3)
    scores = Scorer(trained).score_normalised(test.texts)
    assert metrics.auc(test.labels, scores) == manifest["metrics"]["test"]["auc"] > 0.99
    at = metrics.precision_recall_at(test.labels, scores, manifest["threshold"]["value"])
    assert at.recall == manifest["metrics"]["test"]["recall"]
    valid, threshold = rows(200, 2), manifest["threshold"]
    scores = Scorer(trained).score_normalised(valid.texts)
    at = metrics.precision_recall_at(valid.labels, scores, threshold["value"])
    assert at.precision == threshold["precision"] >= 0.95
    assert (at.precision_lower, at.precision_upper) == (threshold["precision_lower"], threshold["precision_upper"])
    lower = np.unique(scores[scores < threshold["value"]]).tolist()
    assert lower and all(metrics.precision_recall_at(valid.labels, scores, one).precision < 0.95 for one in lower)
    assert manifest["lineage"]["training"]["seed"] == 7


def test_one_seed_one_student(trained) -> None:  # type: ignore[no-untyped-def]
    task = TrainingTask(TrainingConfig(epochs=3, batch=16, seed=7), 0.95)
    again = train_student(SingleProcess(), Splits(rows(600, 1), rows(200, 2), None), task, "textcnn")
    assert all(np.array_equal(again.tensors[name], tensor) for name, tensor in trained.tensors.items())
    curves = [[(e["loss"], e["valid"]) for e in b.manifest["lineage"]["curve"]] for b in (again, trained)]
    assert curves[0] == curves[1]


def test_training_stops_when_validation_gets_no_better() -> None:
    easy = rows(400, 4)
    task = TrainingTask(TrainingConfig(epochs=50, batch=16, patience=1), 0.95)
    bundle = train_student(SingleProcess(), Splits(easy, rows(100, 5), None), task, "textcnn")
    curve = bundle.manifest["lineage"]["curve"]
    best = max(range(len(curve)), key=lambda i: (curve[i]["valid"], -i))
    assert len(curve) == best + 2 < 50


@pytest.mark.parametrize(("kept", "seen"), [([0, 2, 3], 3), ([0, 1, 1, 2, 3], 5)], ids=["lost", "doubled"])
def test_an_epoch_that_does_not_see_every_row_once_is_an_error(
    monkeypatch: pytest.MonkeyPatch, kept: list[int], seen: int
) -> None:
    """A row of the first batch is lost, or comes twice, between the order and the epoch."""

    def tampered(*given: Any) -> list[torch.Tensor]:
        first, *others = shuffled(*given)
        return [first[torch.tensor([*kept, *range(4, len(first))])], *others]

    monkeypatch.setattr(schemes, "shuffled", tampered)
    splits, task = Splits(rows(60, 1), rows(60, 2), None), TrainingTask(TrainingConfig(epochs=1, batch=16), 0.95)
    with pytest.raises(OpinionError, match=f"epoch 1: the student saw {60 - 4 + seen} rows, and of 60 rows"):
        train_student(SingleProcess(), splits, task, "textcnn")
