"""The stderr of the person or the scheduler that started this process."""

import functools
import os
import stat
import sys
from typing import TextIO


def user_stderr() -> TextIO | None:
    """A stream to the user's stderr, or None where only the process that started ours can write to it.

    spark-submit reads its Python's stderr through a pipe, so the user's is that of our parent. A terminal, a pipe or a
    device can be opened beside it. A file cannot: its parent writes on at a position of its own, over what we add.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ or sys.stderr.isatty():
        return sys.stderr
    return opened(f"/proc/{os.getppid()}/fd/2")


@functools.cache
def opened(path: str) -> TextIO | None:
    """A stream to the character device, or to the pipe that somebody reads, at the path; nothing else is opened."""
    try:
        kind = os.stat(path).st_mode
        if not (stat.S_ISCHR(kind) or stat.S_ISFIFO(kind)):
            return None
        # Should a file take its place meanwhile, it is not emptied; a pipe that nobody reads is an error, not a wait.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None
    os.set_blocking(descriptor, True)
    return open(descriptor, "w", encoding="utf-8", errors="replace")
