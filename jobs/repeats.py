"""Which row of an id counts, where a day has several."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.tables import RAW_OPINION


def without_repeats(raw: DataFrame) -> DataFrame:
    """The rows with a column `repeats`: null for the row of its id that is scored, else why it is not.

    Of one id the earliest row counts, of equal times the first text in code point order. Only rows whose id may occur
    twice, by its hash, are shuffled: those of a usual day stay where they were read.
    """
    raw = raw.withColumn("hash", F.xxhash64("opinion_id"))
    twice = raw.where("opinion_id is not null").groupBy("hash").count().where("count > 1").select("hash")
    once = raw.join(F.broadcast(twice), "hash", "left_anti").withColumn("repeats", F.lit(None).cast("string"))
    several = raw.join(F.broadcast(twice), "hash", "left_semi").withColumn("repeats", reason())
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
