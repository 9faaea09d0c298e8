"""A joint training from Parquet to two bundles: what the teacher begins from, and one that is cut off goes on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.data import dataset
from distill.data.snapshot import Snapshot
from distill.models.architecture import Dropout
from distill.models.bert import from_bundle, from_pretrained, to_bundle
from distill.models.bundle import Bundle
from distill.models.registry import Registry
from distill.scoring.logits import BertTeacher
from distill.training.config import TEACHER, Encoder, Outputs, TrainingConfig, TrainingTask, WarmStart
from distill.training.joint import train_on_rank
from distill.training.joint_schemes import JOINT
from distill.training.ranks import SingleProcess
from tests.distill.tiny_encoder import tiny_encoder
from tests.distill.tiny_snapshot import write_labels

CONFIG = TrainingConfig(epochs=2, batch=16, patience=9, seed=3, learning_rate=1e-2)
TEACHER_CONFIG = replace(TEACHER, learning_rate=2e-3, precision="float32")
VERSION = "bert-20261123T201500Z-1a2b3c"
Given = dict[str, Any]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """A snapshot, a tiny encoder to start from, and a registry with a teacher of that encoder."""
    folder = tmp_path_factory.mktemp("given")
    write_labels(folder)
    start = Encoder(tiny_encoder(folder / "encoder"), max_length=24)
    saved = to_bundle(*from_pretrained(start.init, start.max_length, "float32"), {})
    Registry(str(folder / "registry")).add(VERSION, saved.tensors, saved.files, saved.manifest)
    return {"snapshot": Snapshot(str(folder)), "start": start, "registry": str(folder / "registry")}


def train(given: Given, scheme: str, config: TrainingConfig = CONFIG, **changed: Any) -> tuple[Bundle, Bundle]:
    trained = train_on_rank(
        SingleProcess(),
        **given | {"task": TrainingTask(config, 0.4), "scheme": scheme, "teacher_config": TEACHER_CONFIG} | changed,
    )
    assert trained is not None
    return trained


def logits(bundle: Bundle) -> np.ndarray:
    texts = ["退款三个月没到账", "这家店的菜真好吃", "客服骗人", "物流很快"]
    return BertTeacher(*from_bundle(bundle, "float32"), torch.device("cpu")).logits(texts)


def test_a_warm_start_goes_on_from_a_teacher_of_the_registry(given: Given) -> None:
    """At a rate of nearly nothing the teacher is the old one, head and longest text too; at a real one it is not."""
    saved = Registry(given["registry"]).load(VERSION).bundle
    still, start = replace(TEACHER_CONFIG, learning_rate=1e-12), WarmStart(VERSION)
    student, teacher = train(given, "joint-isolated", start=start, teacher_config=still)
    np.testing.assert_allclose(logits(teacher), logits(saved), atol=1e-5)
    assert teacher.manifest["architecture"]["max_length"] == 24
    for lineage in (student.manifest["lineage"], teacher.manifest["lineage"]):
        assert lineage["warm_start"] == VERSION and "init" not in lineage
    assert np.abs(logits(train(given, "joint-isolated", start=start)[1]) - logits(saved)).max() > 0.01


def test_without_one_it_begins_from_the_encoder(given: Given) -> None:
    lineage = train(given, "joint-isolated")[0].manifest["lineage"]
    assert lineage["init"] == given["start"].init and "warm_start" not in lineage


class Cut(Exception):
    """The power fails."""


class Failing(SingleProcess):
    """A process that is cut off in one of its updates."""

    def __init__(self, cut_at: int):
        super().__init__()
        self.left = cut_at

    def step(self, optimizer: torch.optim.Optimizer, grad_clip: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise Cut
        super().step(optimizer, grad_clip)


@pytest.mark.parametrize("scheme", JOINT)
def test_a_training_that_is_cut_off_ends_like_a_whole_one(
    given: Given, tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut before the first checkpoint, among the steps of each network, in both epochs of both and in the cool-down."""
    monkeypatch.setattr(dataset, "POOL", 2)
    passes = 2 if scheme == "joint-isolated" else 1
    config = replace(
        CONFIG, epochs=4, cool_down=2, student_passes=passes, soft_ramp=0.3, checkpoint_every=1, temperature=3.0
    )
    whole = train(given, scheme, config)
    for number, cut_at in enumerate((2, 4, 13, 22, 8, 4, 6)[: 7 if passes == 2 else 6]):
        task = TrainingTask(config, 0.4, {}, Outputs(checkpoints=str(tmp_path)))
        with pytest.raises(Cut):
            train_on_rank(Failing(cut_at), **given, task=task, scheme=scheme, teacher_config=TEACHER_CONFIG)
        [where] = [path.name for path in tmp_path.glob("epoch-*")] or ["nowhere"]
        assert (where == "nowhere") == (number == 0 and passes == 1)
    assert where.startswith(("epoch-003", "epoch-004")), "the last cut is in the cool-down"
    task = TrainingTask(config, 0.4, {}, Outputs(checkpoints=str(tmp_path)))
    resumed = train(given, scheme, config, task=task)
    for one, other in zip(whole, resumed, strict=True):
        assert curve(one) == curve(other)
        assert all(np.array_equal(other.tensors[name], tensor) for name, tensor in one.tensors.items())
    assert [rows for _, _, rows in curve(whole[0])] == [121 * passes] * 2 + [121] * 2


def curve(bundle: Bundle) -> list[tuple[float, float, int]]:
    return [(e["loss"], e["valid"], e["rows"]) for e in bundle.manifest["lineage"]["curve"]]


@pytest.mark.parametrize("scheme", JOINT)
def test_the_teacher_rests_in_the_cool_down(given: Given, scheme: str) -> None:
    """Its rate falls to nothing by the end of the epochs of both, so it is the same with and without a cool-down."""
    config = replace(CONFIG, dropout=Dropout(0, 0, 0, part=False), teacher_soft_weight=1e-9)
    cool = replace(config, epochs=config.epochs + 1, cool_down=1)
    before, after = train(given, scheme, config)[1], train(given, scheme, cool)[1]
    np.testing.assert_allclose(logits(after), logits(before), atol=1e-5)
