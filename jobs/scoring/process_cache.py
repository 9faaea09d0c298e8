"""A per-process cache: Spark reuses one Python worker for many tasks.

A module of its own: Spark sends a function that is defined within another, or in a job's main file, with a copy of the
variables it uses, for each task; this one it sends by its name.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

_cache: dict[Hashable, Any] = {}


def cached(key: Hashable, make: Callable[[], T]) -> T:
    """The result of `make` from this process's first request for the key; a new key replaces the one before."""
    if key not in _cache:
        _cache.clear()
        _cache[key] = make()
    result: T = _cache[key]
    return result
