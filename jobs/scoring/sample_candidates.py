"""Candidates for a night's audit sample: for each stratum the rows of each task with the lowest draw.

Workers set them aside during scoring, because finding a few rows later would cost another read of the day. A stratum is
a decision and a band of scores; a draw is a hash of the day and the row's id, so that scoring a day again with the same
model draws the same rows.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.scoring.bands import BAND_EDGES, BANDS
from jobs.scoring.id_hashes import draws_of_ids
from jobs.warehouse.schema import Table
from jobs.warehouse.tables import AUDIT_SAMPLE

# Not a table of the warehouse: staged like one, and read only during the run.
CANDIDATE = Table(
    "candidate",
    "rows of a day of which its sample is drawn",
    {
        column: AUDIT_SAMPLE.columns[column]
        for column in ("opinion_id", "text", "source", "published_at", "score", "is_valid")
    },
)
STRATA = 2 * BANDS
BAND = " + ".join(f"int(score >= float({edge}))" for edge in BAND_EDGES)  # the number of a row's band, in SQL
DRAW = "draw"
_HELD = 2  # rows held, as a multiple of those kept, before the next sort


def draw(dt: str) -> Column:
    """A row's draw, 64 bits, as `draws_of_ids`."""
    return F.xxhash64(F.lit(dt), "opinion_id")


def bands_of(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The number of the band of each score, (rows,); edges are compared as float32, as the scores are."""
    bands: npt.NDArray[np.int64] = np.searchsorted(np.array(BAND_EDGES, np.float32), scores, side="right")
    return bands


def strata_of(scores: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The stratum of each row, (rows,): the bands of junk, then those of valid complaints."""
    return bands_of(scores) + valid * BANDS


def stratum_name(is_valid: bool, band: int) -> str:
    """The name of a stratum, such as "valid 0.95-0.98"."""
    edges = (0.0, *BAND_EDGES, 1.0)
    lower, upper = (f"{edge:.2f}" if edge == round(edge, 2) else f"{edge:g}" for edge in edges[band : band + 2])
    return f"{'valid' if is_valid else 'junk'} {lower}-{upper}"


class SampleReservoir:
    """The `most` offered rows of a day with the lowest draws, for each stratum."""

    def __init__(self, most: int, dt: str):
        self._most, self._dt = most, dt
        self._limits = np.full(
            STRATA, np.iinfo(np.int64).max
        )  # a row above its stratum's limit cannot be among the lowest
        self._rows: list[pa.RecordBatch] = []
        self._draws = np.empty(0, np.int64)
        self._strata = np.empty(0, np.int64)

    def offer(self, rows: pa.RecordBatch, scores: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> None:
        """Take the scored rows that may be among the lowest."""
        draws, strata = draws_of_ids(self._dt, rows.column("opinion_id")), strata_of(scores, valid)
        low = np.flatnonzero(draws <= self._limits[strata])
        if len(low):
            decided = {"score": pa.array(scores[low]), "is_valid": pa.array(valid[low])}
            taken = rows.take(pa.array(low))
            columns = dict(zip(taken.schema.names, taken.columns, strict=True)) | decided
            self._rows.append(pa.RecordBatch.from_pydict(columns))
            self._draws = np.concatenate([self._draws, draws[low]])
            self._strata = np.concatenate([self._strata, strata[low]])
        if len(self._draws) > _HELD * STRATA * self._most:
            self._sort_out()

    def _sort_out(self) -> None:
        order = np.lexsort((self._draws, self._strata))
        strata, draws = self._strata[order], self._draws[order]
        place = np.arange(len(order)) - np.searchsorted(strata, strata)  # in its stratum
        full = place == self._most - 1
        self._limits[strata[full]] = draws[full]
        lowest = place < self._most
        self._rows = pa.Table.from_batches(self._rows).take(pa.array(order[lowest])).combine_chunks().to_batches()
        self._draws, self._strata = draws[lowest], strata[lowest]

    def rows(self) -> list[pa.RecordBatch]:
        """The rows in the reservoir, with score and decision."""
        if self._rows:
            self._sort_out()
        return self._rows
