"""The table teacher_logit: a teacher's logits for the labels or for a day of the stream.

Only logits that are missing under the teacher's fingerprint are computed, once for equal texts. A stopped run leaves
its results to the next one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from distill.errors import BadInput, BadModel, OpinionError
from distill.models.architecture import Precision
from distill.models.packages import TRAINING
from distill.models.registry import Registry
from distill.scoring.logits import fingerprint, teacher_of
from distill.training.progress import progress_parts
from jobs.common.privacy import BatchFunction, redact_errors
from jobs.ingest.hashed_texts import hashed
from jobs.scoring.process_cache import cached
from jobs.training.logit_flags import LogitJob
from jobs.training.logits import LABELLED, USABLE
from jobs.training.snapshot import SnapshotSpec, chosen_labels
from jobs.warehouse import publish
from jobs.warehouse.shipping import check_versions, received, ship, versions
from jobs.warehouse.tables import LABELLED_OPINION, RAW_OPINION, TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse

TASK_TEXTS = 4096  # about a minute's work of one core: the most that a stopped run loses
COMPUTED = "text_hash string, logits array<float>"


class LogitWriter:
    """One teacher and the table of its logits."""

    def __init__(self, warehouse: Warehouse, registry: Registry, job: LogitJob):
        """Load the teacher; raises BadModel or BadInput when it cannot be used here."""
        self.warehouse = warehouse
        saved = registry.load(registry.resolve(job.teacher))
        teacher_of(saved.bundle, job.precision)
        self.model, self.version, self.digest = saved, saved.version, saved.bundle.digest
        self.precision, self.train_rows = job.precision, job.train_rows
        self.fingerprint = fingerprint(self.digest, job.precision)
        self.folder = Path(saved.path).name
        self.imported = imported(warehouse, job.import_from, self.fingerprint) if job.import_from else None
        ship(warehouse.spark, saved.path)

    def texts(self, dt: str) -> DataFrame:
        """The current ids and texts of a day or of the labels; raises BadInput when there are none."""
        table, partition = (LABELLED_OPINION, {}) if dt == LABELLED else (RAW_OPINION, {"dt": dt})
        location = self.warehouse.location(table, partition)
        if location is None:
            raise BadInput(
                f"{self.warehouse.name(table)} has no day {dt}; load it: opinion load_opinions --dt {dt} --input PATH"
            )
        rows = self.warehouse.spark.read.schema(table.ddl).parquet(location)
        if self.train_rows:
            rows = chosen_labels(rows, SnapshotSpec(train_rows=self.train_rows)).where("split = 'train'")
        rows = rows.select("opinion_id", "text")
        if rows.isEmpty():
            raise BadInput(f"{self.warehouse.name(table)} ({dt}) has no rows; load some first")
        return rows

    def write(self, dt: str) -> str:
        """Publish the logits of a day or of the labels; returns the summary line."""
        partition = {"teacher": self.version, "dt": dt}
        with publish.run(
            self.warehouse, "store_teacher_logits", f"{self.version}+{dt}", [(TEACHER_LOGIT, partition)]
        ) as run:
            started = time.monotonic()
            rows = self.texts(dt)
            keyed = hashed(rows).persist()
            try:
                # Named by the weights, not only by the version: results of other weights must not be reused.
                weights = f"{self.digest[:16]}+{self.precision}"
                progress = f"{self.warehouse.root}/store_teacher_logits/progress+{self.version}+{weights}+{dt}"
                computed = self.compute(keyed, progress)
                expected = keyed.select("opinion_id", "text_hash").distinct()
                if self.train_rows:
                    stored = self.stored().where(F.col("dt") == dt).select("opinion_id", "text_hash")
                    expected = expected.union(stored).distinct()
                logits = expected.join(self.known(progress), "text_hash", "left")
                logits = logits.withColumns(
                    {"fingerprint": F.lit(self.fingerprint), "table": F.lit(TEACHER_LOGIT.name)}
                )
                run.stage(logits.select("table", *TEACHER_LOGIT.columns), [TEACHER_LOGIT])
                counts = (rows.count(), keyed.count(), expected.count(), keyed.select("text_hash").distinct().count())
            finally:
                keyed.unpersist()
            written = audit(run.read_back(TEACHER_LOGIT), counts[2], dt)
            run.switch([(TEACHER_LOGIT, partition)])
            self.warehouse.files.delete(progress)
        seconds = time.monotonic() - started
        return (
            f"{self.version} {dt}: {counts[0]} rows, {counts[0] - counts[1]} not scorable, {counts[3]} texts: "
            f"{computed} computed, {counts[3] - computed} known; {written} rows of logits stored in {seconds:.0f} s"
        )

    def compute(self, keyed: DataFrame, progress: str) -> int:
        """Compute the missing logits part by part and store each finished part; returns the number of texts."""
        known = self.known(progress).select("text_hash")
        missing = keyed.groupBy("text_hash").agg(F.first("text").alias("text"))
        missing = missing.join(known, "text_hash", "left_anti").persist()
        try:
            texts = missing.count()
            slots = self.warehouse.spark.sparkContext.defaultParallelism
            parts = -(-texts // (slots * TASK_TEXTS))
            for part in progress_parts(texts, parts, f"logits of {self.version}", "texts"):
                rows = missing.where(F.pmod(F.xxhash64("text_hash"), F.lit(parts)) == part).repartition(slots)
                computed = rows.mapInArrow(redact_errors(logits_of(self.folder, self.digest, self.precision)), COMPUTED)
                computed.write.mode("append").parquet(progress)
        finally:
            missing.unpersist()
        return texts

    def known(self, progress: str) -> DataFrame:
        """Logits by text hash under this fingerprint: stored, imported, or computed by a run that did not end."""
        known = self.stored().select("text_hash", "logits")
        if self.warehouse.files.exists(progress):
            known = known.unionByName(self.warehouse.spark.read.schema(COMPUTED).parquet(progress))
        if self.imported is not None:
            known = known.unionByName(self.imported)
        return known.where(USABLE).dropDuplicates(["text_hash"])

    def stored(self) -> DataFrame:
        """The table's rows of this teacher under this fingerprint."""
        rows = self.warehouse.read(TEACHER_LOGIT, teacher=self.version)
        return rows.where(F.col("fingerprint") == self.fingerprint)


def imported(warehouse: Warehouse, paths: Sequence[str], expected: str) -> DataFrame:
    """Logits by text hash from files; raises BadInput for files of other columns, BadModel for another fingerprint."""
    source = " ".join(paths)
    rows = warehouse.spark.read.parquet(*paths)
    needed = {"text_hash": "string", "logits": "array", "fingerprint": "string"}
    kinds = {field.name: field.dataType.typeName() for field in rows.schema}
    if wrong := [name for name, kind in needed.items() if kinds.get(name) != kind]:
        raise BadInput(
            f"--import-from {source}: column {wrong[0]} is {kinds.get(wrong[0], 'missing')}, and {needed[wrong[0]]} is "
            "needed; write the columns of teacher_logit"
        )
    others = rows.where(F.coalesce(F.col("fingerprint"), F.lit("null")) != expected).select("fingerprint").first()
    if others:
        raise BadModel(
            f"--import-from {source}: logits of the fingerprint {others.fingerprint}, which is not {expected} of this "
            "teacher and --precision; name the teacher and the precision that computed them"
        )
    return rows.select("text_hash", F.col("logits").cast("array<float>").alias("logits"))


def audit(staged: DataFrame, expected: int, dt: str) -> int:
    """Count the staged rows; raises OpinionError unless each expected row is there once, with two finite numbers."""
    counts = staged.agg(
        F.count("*").alias("rows"),
        F.countDistinct("opinion_id", "text_hash").alias("distinct"),
        F.expr(f"count_if(not {USABLE})").alias("without"),
    ).first()
    assert counts is not None  # an aggregate over everything has a row
    if (counts["rows"], counts["distinct"], counts["without"]) != (expected, expected, 0):
        raise OpinionError(
            f"{expected} rows of {dt} became {counts['rows']}, {counts['distinct']} of them distinct, "
            f"{counts['without']} without logits; nothing was published"
        )
    return expected


def logits_of(folder: str, digest: str, precision: Precision) -> BatchFunction:
    """The function that Spark maps over Arrow batches; folder: the name of the shipped bundle."""
    load = teacher_source(folder, digest, precision)

    def compute(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        teacher = load()
        for batch in batches:
            yield computed(batch.column("text_hash"), teacher.logits(batch.column("text").to_pylist()))

    return compute


def teacher_source(folder: str, digest: str, precision: Precision) -> Callable[[], Any]:
    """The function that gives the teacher of a worker process."""
    driver = versions(TRAINING)

    def load() -> Any:
        check_versions(driver)
        task = TaskContext.get()
        gpu = task.resources().get("gpu") if task else None
        device, threads = f"cuda:{gpu.addresses[0]}" if gpu else "cpu", task.cpus() if task else 1
        return teacher_of(received(folder, digest), precision, device, threads)

    return lambda: cached((digest, precision), load)


def computed(text_hashes: pa.Array, logits: npt.NDArray[np.float32]) -> pa.RecordBatch:
    """Hashes, (texts,), and logits, (texts, 2), as COMPUTED."""
    starts = 2 * np.arange(len(logits) + 1, dtype=np.int32)
    lists = pa.ListArray.from_arrays(pa.array(starts), pa.array(logits.reshape(-1)))
    return pa.RecordBatch.from_arrays([text_hashes, lists], ["text_hash", "logits"])
