"""Score one day: raw_opinion(dt) -> opinion_score, valid_complaint, rejected_opinion and the audit in scoring_run.

Rows read = scored + rejected, checked before anything is published. A second run of a day replaces the first.
"""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import functions as F

from distill import __version__
from distill.errors import BadInput, Busy, Held
from distill.models.saved_model import SavedModel
from distill.scoring.drift import BANDS, expected_of
from distill.scoring.scorer import Scorer
from jobs.common.cli import Parser, day, job_parser
from jobs.common.failures import run_main
from jobs.common.home import home_registry
from jobs.common.options import add_options, from_flags, option
from jobs.common.privacy import BatchFunction, redact_errors
from jobs.reports.day_summary import day_summary
from jobs.reports.label_page import write_page
from jobs.scoring.audit import count_staged
from jobs.scoring.audit_sample import LEAST_SAMPLE, Aim, csv_of, sample_rows, write_csv
from jobs.scoring.backfill import between, each
from jobs.scoring.duplicates import without_repeats
from jobs.scoring.promise import promise, unlabelled_sources
from jobs.scoring.quarantine import stage_with_quarantine
from jobs.scoring.sample_candidates import CANDIDATE, DRAW, draw
from jobs.scoring.survey import survey
from jobs.scoring.worker import STAGED_DDL, scorer_of
from jobs.warehouse import publish
from jobs.warehouse.schema import Table
from jobs.warehouse.session import spark_session
from jobs.warehouse.shipping import ship
from jobs.warehouse.tables import (
    AUDIT_SAMPLE,
    OPINION_SCORE,
    RAW_OPINION,
    REJECTED_OPINION,
    SCORING_RUN,
    VALID_COMPLAINT,
)
from jobs.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class ScoringRun:
    """The options of scoring: the model, the drift check and the size of the sample."""

    model: SavedModel
    hold_on_drift: bool = option("do not publish a day with significant drift", False)
    sample: int = option("rows drawn for people to label; 0 for none", 100)


def main() -> None:
    """Choose the model, score the day or days, print the summary."""
    args = parser().parse_args()
    days = chosen_days(args)
    registry = home_registry()
    # Read once: a champion that is promoted during the run scores the next one.
    scoring = from_flags(ScoringRun, args, model=registry.load(args.model))
    version = scoring.model.version
    Scorer(scoring.model.bundle)  # refuses a bundle that cannot score before Spark starts
    spark = spark_session("score_opinions")
    warehouse = Warehouse(spark, args.database)

    def score(dt: str) -> None:
        score_day(warehouse, dt, scoring)
        print(day_summary(warehouse, dt, highest=bool(args.dt)), flush=True)

    if args.dt:
        score(args.dt)
    else:
        each(days, lambda dt: not args.force and is_scored(warehouse, dt, version, scoring.model.threshold), score)


def parser() -> Parser:
    """The command line."""
    flags = job_parser(__doc__, "score_opinions --dt 2026-11-09")
    flags.add_argument("--dt", type=day, help="a loaded day to score")
    flags.add_argument("--from", type=day, dest="first", metavar="DT", help="score all days from this one on …")
    flags.add_argument("--to", type=day, dest="last", metavar="DT", help="… to this one, where it is not done already")
    flags.add_argument("--force", action="store_true", help="with --from and --to: score finished days again")
    flags.add_argument("--model", default="champion", help="champion, or a version of the registry")
    add_options(flags, ScoringRun)
    return flags


def chosen_days(args: argparse.Namespace) -> list[str]:
    """The days that the flags name; raises BadInput for flags that do not fit together."""
    several = args.first or args.last or args.force
    if bool(args.dt) == bool(several) or (several and not (args.first and args.last)):
        raise BadInput("name one day with --dt, or several with both --from and --to (and --force)")
    if args.sample and args.sample < LEAST_SAMPLE:
        raise BadInput(f"--sample must be 0, or {LEAST_SAMPLE} or more, so that every band of scores has its rows")
    days = [args.dt] if args.dt else between(args.first, args.last)
    if not days:
        raise BadInput(f"--from {args.first} is after --to {args.last}")
    return days


def is_scored(warehouse: Warehouse, dt: str, version: str, threshold: np.float32) -> bool:
    """Whether this version scored the day's current load at this threshold."""
    run = warehouse.read(SCORING_RUN, dt=dt).select("model_version", "raw_location", "threshold").first()
    return run is not None and tuple(run) == (
        version,
        warehouse.location(RAW_OPINION, {"dt": dt}),
        float(threshold),
    )


def score_day(warehouse: Warehouse, dt: str, scoring: ScoringRun) -> None:
    """Publish the day's tables, and write the CSV of its sample.

    Raises BadInput when the day is not loaded or empty, and Held when hold_on_drift stops a day in the last band.
    """
    model, sample = scoring.model, scoring.sample
    partitions = [
        (OPINION_SCORE, {"dt": dt}),
        (REJECTED_OPINION, {"dt": dt, "stage": "score"}),
        (VALID_COMPLAINT, {"dt": dt}),
        (SCORING_RUN, {"dt": dt}),
        (AUDIT_SAMPLE, {"dt": dt}),
    ]
    with publish.run(warehouse, "score_opinions", f"dt={dt}", partitions) as run:
        raw_location = warehouse.location(RAW_OPINION, {"dt": dt})
        if raw_location is None:
            raise BadInput(
                f"{warehouse.name(RAW_OPINION)} has no day {dt}; load it: opinion load_opinions --dt {dt} --input PATH"
            )
        # The present files, so that a concurrent load of the day has no effect.
        raw = warehouse.spark.read.schema(RAW_OPINION.ddl).parquet(raw_location)
        expected = expected_of(model.bundle.manifest)
        read = survey(raw, list(expected.sources) if expected else [])
        if not read.sources:
            raise BadInput(f"the day dt={dt} of {warehouse.name(RAW_OPINION)} is empty; load it again")
        ship(warehouse.spark, model.path)

        def stage(work: BatchFunction) -> None:
            rows = without_repeats(raw, read.repeated).withColumns({DRAW: draw(dt)} if sample else {})
            rows = rows.mapInArrow(redact_errors(work), STAGED_DDL)
            rows = rows.withColumns({"model_version": F.lit(model.version), "run_id": F.lit(run.id)})
            # The files of raw_opinion have a good size, so the files of their tasks have, too.
            run.stage(rows, [OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION, CANDIDATE], pack=False)

        stage_with_quarantine(stage, scorer_of(Path(model.path).name, model.bundle.digest, sample, model.operating))
        counted = count_staged(run, read, model.threshold, expected)
        if scoring.hold_on_drift and counted.drift.band == BANDS[-1]:
            raise Held(
                f"{dt} is far from what {model.version} was trained on "
                f"(stability index of {counted.drift.summary()}); nothing was published: look at the day, "
                "then score it without --hold-on-drift, or retrain"
            )
        audit = counted.columns() | {
            "bundle_digest": model.bundle.digest,
            "threshold": float(model.threshold),
            **promise(model.operating),
            "unlabelled_sources": unlabelled_sources(run, raw),
            "raw_location": raw_location,
            "application_id": warehouse.spark.sparkContext.applicationId,
            "software_version": __version__,
            "started": run.started,
            "ended": datetime.now(UTC),
        }
        aim = Aim(float(model.threshold), bool(model.operating["certified"])) if model.operating else None
        sampled = sample_rows(run, counted.counts, sample, dt, aim)
        stage_small(run, model.version, [(SCORING_RUN, [audit]), (AUDIT_SAMPLE, sampled)])
        if sample:  # before publication, so that a published sample always has its files
            write_csv(csv_of(dt, run.id), sampled)
            write_page(csv_of(dt, run.id), dt, sampled)
        run.discard(CANDIDATE)
        try:
            run.switch(partitions)
        except Busy:  # nothing was switched, so the sample is unused
            for file in (csv_of(dt, run.id), csv_of(dt, run.id).with_suffix(".html")):
                file.unlink(missing_ok=True)
            raise


def stage_small(run: publish.Run, version: str, parts: list[tuple[Table, list[dict[str, Any]]]]) -> None:
    """Stage the driver's rows of several tables in one write; adds model and run."""
    kinds = {column: kind for table, _ in parts for column, kind in table.columns.items()} | {"table": "string"}
    of_run = {"model_version": version, "run_id": run.id}
    rows = [row | of_run | {"table": table.name} for table, rows in parts for row in rows]
    ddl = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
    frame = run.warehouse.spark.createDataFrame([[row.get(column) for column in kinds] for row in rows], ddl)
    run.stage(frame.coalesce(1), [table for table, _ in parts], pack=False)


if __name__ == "__main__":
    run_main(main)
