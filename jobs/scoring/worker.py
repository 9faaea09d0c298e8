"""Score a day's rows in a Python worker: Arrow batches of raw_opinion to rows of the staged files."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import Broadcast

from distill.scoring.scorer import Scorer
from distill.scoring.second_reader import Readings, SecondScorer
from jobs.common.privacy import BatchFunction
from jobs.scoring import pack_bins
from jobs.scoring.process_cache import cached
from jobs.scoring.sample_candidates import CANDIDATE, SampleReservoir
from jobs.warehouse.schema import arrow_schema, ddl_of, staged_columns
from jobs.warehouse.shipping import check_versions, received, versions
from jobs.warehouse.tables import OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT

COLUMNS = staged_columns(OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION, table="string", cell="smallint")
STAGED, STAGED_DDL = arrow_schema(COLUMNS), ddl_of(COLUMNS)
# The files of each table that a night stages; the audit counts the cells.
FILES = {table.name: table.columns for table in (OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION, CANDIDATE)}
FILES[OPINION_SCORE.name] = OPINION_SCORE.columns | {"cell": "smallint"}


@dataclass(frozen=True)
class ScorerSource:
    """A shipped student; folder: the name of its bundle. operating: as in `SavedModel`."""

    folder: str
    digest: str
    operating: Mapping[str, Any] | None = None
    driver: dict[str, str] = field(default_factory=versions)

    def load(self) -> Scorer:
        """The scorer of this worker process."""
        return cached(f"{self.digest} {self.operating and self.operating['value']}", self._load)

    def load_with(self, readings: bytes) -> SecondScorer:
        """The scorer of this worker process with the readings of a second reader, as `Readings.to_bytes`."""
        key = f"{self.digest} {self.operating and self.operating['value']} {hashlib.sha256(readings).hexdigest()}"
        return cached(key, lambda: SecondScorer(self._load(), Readings.from_bytes(readings)))

    def _load(self) -> Scorer:
        check_versions(self.driver)
        return Scorer(received(self.folder, self.digest), self.operating)


def scorer_of(
    source: ScorerSource, sample: int = 0, dt: str = "", readings: Broadcast[bytes] | None = None
) -> BatchFunction:
    """The function that is mapped over Arrow batches of raw_opinion with `repeats`.

    sample: the most rows drawn from a stratum of the day dt; 0 for none. readings: of a second reader, as
    `Readings.to_bytes`.
    """

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = source.load_with(readings.value) if readings else source.load()
        chosen = SampleReservoir(sample, dt)
        for batch in batches:
            yield from score_batch(scorer, batch, chosen if sample else None)
        for rows in chosen.rows():
            yield staged(CANDIDATE.name, rows)

    return score


def score_batch(
    scorer: Scorer | SecondScorer, batch: pa.RecordBatch, chosen: SampleReservoir | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows of raw_opinion with `repeats` -> rows of the staged files: scores, valid complaints, rejects.

    A valid complaint gives two rows, one per table; only tables with a text column get the text. `chosen` is offered
    the scored rows.
    """
    repeats = batch.column("repeats")
    fresh = batch.filter(pc.is_null(repeats)).drop_columns(["repeats"])
    results = scorer.score(fresh.column("text"))
    reasons = results.reasons
    scored = pc.is_null(reasons)
    valid = results.scores >= scorer.threshold  # False for NaN, where a reason stands
    student = results.scores if results.student_scores is None else results.student_scores
    columns = {"score": results.scores, "student_score": student, "is_valid": valid}
    columns["cell"] = pack_bins.pack(results.lengths, results.unknown, results.cut)
    scores = {name: pa.array(values).filter(scored) for name, values in columns.items()}
    scores["decided_by"] = pa.repeat("student", len(scores["score"]))
    if results.reader_scores is not None:
        read = pa.array(results.reader_scores, from_pandas=True).filter(scored)  # null for NaN
        scores["reader_score"] = read
        scores["decided_by"] = pc.if_else(pc.is_valid(read), "second reader", "student")
    yield staged(OPINION_SCORE.name, fresh.select(["opinion_id"]).filter(scored), scores)
    yield staged(VALID_COMPLAINT.name, fresh.filter(pa.array(valid)), {"score": pa.array(results.scores[valid])})
    for rows, why in (
        (fresh.filter(pc.invert(scored)), reasons.drop_null()),
        (batch.filter(pc.is_valid(repeats)), repeats.drop_null()),
    ):
        ids = rows.select(["opinion_id"])
        yield staged(REJECTED_OPINION.name, ids, {"content": rows.column("text"), "reason": why})
    if chosen is not None:
        known = scored.to_numpy(zero_copy_only=False)
        chosen.offer(fresh.filter(scored), results.scores[known], valid[known])


def staged(table: str, rows: pa.RecordBatch, more: dict[str, pa.Array] | None = None) -> pa.RecordBatch:
    """Rows of one table in the staged schema; its missing columns are null."""
    columns = dict(zip(rows.schema.names, rows.columns, strict=True)) | (more or {})
    columns["table"] = pa.repeat(table, rows.num_rows)
    return pa.RecordBatch.from_arrays(
        [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(rows.num_rows, f.type) for f in STAGED],
        schema=STAGED,
    )
