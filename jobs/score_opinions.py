"""Score one day: raw_opinion(dt) -> opinion_score, valid_complaint, rejected_opinion and the audit in scoring_run.

Rows read = scored + rejected, checked before anything is published. A second run of a day replaces the first.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from distill.bundle import Bundle
from distill.drift import expected_of
from distill.errors import BadInput
from distill.registry import Registry
from distill.scorer import Scorer
from jobs import publish
from jobs.cli import day, home, job_parser, run_main
from jobs.day_audit import count_staged
from jobs.discreet import Work, discreet
from jobs.quarantine import stage_whatever_kills
from jobs.report import day_summary
from jobs.score_rows import STAGED_DDL, scorer_of
from jobs.session import spark_session
from jobs.shipping import ship
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
        ship(warehouse.spark, path)

        def stage(scoring: Work) -> None:
            rows = without_repeats(raw).mapInArrow(discreet(scoring), STAGED_DDL)
            rows = rows.withColumns({"model_version": F.lit(version), "run_id": F.lit(run.id)})
            # The files of raw_opinion are packed as they should be, and so are those that their tasks write.
            run.stage(rows, [OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION], pack=False)

        stage_whatever_kills(stage, scorer_of(Path(path).name, bundle.digest))
        counted = count_staged(run, raw, expected_of(bundle.manifest))
        audit = counted.columns() | {
            "bundle_digest": bundle.digest,
            "threshold": float(threshold),
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

    Of one id the earliest row counts, of equal times the first text in code point order. Only rows whose id may occur
    twice, by its hash, are shuffled: those of a usual day stay where they were read.
    """
    raw = raw.withColumn("hash", F.xxhash64("opinion_id"))
    twice = raw.where("opinion_id is not null").groupBy("hash").count().where("count > 1").select("hash")
    once = raw.join(F.broadcast(twice), "hash", "left_anti").withColumn("repeats", F.lit(None).cast("string"))
    same_id = Window.partitionBy("opinion_id").orderBy(F.col("published_at").asc_nulls_last(), "text", "source")
    several = raw.join(F.broadcast(twice), "hash", "left_semi").withColumn("at", F.row_number().over(same_id))
    first_text = F.first("text").over(same_id)
    reason = (
        F.when(F.col("at") == 1, F.lit(None))
        .when(F.col("text").eqNullSafe(first_text), "duplicate_row")
        .otherwise("id_with_another_text")
    )
    columns = [*RAW_OPINION.columns, "repeats"]
    return once.select(columns).unionByName(several.withColumn("repeats", reason).select(columns))


if __name__ == "__main__":
    run_main(main)
