"""A per-process cache: Spark reuses one Python worker for many tasks.

It is a separate module because Spark sends nested functions, and those of a main file, with a copy of their variables
for each task; this function is sent by name.
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
