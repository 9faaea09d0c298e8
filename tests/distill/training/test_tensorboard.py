"""Scalars of a training reach TensorBoard where it is installed, and nothing fails where it is not."""

from pathlib import Path

import pytest

from distill.training import tensorboard
from distill.training.tensorboard import EVERY, TensorBoardWriter


def train(folder: str | None) -> None:
    written = TensorBoardWriter(folder)
    for step in range(2 * EVERY + 1):
        written.step(step, {"loss": float(step)})
    written.epoch(0, {"auc": 0.5})


def test_scalars_of_every_few_steps_and_of_epochs_can_be_read(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard: make setup-train")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(str(tmp_path))
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert [(scalar.step, scalar.value) for scalar in read.Scalars("step/loss")] == [
        (step, float(step)) for step in (0, EVERY, 2 * EVERY)
    ]
    assert [(scalar.step, scalar.value) for scalar in read.Scalars("epoch/auc")] == [(0, 0.5)]


def test_without_a_folder_or_tensorboard_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(None)
    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", lambda name: None)
    train(str(tmp_path / "board"))
    assert list(tmp_path.iterdir()) == []
