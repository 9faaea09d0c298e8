"""Score one day: raw_opinion(dt) -> opinion_score, valid_complaint, rejected_opinion and the audit in scoring_run.

Rows read = scored + rejected, checked before anything is published. A second run of a day replaces the first.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from distill.bundle import Bundle
from distill.errors import BadInput, OpinionError
from distill.registry import Registry
from distill.scorer import HISTOGRAM_BINS, Scorer
from jobs import publish
from jobs.cli import day, home, job_parser, run_main
from jobs.discreet import Work, discreet
from jobs.quarantine import stage_whatever_kills
from jobs.report import day_summary
from jobs.score_rows import STAGED_DDL, scorer_of
from jobs.session import spark_session
from jobs.tables import OPINION_SCORE, RAW_OPINION, REJECTED_OPINION, SCORING_RUN, VALID_COMPLAINT
from jobs.warehouse import Warehouse


def main() -> None:
    """Choose the model, score the day, say what was found."""
    parser = job_parser(__doc__, "jobs/score_opinions.py --dt 2026-11-09")
    parser.add_argument("--dt", type=day, required=True, help="the day to score, loaded by load_opinions before")
    parser.add_argument("--model", default="champion", help="champion, or a version of the registry")
    args = parser.parse_args()
    registry = Registry(str(home() / "registry"))
    # Once, here: a champion promoted while the day is scored is the next run's.
    version, bundle = registry.load(args.model)
    scorer = Scorer(bundle)
    spark = spark_session("score_opinions")
    warehouse = Warehouse(spark, args.database)
    score_day(warehouse, args.dt, version, registry.path(version), bundle, scorer.threshold)
    print(day_summary(warehouse, args.dt), flush=True)


def score_day(warehouse: Warehouse, dt: str, version: str, path: str, bundle: Bundle, threshold: np.float32) -> None:
    """Publish the day's tables. Raises BadInput when the day was not loaded or is empty."""
    partitions = [
        (OPINION_SCORE, {"dt": dt}),
        (REJECTED_OPINION, {"dt": dt, "stage": "score"}),
        (VALID_COMPLAINT, {"dt": dt}),
        (SCORING_RUN, {"dt": dt}),
    ]
    with publish.run(warehouse, "score_opinions", f"dt={dt}", partitions) as run:
        raw_location = warehouse.location(RAW_OPINION, {"dt": dt})
        if raw_location is None:
            raise BadInput(
                f"{warehouse.name(RAW_OPINION)} has no day {dt}; load it: jobs/load_opinions.py --dt {dt} --input PATH"
            )
        # The files of this moment, so that a load of the day meanwhile changes nothing here.
        raw = warehouse.spark.read.schema(RAW_OPINION.ddl).parquet(raw_location)
        warehouse.spark.sparkContext.addFile(path, recursive=True)

        def stage(scoring: Work) -> None:
            rows = without_repeats(raw).mapInArrow(discreet(scoring), STAGED_DDL)
            rows = rows.withColumns({"model_version": F.lit(version), "run_id": F.lit(run.id)})
            run.stage(rows, [OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION])

        stage_whatever_kills(stage, scorer_of(Path(path).name, bundle.digest))
        audit = audit_row(run, raw.count(), bundle, threshold)
        audit |= {
            "run_id": run.id,
            "model_version": version,
            "raw_location": raw_location,
            "application_id": warehouse.spark.sparkContext.applicationId,
            "started": run.started,
            "ended": datetime.now(UTC),
        }
        row = [audit[column] for column in SCORING_RUN.columns]
        audit_rows = warehouse.spark.createDataFrame([row], SCORING_RUN.ddl)
        run.stage(audit_rows.withColumn("table", F.lit(SCORING_RUN.name)), [SCORING_RUN])
        run.switch(partitions)


def without_repeats(raw: DataFrame) -> DataFrame:
    """The rows with a column `repeats`: null for the row of its id that is scored, else why it is not.

    Of one id the earliest row counts, of equal times the first text in code point order. Only ids that occur twice are
    shuffled, so that the rows of a usual day stay where they were read.
    """
    twice = raw.groupBy("opinion_id").count().where("count > 1").select("opinion_id")
    once = raw.join(F.broadcast(twice), "opinion_id", "left_anti").withColumn("repeats", F.lit(None).cast("string"))
    same_id = Window.partitionBy("opinion_id").orderBy(F.col("published_at").asc_nulls_last(), "text", "source")
    several = raw.join(F.broadcast(twice), "opinion_id", "left_semi").withColumn("at", F.row_number().over(same_id))
    first_text = F.first("text").over(same_id)
    reason = (
        F.when(F.col("at") == 1, F.lit(None))
        .when(F.col("text").eqNullSafe(first_text), "duplicate_row")
        .otherwise("id_with_another_text")
    )
    columns = [*RAW_OPINION.columns, "repeats"]
    return once.select(columns).unionByName(several.withColumn("repeats", reason).select(columns))


def audit_row(run: publish.Run, read: int, bundle: Bundle, threshold: np.float32) -> dict[str, Any]:
    """Count what was staged by reading it back; raises when it is not what was read, BadInput for an empty day."""
    if read == 0:
        raise BadInput(f"the day {run.unit} of {run.warehouse.name(RAW_OPINION)} is empty; load it again")
    # was_cut is in the files, not in the table: only its sum is of interest.
    staged_scores = run.read_back(OPINION_SCORE, f"{OPINION_SCORE.ddl}, was_cut boolean")
    counts = staged_scores.select(
        F.count("*").alias("scored"),
        F.count_if("is_valid").alias("valid"),
        F.count_if("was_cut").alias("cut"),
        F.count_if(~F.col("score").between(0, 1) | F.col("score").isNull()).alias("wrong"),
    )
    scores = counts.first()
    written = run.read_back(VALID_COMPLAINT).count()
    bins = F.least(F.floor(F.col("score") * HISTOGRAM_BINS), F.lit(HISTOGRAM_BINS - 1)).cast("int")
    histogram = [0] * HISTOGRAM_BINS
    for row in staged_scores.groupBy(bins.alias("bin")).count().collect():
        histogram[row.bin] = row["count"]
    reasons = {r.reason: r["count"] for r in run.read_back(REJECTED_OPINION).groupBy("reason").count().collect()}
    rejected = sum(reasons.values())
    if scores is None or scores.wrong or read != scores.scored + rejected or written != scores.valid:
        raise OpinionError(
            f"read {read} rows but staged {scores} and {rejected} rejected, {written} valid; nothing was published"
        )
    return {
        "bundle_digest": bundle.digest,
        "threshold": float(threshold),
        "rows_read": read,
        "rows_scored": scores.scored,
        "rows_valid": scores.valid,
        "rows_rejected": rejected,
        "rows_cut": scores.cut,
        "rejected_by_reason": reasons,
        "score_histogram": histogram,
        "drift_psi": stability_index(bundle.manifest["score_histogram"], histogram),
    }


def stability_index(expected: list[int], actual: list[int]) -> float:
    """Population stability index of two histograms of equal bins: sum (a - e) ln(a / e) over their shares.

    Empty bins count as half a row, so that the index stays finite.
    """
    e = np.maximum(expected, 0.5) / np.maximum(expected, 0.5).sum()
    a = np.maximum(actual, 0.5) / np.maximum(actual, 0.5).sum()
    return float(((a - e) * np.log(a / e)).sum())


if __name__ == "__main__":
    run_main(main)
