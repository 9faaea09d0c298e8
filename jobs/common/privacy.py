"""Keep texts and personal numbers out of logs.

An exception may quote the text that it was raised for, and Spark logs what a worker raises on the executor and on the
driver. So an exception of a worker keeps its kind and place and loses its message (`redact_errors`). Long runs of
characters beyond ASCII and personal numbers are left out of all that a job logs or prints as an error (`redact_text`,
`Formatter`).
"""

import logging
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from distill.errors import OpinionError
from jobs.common.pyarrow_pandas import skip_pandas

PHONE_OR_IDENTITY = re.compile(r"(?<!\d)(?:(?:86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}|\d{17}[\dXx])(?!\d)")
# Chinese text; such long names are rare in paths.
NON_ASCII_RUN = re.compile(r"[^\x00-\x7f]{4,}")

BatchFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class WorkerFailed(Exception):
    """A Python worker raised an unexpected exception; this message holds no data."""


def redact_errors(work: BatchFunction) -> BatchFunction:
    """`work` over Arrow batches; its unexpected exceptions lose their messages and keep kind and place."""

    def guarded(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        skip_pandas()
        try:
            yield from work(batches)
        except (OpinionError, WorkerFailed):  # raised here, so it quotes no text
            raise
        except Exception as e:
            raise WorkerFailed(where(e)) from None

    return guarded


def where(error: Exception) -> str:
    """The kind of an exception and its trace, the innermost line first, without its message."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    lines = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    return f"{type(error).__name__}, its message left out as it may quote a text, at " + " < ".join(lines)


def mask_numbers(text: str) -> str:
    """The text with phone and identity numbers replaced by stars; days, run ids and line numbers stay."""
    return PHONE_OR_IDENTITY.sub(lambda number: "*" * len(number[0]), text)


def redact_text(text: str) -> str:
    """The text of an unexpected exception, without passages that a person may have written."""
    return NON_ASCII_RUN.sub("…", mask_numbers(text))


class Formatter(logging.Formatter):
    """Log lines without people's numbers, tracebacks without their words."""

    def format(self, record: logging.LogRecord) -> str:
        """The whole entry."""
        return mask_numbers(super().format(record))

    def formatException(self, ei: Any) -> str:
        """The traceback."""
        return redact_text(super().formatException(ei))
