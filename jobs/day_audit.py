"""What was staged of a day, counted by reading it back: does it add up, and how far is it from the training?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from distill import drift
from distill.drift import LENGTH_EDGES, SCORE_BINS, UNKNOWN_EDGES, Drift, Profile
from distill.errors import OpinionError
from jobs import cells, publish
from jobs.tables import OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT

STAGED = "score float, is_valid boolean, reason string, cell smallint"  # of all tables, what is counted
SCORE_BIN = f"int(least(floor(score * {SCORE_BINS}), {SCORE_BINS - 1}))"


@dataclass(frozen=True)
class Counted:
    """A day that adds up: rows read, rejected by reason, and scored.

    counts: the number of scored `rows` by is_valid, score_bin, length_bin, unknown_bin and was_cut.
    """

    read: int
    reasons: dict[str, int]
    counts: pd.DataFrame
    drift: Drift

    def columns(self) -> dict[str, Any]:
        """The columns of scoring_run that these counts fill."""
        rows = self.counts["rows"]
        return {
            "rows_read": self.read,
            "rows_scored": int(rows.sum()),
            "rows_valid": int(rows[self.counts["is_valid"]].sum()),
            "rows_rejected": sum(self.reasons.values()),
            "rows_cut": int(rows[self.counts["was_cut"]].sum()),
            "rejected_by_reason": self.reasons,
            "score_histogram": by_bin(self.counts, "score_bin", SCORE_BINS),
            "drift_psi": self.drift.scores,
            "drift_psi_length": self.drift.lengths,
            "drift_psi_unknown": self.drift.unknown,
            "drift_psi_source": self.drift.sources,
            "drift_band": self.drift.band,
        }


def count_staged(run: publish.Run, sources: Mapping[str, int], expected: Profile | None) -> Counted:
    """Count what `run` staged of a day, and compare it with the profile of the model's training.

    sources: the rows that were read, by source. Raises OpinionError when what was staged is not what was read.
    """
    read = sum(sources.values())
    keys = ["table", "is_valid", "score_bin", "cell", "reason"]
    wrong = ~F.col("score").between(0, 1) | F.col("score").isNull()
    of_score = F.col("table") == OPINION_SCORE.name  # of other tables only the rows count
    counted = (
        run.read_back_all([OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION], STAGED)
        .select(
            "table",
            *(
                F.when(of_score, F.expr(value)).alias(name)
                for name, value in (("is_valid", "is_valid"), ("score_bin", SCORE_BIN), ("cell", "cell"))
            ),
            "reason",
            F.when(of_score, wrong).alias("wrong"),
        )
        .groupBy(*keys)
        .agg(F.count("*").alias("rows"), F.count_if("wrong").alias("wrong"))
    )
    found = pd.DataFrame(counted.collect(), columns=[*keys, "rows", "wrong"])
    scores = found[found["table"] == OPINION_SCORE.name]
    lengths, unknown, cut = cells.unpack(scores["cell"].to_numpy(np.int16))
    counts = pd.DataFrame(
        {
            "is_valid": scores["is_valid"].astype(bool),
            "score_bin": scores["score_bin"],
            "length_bin": lengths,
            "unknown_bin": unknown,
            "was_cut": cut,
            "rows": scores["rows"],
        }
    )
    aside = found[found["table"] == REJECTED_OPINION.name]
    reasons = {reason: int(rows) for reason, rows in zip(aside["reason"], aside["rows"], strict=True)}
    written = int(found["rows"][found["table"] == VALID_COMPLAINT.name].sum())
    scored, valid = int(counts["rows"].sum()), int(counts["rows"][counts["is_valid"]].sum())
    if (off := int(scores["wrong"].sum())) or read != scored + sum(reasons.values()) or written != valid:
        raise OpinionError(
            f"read {read} rows but staged {scored} scores, {off} of them wrong, {sum(reasons.values())} rejected, "
            f"and {written} of {valid} valid; nothing was published"
        )
    day = Profile(
        read,
        by_bin(counts, "score_bin", SCORE_BINS),
        by_bin(counts, "length_bin", len(LENGTH_EDGES) + 1),
        by_bin(counts, "unknown_bin", len(UNKNOWN_EDGES) + 1),
        dict(sources),
    )
    return Counted(read, reasons, counts, drift.compare(expected, day))


def by_bin(counts: pd.DataFrame, column: str, bins: int) -> list[int]:
    """The rows of each bin."""
    rows: list[int] = counts.groupby(column)["rows"].sum().reindex(range(bins), fill_value=0).tolist()
    return rows
