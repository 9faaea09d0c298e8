"""Score a day's rows in a Python worker: Arrow batches of raw_opinion to rows of the staged files."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from distill.scoring.scorer import Scorer
from jobs.common.privacy import BatchFunction
from jobs.scoring import pack_bins
from jobs.scoring.process_cache import cached
from jobs.scoring.sample_candidates import CANDIDATE, SampleReservoir
from jobs.warehouse.schema import arrow_schema, ddl_of, staged_columns
from jobs.warehouse.shipping import check_versions, received, versions
from jobs.warehouse.tables import OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT

COLUMNS = staged_columns(OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION, table="string", cell="smallint")
STAGED, STAGED_DDL = arrow_schema(COLUMNS), ddl_of(COLUMNS)


def scorer_of(folder: str, digest: str, sample: int = 0, operating: Mapping[str, Any] | None = None) -> BatchFunction:
    """The function that Spark maps over Arrow batches; folder: the name of the shipped bundle.

    sample: the most rows drawn from a stratum; 0 for no candidates. operating: as in `SavedModel`.
    """
    driver = versions()

    def load() -> Scorer:
        check_versions(driver)
        return Scorer(received(folder, digest), operating)

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = cached(f"{digest} {operating and operating['value']}", load)
        chosen = SampleReservoir(sample)
        for batch in batches:
            yield from score_batch(scorer, batch, chosen if sample else None)
        for rows in chosen.rows():
            yield staged(CANDIDATE.name, rows)

    return score


def score_batch(
    scorer: Scorer, batch: pa.RecordBatch, chosen: SampleReservoir | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows of raw_opinion with `repeats` -> rows of the staged files: scores, valid complaints, rejects.

    A valid complaint gives two rows, one per table; text returns to Spark only for tables with a text column. `chosen`
    is offered the scored rows, which then have a column `draw`.
    """
    repeats = batch.column("repeats")
    fresh = batch.filter(pc.is_null(repeats)).drop_columns(["repeats"])
    results = scorer.score(fresh.column("text"))
    reasons = results.reasons
    scored = pc.is_null(reasons)
    valid = results.scores >= scorer.threshold  # False for NaN, where a reason stands
    yield staged(
        OPINION_SCORE.name,
        fresh.select(["opinion_id"]).filter(scored),
        {
            "score": pa.array(results.scores).filter(scored),
            "is_valid": pa.array(valid).filter(scored),
            "cell": pa.array(pack_bins.pack(results.lengths, results.unknown, results.cut)).filter(scored),
        },
    )
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
