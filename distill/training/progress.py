"""A progress bar on a terminal; occasional lines in a log file."""

import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

from tqdm import tqdm

from distill.user_stderr import user_stderr

T = TypeVar("T")


def progress_bar(steps: Iterable[T], title: str, done: int, total: int, shown: bool = True) -> Iterable[T]:
    """The steps, with a bar on the user's terminal; `done` of the `total` are finished before."""
    terminal = user_terminal() if shown else None
    if terminal is None:
        return steps
    return tqdm(steps, title, file=terminal, leave=False, initial=done, total=total)


def progress_parts(total: int, parts: int, title: str, unit: str) -> Iterator[int]:
    """0 to parts - 1, each an equal part of the total: a bar on the user's terminal, else a line after each."""
    terminal, began = user_terminal(), time.monotonic()
    with tqdm(None, title, total, file=terminal, leave=False, unit=f" {unit}", disable=terminal is None) as shown:
        for part in range(parts):
            yield part
            shown.update(total * (part + 1) // parts - total * part // parts)
            if terminal is None:
                seconds = (time.monotonic() - began) / (part + 1)
                left = f", {seconds * (parts - part - 1) / 60:.0f} min left" if part + 1 < parts else ""
                print(f"part {part + 1} of {parts}: {total / parts / seconds:.0f} {unit}/s{left}", flush=True)


def user_terminal() -> TextIO | None:
    """A stream to the user's stderr; None unless it is a terminal."""
    stream = user_stderr()
    return stream if stream is not None and stream.isatty() else None
