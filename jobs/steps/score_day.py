"""Score one day and publish its tables: survey, stage, audit, sample, switch."""

from datetime import UTC, datetime
from pathlib import Path

from distill import __version__
from distill.errors import BadInput, Busy, Held
from distill.models.registry import Registry
from distill.models.saved_model import SavedModel
from distill.scoring.drift import BANDS, expected_of
from distill.scoring.scorer import Scorer
from jobs.reports.day_summary import day_summary
from jobs.reports.label_page import write_page
from jobs.scoring.audit import count_staged
from jobs.scoring.audit_sample import Aim, csv_of, sample_rows, write_csv
from jobs.scoring.duplicates import without_repeats
from jobs.scoring.promise import promise, unlabelled_sources
from jobs.scoring.quarantine import stage_with_quarantine
from jobs.scoring.raw_rows import raw_rows
from jobs.scoring.sample_candidates import CANDIDATE
from jobs.scoring.sample_nights import FAILED
from jobs.scoring.scoring_flags import ReaderOptions, ScoringRun
from jobs.scoring.staging import SPARK, WORKERS, Staging
from jobs.scoring.survey import SMALL_DAY, survey
from jobs.scoring.worker import ScorerSource, scorer_of
from jobs.steps.second_reading import second_reading
from jobs.warehouse import publish
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

WITHOUT = ReaderOptions()


def loaded(registry: Registry, name: str) -> SavedModel:
    """The model of that name; raises BadModel, before Spark starts, for one that cannot score."""
    model = registry.load(name)
    Scorer(model.bundle)
    return model


def score(warehouse: Warehouse, dt: str, scoring: ScoringRun, highest: bool = True) -> None:
    """Score the day and print what was found; `highest`: with the highest scores."""
    score_day(warehouse, dt, scoring)
    print(day_summary(warehouse, dt, highest), flush=True)


def is_scored(warehouse: Warehouse, dt: str, model: SavedModel, reader: ReaderOptions = WITHOUT) -> bool:
    """Whether the day as it is loaded now was scored by this version at its threshold, and read by this second reader.

    A day whose second reader failed is not; other labels for the combination change nothing.
    """
    asked = {
        "model_version": model.version,
        "raw_location": warehouse.location(RAW_OPINION, {"dt": dt}),
        "threshold": float(model.threshold),
        "second_reader": reader.second_reader,
        "reader_precision": reader.second_reader_precision if reader.second_reader else None,
        "reader_texts_budget": reader.texts if reader.second_reader else None,
        "reader_seconds_budget": reader.read_seconds,
        "warning": None,
    }
    run = warehouse.read(SCORING_RUN, dt=dt).select(*asked).first()
    return run is not None and run.asDict() == asked


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
        by = WORKERS if run.reached_by_python() else SPARK
        rows = raw_rows(raw, raw_location, by == WORKERS)
        small = warehouse.files.size(raw_location) <= SMALL_DAY
        read = survey(rows, list(expected.sources) if expected else [], here=small)
        if not read.sources:
            raise BadInput(f"the day dt={dt} of {warehouse.name(RAW_OPINION)} is empty; load it again")
        ship(warehouse.spark, model.path)
        source = ScorerSource(Path(model.path).name, model.bundle.digest, model.operating)
        second = second_reading(warehouse, dt, without_repeats(raw, read.repeated), source, scoring)
        context = warehouse.spark.sparkContext
        readings = context.broadcast(second.readings.to_bytes()) if second.readings else None

        of_run = {"model_version": model.version, "run_id": run.id}
        staging = Staging(run, by, rows, read.repeated, of_run)
        stage_with_quarantine(staging.stage, scorer_of(source, sample, dt, readings))
        counted = count_staged(run, read, model.threshold, expected)
        if scoring.hold_on_drift and counted.drift.band == BANDS[-1]:
            raise Held(
                f"{dt} is far from what {model.version} was trained on "
                f"(stability index of {counted.drift.summary()}); nothing was published: look at the day, "
                "then score it without --hold-on-drift, or retrain"
            )
        reader = scoring.reader.second_reader if second.readings else None
        promised = promise(model.operating, reader)
        audit = counted.columns() | {
            "bundle_digest": model.bundle.digest,
            "threshold": float(model.threshold),
            **promised,
            **second.columns,
            "staged_by": by,
            "unlabelled_sources": unlabelled_sources(run, raw),
            "raw_location": raw_location,
            "application_id": warehouse.spark.sparkContext.applicationId,
            "software_version": __version__,
            "started": run.started,
            "ended": datetime.now(UTC),
        }
        aim = Aim(float(model.threshold), bool(promised["certified"])) if model.operating else None
        sampled = sample_rows(run, counted.counts, sample, dt, aim)
        run.stage_rows(SCORING_RUN, [audit | of_run])
        of_sample = of_run | {"second_reader": FAILED if second.failed else reader}
        run.stage_rows(AUDIT_SAMPLE, [row | of_sample for row in sampled])
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
