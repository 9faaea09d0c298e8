"""What a Python worker does with a day's rows: Arrow batches of raw_opinion to rows of the staged files."""

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from distill.scorer import Scorer
from jobs.shipping import check_versions, received, versions
from jobs.tables import OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT

STAGED = pa.schema(
    [
        ("table", pa.string()),
        ("opinion_id", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("published_at", pa.timestamp("us", tz="UTC")),
        ("score", pa.float32()),
        ("is_valid", pa.bool_()),
        ("content", pa.string()),
        ("reason", pa.string()),
        ("was_cut", pa.bool_()),
        ("length_bin", pa.int8()),
        ("unknown_bin", pa.int8()),
    ]
)
STAGED_DDL = (
    "table string, opinion_id string, text string, source string, published_at timestamp, "
    "score float, is_valid boolean, content string, reason string, was_cut boolean, length_bin tinyint, "
    "unknown_bin tinyint"
)

_loaded: dict[str, Scorer] = {}


def scorer_of(folder: str, digest: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that Spark maps over Arrow batches; `folder` is the bundle's name among what was shipped."""
    driver = versions()

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Once a worker process: Spark uses a process for many tasks.
        if digest not in _loaded:
            check_versions(driver)
            _loaded.clear()
            _loaded[digest] = Scorer(received(folder, digest))
        for batch in batches:
            yield from score_batch(_loaded[digest], batch)

    return score


def score_batch(scorer: Scorer, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Rows of raw_opinion with `repeats` -> rows of the staged files: scores, valid complaints, rejects.

    A valid complaint gives two rows, one a table; text goes back to Spark only where a table keeps it.
    """
    repeats = batch.column("repeats")
    fresh = batch.filter(pc.is_null(repeats))
    found = scorer.score(fresh.column("text"))
    reasons = found.reasons
    scored = pc.is_null(reasons)
    scores = pa.array(found.scores)
    valid = pa.array(found.scores >= scorer.threshold)  # NaN, where there is a reason, is not
    yield staged(
        OPINION_SCORE.name,
        fresh.select(["opinion_id"]).filter(scored),
        {
            "score": scores.filter(scored),
            "is_valid": valid.filter(scored),
            "was_cut": pa.array(found.cut).filter(scored),
            "length_bin": pa.array(found.lengths).filter(scored),
            "unknown_bin": pa.array(found.unknown).filter(scored),
        },
    )
    yield staged(VALID_COMPLAINT.name, fresh.drop_columns(["repeats"]).filter(valid), {"score": scores.filter(valid)})
    for rows, why in (
        (fresh.filter(pc.invert(scored)), reasons.drop_null()),
        (batch.filter(pc.is_valid(repeats)), repeats.drop_null()),
    ):
        ids = rows.select(["opinion_id"])
        yield staged(REJECTED_OPINION.name, ids, {"content": rows.column("text"), "reason": why})


def staged(table: str, rows: pa.RecordBatch, more: dict[str, pa.Array]) -> pa.RecordBatch:
    """Rows of one table in the staged schema, the columns it has not null."""
    columns = dict(zip(rows.schema.names, rows.columns, strict=True)) | more
    columns["table"] = pa.repeat(table, rows.num_rows)
    return pa.RecordBatch.from_arrays(
        [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(rows.num_rows, f.type) for f in STAGED],
        schema=STAGED,
    )
