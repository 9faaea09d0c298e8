"""A second reader's logits of a few texts, through teacher_logit: read there, else computed and stored.

The texts that a day's second reading computed are the partition dt=read-DAY of the teacher, a row a text and without an
id; the partition dt=DAY stays as store_teacher_logits leaves it, with all rows of the day or none.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from distill.errors import Infrastructure, OpinionError
from distill.models.architecture import Precision
from distill.models.registry import Registry
from distill.scoring.second_reader import rounded_margins
from jobs.common.privacy import BatchFunction, redact_errors
from jobs.scoring.scoring_flags import ReaderOptions
from jobs.training.logit_flags import LogitJob
from jobs.training.logit_store import COMPUTED, LogitWriter, computed, teacher_source
from jobs.training.logits import USABLE
from jobs.warehouse import publish
from jobs.warehouse.tables import TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse

log = logging.getLogger("opinion")

UNIT = 256  # texts of one call of the model, whatever the number of cores, so that their logits do not depend on it
UNITS_A_CHUNK = 2  # of a slot; what a budget of seconds loses at most
READ = "read-"  # before the day, in the partitions of this module

Logits = dict[str, tuple[float, float]]


class ReaderStore:
    """One second reader, the table of its logits, and the seconds that it has."""

    def __init__(self, warehouse: Warehouse, registry: Registry, options: ReaderOptions, dt: str):
        """Load and ship the reader; the seconds begin. Raises as `LogitWriter`."""
        assert options.second_reader is not None
        self.deadline = time.monotonic() + options.read_seconds if options.read_seconds else float("inf")
        self.warehouse, self.dt = warehouse, dt
        self.writer = LogitWriter(warehouse, registry, LogitJob(options.second_reader, options.second_reader_precision))
        self.computed: Logits = {}

    def margins(self, texts: DataFrame, order: Sequence[str]) -> dict[str, float]:
        """The rounded margin of the texts by hash, in this order, until the seconds end.

        texts: text_hash, text, of these and maybe others. Raises Infrastructure when they end before any was read.
        """
        logits = self.stored(order) | {key: self.computed[key] for key in order if key in self.computed}
        missing = [key for key in order if key not in logits]
        try:
            for chunk in self.chunks(missing):
                logits |= chunk_logits(self, texts, chunk)
        finally:
            self.computed |= {key: logits[key] for key in missing if key in logits}
        # The first that is missing ends the readings: those after it are farther from the threshold.
        read = list(order) if len(logits) == len(order) else order[: [key in logits for key in order].index(False)]
        if order and not read:
            raise Infrastructure(f"{self.writer.version} read no text in the seconds that it has; give it more")
        return margins_by_hash({key: logits[key] for key in read})

    def known_margins(self, keys: Sequence[str]) -> dict[str, float]:
        """The rounded margins of the texts whose logits are stored, by hash."""
        return margins_by_hash(self.stored(keys))

    def stored(self, keys: Sequence[str]) -> Logits:
        """The logits that are stored under the reader's fingerprint, by hash."""
        if not keys:
            return {}
        spark = self.warehouse.spark
        wanted = F.broadcast(spark.createDataFrame(pa.table({"text_hash": pa.array(keys, pa.string())})))
        rows = self.writer.stored().where(USABLE).select("text_hash", "logits").join(wanted, "text_hash", "left_semi")
        return {row.text_hash: tuple(row.logits) for row in rows.collect()}

    def chunks(self, missing: Sequence[str]) -> Iterator[Sequence[str]]:
        """The missing hashes in chunks, until the seconds end."""
        chunk = UNIT * UNITS_A_CHUNK * self.warehouse.spark.sparkContext.defaultParallelism
        for first in range(0, len(missing), chunk):
            if time.monotonic() >= self.deadline:
                return
            yield missing[first : first + chunk]

    def save(self) -> None:
        """Publish the computed logits, with those that earlier readings of the day computed."""
        if not self.computed:
            return
        partition = {"teacher": self.writer.version, "dt": f"{READ}{self.dt}"}
        scope = f"{self.writer.version}+{READ}{self.dt}"
        with publish.run(self.warehouse, "second_reader", scope, [(TEACHER_LOGIT, partition)]) as run:
            before = self.warehouse.read(TEACHER_LOGIT, **partition).select(*TEACHER_LOGIT.columns)
            rows = before.unionByName(self.new_rows())
            rows = rows.dropDuplicates(["text_hash", "fingerprint"])
            run.stage(rows.withColumn("table", F.lit(TEACHER_LOGIT.name)), [TEACHER_LOGIT])
            written = run.read_back(TEACHER_LOGIT).where(F.col("fingerprint") == self.writer.fingerprint).where(USABLE)
            if (stored := written.select("text_hash").distinct().count()) < len(self.computed):
                raise OpinionError(
                    f"{len(self.computed)} texts were read and {stored} of them stored; nothing was kept"
                )
            run.switch([(TEACHER_LOGIT, partition)])

    def new_rows(self) -> DataFrame:
        """The computed logits as rows of the table."""
        keys = list(self.computed)
        columns = {
            "opinion_id": pa.nulls(len(keys), pa.string()),
            "text_hash": pa.array(keys, pa.string()),
            "logits": pa.array([list(self.computed[key]) for key in keys], pa.list_(pa.float32())),
            "fingerprint": pa.repeat(self.writer.fingerprint, len(keys)),
        }
        return self.warehouse.spark.createDataFrame(pa.table(columns))

    @contextmanager
    def until_deadline(self) -> Iterator[None]:
        """Cancel the Spark jobs of the block when the seconds end; the block then does nothing more."""
        context, group = self.warehouse.spark.sparkContext, f"second reader of {self.dt}"
        left = self.deadline - time.monotonic()
        timer = threading.Timer(left, lambda: context.cancelJobGroup(group)) if left < threading.TIMEOUT_MAX else None
        context.setJobGroup(group, group, interruptOnCancel=True)
        if timer:
            timer.start()
        try:
            yield
        except Exception:
            if time.monotonic() < self.deadline:
                raise
            log.info("the seconds of %s ended within a chunk", group)
        finally:
            if timer:
                timer.cancel()
            for name in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel"):
                context.setLocalProperty(name, None)  # type: ignore[arg-type]


def margins_by_hash(logits: Logits) -> dict[str, float]:
    """Logits as rounded margins."""
    margins = rounded_margins(np.array(list(logits.values()), np.float32).reshape(-1, 2))
    return dict(zip(logits, margins.tolist(), strict=True))


def chunk_logits(store: ReaderStore, texts: DataFrame, chunk: Sequence[str]) -> Logits:
    """The logits of a chunk's texts; none when the seconds end within it."""
    spark, logits = store.warehouse.spark, {}
    numbers = {"text_hash": pa.array(chunk, pa.string()), "number": pa.array(range(len(chunk)), pa.int32())}
    wanted = F.broadcast(spark.createDataFrame(pa.table(numbers)))
    rows = texts.select("text_hash", "text").join(wanted, "text_hash").dropDuplicates(["text_hash"])
    units = rows.groupBy(F.floor(F.col("number") / UNIT).alias("unit")).agg(
        F.sort_array(F.collect_list(F.struct("number", "text_hash", "text"))).alias("rows")
    )
    units = units.select(F.col("rows.text_hash").alias("text_hash"), F.col("rows.text").alias("text"))
    writer = store.writer
    work = unit_logits(writer.folder, writer.digest, writer.precision)
    # Asked for by number, so that adaptive execution does not put the few small rows into one task.
    results = units.repartition(spark.sparkContext.defaultParallelism).mapInArrow(redact_errors(work), COMPUTED)
    with store.until_deadline():
        logits = {row.text_hash: tuple(row.logits) for row in results.collect()}
    return logits


def unit_logits(folder: str, digest: str, precision: Precision) -> BatchFunction:
    """The function that Spark maps over Arrow batches of units, which are rows of lists: text_hash and text."""
    load = teacher_source(folder, digest, precision)

    def compute(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for unit in batch.to_pylist():
                logits: npt.NDArray[np.float32] = load().logits(unit["text"])
                yield computed(pa.array(unit["text_hash"], pa.string()), logits)

    return compute
