"""The final score of the texts that a second reader, a BERT, has read beside the student.

With m the student's margin and r the reader's, a text in the band has the final margin

    f = intercept + student * m + reader * r

which is the student's margin that has the calibrated probability of both (`distill.evaluation.combination` fits it). So
the operating threshold decides f as it decides m, and the score is the sigmoid of the final margin.

A text is in the band when m is at most `radius` from the threshold's margin. A text outside keeps its score to the last
bit, as does one in the band that was not read: of several texts at the very edge only some may fit the budget.

Rounding: r is rounded to 1/64 before anything is made of it, because a BERT's logits vary by some 1e-5 with the texts
of their batch; the three numbers of f have three decimals. So a final score is a function of the text, of both bundles
and of these numbers, except for a text whose r lies within that error of the middle between two steps.
"""

import io
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from distill.scoring.channel import Floats
from distill.scoring.scorer import Margins, Scored, Scorer, margins_of, probability_of
from distill.text.normalisation import text_hash
from distill.text.text_batch import normalise_batch

STEPS = 64  # of one unit of a reader's margin
DECIMALS = 3


@dataclass(frozen=True)
class Combination:
    """The three numbers of a final margin; see the formula above."""

    intercept: float
    student: float
    reader: float

    def margins(self, student: Margins, reader: Margins) -> Margins:
        """Final margins, float64 (texts,)."""
        return self.intercept + self.student * student + self.reader * reader


@dataclass(frozen=True)
class Band:
    """The student's margins, both ends included, whose texts a second reader reads."""

    threshold: float
    radius: float

    @property
    def low(self) -> float:
        """The lowest margin."""
        return self.threshold - self.radius

    @property
    def high(self) -> float:
        """The highest margin."""
        return self.threshold + self.radius

    def holds(self, margins: Margins) -> npt.NDArray[np.bool_]:
        """Whether each margin is in the band, (texts,); False for NaN."""
        return distances(margins, self.threshold) <= self.radius


@dataclass(frozen=True)
class Readings:
    """A second reader's rounded margins of the texts of a day, by text hash."""

    band: Band
    combination: Combination
    margins: dict[str, float]

    def to_bytes(self) -> bytes:
        """The readings for the executors; equal readings give equal bytes."""
        keys = sorted(self.margins)
        rows = {"text_hash": pa.array(keys, pa.string()), "margin": pa.array([self.margins[key] for key in keys])}
        numbers = json.dumps({"band": asdict(self.band), "combination": asdict(self.combination)})
        packed = io.BytesIO()
        pq.write_table(pa.table(rows).replace_schema_metadata({"readings": numbers}), packed)
        return packed.getvalue()

    @staticmethod
    def from_bytes(content: bytes) -> "Readings":
        """The readings that `to_bytes` packed."""
        rows = pq.read_table(io.BytesIO(content))
        numbers: dict[str, Any] = json.loads(rows.schema.metadata[b"readings"])
        margins = dict(zip(rows["text_hash"].to_pylist(), rows["margin"].to_pylist(), strict=True))
        return Readings(Band(**numbers["band"]), Combination(**numbers["combination"]), margins)


class SecondScorer:
    """A student whose scores in the band are final ones; it scores as `Scorer` does."""

    def __init__(self, scorer: Scorer, readings: Readings):
        """Raises nothing; the readings must be of the same student."""
        self.scorer, self.readings, self.threshold = scorer, readings, scorer.threshold

    def score(self, texts: pa.Array) -> Scored:
        """Score raw texts; only those in the band are normalised once more and hashed."""
        scored = self.scorer.score(texts)
        inside = np.flatnonzero(self.readings.band.holds(scored.margins))
        keys = [text_hash(text) for text in normalise_batch(texts.take(pa.array(inside)).to_pylist())]
        reader = np.full(len(scored.margins), np.nan)
        reader[inside] = [self.readings.margins.get(key, np.nan) for key in keys]
        read = ~np.isnan(reader)
        final = scored.margins.copy()
        final[read] = self.readings.combination.margins(scored.margins[read], reader[read])
        return scored._replace(
            scores=probability_of(final), student_scores=scored.scores, reader_scores=probability_of(reader)
        )


def rounded_margins(logits: Floats) -> Margins:
    """A reader's margins in steps of 1 / STEPS, float64 (texts,)."""
    rounded: Margins = np.rint(margins_of(logits) * STEPS) / STEPS
    return rounded


def distances(margins: Margins, threshold: float) -> Margins:
    """How far each margin is from the threshold's, float64 (texts,); NaN for NaN."""
    apart: Margins = np.abs(margins - threshold)
    return apart
