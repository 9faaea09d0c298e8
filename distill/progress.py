"""A progress bar where a person looks on; in a log file nothing but the lines that are printed anyway."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(steps: Iterable[T], title: str, done: int, total: int, shown: bool = True) -> Iterable[T]:
    """The steps, with a bar on the user's terminal while they are made, `done` of the `total` before."""
    terminal = user_terminal() if shown else None
    if terminal is None:
        return steps
    return tqdm(steps, title, file=terminal, leave=False, initial=done, total=total)


def user_terminal() -> TextIO | None:
    """Where the user's stderr is a terminal, a stream to it.

    spark-submit reads its Python's stderr through a pipe; the user's is that of the process that started it.
    """
    if sys.stderr.isatty():
        return sys.stderr
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        try:
            stream = open(f"/proc/{os.getppid()}/fd/2", "w", encoding="utf-8")  # noqa: SIM115
        except OSError:
            return None
        if stream.isatty():
            return stream
        stream.close()
    return None
