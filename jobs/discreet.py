"""Keep what people wrote out of logs: an error that a Python worker did not foresee says where it was, not of what.

Spark logs what a worker raises, on the executor and on the driver, and an exception may quote the text that it was
raised for.
"""

import traceback
from collections.abc import Callable, Iterator

import pyarrow as pa

from distill.errors import OpinionError

Work = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class WorkerFailed(Exception):
    """A Python worker raised what nobody foresaw; the message holds no data."""


def discreet(work: Work) -> Work:
    """`work` over Arrow batches, whose unforeseen exceptions lose their messages and keep their kind and place."""

    def guarded(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            yield from work(batches)
        except (OpinionError, WorkerFailed):  # its message is ours
            raise
        except Exception as e:
            raise WorkerFailed(where(e)) from None

    return guarded


def where(error: Exception) -> str:
    """The kind of an exception and the lines it came through, the innermost first, without its message."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    lines = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    return f"{type(error).__name__}, its message left out as it may quote a text, at " + " < ".join(lines)
