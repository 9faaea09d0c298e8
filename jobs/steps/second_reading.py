"""A second reading of a day before it is staged: choose the texts, read them, combine both readers' margins.

A failure does not stop the night: the day then has the student's decisions, and its summary and scoring_run a warning.
With --second-reader-required it does.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame

from distill.errors import BadInput, BadModel, OpinionError
from distill.models.architecture import KIND as TEXTCNN
from distill.models.packages import need_transformers
from distill.models.registry import Registry
from distill.scoring.scorer import Scorer, margin_of
from distill.scoring.second_reader import Readings
from jobs.common.failures import error_of, print_stderr
from jobs.common.home import home_registry
from jobs.common.privacy import mask_numbers
from jobs.scoring.reading_band import band_of, nearest
from jobs.scoring.scoring_flags import ReaderOptions, ScoringRun
from jobs.scoring.worker import ScorerSource
from jobs.warehouse.warehouse import Warehouse

log = logging.getLogger("opinion")

MOST_TEXTS = 200_000  # of a budget of seconds: the driver holds their hashes


@dataclass(frozen=True)
class SecondReading:
    """The readings for the workers, None without a second reader or after its failure, and columns of scoring_run."""

    readings: Readings | None
    columns: Mapping[str, Any]

    @property
    def failed(self) -> bool:
        """Whether there was to be a second reader."""
        return "warning" in self.columns


def checked_reader(registry: Registry, options: ReaderOptions) -> ReaderOptions:
    """The options with the version of the second reader.

    Raises BadInput for one that is a student, or where transformers is missing. A missing or damaged version is left to
    the night, which goes on without it.
    """
    if options.second_reader is None:
        return options
    need_transformers("a second reader")
    try:
        version = registry.resolve(options.second_reader)
        kind = registry.load(version).bundle.manifest.get("architecture", {}).get("kind", TEXTCNN)
    except BadModel as e:
        log.warning("the second reader cannot be loaded: %s", e)
        return options
    if kind == TEXTCNN:
        raise BadInput(f"--second-reader {options.second_reader} is a {kind}, as the model that scores: name a BERT")
    return replace(options, second_reader=version)


def second_reading(
    warehouse: Warehouse, dt: str, rows: DataFrame, source: ScorerSource, scoring: ScoringRun
) -> SecondReading:
    """Read the day's texts that are nearest to the threshold; rows: of `without_repeats`.

    Raises the failure of a second reader that is required.
    """
    options, started = scoring.reader, time.monotonic()
    if options.second_reader is None:
        return SecondReading(None, {})
    columns: dict[str, Any] = {
        "second_reader": options.second_reader,
        "reader_precision": options.second_reader_precision,
        "reader_texts_budget": options.texts,
        "reader_seconds_budget": options.read_seconds,
    }
    readings = None
    try:
        readings, more = read(warehouse, dt, rows, source, scoring)
        columns |= more
    except Exception as e:
        error = e if isinstance(e, OpinionError) else error_of(e)
        if options.second_reader_required:
            raise error from e
        log.exception("the second reader of %s failed", dt)
        columns["warning"] = (
            f"the second reader {options.second_reader} failed, so the decisions are the student's: "
            f"{mask_numbers(' '.join(str(error).split()))}"
        )
        print_stderr(f"warning: {dt}: {columns['warning']}")
    return SecondReading(readings, columns | {"reader_seconds": time.monotonic() - started})


def read(
    warehouse: Warehouse, dt: str, rows: DataFrame, source: ScorerSource, scoring: ScoringRun
) -> tuple[Readings | None, dict[str, Any]]:
    """The readings of the day, None when no text of it can be scored, and their columns of scoring_run."""
    # Late: torch and scikit-learn take seconds, which no other night waits for.
    from jobs.training.combined_labels import combination
    from jobs.training.night_labels import night_labels, unlearned_by
    from jobs.training.reader_store import ReaderStore

    threshold = margin_of(float(scoring.model.threshold))
    near, texts = nearest(rows, source, scoring.reader.texts or MOST_TEXTS)
    try:
        store = ReaderStore(warehouse, home_registry(), scoring.reader, dt)
        try:
            fresh = unlearned_by(unlearned_by(night_labels(warehouse), scoring.model), store.writer.model)
            fitted = combination(warehouse, store, Scorer(scoring.model.bundle, scoring.model.operating), fresh)
            labels = len(store.computed)
            margins = store.margins(texts, [one.text_hash for one in near])
        finally:
            store.save()  # also what a reading that fails later has computed
    finally:
        texts.unpersist()
    if not near:
        return None, {"combination_labels": str(fitted)}
    read_texts = [one for one in near if one.text_hash in margins]
    band = band_of(read_texts, threshold)
    numbers = fitted.combination
    return Readings(band, numbers, margins), {
        "reader_texts": len(margins),
        "reader_texts_computed": len(store.computed) - labels,
        "band_low": band.low,
        "band_high": band.high,
        "combination": {"intercept": numbers.intercept, "student": numbers.student, "reader": numbers.reader},
        "combination_labels": str(fitted),
    }
