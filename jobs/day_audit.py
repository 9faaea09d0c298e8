"""What was staged of a day, counted by reading it back: does it add up, and how far is it from the training?"""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from distill import drift
from distill.drift import LENGTH_EDGES, SCORE_BINS, UNKNOWN_EDGES, Drift, Profile
from distill.errors import BadInput, OpinionError
from jobs import publish
from jobs.tables import OPINION_SCORE, RAW_OPINION, REJECTED_OPINION, VALID_COMPLAINT

# These columns are in the staged files, not in the table: only their counts are of interest.
STAGED_SCORES = f"{OPINION_SCORE.ddl}, was_cut boolean, length_bin tinyint, unknown_bin tinyint"
SCORE_BIN = f"int(least(floor(score * {SCORE_BINS}), {SCORE_BINS - 1}))"


@dataclass(frozen=True)
class Counted:
    """A day that adds up: rows read, rejected by reason, and scored.

    cells: the number of scored `rows` by is_valid, was_cut, score_bin, length_bin and unknown_bin.
    """

    read: int
    reasons: dict[str, int]
    cells: pd.DataFrame
    drift: Drift

    def columns(self) -> dict[str, Any]:
        """The columns of scoring_run that these counts fill."""
        rows = self.cells["rows"]
        return {
            "rows_read": self.read,
            "rows_scored": int(rows.sum()),
            "rows_valid": int(rows[self.cells["is_valid"]].sum()),
            "rows_rejected": sum(self.reasons.values()),
            "rows_cut": int(rows[self.cells["was_cut"]].sum()),
            "rejected_by_reason": self.reasons,
            "score_histogram": by_bin(self.cells, "score_bin", SCORE_BINS),
            "drift_psi": self.drift.scores,
            "drift_psi_length": self.drift.lengths,
            "drift_psi_unknown": self.drift.unknown,
            "drift_psi_source": self.drift.sources,
            "drift_band": self.drift.band,
        }


def count_staged(run: publish.Run, raw: DataFrame, expected: Profile | None) -> Counted:
    """Count the day that `run` staged of the rows `raw`, and compare it with the profile of the model's training.

    Raises OpinionError when what was staged is not what was read, and BadInput for an empty day.
    """
    sources = count_sources(raw, list(expected.sources) if expected else [])
    read = sum(sources.values())
    if read == 0:
        raise BadInput(f"the day {run.unit} of {run.warehouse.name(RAW_OPINION)} is empty; load it again")
    cells = count_cells(run.read_back(OPINION_SCORE, STAGED_SCORES))
    rows = cells["rows"]
    scored, valid, wrong = (int(of.sum()) for of in (rows, rows[cells["is_valid"]], cells["wrong"]))
    written = run.read_back(VALID_COMPLAINT).count()
    rejected = run.read_back(REJECTED_OPINION).groupBy("reason").count().collect()
    reasons = {row.reason: row["count"] for row in rejected}
    if wrong or read != scored + sum(reasons.values()) or written != valid:
        raise OpinionError(
            f"read {read} rows but staged {scored} scores, {wrong} of them wrong, {sum(reasons.values())} rejected, "
            f"and {written} of {valid} valid; nothing was published"
        )
    day = Profile(
        read,
        by_bin(cells, "score_bin", SCORE_BINS),
        by_bin(cells, "length_bin", len(LENGTH_EDGES) + 1),
        by_bin(cells, "unknown_bin", len(UNKNOWN_EDGES) + 1),
        sources,
    )
    return Counted(read, reasons, cells, drift.compare(expected, day))


def count_sources(raw: DataFrame, known: list[str]) -> dict[str, int]:
    """Rows by source, those that are not known together under the empty name, as rows without a source are."""
    source = F.when(F.col("source").isin(known), F.col("source")).otherwise("") if known else F.lit("")
    return {row.source: row["count"] for row in raw.groupBy(source.alias("source")).count().collect()}


def count_cells(scores: DataFrame) -> pd.DataFrame:
    """Rows by decision, cut and bins, of staged scores; `wrong` counts what is no probability."""
    keys = ["is_valid", "was_cut", "score_bin", "length_bin", "unknown_bin"]
    counts = (
        scores.withColumn("score_bin", F.expr(SCORE_BIN))
        .groupBy(*keys)
        .agg(
            F.count("*").alias("rows"),
            F.count_if(~F.col("score").between(0, 1) | F.col("score").isNull()).alias("wrong"),
        )
    )
    cells = pd.DataFrame(counts.collect(), columns=[*keys, "rows", "wrong"])
    return cells.astype({"is_valid": bool, "was_cut": bool, "rows": int, "wrong": int})


def by_bin(cells: pd.DataFrame, column: str, bins: int) -> list[int]:
    """The rows of each bin."""
    counts: list[int] = cells.groupby(column)["rows"].sum().reindex(range(bins), fill_value=0).tolist()
    return counts
