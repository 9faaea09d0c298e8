"""The row of an id that is scored, where a day has several."""

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.scoring.id_hashes import Hashes, id_hash
from jobs.warehouse.tables import RAW_OPINION


def without_repeats(raw: DataFrame, repeated: Hashes) -> DataFrame:
    """The rows with a column `repeats`: null for the row that is scored, else the reason against it.

    The earliest row of an id is scored; among equal times the first text in code point order. Only rows whose id may be
    repeated, by the `repeated` hashes, are shuffled.
    """
    never = F.lit(None).cast("string")
    if not len(repeated):
        return raw.withColumn("repeats", never)
    twice = F.broadcast(raw.sparkSession.createDataFrame(pa.table({"hash": repeated})))
    hashed = raw.withColumn("hash", id_hash())
    once = hashed.join(twice, "hash", "left_anti").withColumn("repeats", never)
    several = hashed.join(twice, "hash", "left_semi").withColumn("repeats", reason())
    columns = [*RAW_OPINION.columns, "repeats"]
    return once.select(columns).unionByName(several.select(columns))


def reason() -> Column:
    """The reason why a row is not scored, over all rows of its id; null for the scored one."""
    same_id = Window.partitionBy("opinion_id").orderBy(F.col("published_at").asc_nulls_last(), "text", "source")
    return (
        F.when(F.row_number().over(same_id) == 1, F.lit(None))
        .when(F.col("text").eqNullSafe(F.first("text").over(same_id)), "duplicate_row")
        .otherwise("id_with_another_text")
    )
