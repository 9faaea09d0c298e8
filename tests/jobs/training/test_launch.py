"""Ranks on real Spark executors under real Horovod: many are as one, and a rank that dies is an error, never a hang."""

import dataclasses
import importlib.util
import os
import signal
import sys
import time
from functools import partial

import cloudpickle
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.data.snapshot import Snapshot
from distill.errors import BadInput, Infrastructure
from distill.models.architecture import Dropout
from distill.models.registry import Registry
from distill.training import teacher
from distill.training.config import NO_OUTPUTS, TEACHER, Encoder, Outputs, TrainingConfig, TrainingTask
from distill.training.ranks import SingleProcess
from distill.training.student import train_on_rank
from jobs.common.home import home
from jobs.training.launch import RankDied, launch
from tests.curves import assert_alike, curve_of
from tests.jobs import tiny_teacher

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("horovod") is None, reason="needs Horovod: make setup-train"),
]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors cannot import this file

# Dropout draws other numbers on each rank, so curves can only be equal without it.
CONFIG = TrainingConfig(epochs=3, batch=16, patience=9, seed=3, dropout=Dropout(0, 0, 0, part=False))
# Batches of 40 on two ranks: the last one, of a single row, leaves a rank and most of the passes with none.
OF_TEACHER = dataclasses.replace(
    TEACHER,
    epochs=6,
    batch=20,
    gradient_accumulation_steps=2,
    learning_rate=5e-3,
    grad_clip=0.2,
    patience=9,
    precision="float32",
    route=(),
)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> str:
    """Labelled rows, of a number that the batches do not divide."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("snapshot")
    characters = [chr(c) for c in range(0x5000, 0x5100)]
    labels = rng.integers(0, 2, 301)
    texts = ["".join(rng.choice(characters, 9)) + ("差劲" if y else "很好") * rng.integers(0, 2) for y in labels]
    splits = ["train"] * 201 + ["valid"] * 100
    (folder / "labels").mkdir()
    rows = pa.table({"text": texts, "label": labels, "source": splits, "split": splits})
    pq.write_table(rows, folder / "labels" / "0.parquet")
    return str(folder)


def work(snapshot: str, config: TrainingConfig, outputs: Outputs = NO_OUTPUTS):  # type: ignore[no-untyped-def]
    task = TrainingTask(config, 0.6, outputs=outputs)
    return partial(train_on_rank, snapshot=Snapshot(snapshot), task=task, scheme="textcnn")


def test_two_ranks_are_one_process_with_twice_the_batch(spark, snapshot) -> None:
    two = launch(spark, 2, work(snapshot, CONFIG))
    one = work(snapshot, dataclasses.replace(CONFIG, batch=2 * CONFIG.batch))(SingleProcess())
    assert_alike(two.manifest, one.manifest, rtol=1e-5)
    losses, _, rows = curve_of(two.manifest).T
    assert rows.tolist() == [201] * 3, "no row is dropped or seen twice"
    assert losses[-1] < 0.9 * losses[0], "something was learned, so equality says something"
    for name, tensor in one.tensors.items():
        np.testing.assert_allclose(two.tensors[name], tensor, atol=2e-5)


def test_a_teacher_on_two_ranks_is_one_process_with_twice_the_batch(spark, snapshot, tmp_path) -> None:
    """With passes that a step is divided into, and gradients of all ranks that are clipped together."""
    encoder = Encoder(tiny_teacher.tiny_encoder(tmp_path / "encoder"), max_length=32)

    def trains(config: TrainingConfig, version: str, registry: str = "registry"):  # type: ignore[no-untyped-def]
        return partial(
            teacher.train_on_rank,
            snapshot=Snapshot(snapshot),
            task=TrainingTask(config, 0.6),
            start=encoder,
            registry=f"{tmp_path}/{registry}",
            version=version,
        )

    versions = [f"bert-20261123T201500Z-00000{ranks}" for ranks in (1, 2)]
    alone = dataclasses.replace(OF_TEACHER, batch=2 * OF_TEACHER.batch)
    two = launch(spark, 2, trains(OF_TEACHER, versions[1]))
    one = trains(alone, versions[0])(SingleProcess())
    assert_alike(two, one, rtol=1e-4)
    assert curve_of(two)[:, 2].tolist() == [201] * 6, "no row is dropped or seen twice"
    assert curve_of(one)[-1, 0] < 0.9 * curve_of(one)[0, 0], "something was learned, so equality says something"
    mine, theirs = (Registry(f"{tmp_path}/registry").load(version).bundle.tensors for version in versions)
    for name, tensor in mine.items():
        if not name.endswith("key.bias"):  # softmax cancels it, so that its gradient is noise
            np.testing.assert_allclose(theirs[name], tensor, atol=1e-4, err_msg=name)
    any_norm = dataclasses.replace(alone, grad_clip=0.0)
    free = trains(any_norm, versions[0], "free")(SingleProcess())
    assert np.abs(curve_of(free) - curve_of(one))[:, 0].max() > 1e-3, "gradients were clipped"


def test_a_rank_that_raises_is_named_with_its_traceback(spark) -> None:
    def fails(ranks) -> None:
        ranks.total(1, "together")
        if ranks.rank == 1:
            raise ValueError("bad row 17")
        ranks.total(1, "alone")

    started = time.monotonic()
    with pytest.raises(Infrastructure, match=r"rank 1 of 2 failed: ValueError: bad row 17") as error:
        launch(spark, 2, fails)
    assert "in fails" in str(error.value.__cause__)
    assert time.monotonic() - started < 120


def test_bad_input_that_a_rank_finds_stays_bad_input(spark) -> None:
    def refuses(ranks) -> None:
        ranks.total(1, "together")
        raise BadInput("--max-length 999: too long")

    with pytest.raises(BadInput, match=r"^rank \d of 2 failed: --max-length 999: too long$"):
        launch(spark, 2, refuses, restarts=1)


def test_a_rank_that_is_killed_ends_the_launch_and_the_next_one_works(spark) -> None:
    def dies(ranks) -> None:
        if ranks.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        ranks.total(1, "alone")

    started = time.monotonic()
    with pytest.raises(RankDied, match=r"^rank 1 of 2 \(.*pid \d+\) exited"):
        launch(spark, 2, dies, restarts=1)
    assert not list((home() / "train" / "ranks").iterdir())
    assert time.monotonic() - started < 240
    assert launch(spark, 2, lambda ranks: ranks.total(ranks.rank + 1, "sum")) == 3


def test_a_training_that_loses_a_rank_goes_on_and_ends_with_the_same_curve(spark, snapshot, tmp_path) -> None:
    """With dropout, since the random state of each rank comes back too."""
    config = dataclasses.replace(CONFIG, dropout=Dropout(), checkpoint_every=4)
    whole = launch(spark, 2, work(snapshot, config))
    marker = tmp_path / "killed"

    def dies_once(ranks):  # type: ignore[no-untyped-def]
        from distill.training.schemes import HardLabel

        step, calls = HardLabel.step, 0

        def counted(self, parts, rows):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if ranks.rank == 1 and calls == 13 and not marker.exists():  # epoch 2, past its first checkpoint
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return step(self, parts, rows)

        HardLabel.step = counted  # type: ignore[method-assign]
        try:
            return work(snapshot, config, Outputs(str(tmp_path / "checkpoints")))(ranks)
        finally:
            HardLabel.step = step  # type: ignore[method-assign]

    resumed = launch(spark, 2, dies_once, restarts=1)
    assert marker.exists(), "the rank was killed"
    assert_alike(whole.manifest, resumed.manifest, rtol=1e-6)
    for name, tensor in whole.tensors.items():
        np.testing.assert_allclose(resumed.tensors[name], tensor, atol=1e-6)


def test_more_ranks_than_task_slots_are_refused_at_once(spark) -> None:
    with pytest.raises(BadInput, match=r"99.*task slots"):
        launch(spark, 99, lambda ranks: None)


def test_one_rank_runs_here() -> None:
    assert launch(None, 1, lambda ranks: (ranks.rank, ranks.size, os.getpid())) == (0, 1, os.getpid())  # type: ignore[arg-type]
