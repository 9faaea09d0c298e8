"""The origin of labels: the sample that drew a row, its stratum and inclusion probability, stored with the labels.

audit_sample holds the sample of the last run of a day. The first labels of a sample copy all its rows to sample_label,
so that they keep their design when the day is scored again. A label may name a sample that did not draw its row, or
that was replaced before its first label. It is stored and counted, and has no stratum.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from sklearn.metrics import cohen_kappa_score

from jobs.ingest.hashed_texts import hashed
from jobs.warehouse.tables import AUDIT_SAMPLE, SAMPLE_LABEL
from jobs.warehouse.warehouse import Warehouse

SAMPLE = ["sample_dt", "sample_run_id"]
KEY = [*SAMPLE, "opinion_id", "text_hash"]
DRAWN = ["stratum", "inclusion_probability"]


def known_samples(warehouse: Warehouse, copies: DataFrame) -> DataFrame:
    """The rows of every sample, in `copies` (`kept` is true) or in audit_sample; `text` is normalised."""
    now = warehouse.read(AUDIT_SAMPLE).where("inclusion_probability is not null")
    now = now.withColumnsRenamed({"dt": "sample_dt", "run_id": "sample_run_id"})
    now = now.withColumns({"label": F.lit(None).cast("int"), "labelled_at": F.lit(None).cast("timestamp")})
    fresh = now.join(F.broadcast(copies.select(SAMPLE).distinct()), SAMPLE, "left_anti")
    both = copies.withColumn("kept", F.lit(True)).unionByName(
        fresh.select(*SAMPLE_LABEL.columns).withColumn("kept", F.lit(False))
    )
    return hashed(both.withColumn("raw_text", F.col("text")))


def place(labels: DataFrame, samples: DataFrame, split: str | None = None) -> DataFrame:
    """The labels with stratum and inclusion probability of the sampled row that they name; null without one.

    Without a split for all rows those of a sample go to train: a sample is denser where scores are high, so in valid
    it would move the threshold. A retraining judges by them out of fold.
    """
    of = F.broadcast(samples.select(*KEY, *DRAWN).dropDuplicates(KEY))
    placed = labels.drop(*DRAWN).join(of, KEY, "left")
    if split is None:
        placed = placed.withColumn("split", F.when(F.col("stratum").isNotNull(), "train").otherwise(F.col("split")))
    return placed.select(labels.columns)


def copied(labels: DataFrame, samples: DataFrame) -> DataFrame:
    """The rows of sample_label after these placed labels: all rows of each sample with labels, old and new.

    The first label of a row stays; a text with two labels is in rejected_label.
    """
    placed = labels.where("stratum is not null and label is not null")
    given = placed.groupBy(KEY).agg(F.min("label").alias("new"), F.min("labelled_at").alias("at"))
    touched = F.broadcast(given.select(*SAMPLE, F.lit(True).alias("touched")).distinct())
    rows = samples.join(F.broadcast(given), KEY, "left").join(touched, SAMPLE, "left")
    rows = rows.where("kept or touched")
    return rows.withColumns(
        {
            "text": F.col("raw_text"),
            "labelled_at": F.when(F.col("label").isNull(), F.col("at")).otherwise(F.col("labelled_at")),
            "label": F.coalesce("label", "new"),
        }
    ).select(*SAMPLE_LABEL.columns)


def counted(rows: DataFrame) -> tuple[int, int]:
    """The number of rows of sample_label, and of those with a label."""
    count, labelled = rows.agg(F.count("*"), F.count("label")).collect()[0]
    return count, labelled


def lines(labels: DataFrame, samples: DataFrame) -> list[str]:
    """All lines of a load whose labels, once placed, name a sample."""
    return provenance_lines(labels) + agreement_lines(labels, samples)


def provenance_lines(labels: DataFrame) -> list[str]:
    """Lines with the number of labels from samples, and of those that name a sample which did not draw them."""
    counted = labels.where("label is not null and sample_run_id is not null").agg(
        F.count("stratum").alias("drawn"), F.count("*").alias("named")
    )
    [counts] = counted.collect()
    lines = []
    if counts.drawn:
        lines.append(f"{counts.drawn} labels are of rows that a night's sample drew: calibrate_threshold counts them")
    if strangers := counts.named - counts.drawn:
        lines.append(
            f"warning: {strangers} labels name a sample that did not draw their row, or that was replaced when the day "
            "was scored again: they are kept as labels, and count for no threshold"
        )
    return lines


def agreement_lines(labels: DataFrame, samples: DataFrame) -> list[str]:
    """A line with the agreement of these placed labels and those that the rows had before; none without such rows.

    Cohen's kappa: agreement beyond that of two raters who label at random with their shares of complaints (Cohen 1960).
    """
    earlier = samples.where("label is not null").select(*KEY, F.col("label").alias("earlier"))
    placed = labels.where("stratum is not null and label is not null").select(*KEY, "label")
    pairs = placed.join(F.broadcast(earlier), KEY).groupBy("earlier", "label").count().collect()
    if not pairs:
        return []
    count, same = sum(row["count"] for row in pairs), sum(row["count"] for row in pairs if row.earlier == row.label)
    kinds = {row.earlier for row in pairs} | {row.label for row in pairs}
    kappa = "undefined, since all are alike"
    if len(kinds) > 1:
        sides = [row.earlier for row in pairs], [row.label for row in pairs]
        kappa = f"{cohen_kappa_score(*sides, sample_weight=[row['count'] for row in pairs]):.2f}"
    line = f"{same} of {count} labels agree with an earlier label of the same row, Cohen's kappa {kappa}"
    if same < count:
        line += f"; the {count - same} texts labelled both ways count for nothing until people decide"
    return [line]
