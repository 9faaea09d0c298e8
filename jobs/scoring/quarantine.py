"""Score a day with a row that kills the process which scores it: find the row, reject it, continue.

No `except` catches a crash in compiled code, memory that runs out or an endless loop. The usual pass does not guard
against them and pays nothing. After a worker has died of it (`worker_died`), the day is staged once more through
`isolated`: a forked process with bounded memory and time scores each batch, and a batch that kills that process is
halved until the rows that do so are found. They go to rejected_opinion.
"""

import logging
import os
import re
import resource
import signal
from collections.abc import Callable, Iterator
from typing import NoReturn

import psutil
import pyarrow as pa

from distill.errors import Infrastructure
from jobs.common.privacy import BatchFunction, WorkerFailed, where
from jobs.scoring.worker import staged
from jobs.warehouse.tables import REJECTED_OPINION

log = logging.getLogger("opinion")

REASON = "kills_scorer"
MEMORY = 1 << 30  # bytes that a batch may take beyond what its worker has
SECONDS, ROWS_A_SECOND = 10, 100  # time limit of a batch: a base and its rows, far more than any needs
MOST = 16  # with more killers in one batch the rows are not the cause

SCORED, RAISED, NO_MEMORY = 70, 71, 72  # exit codes of the forked process: code that dies may end with 0 or 1
DIED = re.compile(
    r"Python worker exited unexpectedly|terminated due to idle timeout|EOFException|Fatal Python error|MemoryError"
    r"|ExecutorLostFailure|exited with code 137"
)


def worker_died(error: BaseException) -> bool:
    """Whether Spark gave up because a Python worker or its executor died or ran out of memory."""
    return DIED.search(str(error)) is not None


def stage_with_quarantine(stage: Callable[[BatchFunction], None], scoring: BatchFunction) -> None:
    """`stage(scoring)`, and where a worker died of it, once more with isolated scoring."""
    try:
        stage(scoring)
    except Exception as e:
        if not worker_died(e):
            raise
        log.warning("a Python worker died, or its executor: scoring again, each batch in a process of its own")
        print("a Python worker died; scoring again, more slowly, to find the rows that kill it", flush=True)
        stage(isolated(scoring))


def isolated(scoring: BatchFunction) -> BatchFunction:
    """`scoring`, which Spark maps over batches of raw_opinion, wrapped so that no row can kill the worker.

    Raises Infrastructure when more than MOST rows of a batch kill their process.
    """

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        list(scoring(iter(())))  # loads the model once for all forked processes
        for batch in batches:
            killers: list[pa.RecordBatch] = []
            yield from bisect(scoring, batch, killers)
            yield from killers

    return score


def bisect(scoring: BatchFunction, batch: pa.RecordBatch, killers: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The staged rows of a batch without the rows that kill, which are added to `killers` as rejects."""
    scored = attempt(scoring, batch)
    if scored is not None:
        yield from scored
    elif batch.num_rows > 1:
        half = batch.num_rows // 2
        yield from bisect(scoring, batch.slice(0, half), killers)
        yield from bisect(scoring, batch.slice(half), killers)
    else:
        if len(killers) == MOST:
            raise Infrastructure(
                f"more than {MOST} rows of a batch kill the process that scores them, so it is not the rows: "
                "see that workers have the memory and the packages that the model needs"
            )
        rejected = {"content": batch.column("text"), "reason": pa.array([REASON])}
        killers.append(staged(REJECTED_OPINION.name, batch.select(["opinion_id"]), rejected))


def attempt(scoring: BatchFunction, batch: pa.RecordBatch) -> list[pa.RecordBatch] | None:
    """Run `scoring` on a batch in a forked process; None when that was killed or ran out of memory.

    Raises WorkerFailed for any other exception in it.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        score_and_leave(scoring, batch, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        sent = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == RAISED:
        raise WorkerFailed(sent.decode())
    return pa.ipc.open_stream(sent).read_all().to_batches() if code == SCORED else None


def score_and_leave(scoring: BatchFunction, batch: pa.RecordBatch, writing: int) -> NoReturn:
    """The forked process: set limits, score, send the staged rows as an Arrow stream, exit without clean-up."""
    code = NO_MEMORY
    try:
        bound(SECONDS + batch.num_rows // ROWS_A_SECOND)
        with open(writing, "wb") as pipe:
            try:
                rows = list(scoring(iter([batch])))
                with pa.ipc.new_stream(pipe, rows[0].schema) as stream:
                    for part in rows:
                        stream.write_batch(part)
                code = SCORED
            except MemoryError:
                pass
            except Exception as e:
                pipe.write(where(e).encode())
                code = RAISED
    finally:
        os._exit(code)


def bound(seconds: int) -> None:
    """Limit the time and the memory of this process."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
