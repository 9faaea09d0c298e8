"""Champion and challenger on the labels of nights that neither has learned, beside the nights' second reader if any.

Where the newest night of the champion had a second reader, pairs are compared: the champion with that reader, as
scoring_run has them, and the challenger with the newest version of the reader's name, which the next night takes. The
challenger's pair has the combination that its first night fits, and a band with as many rows around the threshold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from distill.errors import BadInput
from distill.evaluation.comparison import Check
from distill.evaluation.out_of_fold import LEAST_LABELS, NightLabels, StartThreshold, nights_check, start_threshold
from distill.evaluation.pairs import band_of_share, final
from distill.models.architecture import Precision
from distill.models.registry import Registry
from distill.models.saved_model import SavedModel
from distill.models.versions import scheme_of
from distill.scoring.scorer import Scorer
from distill.scoring.second_reader import Band, Combination
from jobs.scoring.sample_nights import CANDIDATES
from jobs.scoring.scoring_flags import ReaderOptions
from jobs.training.combined_labels import combination, night_margins
from jobs.training.night_labels import judged_by, scores_of, unlearned_by
from jobs.training.reader_store import ReaderStore
from jobs.warehouse.tables import SCORING_RUN
from jobs.warehouse.warehouse import Warehouse

THRESHOLDS = [threshold for threshold, _ in CANDIDATES]


@dataclass(frozen=True)
class PairInUse:
    """The second reader of the champion's newest night `dt`; share: of the rows whose text it read."""

    reader: str
    precision: Precision
    dt: str
    share: float
    band: Band
    combination: Combination


@dataclass(frozen=True)
class Reader:
    """A second reader, its margins of nights' labels by text hash, and its combination with the student."""

    version: str
    margins: Mapping[str, float]
    combination: Combination


@dataclass(frozen=True)
class Pairs:
    """The second readers of champion and challenger, and the labels of nights that neither has learned."""

    rows: pd.DataFrame
    in_use: PairInUse
    of_champion: Reader
    of_challenger: Reader

    def __str__(self) -> str:
        """The second readers, for people."""
        old, new = self.of_champion.version, self.of_challenger.version
        return f"second reader {new}" + (f", the champion's {old}" if old != new else "")


def pair_in_use(warehouse: Warehouse, champion: str) -> PairInUse | None:
    """The second reader of the champion's newest night on which none failed; None for none."""
    runs = warehouse.read(SCORING_RUN).where(F.col("model_version") == champion)
    run = runs.where("second_reader IS NULL OR reader_texts > 0").orderBy(F.desc("dt")).first()
    if run is None or run.second_reader is None:
        return None
    threshold = (run.band_low + run.band_high) / 2
    return PairInUse(
        run.second_reader,
        cast(Precision, run.reader_precision),
        str(run.dt),
        run.reader_rows / run.rows_scored,
        Band(threshold, run.band_high - threshold),
        Combination(**run.combination),
    )


def read_pairs(
    warehouse: Warehouse, registry: Registry, in_use: PairInUse, challenger: SavedModel, rows: pd.DataFrame
) -> Pairs:
    """Read the labels of nights with both second readers; errors as those of `ReaderStore` and `combination`.

    Raises BadInput when the readers have learned so many of the labels that the others are too few.
    """
    versions = in_use.reader, registry.resolve(scheme_of(in_use.reader))
    stores = {
        version: ReaderStore(
            warehouse, registry, ReaderOptions(version, second_reader_precision=in_use.precision), in_use.dt
        )
        for version in versions
    }
    for store in stores.values():
        rows = unlearned_by(rows, store.writer.model)
    if len(rows) < LEAST_LABELS:
        raise BadInput(f"too few labels of nights that {' and '.join(stores)} have not learned: {len(rows)}")
    margins = {}
    for version, store in stores.items():
        try:
            margins[version] = night_margins(warehouse, store, rows)
        finally:
            store.save()
    old, new = versions
    # The challenger has learned all labels of nights, so its first night has those of valid alone.
    fitted = combination(warehouse, stores[new], Scorer(challenger.bundle), rows[:0])
    return Pairs(
        rows, in_use, Reader(old, margins[old], in_use.combination), Reader(new, margins[new], fitted.combination)
    )


class NightComparison:
    """Champion and challenger by their scores of nights' labels, of the students alone or of the pairs."""

    def __init__(
        self,
        rows: pd.DataFrame,
        out_of_fold: Mapping[str, float],
        challenger: SavedModel,
        target: float,
        pairs: Pairs | None,
        note: str = "",
    ):
        """rows: as of `night_labels`. out_of_fold: of students like the challenger that have not learned the label.

        note: for the reason of the check.
        """
        self.rows = rows if pairs is None else pairs.rows
        self.out_of_fold, self.target, self.pairs, self.note = out_of_fold, target, pairs, note
        if pairs:
            nights = judged_by(self.rows, out_of_fold)
            alone = start_threshold(nights, THRESHOLDS, target)
            around = alone.value if alone else float(challenger.threshold)
            self.band = band_of_share(nights, around, pairs.in_use.share)

    def challenger(self, rows: pd.DataFrame) -> NightLabels:
        """The challenger's scores of these of the rows."""
        nights = judged_by(rows, self.out_of_fold)
        return read_by(self.pairs.of_challenger, rows, nights, self.band) if self.pairs else nights

    def champion(self, rows: pd.DataFrame, champion: SavedModel) -> NightLabels:
        """The champion's scores of these of the rows."""
        nights = judged_by(rows, scores_of(Scorer(champion.bundle), rows))
        return read_by(self.pairs.of_champion, rows, nights, self.pairs.in_use.band) if self.pairs else nights

    def check(self, champion: SavedModel) -> Check:
        """Whether the challenger ranks the labels that neither has learned as well as the champion."""
        fresh = unlearned_by(self.rows, champion)
        check = nights_check(self.champion(fresh, champion), self.challenger(fresh))
        return replace(check, reason=f"{check.reason}; {self.note}") if self.note else check

    def start(self) -> StartThreshold | None:
        """The threshold that the challenger starts with, if it is promoted."""
        return start_threshold(self.challenger(self.rows), THRESHOLDS, self.target)


def read_by(reader: Reader, rows: pd.DataFrame, nights: NightLabels, band: Band) -> NightLabels:
    """The nights, of these rows, with the scores of a student and the reader."""
    margins = np.array([reader.margins[key] for key in rows["text_hash"]], np.float64)
    return final(nights, margins, reader.combination, band)
