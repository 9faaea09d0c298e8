"""Start the ranks of a training: in this process when there is one, on Spark executors under Horovod when more.

Horovod's own errors can name the wrong rank and leave the traceback in an executor's log, so a rank catches its
exceptions and returns them as text. A killed rank cannot, so each rank writes a file on the shared disk and removes it
when it ends in any other way: the remaining files name the dead ranks.
"""

import importlib.util
import os
import shutil
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

from distill.errors import BadInput, Infrastructure, OpinionError
from distill.models.packages import TRAINING
from jobs.common.home import home
from jobs.common.privacy import redact_text
from jobs.warehouse.shipping import check_versions, versions

if TYPE_CHECKING:  # it imports torch, which is too slow for --help
    from distill.training.ranks import ProcessGroup

START_SECONDS = 120
ENDING_SECONDS = 5  # for the other ranks to end after one was killed


@dataclass(frozen=True)
class Failure:
    """An exception of a rank: its traceback, its last line, and the kind of error for the job."""

    rank: int
    trace: str
    last: str
    kind: type[OpinionError]


class RankDied(Infrastructure):
    """A rank was killed or lost its machine; the training can continue from a checkpoint."""


def launch(spark: SparkSession, size: int, work: Callable[["ProcessGroup"], Any], restarts: int = 0) -> Any:
    """Run `work` on `size` ranks and return its result from rank 0; cloudpickle sends it to the executors.

    When a rank dies, all ranks restart, at most `restarts` times, and `work` continues from its checkpoints. A rank
    that raises an exception would raise it again, so that ends the job.

    Raises BadInput when Horovod is missing or Spark has too few task slots, Infrastructure for an unexpected exception
    of a rank, and otherwise the rank's kind of OpinionError. The error names the rank, and its cause is the rank's
    traceback.
    """
    if size == 1:
        from distill.training.ranks import SingleProcess

        return work(SingleProcess())
    if importlib.util.find_spec("horovod") is None:
        raise BadInput(f"--num-proc {size} needs Horovod; install it with make setup-train, or use --num-proc 1")
    cores_of_a_rank = int(spark.sparkContext.getConf().get("spark.task.cpus", "1"))
    slots = spark.sparkContext.defaultParallelism // cores_of_a_rank
    if slots < size:
        raise BadInput(f"--num-proc {size} needs as many task slots; Spark has {slots} here, so give it more cores")
    for restart in range(restarts):
        try:
            return launch_once(size, work)
        except RankDied as e:
            print(f"{e}; starting again from the last checkpoint, {restart + 1} of {restarts} times", flush=True)
    return launch_once(size, work)


def launch_once(size: int, work: Callable[["ProcessGroup"], Any]) -> Any:
    """One start of all ranks; raises RankDied or Infrastructure."""
    import horovod.spark

    alive = home() / "train" / "ranks"
    alive.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=alive))
    try:
        results = horovod.spark.run(
            rank_main,
            args=(work, folder, versions(TRAINING)),
            num_proc=size,
            use_gloo=True,
            start_timeout=START_SECONDS,
            verbose=0,
        )
    except RuntimeError as e:
        dead = " and ".join(who_died(folder)) or f"a rank of {size}, before it had begun,"
        raise RankDied(f"{dead} exited without an error: probably killed or out of memory") from e
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    failures = [result for result in results if isinstance(result, Failure)]
    # A rank that only noticed another's death comes last.
    for failure in sorted(failures, key=lambda f: f.kind is RankDied):
        raise failure.kind(f"rank {failure.rank} of {size} failed: {failure.last}") from RuntimeError(failure.trace)
    return results[0]


def who_died(folder: Path) -> list[str]:
    """The ranks whose files remain after the others had time to end."""
    until = time.monotonic() + ENDING_SECONDS
    while len(left := sorted(folder.iterdir())) > 1 and time.monotonic() < until:
        time.sleep(0.1)
    return [file.read_text(encoding="utf-8") for file in left]


def rank_main(work: Callable[["ProcessGroup"], Any], folder: Path, driver: dict[str, str]) -> Any:
    """The function of each rank; only rank 0 returns its result."""
    from horovod.common.exceptions import HorovodInternalError
    from horovod.spark.task import get_available_devices

    from distill.training.ranks import HorovodProcessGroup

    if gpus := get_available_devices():  # the GPUs of this task; others may belong to another job
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    ranks = HorovodProcessGroup()
    signal.signal(signal.SIGTERM, exit_on_signal)  # Horovod ends the other ranks so when one has died
    mine = folder / str(ranks.rank)
    mine.write_text(f"rank {ranks.rank} of {ranks.size} ({socket.gethostname()}, pid {os.getpid()})", encoding="utf-8")
    try:
        check_versions(driver)
        result = work(ranks)
        return result if ranks.rank == 0 else None
    except OpinionError as e:  # an error that a person can cure keeps its exit code
        return Failure(ranks.rank, traceback.format_exc(), str(e), type(e))
    except Exception as e:
        kind = RankDied if isinstance(e, HorovodInternalError) else Infrastructure
        return Failure(ranks.rank, traceback.format_exc(), redact_text(f"{type(e).__name__}: {e}"), kind)
    finally:
        mine.unlink(missing_ok=True)
        ranks.close()  # the others get an error instead of waiting for this rank


def exit_on_signal(number: int, frame: object) -> None:
    """Exit by an exception, so that `finally` blocks run."""
    raise SystemExit(128 + number)
