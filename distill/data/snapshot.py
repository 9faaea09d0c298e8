"""Where a training finds its data; apart from the reading, so that a command line need not load numba."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """The folder that `jobs/training/snapshot.py` wrote for a training; has_transfer: with a transfer set."""

    folder: str
    has_test: bool = False
    has_transfer: bool = False
