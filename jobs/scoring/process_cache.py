"""What a Python worker keeps from task to task: Spark uses a process for many.

A module of its own: Spark sends a function that is defined within another, or in a job's main file, with a copy of the
variables it uses, for each task; this one it sends by its name.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

_kept: dict[Hashable, Any] = {}


def kept(key: Hashable, make: Callable[[], T]) -> T:
    """What `make` gave when this process first asked for the key; what was kept under another key is let go."""
    if key not in _kept:
        _kept.clear()
        _kept[key] = make()
    found: T = _kept[key]
    return found
