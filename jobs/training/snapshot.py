"""Snapshot the labels, stored logits and transfer set of a training, as Parquet that every rank reads.

FOLDER/labels     text, label, source, split, logits_0, logits_1 … of the teachers in their order
FOLDER/transfer   the same of texts of the stream, with no label
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pyarrow.dataset as pads
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from distill.data.labelled import LOGITS, TextRows, read
from distill.data.snapshot import Snapshot
from distill.errors import BadInput
from jobs.common.home import home
from jobs.ingest.hashed_texts import hashed
from jobs.training import linear_logits
from jobs.training.linear_logits import FROM_NIGHT
from jobs.training.logits import LABELLED, with_logits
from jobs.warehouse.tables import LABELLED_OPINION, RAW_OPINION
from jobs.warehouse.warehouse import Warehouse

COLUMNS = ["text", "label", "source", "split"]
FOLDS = 2  # of the nights' labels, so that every one of them is judged by a student that has not learned it


@dataclass(frozen=True)
class StoredTeacher:
    """A teacher whose stored logits are joined; fingerprints: the possible ones of its weights."""

    version: str
    fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class SnapshotSpec:
    """The content of a snapshot: whose logits, which days as a transfer set, how many labels for training.

    teachers: None stands for the linear teacher, which has no stored logits. No sources and no number of rows mean all
    of them; rows of valid and test are always all there. held_out: a fold of the nights' labels that is left out.
    replay: so many of the other labels, beside all of the nights.
    """

    teachers: Sequence[StoredTeacher | None] = ()
    days: Sequence[str] = ()
    allow_missing: bool = False
    sources: Sequence[str] = ()
    train_rows: int | None = None
    held_out: int | None = None
    replay: int | None = None


def write_snapshot(warehouse: Warehouse, folder: str, spec: SnapshotSpec) -> tuple[Snapshot, dict[str, Any]]:
    """Write the snapshot to a new folder; returns it, and the facts that identify it, for the lineage.

    Raises BadInput when there are no labels, or when rows of train lack logits without permission; errors of
    `jobs.training.logits.with_logits`.
    """
    facts = snapshot_labels(warehouse, f"{folder}/labels", spec)
    train = facts["rows"]["train"]
    for teacher in facts["teachers"]:
        with_logits, version = teacher["train_rows"], teacher["version"]
        print(f"logits of {version}: {with_logits} of {train} rows of train ({with_logits / train:.1%})", flush=True)
        if with_logits < train and not spec.allow_missing:
            raise BadInput(
                f"{train - with_logits} of {train} labelled rows of train have no logits of {version}; store them: "
                f"opinion store_teacher_logits --teacher {version} --labelled, or pass --allow-missing-logits"
            )
    if spec.days:
        facts["transfer"] = snapshot_transfer(warehouse, f"{folder}/transfer", spec)
    facts |= linear_logits.complete(folder, spec.teachers.index(None) if None in spec.teachers else None)
    return Snapshot(folder, has_test="test" in facts["rows"], has_transfer=bool(spec.days)), facts


def snapshot_labels(warehouse: Warehouse, folder: str, spec: SnapshotSpec) -> dict[str, Any]:
    """Write the labels with the logits of the teachers."""
    rows = chosen_labels(warehouse.read(LABELLED_OPINION), spec)
    rows = rows.withColumn(FROM_NIGHT, is_of_night()).select("opinion_id", *COLUMNS, FROM_NIGHT)
    rows = join_logits(warehouse, rows, spec.teachers, LABELLED).drop("text_hash")
    rows.write.parquet(f"file://{folder}")
    written = warehouse.spark.read.parquet(f"file://{folder}")
    counts = {row.split: row["count"] for row in written.groupBy("split").count().collect()}
    for split in ("train", "valid"):
        if split not in counts:
            of = f" of the sources {', '.join(spec.sources)}" if spec.sources and split == "train" else ""
            raise BadInput(
                f"{warehouse.name(LABELLED_OPINION)} has no rows of the split {split!r}{of}; "
                "load some with opinion load_labels"
            )
    train = written.where("split = 'train'")
    return {
        # The training cannot have learned any label that is loaded later.
        "labels_at": datetime.now(UTC).isoformat(),
        "data": str(warehouse.location(LABELLED_OPINION, {})),
        "data_hash": hash_of(written.select(COLUMNS)),
        "rows": counts,
        "teachers": [
            asdict(teacher) | {"train_rows": train.where(F.col(f"{LOGITS}{number}").isNotNull()).count()}
            for number, teacher in enumerate(spec.teachers)
            if teacher
        ],
    }


def chosen_labels(labels: DataFrame, spec: SnapshotSpec) -> DataFrame:
    """All rows of valid and test, and the chosen rows of train; the same number gives the same rows."""
    train = labels.where("split = 'train'")
    if spec.held_out is not None:
        train = train.where(~is_of_night() | (fold_of_night(F.col("text")) != spec.held_out))
    if spec.sources:
        train = train.where(F.col("source").isin(list(spec.sources)))
    if spec.replay:
        old = train.where(~is_of_night()).orderBy(F.xxhash64("text"), "text").limit(spec.replay)
        train = train.where(is_of_night()).unionByName(old)
    if spec.train_rows:
        train = train.orderBy(F.xxhash64("text"), "text").limit(spec.train_rows)
    return labels.where("split != 'train'").unionByName(train)


def snapshot_transfer(warehouse: Warehouse, folder: str, spec: SnapshotSpec) -> dict[str, Any]:
    """Write the texts of the days, each once, without labelled ones: valid and test must stay unseen."""
    parts, teachers = [], spec.teachers
    for day in spec.days:
        if warehouse.location(RAW_OPINION, {"dt": day}) is None:
            raise BadInput(
                f"--transfer-dt {day}: {warehouse.name(RAW_OPINION)} has no such day; "
                f"load it: opinion load_opinions --dt {day} --input PATH"
            )
        rows = warehouse.read(RAW_OPINION, dt=day).select("opinion_id", "text", "source")
        none = {"label": F.lit(None).cast("int"), "split": F.lit("transfer"), FROM_NIGHT: F.lit(False)}
        parts.append(join_logits(warehouse, rows.withColumns(none), teachers, day))
    texts = reduce(DataFrame.unionByName, parts)
    labelled = hashed(warehouse.read(LABELLED_OPINION).select("text")).select("text_hash")
    # A text without logits is useless in a transfer set; another row with the text may have them.
    if stored := [f"{LOGITS}{number}" for number, teacher in enumerate(teachers) if teacher]:
        texts = texts.dropna(subset=stored)
    fresh = texts.join(labelled, "text_hash", "left_anti").dropDuplicates(["text_hash"]).drop("text_hash")
    fresh.write.parquet(f"file://{folder}")
    written = warehouse.spark.read.parquet(f"file://{folder}")
    count = written.count()
    print(f"transfer set: {count} texts of {len(spec.days)} days", flush=True)
    if count == 0:
        days = ", ".join(spec.days)
        raise BadInput(f"--transfer-dt: no text of {days} is unlabelled and has logits; name a day with such texts")
    return {"days": list(spec.days), "rows": count, "data_hash": hash_of(written.select("text"))}


def join_logits(warehouse: Warehouse, rows: DataFrame, teachers: Sequence[StoredTeacher | None], dt: str) -> DataFrame:
    """COLUMNS and FROM_NIGHT of the rows, text_hash, and a column of logits for each teacher that stores them."""
    rows, names = hashed(rows), []
    for number, teacher in enumerate(teachers):
        if teacher:
            names.append(f"{LOGITS}{number}")
            rows = with_logits(warehouse, rows, teacher.version, dt, teacher.fingerprints)
            rows = rows.withColumnRenamed("logits", names[-1])
    return rows.select(*COLUMNS, FROM_NIGHT, "text_hash", *names)


def is_of_night() -> Column:
    """Whether a night's sample drew the labelled row."""
    return F.col("stratum").isNotNull()


def fold_of_night(text: Column) -> Column:
    """The fold of a night's label, from 0 to FOLDS - 1."""
    return F.pmod(F.xxhash64(text), F.lit(FOLDS))


def hash_of(rows: DataFrame) -> str:
    """A hash of the rows that does not depend on their order or files."""
    digest = rows.select(F.sum(F.xxhash64(*rows.columns).cast("decimal(38,0)"))).first()
    return f"{int(digest[0]) % 2**64:016x}" if digest and digest[0] is not None else ""


def held_out(warehouse: Warehouse, name: str) -> tuple[TextRows, str]:
    """The rows of test, or of valid without a test split, and the hash of all labels.

    name: of the temporary folder below OPINION_HOME/tmp.
    """
    folder = home() / "tmp" / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        facts = snapshot_labels(warehouse, str(folder), SnapshotSpec())
        split = "test" if "test" in facts["rows"] else "valid"
        return read(str(folder), pads.field("split") == split), facts["data_hash"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
