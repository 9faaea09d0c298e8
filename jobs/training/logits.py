"""Join stored logits to texts by id and text hash, under one fingerprint."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from distill.errors import BadInput, BadModel
from jobs.warehouse.tables import TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse

# Stored logits must be two finite numbers; other rows count as missing.
USABLE = "coalesce(size(logits) = 2 and forall(logits, x -> abs(x) < float('infinity')), false)"
LABELLED = "labelled"  # the partition of the labels; the others are days


def with_logits(warehouse: Warehouse, rows: DataFrame, version: str, dt: str, allowed: Sequence[str]) -> DataFrame:
    """The rows (opinion_id, text_hash and more) with a column `logits`, null where none are stored.

    Raises BadInput when nothing is stored for this teacher and day, BadModel when a stored fingerprint is not
    `allowed`: other weights computed it under the same name.
    """
    stored = warehouse.read(TEACHER_LOGIT, teacher=version, dt=dt)
    fingerprints = {row.fingerprint for row in stored.select("fingerprint").distinct().collect()}
    cure = f"opinion store_teacher_logits --teacher {version} " + ("--labelled" if dt == LABELLED else f"--dt {dt}")
    if not fingerprints:
        raise BadInput(f"{warehouse.name(TEACHER_LOGIT)} holds nothing of {version} for {dt}; store it: {cure}")
    if strange := sorted(fingerprints - set(allowed)):
        raise BadModel(
            f"the logits of {version} for {dt} have the fingerprint {strange[0]}, which is not that of the teacher in "
            f"the registry ({' or '.join(allowed)}); store them again: {cure}"
        )
    keyed = stored.where(USABLE).select("opinion_id", "text_hash", "logits").dropDuplicates(["opinion_id", "text_hash"])
    return rows.join(keyed, ["opinion_id", "text_hash"], "left").select(*rows.columns, F.col("logits"))
