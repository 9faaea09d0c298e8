"""Which row of an id counts, where a day has several."""

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.scoring.survey import Hashes, id_hash
from jobs.warehouse.tables import RAW_OPINION


def without_repeats(raw: DataFrame, repeated: Hashes) -> DataFrame:
    """The rows with a column `repeats`: null for the row of its id that is scored, else why it is not.

    Of one id the earliest row counts, of equal times the first text in code point order. Only rows whose id may occur
    twice, by the `repeated` hashes, are shuffled: those of a usual day stay where they were read.
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
    """Why a row is not scored, null for the row of its id that is; over all rows of the id."""
    same_id = Window.partitionBy("opinion_id").orderBy(F.col("published_at").asc_nulls_last(), "text", "source")
    return (
        F.when(F.row_number().over(same_id) == 1, F.lit(None))
        .when(F.col("text").eqNullSafe(F.first("text").over(same_id)), "duplicate_row")
        .otherwise("id_with_another_text")
    )
