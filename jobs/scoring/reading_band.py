"""The different texts of a day that a second reader reads: those whose student margin is nearest to the threshold's.

A text stands once, however often it is in the day. Of equally near texts the one with the lower hash comes first.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from distill.scoring.scorer import Scorer, margin_of
from distill.scoring.second_reader import Band, distances
from distill.text.normalisation import text_hash
from distill.text.text_batch import normalise_batch
from jobs.common.privacy import BatchFunction, redact_errors
from jobs.scoring.worker import ScorerSource

FIELDS = [("text_hash", pa.string()), ("text", pa.string()), ("margin", pa.float64()), ("distance", pa.float64())]
NEAR, NEAR_DDL = pa.schema(FIELDS), "text_hash string, text string, margin double, distance double"
_HELD = 4  # texts held in a task, as a multiple of those kept, before the next sort


class Near(NamedTuple):
    """A text near the threshold: its hash and the student's margin."""

    text_hash: str
    margin: float


def nearest(rows: DataFrame, source: ScorerSource, most: int) -> tuple[list[Near], DataFrame]:
    """The `most` nearest texts in the order of their distance, and the text_hash and text of these and more.

    rows: of `without_repeats`. The DataFrame with the texts is persisted; the caller frees it.
    """
    fresh = rows.where("repeats is null").select("text")
    texts = fresh.mapInArrow(redact_errors(near_texts(source, most)), NEAR_DDL).persist()
    chosen = texts.dropDuplicates(["text_hash"]).orderBy("distance", "text_hash").limit(most)
    return [Near(row.text_hash, row.margin) for row in chosen.select("text_hash", "margin").collect()], texts


def near_texts(source: ScorerSource, most: int) -> BatchFunction:
    """The function that Spark maps over Arrow batches with a column text: the `most` nearest texts of a task."""

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = source.load()
        near = NearTexts(scorer, most)
        for batch in batches:
            near.offer(batch.column("text"))
        yield near.rows()

    return find


class NearTexts:
    """The `most` offered texts with the nearest margins, each once."""

    def __init__(self, scorer: Scorer, most: int):
        self._scorer, self._most = scorer, most
        self._threshold = margin_of(float(scorer.threshold))
        self._limit = np.inf  # a text farther away cannot be among the nearest
        self._margins: dict[str, float] = {}

    def offer(self, texts: pa.Array) -> None:
        """Take the raw texts that may be among the nearest."""
        margins = self._scorer.score(texts).margins
        near = np.flatnonzero(distances(margins, self._threshold) <= self._limit)  # False for NaN
        kept = normalise_batch(texts.take(pa.array(near)).to_pylist())
        self._margins.update(zip(kept, margins[near].tolist(), strict=True))
        if len(self._margins) > _HELD * self._most:
            self._sort_out()

    def _sort_out(self) -> None:
        """Keep the nearest; those as near as the last stay all, since their hashes decide."""
        apart = distances(np.array(list(self._margins.values())), self._threshold)
        if len(apart) > self._most:
            self._limit = float(np.partition(apart, self._most - 1)[self._most - 1])
            near = apart <= self._limit
            self._margins = {text: m for (text, m), is_near in zip(self._margins.items(), near, strict=True) if is_near}

    def rows(self) -> pa.RecordBatch:
        """The texts as NEAR."""
        self._sort_out()
        margins = np.array(list(self._margins.values()), np.float64)
        columns = [
            pa.array([text_hash(text) for text in self._margins], pa.string()),
            pa.array(list(self._margins), pa.string()),
            pa.array(margins),
            pa.array(distances(margins, self._threshold)),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=NEAR)


def band_of(read: list[Near], threshold: float) -> Band:
    """The band of these texts, the nearest first."""
    return Band(threshold, abs(read[-1].margin - threshold))
