"""Audit a staged day: read it back, check its counts and ids, measure its drift from the training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from distill.errors import OpinionError
from distill.scoring import drift
from distill.scoring.drift import LENGTH_EDGES, SCORE_BINS, UNKNOWN_EDGES, Drift, Profile
from jobs.scoring import pack_bins
from jobs.scoring.id_hashes import id_half
from jobs.scoring.sample_candidates import BAND
from jobs.scoring.survey import Survey
from jobs.warehouse import publish
from jobs.warehouse.tables import OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT

# The columns that are counted, of all tables together.
STAGED = (
    "opinion_id string, score float, is_valid boolean, reason string, cell smallint, "
    "student_score float, reader_score float"
)
SCORE_BIN, STUDENT_BIN = (
    f"int(least(floor({column} * {SCORE_BINS}), {SCORE_BINS - 1}))" for column in ("score", "student_score")
)
# A score that no second reader changed is the student's; of one that it did, both are probabilities.
IS_CONSISTENT = (
    "student_score BETWEEN 0 AND 1 AND "
    "CASE WHEN reader_score IS NULL THEN score = student_score ELSE reader_score BETWEEN 0 AND 1 END"
)


@dataclass(frozen=True)
class Counted:
    """The counts of an audited day: rows read, rejected by reason, and scored.

    counts: the number of scored `rows` by is_valid, score_bin, band (of the sample's candidates), length_bin,
    unknown_bin and was_cut; student_valid and student_bin: by the student alone; was_read: by a second reader.
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
            "reader_rows": int(rows[self.counts["was_read"]].sum()),
            "rows_made_valid": int(rows[self.counts["is_valid"] & ~self.counts["student_valid"]].sum()),
            "rows_made_junk": int(rows[~self.counts["is_valid"] & self.counts["student_valid"]].sum()),
            "drift_psi": self.drift.scores,
            "drift_psi_length": self.drift.lengths,
            "drift_psi_unknown": self.drift.unknown,
            "drift_psi_source": self.drift.sources,
            "drift_band": self.drift.band,
        }


def count_staged(run: publish.Run, read: Survey, threshold: np.float32, expected: Profile | None) -> Counted:
    """Count what `run` staged of a day, and compare it with the profile of the model's training.

    Raises OpinionError unless each id is scored or rejected as often as it was read, each score is a probability with
    the decision of the `threshold`, and valid_complaint holds the valid ids.
    """
    staged = staged_counts(run, threshold)
    scores = staged[staged["table"] == OPINION_SCORE.name]
    rejected = staged[staged["table"] == REJECTED_OPINION.name]
    refuse_difference(read, scores, rejected, staged[staged["table"] == VALID_COMPLAINT.name])
    lengths, unknown, cut = pack_bins.unpack(scores["cell"].to_numpy(np.int16))
    counts = pd.DataFrame(
        {
            "is_valid": scores["is_valid"].astype(bool),
            "score_bin": scores["score_bin"],
            "band": scores["band"].astype(int),
            "length_bin": lengths,
            "unknown_bin": unknown,
            "was_cut": cut,
            "student_valid": scores["student_valid"].astype(bool),
            "student_bin": scores["student_bin"],
            "was_read": scores["was_read"].astype(bool),
            "rows": scores["rows"],
        }
    )
    rows = sum(read.sources.values())
    day = Profile(
        rows,
        by_bin(counts, "student_bin", SCORE_BINS),  # the training knows nothing of a second reader
        by_bin(counts, "length_bin", len(LENGTH_EDGES) + 1),
        by_bin(counts, "unknown_bin", len(UNKNOWN_EDGES) + 1),
        dict(read.sources),
    )
    reasons = {reason: int(count) for reason, count in zip(rejected["reason"], rejected["rows"], strict=True)}
    return Counted(rows, reasons, counts, drift.compare(expected, day))


def staged_counts(run: publish.Run, threshold: np.float32) -> pd.DataFrame:
    """The staged rows by table; scores by decision, bin, band and cell; rejects by reason.

    rows: how many. id_sum: the sum of their ids' `id_half`. wrong: scores that are not a probability, do not have the
    threshold's decision, or differ from the student's where no second reader read.
    """
    keys = [
        *("table", "is_valid", "score_bin", "band", "cell", "reason"),
        *("student_valid", "student_bin", "was_read"),
    ]
    score, is_valid, limit = F.col("score"), F.col("is_valid"), F.lit(float(threshold))
    is_right = score.between(0, 1) & (is_valid == (score >= limit)) & F.col("cell").isNotNull() & F.expr(IS_CONSISTENT)
    of_score = F.col("table") == OPINION_SCORE.name  # of other tables only the rows and their ids count
    counted = (
        run.read_back_all([OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION], STAGED)
        .select(
            "table",
            F.when(of_score, is_valid).alias("is_valid"),
            F.when(of_score & is_right, F.expr(SCORE_BIN)).alias("score_bin"),
            F.when(of_score & is_right, F.expr(BAND)).alias("band"),
            F.when(of_score, F.col("cell")).alias("cell"),
            "reason",
            F.when(of_score & is_right, F.col("student_score") >= limit).alias("student_valid"),
            F.when(of_score & is_right, F.expr(STUDENT_BIN)).alias("student_bin"),
            F.when(of_score, F.col("reader_score").isNotNull()).alias("was_read"),
            id_half().alias("id_half"),
            (of_score & ~F.coalesce(is_right, F.lit(False))).alias("wrong"),
        )
        .groupBy(*keys)
        .agg(F.count("*").alias("rows"), F.sum("id_half").alias("id_sum"), F.count_if("wrong").alias("wrong"))
    )
    return pd.DataFrame(counted.collect(), columns=[*keys, "rows", "id_sum", "wrong"])


def refuse_difference(read: Survey, scores: pd.DataFrame, rejected: pd.DataFrame, complaints: pd.DataFrame) -> None:
    """Raise OpinionError unless the staged rows of the three tables are those that were read."""
    valid = scores[scores["is_valid"].eq(True)]

    def total(part: pd.DataFrame, column: str = "rows") -> int:
        return int(part[column].sum())

    wrong = total(scores, "wrong")
    rows_differ = sum(read.sources.values()) != total(scores) + total(rejected) or total(valid) != total(complaints)
    if wrong or rows_differ:
        raise OpinionError(
            f"read {sum(read.sources.values())} rows but staged {total(scores)} scores, {wrong} of them wrong, "
            f"{total(rejected)} rejected, and {total(complaints)} of {total(valid)} valid; nothing was published"
        )
    if read.id_sum != total(scores, "id_sum") + total(rejected, "id_sum"):
        raise OpinionError(
            f"staged as many rows as were read, {sum(read.sources.values())}, but not of the same ids: "
            "some are missing, others staged twice or unknown; nothing was published"
        )
    if total(valid, "id_sum") != total(complaints, "id_sum"):
        raise OpinionError(
            f"staged {total(valid)} valid complaints, but not of the ids that are valid by opinion_score; "
            "nothing was published"
        )


def by_bin(counts: pd.DataFrame, column: str, bins: int) -> list[int]:
    """The rows of each bin."""
    rows: list[int] = counts.groupby(column)["rows"].sum().reindex(range(bins), fill_value=0).tolist()
    return rows
