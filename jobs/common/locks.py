"""One run of a day at a time: a lock file that the operating system frees when its holder dies.

The lock is an flock(2) on a file below the home folder, so a killed run needs no clean-up. It holds between hosts that
share the home folder over a file system with POSIX locks (NFSv4, CephFS). For hosts that share only HDFS or S3,
`publish.Run.switch` refuses to replace a run that it did not see at its start.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from distill.errors import Busy


@contextmanager
def hold(path: Path, what: str, patience: float = 0) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Raises Busy, naming the holder, when another process still holds it after `patience` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        until = time.monotonic() + patience
        while not locked(file):
            if time.monotonic() >= until:
                raise Busy(f"{what} is being written by another run ({holder(path)}); wait for it or stop it")
            time.sleep(0.2)
        file.truncate(0)
        me = {"host": socket.gethostname(), "pid": os.getpid(), "since": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        file.write(json.dumps(me))
        file.flush()
        yield


def locked(file: IO[str]) -> bool:
    """Take the lock of an open file; False when another process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def held(folder: Path) -> list[str]:
    """The holders of the lock files in a folder, a line each."""
    holders = []
    for path in sorted(folder.glob("*.lock")):
        with open(path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holders.append(f"{path.stem}: {holder(path)}")
    return holders


def holder(path: Path) -> str:
    """The holder of a lock file: process, host and time."""
    try:
        me = json.loads(path.read_text(encoding="utf-8"))
        return f"pid {me['pid']} on {me['host']} since {me['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"holder unknown, see {path}"
