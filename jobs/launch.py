"""Start the ranks of a training: in this process when there is one, on Spark executors under Horovod when more.

Horovod's own errors can name the wrong rank and leave the traceback in an executor's log, so a rank catches what it
raises and brings it home as text.
"""

import importlib.util
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from distill.errors import BadInput, Infrastructure
from distill.ranks import Alone, HorovodRanks, Ranks

START_SECONDS = 120


@dataclass(frozen=True)
class Failure:
    """What a rank raised; `by_another` when it is only that some other rank was gone."""

    rank: int
    trace: str
    by_another: bool


def launch(spark: SparkSession, size: int, work: Callable[[Ranks], Any]) -> Any:
    """Run `work` on so many ranks and return what it returned on rank 0; cloudpickle carries it to the executors.

    Raises BadInput when Horovod is not installed or Spark has too few task slots, Infrastructure when a rank fails:
    the error names the rank, and its traceback is the cause.
    """
    if size == 1:
        return work(Alone())
    if importlib.util.find_spec("horovod") is None:
        raise BadInput(f"--num-proc {size} needs Horovod; install it with make setup-train, or use --num-proc 1")
    slots = spark.sparkContext.defaultParallelism
    if slots < size:
        raise BadInput(f"--num-proc {size} needs as many task slots; Spark has {slots} here, so give it more cores")
    import horovod.spark

    try:
        results = horovod.spark.run(
            rank_main, args=(work,), num_proc=size, use_gloo=True, start_timeout=START_SECONDS, verbose=0
        )
    except RuntimeError as e:
        raise Infrastructure(f"a rank of {size} died: {' '.join(str(e).split())[:300]}") from e
    failures = [result for result in results if isinstance(result, Failure)]
    for failure in sorted(failures, key=lambda f: f.by_another):
        last = failure.trace.strip().splitlines()[-1]
        raise Infrastructure(f"rank {failure.rank} of {size} failed: {last}") from RuntimeError(failure.trace)
    return results[0]


def rank_main(work: Callable[[Ranks], Any]) -> Any:
    """What each rank runs: only rank 0 sends its result home."""
    from horovod.common.exceptions import HorovodInternalError

    ranks = HorovodRanks()
    try:
        result = work(ranks)
        return result if ranks.rank == 0 else None
    except Exception as e:
        return Failure(ranks.rank, traceback.format_exc(), isinstance(e, HorovodInternalError))
    finally:
        ranks.close()  # the others' exchanges end with an error instead of waiting for this rank
