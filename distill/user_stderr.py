"""The stderr of the person or the scheduler that started this process."""

import functools
import os
import stat
import sys
from typing import TextIO


def user_stderr() -> TextIO | None:
    """A stream to the user's stderr, or None where only the process that started ours can write to it.

    spark-submit reads its Python's stderr through a pipe, so the user's is that of our parent. A terminal, a pipe or a
    device can be opened a second time. A file cannot: the parent writes at its own position and would overwrite our
    lines.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ or sys.stderr.isatty():
        return sys.stderr
    return opened(f"/proc/{os.getppid()}/fd/2")


@functools.cache
def opened(path: str) -> TextIO | None:
    """A stream to the character device at the path, or to a pipe that has a reader; None for anything else."""
    try:
        kind = os.stat(path).st_mode
        if not (stat.S_ISCHR(kind) or stat.S_ISFIFO(kind)):
            return None
        # O_APPEND: a file that took its place meanwhile keeps its content. O_NONBLOCK: a pipe without a reader is an
        # error.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None
    os.set_blocking(descriptor, True)
    return open(descriptor, "w", encoding="utf-8", errors="replace")
