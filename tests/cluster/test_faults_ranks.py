"""A training on the cluster whose ranks are killed one after the other, or slow: it ends as one that nothing befell."""

import dataclasses
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from distill.models.bundle import Bundle
from distill.training.config import Outputs
from distill.training.ranks import ProcessGroup, SingleProcess
from jobs.training.launch import launch
from tests.cluster.night import Night, record
from tests.curves import assert_alike, curve_of
from tests.jobs.training.test_launch import CONFIG, snapshot, work  # noqa: F401  (a fixture)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.faults,
    pytest.mark.skipif(importlib.util.find_spec("horovod") is None, reason="needs Horovod: make setup-train"),
]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors cannot import this file

PLACES = ["first step", "mid epoch", "checkpoint write", "evaluation"]


def dying(ranks: ProcessGroup, folder: Path, place: str) -> None:
    """Kill rank 1, the first time that any is at this place; the file says when."""
    marker = folder / place
    if ranks.rank == 1 and not marker.exists():
        marker.write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_rank_killed_at_four_places_and_a_slow_rank(night: Night, snapshot: str, tmp_path: Path) -> None:  # noqa: F811
    spark, config = night.warehouse.spark, dataclasses.replace(CONFIG, checkpoint_every=4)
    alone = work(snapshot, dataclasses.replace(CONFIG, batch=2 * CONFIG.batch))(SingleProcess())
    marks = tmp_path / "marks"
    marks.mkdir()

    def killed(ranks: ProcessGroup) -> Bundle | None:
        from distill.training import checkpoint, loop
        from distill.training.schemes import HardLabel

        step, random_state, predict, calls = HardLabel.step, checkpoint.random_state, loop.predict, []

        def at_step(self: Any, parts: Any, rows: Any) -> Any:
            calls.append(rows)
            if len(calls) == 1:
                dying(ranks, marks, "first step")
            if len(calls) == 3:
                dying(ranks, marks, "mid epoch")
            return step(self, parts, rows)

        def at_write(*args: Any) -> Any:
            dying(ranks, marks, "checkpoint write")
            return random_state(*args)

        def at_evaluation(*args: Any) -> Any:
            dying(ranks, marks, "evaluation")
            return predict(*args)

        HardLabel.step, checkpoint.random_state, loop.predict = at_step, at_write, at_evaluation  # type: ignore[method-assign]
        try:
            return work(snapshot, config, Outputs(str(tmp_path / "checkpoints")))(ranks)
        finally:
            HardLabel.step, checkpoint.random_state, loop.predict = step, random_state, predict  # type: ignore[method-assign]

    ended = launch(spark, 2, killed, restarts=len(PLACES))
    done = time.time()
    died = {place: float((marks / place).read_text()) for place in PLACES}
    assert sorted(died, key=died.__getitem__) == PLACES
    assert_alike(ended.manifest, alone.manifest, rtol=1e-5)
    assert curve_of(ended.manifest)[:, 2].tolist() == [201] * 3, "no row is lost or seen twice"
    for name, tensor in alone.tensors.items():
        np.testing.assert_allclose(ended.tensors[name], tensor, atol=2e-5)
    for place, until in zip(PLACES, [*(died[p] for p in PLACES[1:]), done], strict=True):
        record(
            f"rank killed: {place}", exit_code=0, rows_before=201, rows_after=201, seconds=round(until - died[place], 1)
        )

    def slow(ranks: ProcessGroup) -> Bundle | None:
        from distill.training.schemes import HardLabel

        step = HardLabel.step

        def slowly(self: Any, parts: Any, rows: Any) -> Any:
            time.sleep(0.2 * ranks.rank)
            return step(self, parts, rows)

        HardLabel.step = slowly  # type: ignore[method-assign]
        try:
            return work(snapshot, config)(ranks)
        finally:
            HardLabel.step = step  # type: ignore[method-assign]

    started = time.monotonic()
    assert_alike(launch(spark, 2, slow).manifest, alone.manifest, rtol=1e-5)
    seconds = round(time.monotonic() - started, 1)
    record("a slow rank", exit_code=0, rows_before=201, rows_after=201, seconds=seconds)
