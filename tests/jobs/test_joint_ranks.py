"""Each joint scheme on two real ranks: two distributed optimizers, one curve, and no hang."""

import importlib.util
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from distill.data.snapshot import Snapshot
from distill.models.architecture import Dropout
from distill.training.config import TEACHER, Encoder, TrainingConfig, TrainingTask
from distill.training.joint import train_on_rank
from distill.training.joint_schemes import JOINT
from distill.training.ranks import ProcessGroup, SingleProcess
from jobs.training.launch import launch
from tests.curves import assert_alike, curve_of
from tests.distill.tiny_encoder import tiny_encoder
from tests.distill.tiny_snapshot import write_labels

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("horovod") is None, reason="needs Horovod: make setup-train"),
]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors cannot import this file

CONFIG = TrainingConfig(
    epochs=3,
    cool_down=1,
    batch=16,
    patience=9,
    seed=3,
    learning_rate=1e-2,
    gradient_accumulation_steps=2,
    dropout=Dropout(0, 0, 0, part=False),
)
TEACHER_CONFIG = replace(TEACHER, learning_rate=2e-3, gradient_accumulation_steps=2, precision="float32")
STUCK_SECONDS = 240


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Labelled rows, of a number that the batches do not divide, and a tiny encoder."""
    folder = tmp_path_factory.mktemp("given")
    write_labels(folder)
    start = Encoder(tiny_encoder(Path(folder, "encoder")), max_length=32)
    return {"snapshot": Snapshot(str(folder)), "start": start, "registry": str(folder)}


def all_schemes(ranks: ProcessGroup, given: dict[str, Any], config: TrainingConfig) -> dict[str, Any]:
    """Each scheme after the other; a rank that hangs kills itself, which is an error of the launch."""
    signal.alarm(STUCK_SECONDS)
    curves = {}
    for scheme in JOINT:
        task = TrainingTask(config, 0.4)
        curves[scheme] = train_on_rank(ranks, **given, task=task, scheme=scheme, teacher_config=TEACHER_CONFIG)
    signal.alarm(0)
    return curves


def test_two_ranks_are_one_process_with_twice_the_batch(spark, given: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    two = launch(spark, 2, lambda ranks: all_schemes(ranks, given, CONFIG))
    one = all_schemes(SingleProcess(), given, replace(CONFIG, batch=2 * CONFIG.batch, gradient_accumulation_steps=4))
    for scheme in JOINT:
        (student, teacher), (same, likewise) = two[scheme], one[scheme]
        assert_alike(student.manifest, same.manifest, rtol=2e-4, name=scheme)
        losses, _, rows = curve_of(student.manifest).T
        assert rows[0] == 121, "no row is dropped or seen twice"
        assert losses[-1] < losses[0], "something was learned, so equality says something"
        for name, tensor in same.tensors.items():
            np.testing.assert_allclose(student.tensors[name], tensor, atol=1e-3, err_msg=f"{scheme} {name}")
        for name, tensor in likewise.tensors.items():
            if not name.endswith("key.bias"):  # its true gradient is 0, so only noise moves it
                np.testing.assert_allclose(teacher.tensors[name], tensor, atol=1e-3, err_msg=f"{scheme} {name}")
