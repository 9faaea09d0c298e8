"""A training that is cut off and goes on ends as if it had not been; a checkpoint of another config is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.data.dataset import Examples
from distill.errors import BadInput
from distill.models.architecture import Architecture
from distill.models.textcnn import Encodings, TextCNN
from distill.text.vocabulary import Encoded, Ids
from distill.training.checkpoint import Checkpoints
from distill.training.config import Outputs, TrainingConfig
from distill.training.learner import Learner
from distill.training.loop import Epoch, fit
from distill.training.ranks import SingleProcess
from distill.training.schemes import HardLabel

CONFIG = TrainingConfig(epochs=4, batch=8, patience=9, seed=2, checkpoint_every=3)
ARCHITECTURE = Architecture({"word": 40}, {"word": (1, 2)}, 8, 8)


class Cut(Exception):
    """The power fails."""


def split(rows: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    ids = rng.integers(3, 40, (rows, 6)).astype(np.int32)
    labels = torch.from_numpy((ids < 8).any(axis=1).astype(np.int64))
    encoded = Encoded({"word": Ids(ids.reshape(-1), np.arange(rows + 1) * 6)}, np.zeros(rows, bool))
    return Examples(labels, {"student": Encodings(encoded, ARCHITECTURE)}, torch.empty(rows, 0, 2))


def train(
    folder: Path | None, config: TrainingConfig = CONFIG, cut_at: int | None = None
) -> tuple[torch.nn.Module, list[Epoch]]:
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    student = Learner("student", TextCNN(ARCHITECTURE, config.dropout), config, SingleProcess())
    calls = 0

    class Counted(HardLabel):
        def step(self, micro_batches, rows):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls == cut_at:
                raise Cut
            return super().step(micro_batches, rows)

    where = Outputs(checkpoints=str(folder) if folder else None)
    curve = fit(Counted(student, config), [student], split(60, 0), split(30, 1), config, SingleProcess(), where)
    return student.model, curve


def facts(trained: tuple[torch.nn.Module, list[Epoch]]) -> tuple[list[tuple[float, float, int]], list[np.ndarray]]:
    student, curve = trained
    return [(e.loss, e.valid, e.rows) for e in curve], [t.numpy() for t in student.state_dict().values()]


@pytest.mark.parametrize("cuts", [[2], [5], [9], [12, 7], [3, 3, 3]], ids=str)
def test_a_resumed_training_ends_like_a_whole_one(tmp_path: Path, cuts: list[int]) -> None:
    """8 steps an epoch: cut before the first checkpoint, in the middle, at the end of an epoch, and repeatedly."""
    for cut_at in cuts:
        with pytest.raises(Cut):
            train(tmp_path, cut_at=cut_at)
    curve, tensors = facts(train(tmp_path))
    whole_curve, whole_tensors = facts(train(None))
    assert curve == whole_curve
    assert all(np.array_equal(a, b) for a, b in zip(tensors, whole_tensors, strict=True))
    assert len(list(tmp_path.iterdir())) == 1, "only the newest checkpoint stays"


@pytest.mark.parametrize("name", ["._epoch-001-step-000003", "epoch-009-step-000003 2", "epoch-9", ".DS_Store"])
def test_files_of_others_are_no_checkpoints(tmp_path: Path, name: str) -> None:
    with pytest.raises(Cut):
        train(tmp_path, cut_at=5)
    (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "route").mkdir(exist_ok=True)
    for other in ("._step-000120.safetensors", "step-000120 2.safetensors"):
        (tmp_path / "route" / other).write_bytes(b"\x00\x05\x16\x07")
    assert Checkpoints(str(tmp_path), CONFIG, SingleProcess()).route() == {}
    assert facts(train(tmp_path))[0] == facts(train(None))[0]


def test_half_a_checkpoint_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Cut):
        train(tmp_path, cut_at=5)
    (tmp_path / "epoch-001-step-000006.tmp").mkdir()
    assert facts(train(tmp_path))[0] == facts(train(None))[0]


def test_a_finished_training_is_only_read_back(tmp_path: Path) -> None:
    done = facts(train(tmp_path))
    assert facts(train(tmp_path, cut_at=1))[0] == done[0]


@pytest.mark.parametrize("change", [{"seed": 3}, {"batch": 4}, {"epochs": 5}])
def test_a_checkpoint_of_another_plan_is_refused(tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(Cut):
        train(tmp_path, cut_at=5)
    with pytest.raises(BadInput, match="start a new training"):
        train(tmp_path, config=replace(CONFIG, **change))
