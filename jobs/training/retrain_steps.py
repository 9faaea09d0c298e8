"""The line before each step of a retraining: the time so far, and what the last retraining took from there."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from distill.errors import BadInput
from jobs.common.home import home
from jobs.training import decisions

# By the fact that a step leaves in the state, in their order.
STEPS = {
    "teacher": "the teacher",
    "challenger": "logits and the challenger",
    "out_of_fold": "students to judge by the labels of nights",
    "decision": "the comparison",
}


def timed(step: str, work: Callable[[], Any], seconds: Mapping[str, float]) -> dict[str, Any]:
    """Announce and run a step; its result by its name, and `seconds` with its own."""
    print(step_line(step, seconds, last_seconds()), flush=True)
    began = time.monotonic()
    result = work()
    return {step: result, "seconds": {**seconds, step: round(time.monotonic() - began, 1)}}


def step_line(step: str, seconds: Mapping[str, float], last: Mapping[str, float]) -> str:
    """The line of a step; seconds: of the steps that are done, last: of all steps of the last retraining, if known."""
    names = list(STEPS)
    number = names.index(step)
    line = f"step {number + 1} of {len(names)}: {STEPS[step]}; {minutes(seconds.values())} min so far"
    if not last:
        return line
    return f"{line}, the last retraining took {minutes(last.get(name, 0) for name in names[number:])} min from here"


def minutes(seconds: Iterable[float]) -> str:
    """Whole minutes of some seconds."""
    return f"{sum(seconds) / 60:.0f}"


def last_seconds() -> dict[str, float]:
    """The seconds of each step of the last retraining in this home; empty where none is known."""
    try:
        decided = decisions.read_all(home())
    except BadInput:  # report_retrain names the damaged file
        return {}
    return dict(decided[-1].get("seconds", {})) if decided else {}
