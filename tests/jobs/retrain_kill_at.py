"""Run by test_chain.py through spark-submit: retrain, and die at a named point.

    spark-submit tests/jobs/retrain_kill_at.py POINT FLAGS

What is patched is where a run dies, and the checks: they pass, since models so small are promoted or not by chance.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from distill.models.registry import Registry
from jobs import retrain
from jobs.common.failures import run_main
from jobs.training import retraining
from jobs.training.training_run import Training


def die() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def dying(owner: Any, name: str, when: Callable[..., bool] = lambda *_: True, after: bool = False) -> None:
    """Make a function die before its work, or after it."""
    original = getattr(owner, name)

    def patched(*args: Any) -> Any:
        result = original(*args) if after else None
        if when(*args):
            die()
        return result if after else original(*args)

    setattr(owner, name, patched)


retraining.compare = lambda *_: []
if (point := sys.argv.pop(1)) == "saved":  # the challenger is, and is not noted
    dying(Training, "end", after=True)
elif point == "decided":
    dying(Registry, "promote")
elif point == "switched":
    dying(Registry, "promote", after=True)
run_main(retrain.main)
